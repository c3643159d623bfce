"""A finding: the outcome of one judgment on one requirement, as a sum over the subjects that it looked at.

Each problem is about one subject and, where the judgment can tell, has one cause. The sentence that
people read is made from them here and nowhere else (`Finding.seen`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from facts.evidence import ObjectRef
from facts.measure import Measure
from facts.redaction import Own

SHOWN = 10
"""Subjects that a sentence names; the finding itself has all of them."""


class Holds(StrEnum):
    """The answer of one judgment: the requirement holds, or not, or the judgment cannot tell."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True)
class Remark:
    """One statement about one subject.

    Attributes:
        subject: The object that it is about.
        said: The statement, without the subject's name.
    """

    subject: ObjectRef
    said: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One defect of one subject, or one open question about it.

    Attributes:
        subject: The object: this pod, this Deployment, this token. Its kind is empty where there is no object, and its name
            says what was looked at.
        said: The defect, in one sentence without the subject's name.
        cause: Id of the cause (``judge/explain/causes``); empty where the judgment cannot tell it.
        evidence: Ids of the readings that decide it, the decisive one first.
        alike: All objects that it is about where they are so alike that one of them, the subject, stands for all; empty
            where it is about the subject alone.
    """

    subject: ObjectRef
    said: str
    cause: Own[str] = ""
    evidence: Own[tuple[str, ...]] = ()
    alike: tuple[ObjectRef, ...] = ()

    @property
    def subjects(self) -> tuple[ObjectRef, ...]:
        """All objects that it is about."""
        return self.alike or (self.subject,)


@dataclass(frozen=True, slots=True)
class OpenPoint:
    """What a rule could not look at.

    Attributes:
        about: It, by subject, without a cause.
        settle: The next step that would settle it.
    """

    about: Problem
    settle: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one judgment.

    Attributes:
        requirement: Id in the catalogue, e.g. ``INST-06``.
        holds: The answer.
        expected: The expected state.
        where: The subject of the judgment, as a person names it.
        problems: The defects, by subject; only for NO.
        unclear: Open questions, by subject: all that an UNKNOWN says, and those that a NO leaves open.
        held: Confirmed observations, by subject.
        left_out: The subjects that the judgment left out, each with the reason.
        notes: Observations that do not decide the answer, such as a floating tag.
        confirmed: The confirmation in one sentence; empty where `held` says it.
        evidence: Ids of all readings that it stands on; a YES without any is refused.
        settle: For UNKNOWN, the next step that would settle it.
        guide_says: The answer of the guide's own check, where it has one.
        condition: For NOT_APPLICABLE, the condition of the catalogue that is met.
        measures: The numbers that it rests on, each beside its budget.
    """

    requirement: Own[str]
    holds: Holds
    expected: str
    where: str
    problems: tuple[Problem, ...] = ()
    unclear: tuple[Problem, ...] = ()
    held: tuple[Remark, ...] = ()
    left_out: tuple[Remark, ...] = ()
    notes: tuple[Problem, ...] = ()
    confirmed: str = ""
    evidence: Own[tuple[str, ...]] = ()
    settle: str = ""
    guide_says: str = ""
    condition: Own[str] = ""
    measures: tuple[Measure, ...] = ()

    def __post_init__(self) -> None:
        if self.holds in (Holds.YES, Holds.NOT_APPLICABLE) and not self.evidence:
            raise ValueError(f"{self.requirement}: a finding that claims something needs evidence ({self.seen})")
        if (self.holds is Holds.NOT_APPLICABLE) != bool(self.condition):
            raise ValueError(f"{self.requirement}: not-applicable needs the condition that is met, and only it has one")
        if (self.holds is Holds.NO) != bool(self.problems):
            raise ValueError(f"{self.requirement}: a NO needs a problem, and only a NO has one ({self.seen})")

    @property
    def seen(self) -> str:
        """The observation, as one sentence."""
        match self.holds:
            case Holds.NO:
                return told((*self.problems, *self.unclear), self.where)
            case Holds.UNKNOWN:
                return told(self.unclear, self.where)
            case Holds.YES:
                return self.confirmed or told(self.held, self.where)
        return self.condition

    def compared(self, seen: str = "") -> str:
        """Expectation and observation in one sentence, which ends with what the judgment looked at.

        Args:
            seen: The observation in other words than `seen` has.
        """
        return f"expected {self.expected}; saw {seen or self.seen} (looked at {self.where})"

    @property
    def causes(self) -> tuple[str, ...]:
        """Ids of the causes of its problems, each once."""
        return tuple(dict.fromkeys(problem.cause for problem in self.problems if problem.cause))

    def showing(self, cause: str) -> tuple[Problem, ...]:
        """Everything in it that shows a cause, whatever the answer is."""
        return tuple(p for p in self.stated if p.cause == cause)

    @property
    def stated(self) -> tuple[Problem, ...]:
        """Everything that it says against its subjects: defects, open questions and notes."""
        return (*self.problems, *self.unclear, *self.notes)


def told(statements: Iterable[Remark | Problem], where: str = "") -> str:
    """Statements as one sentence: by subject, subjects of which the same is said together.

    Args:
        statements: In their order in the sentence.
        where: The subject of the judgment; a statement about it alone does not name it again.
    """
    by_subject: dict[str, dict[str, None]] = {}
    for each in statements:
        by_subject.setdefault(str(each.subject), {})[each.said] = None
    if [*by_subject] == [where]:
        return "; ".join(by_subject[where])
    alike: dict[str, list[str]] = {}
    for subject, said in by_subject.items():
        alike.setdefault("; ".join(said), []).append(subject)
    parts = [f"{_some(subjects)}: {said}" for said, subjects in alike.items()]
    return "; ".join(parts[:SHOWN]) + (f"; and {len(parts) - SHOWN} more" if len(parts) > SHOWN else "")


def _some(subjects: list[str]) -> str:
    return ", ".join(subjects[:SHOWN]) + (f" and {len(subjects) - SHOWN} more" if len(subjects) > SHOWN else "")


class Violated(AssertionError):
    """A requirement does not hold. Steps raise it with the finding; any other AssertionError means that the suite broke.

    Attributes:
        finding: The negative finding.
    """

    def __init__(self, finding: Finding) -> None:
        if finding.holds is not Holds.NO:
            raise ValueError(f"{finding.requirement}: only a negative finding violates, this one says {finding.holds.value}")
        self.finding = finding

    def __str__(self) -> str:
        return f"{self.finding.requirement}: {self.finding.compared()}"
