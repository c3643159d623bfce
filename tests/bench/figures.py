"""Figures of several rounds: least, median and most."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was timed in several rounds.

    Attributes:
        name: What was timed.
        seconds: One value for each round, in their order.
    """

    name: str
    seconds: list[float] = field(default_factory=list)

    @property
    def least(self) -> float:
        """Seconds of the fastest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The middle of all rounds, in seconds."""
        return statistics.median(self.seconds)

    @property
    def most(self) -> float:
        """Seconds of the slowest round."""
        return max(self.seconds)

    def as_document(self) -> dict[str, object]:
        """For JSON; seconds."""
        values = {"least": self.least, "median": self.median, "most": self.most}
        return {"name": self.name, "rounds": self.seconds, **{key: round(value, 2) for key, value in values.items()}}


def ratio(ours: Figure, other: Figure) -> float:
    """How long ours takes as a multiple of the other's time, by the medians; below 1 it is the faster one."""
    return ours.median / other.median


def table(figures: Iterable[Figure]) -> str:
    """The figures as aligned lines."""
    lines = [f"{'seconds':<58}{'rounds':>7}{'min':>8}{'median':>8}{'max':>8}"]
    lines += [f"{f.name:<58}{len(f.seconds):>7}{f.least:>8.1f}{f.median:>8.1f}{f.most:>8.1f}" for f in figures]
    return "\n".join(lines)
