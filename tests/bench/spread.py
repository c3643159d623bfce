"""One profile several times on a kept cluster, and each measured number with its spread: ``python -m tests.bench.spread``.

No round is left out and none is repeated. The exit code is that of the first round that did not pass.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from facts.measure import Measure, amount
from observe.command import run
from tests.bench.timed import PATIENCE, ROOT


@dataclass(frozen=True, slots=True)
class Spread:
    """What was measured under one name, over all rounds.

    Attributes:
        requirement: Whose number it is.
        measures: Each measure of each round.
    """

    requirement: str
    measures: tuple[Measure, ...]

    def line(self) -> str:
        """Least, median and most, beside what was promised."""
        values = [m.value for m in self.measures]
        told = "".join(f"{amount(number):>10}" for number in (min(values), statistics.median(values), max(values)))
        first = self.measures[0]
        promise = f"  {first.promise}" if first.promise else ""
        missed = "" if all(m.is_kept for m in self.measures) else "  NOT KEPT"
        return f"{self.requirement:<8} {first.name:<62}{told} {first.unit:<3}{promise}{missed}"


def spreads(reports: Iterable[Mapping[str, Any]]) -> tuple[Spread, ...]:
    """The numbers of several runs, in the order in which each came first.

    Args:
        reports: Each a decoded ``report.json``.
    """
    found: dict[tuple[str, str, str], list[Measure]] = {}
    for report in reports:
        for scenario in report["scenarios"]:
            for finding in (f for step in scenario["steps"] for f in step["findings"]):
                for measure in (Measure(**m) for m in finding.get("measures", ())):
                    found.setdefault((finding["requirement"], measure.name, measure.promise), []).append(measure)
    return tuple(Spread(requirement, tuple(held)) for (requirement, _name, _promise), held in found.items())


def rounds_on(kind_name: str, profile: str, count: int, directory: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """Runs a profile several times on one kept cluster.

    Returns:
        The report of each round, and its exit code.
    """
    reports, codes = [], []
    for number in range(1, count + 1):
        where = directory / str(number)
        command: list[str | Path] = [
            sys.executable, "-m", "pytest", "features", "--reuse", "--kind-name", kind_name,
            "--profile", profile, "--reports", where,
        ]  # fmt: skip
        began = time.monotonic()
        done = run(command, timeout=PATIENCE, cwd=ROOT)
        seconds = time.monotonic() - began
        report = where / "latest" / "report.json"
        if not report.is_file():
            raise RuntimeError(f"round {number} has left no report: {done.tail()}")
        reports.append(json.loads(report.read_text(encoding="utf-8")))
        codes.append(done.exit_code)
        load = os.getloadavg()[0]
        print(f"round {number}: {reports[-1]['result']} after {seconds:.0f} s, load {load:.1f}", flush=True)
        if done.exit_code:
            print(done.stdout, flush=True)
    return reports, codes


def spread(
    profile: Annotated[str, typer.Argument(help="Profiles, as for --profile.")] = "rotation",
    rounds: Annotated[int, typer.Option(min=1, help="How often it is run.")] = 5,
    kind_name: Annotated[str, typer.Option(help="The kept cluster (`conformance up`); it stays.")] = "conformance",
) -> None:
    """Runs a profile several times on a kept cluster and prints each measured number with its spread."""
    with tempfile.TemporaryDirectory(prefix="spread-") as directory:
        reports, codes = rounds_on(kind_name, profile, rounds, Path(directory))
    print(f"\n{'':<71}{'min':>10}{'median':>10}{'max':>10}")
    print("\n".join(each.line() for each in spreads(reports)))
    print(f"\n{codes.count(0)} of {rounds} rounds passed")
    raise typer.Exit(next((code for code in codes if code), 0))


if __name__ == "__main__":
    try:
        typer.run(spread)
    except RuntimeError as error:
        print(f"! {error}", file=sys.stderr)
        sys.exit(4)
