"""The matrix of faults and requirements: which faults can be judged, and what was seen under each, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from provision.faults import FAULTS, Fault
from tests.lab.certified import Certified

ROOT = Path(__file__).parents[2]

_LISTED = ROOT / "features" / "not-evaluated.txt"

INJECTS_FAULTS = frozenset({"TRF-06"})
"""It breaks an installation itself, and only one that its own run has made; an existing one, as this, it leaves alone."""

NOT_EVALUATED = INJECTS_FAULTS | {
    line.split("#")[0].strip() for line in (_LISTED.read_text(encoding="utf-8").splitlines() if _LISTED.exists() else ())
}
"""Requirements that are not judged here: without a scenario yet, or with one that needs an installation of its own."""

READY = [fault for fault in FAULTS.values() if fault.breaks - NOT_EVALUATED]
"""Faults that break something that has a scenario."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, with what was seen.

    Attributes:
        fault: It.
        broken: Requirements that failed under it.
        blind: Requirements that could not be told under it.
        otherwise: What was not as predicted, under it or after it.
        judged: How many requirements were judged under it.
        seconds: From the injection to the end of the last look.
    """

    fault: Fault
    broken: frozenset[str]
    blind: frozenset[str]
    otherwise: tuple[str, ...]
    judged: int
    seconds: float


def printed(rows: Iterable[Row]) -> Iterator[str]:
    """The matrix as lines for a terminal."""
    rows = list(rows)
    width = max((len(row.fault.name) for row in rows), default=0)
    for row in rows:
        blind = f"; cannot be told: {' '.join(sorted(row.blind))}" if row.blind else ""
        sign = "×" if row.otherwise else "√"
        if row.fault.standing:
            held = " ".join(sorted(row.fault.breaks - row.broken)) or "nothing"
            yield f"{sign} {row.fault.name:<{width}} {'':>8} {row.seconds:5.1f} s  holds while it is taken away: {held}"
        else:
            of = f"{len(row.broken)} of {row.judged}"
            yield f"{sign} {row.fault.name:<{width}} {of:>8} {row.seconds:5.1f} s  {' '.join(sorted(row.broken))}{blind}"
        yield from (f"    {line}" for line in row.otherwise)
    for fault in FAULTS.values():
        if fault not in READY:
            yield f"– {fault.name:<{width}} its requirements are not evaluated yet: {' '.join(sorted(fault.breaks))}"


def differences(expected: Mapping[str, str], seen: Certified, when: str) -> Iterator[str]:
    """Where the verdicts are not the expected ones, with the reasons that the run gave."""
    for requirement, verdict in sorted(expected.items()):
        if (got := seen.verdicts.get(requirement, "nothing")) != verdict:
            reasons = "; ".join(seen.reasons.get(requirement, ())) or seen.said[-600:] * (got == "nothing")
            yield f"{when}: {requirement} is {got}, expected {verdict}: {reasons}"
