"""The matrix of faults and requirements: what was seen under each fault, for a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from judge.explain.cause import CAUSES
from provision.faults import Fault
from tests.lab.certified import Certified

STAGES = ("inject", "judge", "undo", "judge again")


@dataclass(slots=True)
class Spent:
    """Where the time of one fault went.

    Attributes:
        seconds: By stage.
    """

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Counts for a stage what happens inside."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - began

    @property
    def total(self) -> float:
        """All stages together."""
        return sum(self.seconds.values())

    def __str__(self) -> str:
        return " + ".join(f"{self.seconds.get(stage, 0.0):.0f}" for stage in STAGES)


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, with what was seen.

    Attributes:
        fault: It.
        broken: Requirements that failed under it.
        blind: Requirements that could not be told under it.
        otherwise: What was not as predicted, under it or after it.
        judged: How many requirements were judged under it.
        spent: From the injection to the end of the last look.
    """

    fault: Fault
    broken: frozenset[str]
    blind: frozenset[str]
    otherwise: tuple[str, ...]
    judged: int
    spent: Spent


def printed(rows: Iterable[Row]) -> Iterator[str]:
    """The matrix as lines for a terminal."""
    rows = list(rows)
    width = max((len(row.fault.name) for row in rows), default=0)
    yield f"(seconds: all, and to {', '.join(STAGES)})"
    for row in rows:
        yield from lines_of(row, width)
    yield f"{len(rows)} faults, {sum(row.spent.total for row in rows):.0f} s"


def lines_of(row: Row, width: int = 0) -> Iterator[str]:
    """One row as lines for a terminal, the name of its fault filled up to a width."""
    blind = f"; cannot be told: {' '.join(sorted(row.blind))}" if row.blind else ""
    sign = "✕" if row.otherwise else "✓"
    took = f"{row.spent.total:5.1f} s = {row.spent!s:<16}"
    if row.fault.standing:
        held = " ".join(sorted(row.fault.breaks - row.broken)) or "nothing"
        yield f"{sign} {row.fault.name:<{width}} {'':>8} {took}  holds while it is taken away: {held}"
    else:
        of = f"{len(row.broken)} of {row.judged}"
        yield f"{sign} {row.fault.name:<{width}} {of:>8} {took}  {' '.join(sorted(row.broken))}{blind}"
    yield from (f"    {line}" for line in row.otherwise)


def misnamed(fault: Fault, seen: Certified) -> Iterator[str]:
    """Where the requirements that a fault breaks do not name its cause with the remedy, or name a cause that is not so.

    Args:
        fault: The fault.
        seen: What a run said while the install was broken by it.
    """
    named = {r: seen.causes.get(r, []) for r in sorted(seen.broken() & fault.breaks)}
    owning = [requirement for requirement, causes in named.items() if fault.cause in causes]
    if not owning and not fault.by_doctor_alone:
        said = "; ".join(f"{r}: {'; '.join(seen.reasons.get(r, ()))}" for r in named)
        yield f"no requirement names the cause {fault.cause}: {said or 'none fails'}"
    for requirement in owning:
        if missing := [step for step in CAUSES[fault.cause].remedy if step not in seen.remedies[requirement]]:
            yield f"{requirement} names {fault.cause} and the report lacks of its remedy: {'; '.join(missing)}"
    for requirement, causes in named.items():
        if others := [cause for cause in causes if cause != fault.cause and cause not in fault.further_causes]:
            reasons = "; ".join(seen.reasons.get(requirement, ()))
            yield f"{requirement} names {', '.join(others)}, the cause is {fault.cause}: {reasons}"


def differences(expected: Mapping[str, str], seen: Certified, when: str) -> Iterator[str]:
    """Where the verdicts are not the expected ones, with the reasons that the run gave."""
    for requirement, verdict in sorted(expected.items()):
        if (got := seen.verdicts.get(requirement, "nothing")) != verdict:
            reasons = "; ".join(seen.reasons.get(requirement, ())) or seen.said[-600:] * (got == "nothing")
            yield f"{when}: {requirement} is {got}, expected {verdict}: {reasons}"
