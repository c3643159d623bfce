"""How a judgment is put into words: one place that turns a list of problems into a finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facts.errors import CouldNotTell
from facts.finding import Finding, Holds
from facts.guide import Defect
from facts.measure import Measure


def concluded(
    requirement: str,
    *,
    expected: str,
    problems: Sequence[str],
    confirmed: str,
    where: str,
    evidence: Iterable[str],
    remedy: str = "",
    guide_says: str = "",
    guide_defect: Defect | None = None,
    measures: Sequence[Measure] = (),
) -> Finding:
    """YES if there is no problem and every measured number is within its budget, else NO with all of it.

    Args:
        requirement: Id in the catalogue.
        expected: What must be so.
        problems: What is not so, one sentence each.
        confirmed: What is so when there is no problem.
        where: What was judged.
        evidence: Ids of the readings; doubles are dropped.
        remedy: A remedy that fits better than the catalogue's.
        guide_says: What the guide's own check answered.
        guide_defect: The defect of the guide that shows here, if one does.
        measures: The numbers that it rests on.
    """
    problems = [*problems, *(str(m) for m in measures if not m.is_kept)]
    return Finding(
        requirement=requirement,
        holds=Holds.NO if problems else Holds.YES,
        expected=expected,
        seen="; ".join(problems) if problems else confirmed,
        where=where,
        evidence=tuple(dict.fromkeys(evidence)),
        remedy=remedy,
        guide_says=guide_says,
        guide_defect=guide_defect,
        measures=tuple(measures),
    )


def could_not_tell(
    requirement: str,
    error: CouldNotTell,
    evidence: Iterable[str] = (),
    *,
    guide_says: str = "",
    guide_defect: Defect | None = None,
) -> Finding:
    """A reading failed: the requirement's verdict is *error*."""
    return Finding(
        requirement=requirement,
        holds=Holds.UNKNOWN,
        expected=error.expected,
        seen=error.seen,
        where=error.where,
        evidence=tuple(dict.fromkeys(evidence)),
        remedy=error.remedy,
        guide_says=guide_says,
        guide_defect=guide_defect,
    )


def not_applicable(
    requirement: str, condition: str, *, where: str, evidence: Iterable[str], guide_says: str = ""
) -> Finding:
    """A condition of the catalogue is met, shown by evidence."""
    return Finding(
        requirement=requirement,
        holds=Holds.NOT_APPLICABLE,
        expected="the requirement to apply",
        seen=condition,
        where=where,
        evidence=tuple(dict.fromkeys(evidence)),
        guide_says=guide_says,
        condition=condition,
    )


def listed(things: Iterable[object], nothing: str = "none") -> str:
    """Things as a person lists them, sorted, doubles dropped."""
    return ", ".join(sorted({str(t) for t in things})) or nothing
