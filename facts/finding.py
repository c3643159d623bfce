"""A finding: what a judgment says about one requirement, with the readings that it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from facts.guide import Defect
from facts.measure import Measure


class Holds(StrEnum):
    """Whether a requirement holds, as far as one judgment can see."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one judgment.

    Attributes:
        requirement: Id in the catalogue, e.g. ``INST-06``.
        holds: The answer.
        expected: What must be so.
        seen: What is so.
        where: The object that was judged.
        evidence: Ids of the readings it stands on; a YES without any is refused.
        remedy: What to do about it; empty means the catalogue's remedy.
        guide_says: What the guide's own check answers here, where it has one.
        condition: For NOT_APPLICABLE, the catalogue's condition that is met.
        guide_defect: The defect of the guide that shows in it, if one does, whatever the answer is.
        measures: The numbers that it rests on, each beside what was promised.
    """

    requirement: str
    holds: Holds
    expected: str
    seen: str
    where: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    guide_says: str = ""
    condition: str = ""
    guide_defect: Defect | None = None
    measures: tuple[Measure, ...] = ()

    def __post_init__(self) -> None:
        if self.holds in (Holds.YES, Holds.NOT_APPLICABLE) and not self.evidence:
            raise ValueError(f"{self.requirement}: a finding that claims something needs evidence ({self.seen})")
        if (self.holds is Holds.NOT_APPLICABLE) != bool(self.condition):
            raise ValueError(f"{self.requirement}: not-applicable needs the condition that is met, and only it has one")


class Violated(AssertionError):
    """A requirement does not hold. Steps raise it with the finding; any other AssertionError means that the suite broke.

    Attributes:
        finding: The negative finding.
    """

    def __init__(self, finding: Finding) -> None:
        if finding.holds is not Holds.NO:
            raise ValueError(f"{finding.requirement}: only a negative finding violates, this one says {finding.holds.value}")
        self.finding = finding
        super().__init__(finding)

    def __str__(self) -> str:
        f = self.finding
        return f"{f.requirement}: expected {f.expected}; saw {f.seen} ({f.where})"
