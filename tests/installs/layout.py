"""The type of a layout, and the table of what the suite is expected to say of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from provision.faults import Operator, Scene
from tests.lab.certified import Certified

EXPECTED = Path(__file__).parent / "expected.yaml"

READ_ONLY, NAMESPACED, FAULTY = "read-only", "namespaced", "with its fault"
RUNS = (READ_ONLY, NAMESPACED, FAULTY)
"""The runs on each layout, in their order; the one with its fault only reads."""

Change = Callable[[Scene], AbstractContextManager[Operator | None]]


@dataclass(frozen=True, slots=True)
class Layout:
    """A right way to lay an install out, other than the lab's own.

    Attributes:
        name: Its name on the command line and in the table.
        sentence: Who has such an install, or what it has.
        lay_out: Lays the healthy lab out so, and restores it on the way out.
        flaw: What an operator did wrong in the faulty run, as a sentence.
        fault: Does it to the laid out lab, and undoes it on the way out.
        installed: Settings of the installation, where the layout is one that the suite can install by itself.
        in_ci: Whether CI takes it.
    """

    name: str
    sentence: str
    lay_out: Change
    flaw: str
    fault: Change
    installed: Mapping[str, Any] = field(default_factory=dict)
    in_ci: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What one run is expected to say.

    Attributes:
        result: Of the run.
        otherwise: Verdicts other than *pass*, by requirement, among those that can be had in such a run.
    """

    result: str
    otherwise: Mapping[str, str]


def expected() -> dict[str, dict[str, Expected]]:
    """Reads the table: by layout and run."""
    table = yaml.safe_load(EXPECTED.read_text(encoding="utf-8"))
    return {
        layout: {
            run: Expected(row["result"], {r: v for v, listed in row.items() if v != "result" for r in listed.split()})
            for run, row in rows.items()
        }
        for layout, rows in table.items()
    }


def differences(wanted: Expected, seen: Certified) -> Iterator[str]:
    """Yields what a run said otherwise than expected, with its reasons."""
    if seen.result != wanted.result:
        yield f"result {seen.result}, expected {wanted.result}"
    for requirement, verdict in seen.verdicts.items():
        if verdict == "skipped":  # the run's safety class leaves it out
            continue
        due = wanted.otherwise.get(requirement, "pass")
        if verdict != due:
            reasons = "; ".join(seen.reasons.get(requirement, ()))
            yield f"{requirement} {verdict}, expected {due}{f': {reasons}' if reasons else ''}"
    for requirement in sorted(wanted.otherwise.keys() - seen.verdicts.keys()):
        yield f"{requirement} was not judged, expected {wanted.otherwise[requirement]}"
