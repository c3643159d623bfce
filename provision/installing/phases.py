"""Runs the parts of an installation as a small dependency graph: independent parts at the same time, each once."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime

from facts.errors import ConformanceError, ProvisioningFailed
from observe.wait import Pace

_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

STOPPED = "stopped"
"""Message of a phase that was told to give up."""


class Cancelled(Exception):
    """The run was told to stop while a phase was waiting."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the installation.

    Attributes:
        name: As shown in the timeline.
        act: Brings it up; called once, in a thread of its own. Returns what there is to remark although it succeeded.
        needs: Phases that must have succeeded before it acts.
        alongside: Phases that are begun with it and not waited for.
    """

    name: str
    act: Callable[[], str | None]
    needs: tuple[str, ...] = ()
    alongside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """What became of a phase.

    Attributes:
        name: Of the phase.
        started: UTC, when it began to act.
        seconds: That it acted.
        ok: Whether it succeeded.
        message: Why not; if it did, what there is to remark all the same, mostly nothing.
    """

    name: str
    started: datetime
    seconds: float
    ok: bool
    message: str = ""


class Phases:
    """A graph of phases and what became of them so far. Safe to use from several threads."""

    def __init__(
        self,
        phases: Iterable[Part],
        *,
        on_end: Callable[[PhaseRecord], None] = lambda _record: None,
        on_failure: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Checks the graph.

        Args:
            phases: The graph.
            on_end: Called as each phase ends, in that phase's thread.
            on_failure: Called with the name of a phase that failed, before its failure is reported: the place to collect
                what explains it.

        Raises:
            ValueError: A phase refers to one that does not exist, or needs itself through others.
        """
        self._phases = {phase.name: phase for phase in phases}
        self._check()
        self._on_end = on_end
        self._on_failure = on_failure
        self._futures: dict[str, Future[None]] = {}
        self._records: list[PhaseRecord] = []
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        # One thread per phase, because a phase that waits for another one holds its thread.
        self._pool = ThreadPoolExecutor(max_workers=max(1, len(self._phases)), thread_name_prefix="provision")

    @property
    def timeline(self) -> tuple[PhaseRecord, ...]:
        """The phases that have ended, in the order in which they began to act."""
        with self._lock:
            return tuple(sorted(self._records, key=lambda record: record.started))

    def begin(self, *names: str) -> None:
        """Starts phases and all that they depend on, without waiting. A phase that was begun before is left alone."""
        with self._lock:
            if self.stopping():
                raise Cancelled
            for name in names:
                if name in self._futures:
                    continue
                phase = self._phases[name]
                self.begin(*phase.needs)
                self._futures[name] = self._pool.submit(self._run, phase)
                self.begin(*phase.alongside)

    def ensure(self, *names: str) -> None:
        """Starts phases as `begin` does and waits until they have succeeded.

        Raises:
            ProvisioningFailed: One of them, or one that it needs, failed. Phases that do not depend on it go on.
            Cancelled: `stop` was called.
        """
        self.begin(*names)
        self._await(names)

    def failure_of(self, name: str) -> BaseException | None:
        """Why a phase failed, if it has; None while it has not begun, still runs, or succeeded."""
        with self._lock:
            future = self._futures.get(name)
        return future.exception() if future is not None and future.done() else None

    def has_ended(self, name: str) -> bool:
        """Whether a phase has succeeded or failed."""
        with self._lock:
            future = self._futures.get(name)
        return future is not None and future.done()

    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Tells waiting phases to give up and returns when none is running any more. Nothing can be begun afterwards."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=False)

    def pace(self, timeout: float, interval: float = 0.25) -> Pace:
        """A pace whose wait ends as soon as `stop` is called."""
        return Pace(timeout=timeout, interval=interval, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Cancelled

    def _run(self, phase: Part) -> None:
        self._await(phase.needs)
        if self.stopping():
            raise Cancelled
        started, clock = datetime.now(UTC), time.monotonic()
        try:
            remark = phase.act()
        except Exception as error:
            if self.stopping():
                self._end(PhaseRecord(phase.name, started, time.monotonic() - clock, ok=False, message=STOPPED))
                raise Cancelled from error
            failure = _as_failure(phase.name, error)
            self._on_failure(phase.name)
            self._end(PhaseRecord(phase.name, started, time.monotonic() - clock, ok=False, message=str(failure)))
            raise failure from (None if failure is error else error)
        self._end(PhaseRecord(phase.name, started, time.monotonic() - clock, ok=True, message=remark or ""))

    def _await(self, names: Iterable[str]) -> None:
        """Waits until phases have succeeded, or until the first of them has failed; raises its failure."""
        with self._lock:
            futures = [self._futures[name] for name in names]
        ended, _running = wait(futures, return_when=FIRST_EXCEPTION)
        for future in ended:
            future.result()

    def _end(self, record: PhaseRecord) -> None:
        with self._lock:
            self._records.append(record)
        self._on_end(record)

    def _check(self) -> None:
        settled: set[str] = set()

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                raise ValueError(f"phases need each other: {' -> '.join((*above, name))}")
            if name in settled:
                return
            phase = self._phases.get(name)
            if phase is None:
                raise ValueError(f"no phase is called {name!r} ({' -> '.join(above)} refers to it)")
            for need in phase.needs:
                visit(need, (*above, name))
            for other in phase.alongside:
                if other not in self._phases:
                    raise ValueError(f"no phase is called {other!r} ({name} refers to it)")
            settled.add(name)

        for name in self._phases:
            visit(name, ())


def _as_failure(phase: str, error: Exception) -> ProvisioningFailed:
    """The error of a phase as one that names the phase; another phase's failure, handed on, stays that phase's."""
    if isinstance(error, ProvisioningFailed) and error.where.startswith("phase "):
        return error
    if isinstance(error, ConformanceError):
        return ProvisioningFailed(
            expected=error.expected, seen=error.seen, where=f"phase {phase}: {error.where}", remedy=error.remedy
        )
    if isinstance(error, OSError) and error.errno in _NO_PLACE:
        return ProvisioningFailed(
            expected="to write the files of the cluster",
            seen=str(error.strerror),
            where=f"phase {phase}: {error.filename or 'below the cache'}",
            remedy="free space or rights there, or name another cache with CONFORMANCE_CACHE",
        )
    return ProvisioningFailed(
        expected=f"phase {phase} to succeed",
        seen=f"{type(error).__name__}: {error}",
        where=f"phase {phase}",
        remedy="see whether Docker and the cluster still run, then try again; the report holds what was collected",
    )
