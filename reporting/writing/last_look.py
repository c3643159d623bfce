"""A last search for secrets before any file is written.

A key or token that is found here is a defect, and becomes a run error. What is told by the words before it is hidden as
well, and is none: sentences put words of several objects together, and whoever names an object must not spoil a run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from facts.document import decoded
from facts.redaction import redact
from reporting.model import Report
from reporting.writing.document import from_plain, to_plain


def last_look(
    report: Report, bodies: Mapping[str, str], named_secrets: Collection[str] = ()
) -> tuple[Report, dict[str, str]]:
    """Redacts the report and the bodies of its evidence once more.

    Args:
        report: The report.
        bodies: Bodies of its evidence, by id.
        named_secrets: Values to hide in this run.

    Returns:
        Both without secrets. Each place where one was found is a run error of the report, which lowers its result.
    """
    found: Counter[str] = Counter()
    clean_bodies = {}
    for evidence_id, body in bodies.items():
        # A document was looked through text by text. As one text it may look like a secret where two of them meet.
        clean = redact(body, named_secrets, certain=not isinstance(decoded(body), str))
        clean_bodies[evidence_id] = clean.text
        found[f"evidence {evidence_id}"] = clean.count
    clean_plain = _cleaned(to_plain(report), "report", found, named_secrets)
    report = from_plain(clean_plain)
    found = +found  # the places where there was one
    if not found:
        return report, clean_bodies
    evidence = tuple(
        replace(
            e,
            sha256=hashlib.sha256(clean_bodies[e.id].encode()).hexdigest(),
            size=len(clean_bodies[e.id].encode()),
            redactions=e.redactions + found[f"evidence {e.id}"],
        )
        for e in report.evidence
    )
    errors = tuple(
        f"{count} secret(s) reached {place}; the suite removed them before it wrote any file"
        for place, count in found.items()
    )
    return replace(report, evidence=evidence).with_run_errors(errors), clean_bodies


def _cleaned(value: Any, place: str, found: Counter[str], named: Collection[str]) -> Any:
    if isinstance(value, str):
        clean = redact(value, named, certain=True)
        found[place] += clean.count
        return redact(clean.text).text
    if isinstance(value, list):
        return [_cleaned(each, f"{place}.{i}", found, named) for i, each in enumerate(value)]
    if isinstance(value, dict):
        return {key: _cleaned(each, f"{place}.{key}", found, named) for key, each in value.items()}
    return value
