"""Claims and their answers: `Claim.judged` is the one place where problems become a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, Shown
from facts.finding import Finding, Holds, Problem, Remark
from facts.measure import Measure
from facts.redaction import hides_a_value
from facts.secret_forms import MARK
from judge.explain.cause import CAUSES


class Subject(Shown, Protocol):
    """A fact about one object."""

    @property
    def ref(self) -> ObjectRef:
        """The object."""


def problem(of: Subject, said: str, cause: str = "") -> Problem:
    """A problem of an object, decided by the readings that the object was made from."""
    return Problem(of.ref, said, cause, of.evidence)


def place(name: str) -> ObjectRef:
    """A subject that is no object of an API, by the name that people give it, such as ``nodes node-1, node-2``."""
    return ObjectRef("", name)


TO_APPLY = "the requirement to apply"
"""The expectation of a finding that says not applicable."""

LOOK_FIRST = "look at the other requirements of this report first: where every caller is refused, a refusal proves nothing"
"""Next step where a refusal proves nothing: it has another reason, or the caller to be accepted was refused as well."""


READ_BY_HAND = "read the value by hand; a value that does not look like a secret would be compared"
"""Next step where a value was taken out before the judgment saw it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A promise about one thing, with the readings that show whether it is kept.

    Attributes:
        requirement: Id in the catalogue.
        expected: The promise, as it reads behind "expected".
        where: The thing, as people name it.
        evidence: Ids of the readings; the finding has each once.
        guide_says: Answer of the guide's own check, where it has one.
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

        A statement about a value that was taken out as a secret is an open point, whatever it says.

        Args:
            problems: Problems, by subject.
            confirmed: Observation where nothing is wrong, in one sentence; may be left out where `held` says it.
            held: Observations that confirm the claim, by subject.
            unclear: Open points, by subject: what could not be determined.
            left_out: Subjects that were not judged, each with the reason.
            notes: Observations that break nothing here.
            measures: Numbers that the answer rests on.
            settle: Next step that would settle the open points.

        Raises:
            LookupError: A cause is named that is not known.
        """
        stated = (*problems, *(self.problem(str(m)) for m in measures if not m.is_kept))
        confirming = tuple(held)
        # A value that was taken out as a secret is neither equal to another nor unequal.
        not_compared = [p for p in stated if hides_a_value(p.said)]
        not_compared += [Problem(each.subject, each.said) for each in confirming if hides_a_value(each.said)]
        not_compared += [self.problem(confirmed)] if hides_a_value(confirmed) else []
        wrong = tuple(p for p in stated if not hides_a_value(p.said))
        open_ones = tuple(dict.fromkeys([*unclear, *(_not_compared(p) for p in not_compared)]))
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
            held=tuple(each for each in confirming if not hides_a_value(each.said)),
            left_out=tuple(left_out),
            notes=beside,
            confirmed="" if wrong or open_ones else confirmed,
            evidence=tuple(dict.fromkeys(self.evidence)),
            settle=(settle or (READ_BY_HAND if not_compared else "")) if open_ones and not wrong else "",
            guide_says=self.guide_says,
            measures=tuple(measures),
        )

    def unknown(self, error: CouldNotTell) -> Finding:
        """UNKNOWN, because a reading failed or could not be understood; the error has what was expected, and where."""
        of_error = replace(self, expected=error.expected, where=error.where)
        return of_error.judged(unclear=[of_error.problem(error.seen)], settle=error.remedy)

    def not_applicable(self, condition: str) -> Finding:
        """NOT_APPLICABLE, because the evidence shows a condition that the catalogue lists."""
        return Finding(
            requirement=self.requirement,
            holds=Holds.NOT_APPLICABLE,
            expected=TO_APPLY,
            where=self.where,
            evidence=tuple(dict.fromkeys(self.evidence)),
            guide_says=self.guide_says,
            condition=condition,
        )

    def problem(self, said: str, cause: str = "", evidence: tuple[str, ...] = ()) -> Problem:
        """A problem of the claim's thing as a whole."""
        return Problem(place(self.where), said, cause, evidence)


def _not_compared(statement: Problem) -> Problem:
    said = f"{statement.said}; {MARK} stands for a value that looks like a secret, so the suite could not compare it"
    return replace(statement, said=said, cause="")


def of_nothing(finding: Finding, condition: str) -> Finding:
    """A finding about subjects of which none was left to judge: not applicable where nothing else decided it.

    What was left out stays in it.

    Args:
        finding: The finding; a NO or an UNKNOWN stays as it is.
        condition: The condition of the catalogue that is met.
    """
    if finding.holds is not Holds.YES:
        return finding
    return replace(
        finding, holds=Holds.NOT_APPLICABLE, condition=condition, expected=TO_APPLY, confirmed="", held=(), measures=()
    )


def confirmed_of(held: Iterable[Remark], problems: Iterable[Problem]) -> list[Remark]:
    """Observations of the subjects that have no problem."""
    wrong = {str(each.subject) for each in problems}
    return [each for each in held if str(each.subject) not in wrong]


def time_until(name: str, since: datetime, until: datetime | None, at_most: float | None = None) -> list[Measure]:
    """Seconds from one moment to another, at least 0, as a measure; none where the second never came."""
    return [] if until is None else [Measure(name, max(0.0, (until - since).total_seconds()), "s", at_most=at_most)]


def longest(name: str, seconds: Sequence[float], at_most: float | None = None) -> list[Measure]:
    """The longest of some times as a measure; none where there is no time."""
    return [Measure(name, max(seconds), "s", at_most=at_most)] if seconds else []


def true_ones(statements: Mapping[str, object]) -> list[str]:
    """The statements that are true, each of which has its condition as the value."""
    return [statement for statement, is_so in statements.items() if is_so]


FEW = 3
"""Things that a sentence names."""


def few(things: Iterable[object]) -> str:
    """The first things in their order, and how many more there are."""
    names = [str(thing) for thing in things]
    return ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")


def listed(things: Iterable[object], nothing: str = "none") -> str:
    """Things as people list them: sorted, each once."""
    return ", ".join(sorted({str(t) for t in things})) or nothing
