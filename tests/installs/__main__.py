"""Takes layouts one after the other on one lab, and prints the table of what the suite said of each.

``python -m tests.installs [NAME …]``; exit code 1 where something was not as ``expected.yaml`` says. With
CONFORMANCE_REUSE=true and CONFORMANCE_KIND_NAME a kept lab is used.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from facts.errors import ConformanceError
from provision.faults import Operator
from tests.installs.layout import FAULTY, NAMESPACED, READ_ONLY, RUNS, Expected, Layout, differences, expected
from tests.installs.layouts import LAYOUTS
from tests.lab.certified import Certified
from tests.lab.conftest import Lab, healthy_lab

PROFILE = ("--profile", "core")
ALLOWED = {READ_ONLY: "read-only", NAMESPACED: "namespaced", FAULTY: "read-only"}


@dataclass(frozen=True, slots=True)
class Row:
    """One run on a layout.

    Attributes:
        layout: The layout.
        run: Which of its runs.
        said: What the suite said; None where the run did not come about.
        otherwise: What was not as expected.
        seconds: For the run itself.
    """

    layout: Layout
    run: str
    said: Certified | None
    otherwise: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        sign = "✕" if self.otherwise else "✓"
        result = self.said.result if self.said else "no report"
        judged = self.said.having("pass", "fail") if self.said else ()
        failed = " ".join(sorted(self.said.having("fail"))) if self.said else ""
        line = f"{sign} {self.layout.name:<24} {self.run:<14} {result:<12} {len(judged):>3} judged {self.seconds:5.0f} s"
        return "\n".join((f"{line}  {failed}".rstrip(), *(f"    {each}" for each in self.otherwise)))


def rows_of(lab: Lab, layout: Layout, table: dict[str, Expected], runs: Sequence[str] = RUNS) -> Iterator[Row]:
    """Lays the lab out and yields its runs; the lab is as before when it ends.

    A lab that cannot be laid out, or a run without a report, is a row of its own.

    Args:
        lab: The healthy lab.
        layout: How to lay it out.
        table: What is expected of each run.
        runs: Which of `RUNS`, in their order.
    """
    run = ""
    try:
        with ExitStack() as stack:
            operator = stack.enter_context(layout.lay_out(lab.scene))
            for run in runs:
                changed = stack.enter_context(layout.fault(lab.scene)) if run == FAULTY else None
                yield _row(lab, layout, run, table, changed or operator)
    except ConformanceError as error:
        yield Row(layout, run or "laying out", None, (str(error),), 0.0)


def _row(lab: Lab, layout: Layout, run: str, table: dict[str, Expected], operator: Operator | None) -> Row:
    began = time.monotonic()
    said = lab.certify(*PROFILE, "--allow", ALLOWED[run], operator=operator)
    return Row(layout, run, said, tuple(differences(table[run], said)), time.monotonic() - began)


def main(arguments: Sequence[str] | None = None) -> int:
    """Takes the layouts that were named, or all; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.installs", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"layouts; without any, all: {', '.join(LAYOUTS)}")
    names = parser.parse_args(arguments).name or list(LAYOUTS)
    if unknown := [name for name in names if name not in LAYOUTS]:
        parser.error(f"no layout is called {', '.join(unknown)}; there are {', '.join(LAYOUTS)}")
    table, rows = expected(), []
    chosen = sorted((LAYOUTS[name] for name in names), key=lambda layout: bool(layout.installed))
    for installed, layouts in groupby(chosen, key=lambda layout: layout.installed):
        with tempfile.TemporaryDirectory(prefix="installs-") as directory, healthy_lab(Path(directory), **installed) as lab:
            for layout in layouts:
                for row in rows_of(lab, layout, table[layout.name]):
                    print(row, flush=True)
                    rows.append(row)
    wrong = sum(bool(row.otherwise) for row in rows)
    print(f"{len(names)} layouts, {len(rows)} runs, {wrong} not as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
