"""A number that a judgment measured, beside its promised limits."""

from __future__ import annotations

from dataclasses import dataclass

from facts.redaction import Own


def amount(value: float, unit: str = "") -> str:
    """A number as people read it, with its unit if it has one."""
    number = f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")
    return f"{number} {unit}" if unit else number


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured number.

    Attributes:
        name: The quantity, in a few words that are the same in every run, e.g. ``failed requests``.
        value: The number.
        unit: ``s`` for seconds, empty for a count.
        at_most: The promised upper limit; None where there is none.
        at_least: The promised lower limit; None where there is none.
    """

    name: str
    value: float
    unit: Own[str] = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_kept(self) -> bool:
        """The number is within its limits; one without limits always is."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    @property
    def promise(self) -> str:
        """The limits, in words; empty without any."""
        limits = (("at least", self.at_least), ("at most", self.at_most))
        return " and ".join(f"{words} {amount(limit, self.unit)}" for words, limit in limits if limit is not None)

    def __str__(self) -> str:
        promise = f" ({self.promise})" if self.promise else ""
        return f"{self.name}: {amount(self.value, self.unit)}{promise}"
