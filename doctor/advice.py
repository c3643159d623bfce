"""Advice on a mesh that is changing: what the two advisors share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from checks.check import Case
from doctor.document import subject
from doctor.opened import Patient
from doctor.told import grouped, requests_line
from facts.errors import BadInput
from facts.finding import Problem
from judge.explain.cause import CAUSES
from judge.explain.found import subjects_of
from reporting.writing.causes import indented, remedy_block
from reporting.writing.words import LOOKS

VERSION = 1
"""Version of both documents; a program that reads one can rely on every key."""


@dataclass(frozen=True, slots=True)
class Advice:
    """An answer of an advisor.

    Attributes:
        lines: For a terminal. What was read stands in them as it is: they must be made printable.
        last: The last line, without its exit code.
        document: The same as mappings, lists, texts and numbers; not redacted yet.
        exit_code: 0 where nothing is to be done or waited for, 1 where something is, 6 where that is not determined.
    """

    lines: tuple[str, ...]
    last: str
    document: Mapping[str, Any]
    exit_code: int


Advisor = Callable[[Case], Advice]
"""Reads what it needs, and gives its advice."""


def advice_of(advisor: Advisor, patient: Patient) -> Advice:
    """The advice on an install, with whose authority it rests on and what was asked for it.

    Raises:
        ConformanceError: Something that all of it rests on could not be read.
    """
    begun = time.monotonic()
    advice = advisor(patient.case)
    authority, requests, seconds = patient.authority(), patient.requests.made(), time.monotonic() - begun
    mark = LOOKS[{0: "pass", 1: "fail"}.get(advice.exit_code, "error")][0]
    last = f"{mark} {advice.last} · exit {advice.exit_code}"
    return replace(
        advice,
        lines=(*advice.lines, "", f"authority: {authority}", requests_line(requests, seconds), last),
        document={
            "version": VERSION,
            **advice.document,
            "requests": sum(requests.values()),
            "requests_by_kind": dict(requests),
            "seconds": round(seconds, 3),
            "authority": authority,
        },
    )


def only_one(chosen: Mapping[str, Advisor], others: Mapping[str, str]) -> Advisor | None:
    """The advisor that was asked for; None where none was.

    Args:
        chosen: The advisors that were asked for, by their option.
        others: What was given to options that an advisor does not take.

    Raises:
        BadInput: More than one was, or one beside such an option.
    """
    options = [*chosen, *(option for option, value in others.items() if value)]
    if chosen and len(options) > 1:
        raise BadInput(
            expected=f"{options[0]} without {' and '.join(options[1:])}",
            seen="both" if len(options) == 2 else "all of them",
            where=options[0],
            remedy="ask one question at a time; an advisor reads the whole mesh, and changes nothing",
        )
    return next(iter(chosen.values()), None)


def problem_lines(problems: Iterable[Problem], word: str) -> Iterator[str]:
    """Problems, those that say the same in one line.

    Args:
        word: The word whose mark stands before each.
    """
    for said, alike in groupby(sorted(problems, key=lambda each: each.said), key=lambda each: each.said):
        yield f"{LOOKS[word][0]} {grouped(subjects_of(alike))}: {said}"


def remedy_lines(problems: Iterable[Problem]) -> Iterator[str]:
    """What to do about the causes of problems, each once."""
    for cause in dict.fromkeys(each.cause for each in problems if each.cause):
        yield f"{cause}: {CAUSES[cause].sentence}"
        yield from indented(remedy_block(CAUSES[cause]), 4)


def plain_problems(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems for a document."""
    return [{"subject": subject(each.subject), "said": each.said, "cause": each.cause} for each in problems]


def counted(proxies: int) -> str:
    """A number of proxies, in words."""
    return "1 proxy" if proxies == 1 else f"{proxies} proxies"
