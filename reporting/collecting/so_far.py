"""The report of a run that has not ended: what it has concluded so far, on disk from the start, for when it is killed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from facts.errors import WHAT_TO_DO
from reporting.assemble import RunPlan, assemble
from reporting.collecting.endings import told
from reporting.collecting.store import Store
from reporting.writing.publish import publish_so_far

SHARE = 0.05
"""Share of a run's time that may go into writing it: the scenarios measure times."""


class SoFar:
    """Writes what a run has concluded so far, between scenarios and not too often.

    Args:
        plan: The decisions that were taken before the run.
        store: Readings and findings of the run.
        clock: Monotonic seconds; replaced in tests.
    """

    def __init__(self, plan: RunPlan, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._store = store
        self._clock = clock
        self._next = 0.0

    def write_now_and_then(self) -> None:
        """Write it, unless the last time was too short ago for what it cost."""
        if self._clock() >= self._next:
            self.write()

    def write(self) -> None:
        """Write it; where that fails, say so once and do not try again, because the run itself goes on."""
        began = self._clock()
        try:
            report = assemble(self._plan, self._store).with_run_errors((self._unfinished(),))
            bodies = {e.id: e.body for e in self._store.evidence}
            publish_so_far(report, bodies, self._plan.reports_dir, self._store.hidden)
        except Exception as error:
            why = f"expected to write the report of this run so far; saw {told(error)}. The run goes on without it"
            sys.stderr.write(f"\n{self._store.told(why)}\n")
            self._next = float("inf")
        else:
            ended = self._clock()
            self._next = ended + (ended - began) / SHARE

    def _unfinished(self) -> str:
        return (
            f"expected this run to end and to replace this report; saw that it had not ended at {datetime.now(UTC):%F %T}"
            f" UTC: it is under way as process {os.getpid()}, or was killed later (this report)."
            f" {WHAT_TO_DO}: if it was killed, `conformance undo` and then `conformance down`, see docs/existing-cluster.md"
        )
