"""The one place where problems become a finding: a claim is what has to hold, and `Claim.judged` is the answer to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem, Remark
from facts.measure import Measure
from judge.causes import CAUSES


class Subject(Protocol):
    """A fact about one object, with the readings that it was made from."""

    @property
    def ref(self) -> ObjectRef:
        """The object."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings."""


def problem(of: Subject, said: str, cause: str = "") -> Problem:
    """A problem of an object, decided by the readings that the object was made from."""
    return Problem(of.ref, said, cause, of.evidence)


def place(name: str) -> ObjectRef:
    """A subject that is no object of an API, by the words a person has for it, such as ``nodes node-1, node-2``."""
    return ObjectRef("", name)


@dataclass(frozen=True, slots=True)
class Claim:
    """What has to hold, of what, and the readings that show it.

    Attributes:
        requirement: Id in the catalogue.
        expected: What must be so.
        where: What is judged, as a person names it.
        evidence: Ids of the readings; doubles are dropped in the finding.
        guide_says: The answer of the guide's own check, where it has one.
    """

    requirement: str
    expected: str
    where: str
    evidence: Iterable[str] = ()
    guide_says: str = ""

    def judged(
        self,
        problems: Iterable[Problem] = (),
        confirmed: str = "",
        *,
        held: Iterable[Remark] = (),
        unclear: Iterable[Problem] = (),
        left_out: Iterable[Remark] = (),
        notes: Iterable[Problem] = (),
        measures: Sequence[Measure] = (),
        settle: str = "",
    ) -> Finding:
        """NO with every problem and every number beyond its budget; else UNKNOWN if anything is unclear; else YES.

        Args:
            problems: What is wrong, by subject.
            confirmed: What is so where nothing is wrong; may be left out where `held` says it.
            held: What was confirmed, by subject.
            unclear: What could not be told, by subject.
            left_out: Subjects that were not judged, each with the reason.
            notes: What shows beside the answer and breaks nothing here.
            measures: The numbers that it rests on.
            settle: What would settle what is unclear.

        Raises:
            LookupError: A cause is named that ``causes.yaml`` does not have.
        """
        wrong = (*problems, *(self.problem(str(m)) for m in measures if not m.is_kept))
        open_ones = tuple(dict.fromkeys(unclear))
        beside = tuple(notes)
        for each in (*wrong, *open_ones, *beside):
            if each.cause:
                CAUSES[each.cause]
        return Finding(
            requirement=self.requirement,
            holds=Holds.NO if wrong else Holds.UNKNOWN if open_ones else Holds.YES,
            expected=self.expected,
            where=self.where,
            problems=tuple(dict.fromkeys(wrong)),
            unclear=open_ones,
            held=tuple(held),
            left_out=tuple(left_out),
            notes=beside,
            confirmed="" if wrong or open_ones else confirmed,
            evidence=tuple(dict.fromkeys(self.evidence)),
            settle=settle if open_ones and not wrong else "",
            guide_says=self.guide_says,
            measures=tuple(measures),
        )

    def unknown(self, error: CouldNotTell) -> Finding:
        """UNKNOWN, because a reading could not be made or understood; the error says what was expected of it, and where."""
        return Finding(
            requirement=self.requirement,
            holds=Holds.UNKNOWN,
            expected=error.expected,
            where=error.where,
            unclear=(Problem(place(error.where), error.seen),),
            evidence=tuple(dict.fromkeys(self.evidence)),
            settle=error.remedy,
            guide_says=self.guide_says,
        )

    def not_applicable(self, condition: str) -> Finding:
        """NOT_APPLICABLE: a condition of the catalogue is met, and the evidence shows it."""
        return Finding(
            requirement=self.requirement,
            holds=Holds.NOT_APPLICABLE,
            expected="the requirement to apply",
            where=self.where,
            evidence=tuple(dict.fromkeys(self.evidence)),
            guide_says=self.guide_says,
            condition=condition,
        )

    def problem(self, said: str, cause: str = "", evidence: tuple[str, ...] = ()) -> Problem:
        """A problem of what is judged as a whole."""
        return Problem(place(self.where), said, cause, evidence)


def confirmed_of(held: Iterable[Remark], problems: Iterable[Problem]) -> list[Remark]:
    """What is so of the subjects that have no problem."""
    wrong = {str(each.subject) for each in problems}
    return [each for each in held if str(each.subject) not in wrong]


def listed(things: Iterable[object], nothing: str = "none") -> str:
    """Things as a person lists them, sorted, doubles dropped."""
    return ", ".join(sorted({str(t) for t in things})) or nothing
