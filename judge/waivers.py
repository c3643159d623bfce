"""Waivers: decisions of the install's owner to accept for a time that a requirement does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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

    def covers(self, problem: Problem) -> bool:
        """Tell whether it accepts a problem. One that has expired is not asked."""
        return self.of_whole_requirement or any(is_of(pattern, problem.subject) for pattern in self.subjects)

    def covered_in(self, findings: Iterable[Finding]) -> tuple[str, ...]:
        """The subjects of the problems that it accepts in findings about its requirement, each once."""
        return tuple(dict.fromkeys(str(p.subject) for f in findings for p in f.problems if self.covers(p)))

    def idle_in(self, findings: Sequence[Finding]) -> tuple[str, ...]:
        """Its patterns that no subject of a problem in findings about its requirement has."""
        subjects = [p.subject for f in findings for p in f.problems]
        return tuple(pattern for pattern in self.subjects if not any(is_of(pattern, subject) for subject in subjects))


def is_of(pattern: str, subject: ObjectRef) -> bool:
    """Tell whether a pattern fits a subject, written as reports write it: ``KIND NAMESPACE/NAME``, or without the kind.

    ``*`` stands for any letters, ``?`` for one of them.
    """
    whole = str(subject)
    return any(fnmatchcase(name, pattern) for name in (whole, whole.removeprefix(f"{subject.kind} ")))


def not_accepted(problems: Iterable[Problem], waivers: Iterable[Waiver]) -> tuple[Problem, ...]:
    """The problems that none of some waivers covers."""
    each = tuple(waivers)
    return tuple(problem for problem in problems if not any(waiver.covers(problem) for waiver in each))
