"""The numbers that findings rest on, in one line for each name and budget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from facts.finding import Finding
from facts.measure import Measure, amount


@dataclass(frozen=True, slots=True)
class Measured:
    """All measures of one name with one budget.

    Attributes:
        name: What was measured.
    """

    name: str
    measures: tuple[Measure, ...]

    @property
    def unit(self) -> str:
        """Of all of them."""
        return self.measures[0].unit

    @property
    def least(self) -> float:
        """The smallest number."""
        return min(m.value for m in self.measures)

    @property
    def most(self) -> float:
        """The largest number."""
        return max(m.value for m in self.measures)

    @property
    def promise(self) -> str:
        """The budget in words; empty where there is none."""
        return self.measures[0].promise

    @property
    def is_kept(self) -> bool:
        """True if each is within its budget."""
        return all(m.is_kept for m in self.measures)

    @property
    def amounts(self) -> str:
        """The number; of several the least and the most."""
        least, most = amount(self.least), amount(self.most, self.unit)
        return most if self.least == self.most else f"{least} to {most}"

    def __str__(self) -> str:
        return f"{self.name} {self.amounts}{f' ({self.promise})' if self.promise else ''}"


def measured(findings: Iterable[Finding]) -> tuple[Measured, ...]:
    """The measures of findings, in the order in which each name came first."""
    groups: dict[tuple[str, str, str], list[Measure]] = {}
    for measure in (m for f in findings for m in f.measures):
        groups.setdefault((measure.name, measure.unit, measure.promise), []).append(measure)
    return tuple(Measured(name, tuple(measures)) for (name, _unit, _promise), measures in groups.items())
