"""A last search for secrets before any file is written.

A key or token that is found here is a defect, and becomes a run error. What is told by the words before it is hidden as
well, and is none: sentences put words of several objects together, and whoever names an object must not spoil a run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from facts.document import decoded
from facts.masks import as_json
from facts.redaction import is_too_deep, redact, with_texts
from reporting.model import Report


def last_look(
    report: Report, bodies: Mapping[str, str], named_secrets: Collection[str] = ()
) -> tuple[Report, dict[str, str]]:
    """Redacts the report and the bodies of its evidence once more.

    Args:
        bodies: Bodies of its evidence, by id.
        named_secrets: Values to hide in this run.

    Returns:
        Both without secrets. Each place where one was found is a run error of the report, which lowers its result.
    """
    found: Counter[str] = Counter()
    clean_bodies = {}
    for evidence_id, body in bodies.items():
        clean_bodies[evidence_id], found[f"evidence {evidence_id}"] = _clean_body(body, named_secrets)

    def cleaned(text: str, place: str) -> str:
        clean = redact(text, named_secrets, certain=True)
        found[place] += clean.count
        return redact(clean.text).text

    report = with_texts(report, cleaned, "report")
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


def _clean_body(body: str, named: Collection[str]) -> tuple[str, int]:
    """A body without secrets, and their number.

    A document was looked through text by text when it was read, and is so again: where two of its texts meet they may look
    like a secret that neither holds. A body may also have a document on each line, such as a log that a workload writes.
    """
    if _is_document(document := decoded(body)):
        return _clean_document(document, body, named)
    clean, count = [], 0
    lines = ((line, decoded(line)) for line in body.split("\n"))
    for is_document, group in groupby(lines, lambda line: _is_document(line[1])):
        if is_document:
            found = [_clean_document(document, line, named) for line, document in group]
        else:
            text = redact("\n".join(line for line, _text in group), named)
            found = [(text.text, text.count)]
        clean += [text for text, _number in found]
        count += sum(number for _text, number in found)
    return "\n".join(clean), count


def _is_document(value: Any) -> bool:
    """Return True for a document that is looked through text by text; one that is deeper than any API's is a text."""
    return isinstance(value, Mapping | list) and not is_too_deep(value)


def _clean_document(document: Any, written: str, named: Collection[str]) -> tuple[str, int]:
    """A document as it was written, unless it holds secrets; their number."""
    numbers: list[int] = []
    clean = _certainly_clean(document, named, numbers)
    return (as_json(clean), sum(numbers)) if any(numbers) else (written, 0)


def _certainly_clean(value: Any, named: Collection[str], numbers: list[int]) -> Any:
    """A value of a document without what certainly is a secret, in keys as well; adds the number of each text's secrets."""
    if isinstance(value, str):
        clean = redact(value, named, certain=True)
        numbers.append(clean.count)
        return clean.text
    if isinstance(value, list):
        return [_certainly_clean(each, named, numbers) for each in value]
    if isinstance(value, Mapping):
        return {_certainly_clean(key, named, numbers): _certainly_clean(each, named, numbers) for key, each in value.items()}
    return value
