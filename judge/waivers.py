"""Waivers: decisions of the install's owner to accept for a time that a requirement does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase

from facts.evidence import ObjectRef
from facts.finding import Finding, Problem
from facts.redaction import Own


@dataclass(frozen=True, slots=True)
class Waiver:
    """The owner's decision to accept for a time that a requirement does not hold.

    Attributes:
        requirement: Its id.
        owner: The person or team that decided.
        justification: Their reason.
        expired: Its last day is over; an expired waiver has no effect.
        last_day: Last day, in UTC, on which it has effect; None where it is unknown.
        approver: The person who agreed; empty without one.
        ticket: Where the decision is written down; empty without one.
        subjects: Patterns of the subjects that it covers; without any it covers the whole requirement. See `is_of`.
    """

    requirement: Own[str]
    owner: str
    justification: str
    expired: bool = False
    last_day: date | None = None
    approver: str = ""
    ticket: str = ""
    subjects: tuple[str, ...] = ()

    @property
    def of_whole_requirement(self) -> bool:
        """It covers every subject, and a failure that names none."""
        return not self.subjects

    def covers(self, subject: ObjectRef) -> bool:
        """Tell whether it accepts what is wrong with a subject. One that has expired is not asked."""
        return self.of_whole_requirement or any(is_of(pattern, subject) for pattern in self.subjects)

    def covered_in(self, findings: Iterable[Finding]) -> tuple[str, ...]:
        """The subjects of the problems that it accepts in findings about its requirement, each once."""
        return tuple(str(subject) for subject in _subjects(findings) if self.covers(subject))

    def idle_in(self, findings: Sequence[Finding]) -> tuple[str, ...]:
        """Its patterns that no subject of a problem in findings about its requirement has."""
        subjects = _subjects(findings)
        return tuple(pattern for pattern in self.subjects if not any(is_of(pattern, subject) for subject in subjects))


def is_of(pattern: str, subject: ObjectRef) -> bool:
    """Tell whether a pattern fits a subject, written as reports write it: ``KIND NAMESPACE/NAME``, or without the kind.

    ``*`` stands for any letters, ``?`` for one of them.
    """
    whole = str(subject)
    return any(fnmatchcase(name, pattern) for name in (whole, whole.removeprefix(f"{subject.kind} ")))


def not_accepted(problems: Iterable[Problem], waivers: Iterable[Waiver]) -> tuple[Problem, ...]:
    """What none of some waivers covers of problems: one that is about several objects is left for the others of them."""
    each = tuple(waivers)
    left = ((p, tuple(s for s in p.subjects if not any(waiver.covers(s) for waiver in each))) for p in problems)
    return tuple(p if subjects == p.subjects else _about(p, subjects) for p, subjects in left if subjects)


def _about(problem: Problem, subjects: tuple[ObjectRef, ...]) -> Problem:
    """A problem of some of its objects alone."""
    subject = problem.subject if problem.subject in subjects else subjects[0]
    return replace(problem, subject=subject, alike=subjects)


def _subjects(findings: Iterable[Finding]) -> Iterable[ObjectRef]:
    """All objects of the problems in findings, each once."""
    return {str(s): s for f in findings for p in f.problems for s in p.subjects}.values()
