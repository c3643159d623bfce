"""The numbers that findings rest on, put together for people: one line for each name and promise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from facts.finding import Finding
from facts.measure import Measure, amount


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured under one name against one promise, in as many places as there were.

    Attributes:
        name: What was measured.
        measures: Each measure.
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
        """What was promised, in words; empty where nothing was."""
        return self.measures[0].promise

    @property
    def is_kept(self) -> bool:
        """Whether each is within what was promised."""
        return all(m.is_kept for m in self.measures)

    @property
    def amounts(self) -> str:
        """The number; of several the least and the most."""
        least, most = amount(self.least), amount(self.most, self.unit)
        return most if self.least == self.most else f"{least} to {most}"

    def __str__(self) -> str:
        return f"{self.name} {self.amounts}{f' ({self.promise})' if self.promise else ''}"


def measured(findings: Iterable[Finding]) -> tuple[Measured, ...]:
    """What findings have measured, in the order in which each name came first."""
    groups: dict[tuple[str, str, str], list[Measure]] = {}
    for measure in (m for f in findings for m in f.measures):
        groups.setdefault((measure.name, measure.unit, measure.promise), []).append(measure)
    return tuple(Measured(name, tuple(measures)) for (name, _unit, _promise), measures in groups.items())
