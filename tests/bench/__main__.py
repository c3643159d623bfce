"""Provisioning against a bare script, and the checks on a ready cluster, in one run: ``python -m tests.bench``.

The two installations take turns, so that whatever else the machine does burdens both. The exit code says only whether
everything could be timed.
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
from facts.evidence import KeptInMemory
from provision.install import remove
from provision.sources import resolve
from settings import Settings, load
from tests.bench.figures import Figure, ratio, table
from tests.bench.timed import ROOT, checks_run, script_installs, suite_installs

OURS, BARE = "bench", "bench-bare"
FILE = ROOT / "reports" / "bench.json"


def bench(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is timed.")] = 2,
) -> None:
    """Times provisioning against a bare script, and the checks on a ready cluster."""
    ours, bare = load(kind_name=OURS), load(kind_name=BARE)
    sources = resolve(ours)
    provisioned, scripted = Figure("provisioning: conformance up"), Figure("provisioning: bare script")
    process = Figure("all checks on the ready cluster: the process of pytest")
    reported = Figure("all checks on the ready cluster: as pytest reports it")
    outcomes: set[str] = set()
    started, load_before = datetime.now(UTC), os.getloadavg()
    script: tuple[Figure, Callable[[], float]] = (scripted, lambda: script_installs(bare, sources))
    suite: tuple[Figure, Callable[[], float]] = (provisioned, lambda: suite_installs(ours))
    try:
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
    finally:
        _remove(ours, bare)
    figures = [provisioned, scripted, process, reported]
    fraction = ratio(provisioned, scripted)
    print(f"\n{table(figures)}\n")
    print(f"provisioning takes {fraction:.2f} times as long as the bare script (medians)")
    print(f"checks: {'; '.join(outcomes)}")
    print(f"machine: {os.cpu_count()} cores, load {load_before[0]:.1f} at the start and {os.getloadavg()[0]:.1f} at the end")
    document = {
        "started": started.isoformat(),
        "cores": os.cpu_count(),
        "load": {"start": load_before, "end": os.getloadavg()},
        "images": sources.origin,
        "figures": [figure.as_document() for figure in figures],
        "ratio": round(fraction, 3),
        "checks": sorted(outcomes),
    }
    FILE.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


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
        print(f"× {error}", file=sys.stderr)
        sys.exit(4)
