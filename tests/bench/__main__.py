"""Redaction, surveys, the doctor, provisioning against a bare script, checks, sidecars against a loop: `tests.bench`.

What is compared takes turns, so that whatever else the machine does burdens both. The exit code says whether everything
could be timed, whether redaction and surveys are linear, and whether the doctor stays within its limits: 1 where not.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from facts.errors import ConformanceError
from facts.recorder import KeptInMemory
from provision.clusters.sources import Sources, resolve
from provision.installing.install import remove
from settings import Settings, load
from tests.bench.doctor import Examined, examined_fleet
from tests.bench.figures import Figure, ratio, table
from tests.bench.fleet import read_fleets
from tests.bench.redaction import redacted_texts
from tests.bench.survey import STEEP, Surveyed, growth, surveyed_fleets
from tests.bench.timed import ROOT, checks_run, script_installs, suite_installs

OURS, BARE = "bench", "bench-bare"
FILE = ROOT / "reports" / "bench.json"


def bench(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is timed.")] = 2,
    fleet_on: Annotated[
        str, typer.Option(help="Only read fleets of sidecars, on the kept cluster of this name; it stays.")
    ] = "",
    redaction_alone: Annotated[bool, typer.Option(help="Only time the redaction of the worst texts: no cluster.")] = False,
    survey_alone: Annotated[bool, typer.Option(help="Only time surveys of simulated fleets: no cluster.")] = False,
    doctor_alone: Annotated[bool, typer.Option(help="Only time the doctor on a simulated fleet: no cluster.")] = False,
) -> None:
    """Times redaction, surveys, provisioning against a bare script, the checks on a ready cluster, reading many sidecars."""
    if doctor_alone:
        sys.exit(1 if _examine().is_too_much else 0)
    slow = [] if survey_alone else _redact(rounds)
    if redaction_alone:
        sys.exit(1 if slow else 0)
    surveys = list(surveyed_fleets(rounds))
    steep = _is_steep(surveys)
    if survey_alone:
        sys.exit(1 if steep else 0)
    examined = _examine()
    ours = load(kind_name=fleet_on or OURS)
    sources = resolve(ours)
    started, load_before = datetime.now(UTC), os.getloadavg()
    document: dict[str, object] = {}
    if fleet_on:
        fleets = read_fleets(ours, sources, rounds, _tell)
    else:
        bare = load(kind_name=BARE)
        try:
            document = _install_and_check(ours, bare, sources, rounds)
            fleets = read_fleets(ours, sources, rounds, _tell)
        finally:
            _remove(ours, bare)
    print("\n".join(["", *(fleet.line() for fleet in fleets)]))
    print(f"machine: {os.cpu_count()} cores, load {load_before[0]:.1f} at the start and {os.getloadavg()[0]:.1f} at the end")
    document |= {
        "started": started.isoformat(),
        "cores": os.cpu_count(),
        "load": {"start": load_before, "end": os.getloadavg()},
        "images": sources.origin,
        "fleets": [fleet.as_document() for fleet in fleets],
        "redaction_too_slow": slow,
        "surveys": [surveyed.as_document() for surveyed in surveys],
        "doctor": examined.as_document(),
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if slow or steep or examined.is_too_much:
        sys.exit(1)


def _examine() -> Examined:
    """Prints what the doctor costs on a large mesh."""
    found = examined_fleet()
    print(found.line(), flush=True)
    return found


def _is_steep(surveys: list[Surveyed]) -> bool:
    """Prints what surveys cost; tells whether a pod of a large fleet costs more than one of a small fleet."""
    print("\n".join(surveyed.line() for surveyed in surveys))
    grown = growth(surveys)
    print(f"a pod of the larger fleet costs {grown:.2f} times as much{'' if grown <= STEEP else ': TOO STEEP'}", flush=True)
    return grown > STEEP


def _redact(rounds: int) -> list[str]:
    """Times the redaction of the worst texts; returns those that take longer than they may."""
    slow = []
    for timed in redacted_texts(rounds):
        print(timed.line(), flush=True)
        if timed.too_slow:
            slow.append(timed.name)
    return slow


def _install_and_check(ours: Settings, bare: Settings, sources: Sources, rounds: int) -> dict[str, object]:
    """Times both installations in turn, then the checks; the suite's last cluster is left for what comes after."""
    provisioned, scripted = Figure("provisioning: conformance up"), Figure("provisioning: bare script")
    process = Figure("all checks on the ready cluster: the process of pytest")
    reported = Figure("all checks on the ready cluster: as pytest reports it")
    outcomes: set[str] = set()
    script: tuple[Figure, Callable[[], float]] = (scripted, lambda: script_installs(bare, sources))
    suite: tuple[Figure, Callable[[], float]] = (provisioned, lambda: suite_installs(ours))
    for turn in reversed(range(rounds)):
        # Each goes first in turn; the suite does in the last round but one, and its last cluster is the one to check.
        for figure, install in (script, suite) if turn % 2 == 0 else (suite, script):
            _remove(ours, bare)
            figure.seconds.append(install())
            _tell(figure)
    with tempfile.TemporaryDirectory(prefix="bench-") as reports:
        for _ in range(rounds):
            checked = checks_run(ours, Path(reports))
            process.seconds.append(checked.process)
            reported.seconds.append(checked.reported)
            outcomes.add(f"{checked.result}, {checked.passed} of {checked.judged} requirements pass")
            _tell(process)
    figures = [provisioned, scripted, process, reported]
    fraction = ratio(provisioned, scripted)
    print(f"\n{table(figures)}\n")
    print(f"provisioning takes {fraction:.2f} times as long as the bare script (medians)")
    print(f"checks: {'; '.join(outcomes)}")
    return {
        "figures": [figure.as_document() for figure in figures],
        "ratio": round(fraction, 3),
        "checks": sorted(outcomes),
    }


def _tell(figure: Figure) -> None:
    """Says what was timed last, and how busy the machine is meanwhile."""
    print(f"  {figure.name:<58}{figure.seconds[-1]:7.1f} s   load {os.getloadavg()[0]:.1f}", flush=True)


def _remove(*kept: Settings) -> None:
    for settings in kept:
        remove(settings, KeptInMemory())


if __name__ == "__main__":
    try:
        typer.run(bench)
    except (ConformanceError, RuntimeError) as error:
        print(f"! {error}", file=sys.stderr)
        sys.exit(4)
