"""A diagnosis as one JSON document; ``diagnosis.schema.json`` beside this module is its schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doctor.pod import Story
from facts.evidence import ObjectRef
from judge.explain.diagnosis import Diagnosis
from judge.explain.found import FoundCause, OneOf, subjects_of

VERSION = 1
"""Version of the document; a program that reads it can rely on every key."""

SCHEMA_FILE = Path(__file__).with_name("diagnosis.schema.json")


def plain(diagnosis: Diagnosis, story: Story | None = None) -> dict[str, Any]:
    """The diagnosis as mappings, lists, texts and numbers; not redacted yet.

    Args:
        story: The pod that the question is about; None without one.
    """
    return {
        "version": VERSION,
        "causes": [_cause(each) for each in diagnosis.causes],
        "classes": [_class(each) for each in diagnosis.classes],
        "effects": [_cause(each) for each in diagnosis.effects],
        "undetermined": [{"said": each.said, "settle": each.settle} for each in diagnosis.undetermined],
        "waiting": [{"subject": subject(each.subject), "said": each.said} for each in diagnosis.waiting],
        "checks": [
            {
                "section": check.section,
                "title": check.title,
                "requirement": check.requirement,
                "outcome": check.outcome.value,
                "said": check.said,
            }
            for check in diagnosis.checks
        ],
        "requests": sum(diagnosis.requests.values()),
        "requests_by_kind": dict(diagnosis.requests),
        "seconds": round(diagnosis.seconds, 3),
        "authority": diagnosis.authority,
        "pod": _story(story) if story is not None else None,
    }


def _story(story: Story) -> dict[str, Any]:
    lines = [{"title": line.title, "said": line.said, "wanted": line.wanted, "settle": line.settle} for line in story.lines]
    return {"pod": subject(story.pod), "lines": lines}


def _cause(found: FoundCause) -> dict[str, Any]:
    cause = found.cause
    return {
        "id": cause.id,
        "sentence": cause.sentence,
        "harms": found.harms,
        "requirements": list(found.requirements),
        "subjects": [subject(ref) for ref in found.subjects],
        "said": list(found.said),
        "felt_by": [subject(ref) for ref in subjects_of(found.felt)],
        "rests_on": [{"question": each.question, "about": each.about} for each in found.rests_on],
        "otherwise": [{"id": other.cause, "told_by": other.told_by} for other in found.otherwise],
        "explains": list(found.explains),
        "explained_by": list(found.explained_by),
        "remedy": list(found.remedy),
        "check": cause.check,
        "references": list(cause.references),
    }


def _class(found: OneOf) -> dict[str, Any]:
    return {
        "ids": list(found.ids),
        "causes": [_cause(each) for each in found.causes],
        "settled_by": found.settled_by,
        "explains": list(found.explains),
    }


def subject(ref: ObjectRef) -> dict[str, str]:
    """An object of the cluster, or of Teleport."""
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
