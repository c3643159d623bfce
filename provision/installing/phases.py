"""Runs the parts of an installation as a dependency graph: independent parts at the same time, each once."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter

from facts.errors import ConformanceError, ProvisioningFailed
from observe.command import EndedBySignal
from observe.wait import Pace

_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

SIGNAL_ARRIVES = 5.0
"""Seconds within which the suite notices a signal that one of its commands has noticed."""

STOPPED = "stopped"
"""Message of a phase that the suite stopped."""


class Cancelled(Exception):
    """The suite is stopping, so a wait was given up."""


def until(stopping: threading.Event, timeout: float, interval: float = 0.25) -> Pace:
    """Return a pace whose wait ends with `Cancelled` as soon as an event is set.

    Args:
        stopping: Event that ends the wait.
        timeout: Seconds of the wait.
        interval: Seconds between two looks.
    """

    def sleep(seconds: float) -> None:
        if stopping.wait(seconds):
            raise Cancelled

    return Pace(timeout, interval, sleep=sleep)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the installation.

    Attributes:
        name: Name in the timeline.
        act: Brings it up; called once, in its own thread. Returns a remark on a success, or nothing.
        needs: Phases that must succeed before this one acts.
        alongside: Phases that begin with this one, and that it does not wait for.
    """

    name: str
    act: Callable[[], str | None]
    needs: tuple[str, ...] = ()
    alongside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """Result of a phase.

    Attributes:
        name: Name of the phase.
        started: Time in UTC at which it began to act.
        seconds: Seconds that it acted.
        ok: True where it succeeded.
        message: Reason of a failure; for a success a remark, or nothing.
    """

    name: str
    started: datetime
    seconds: float
    ok: bool
    message: str = ""


class Phases:
    """A graph of phases, and their results so far. Safe to use from several threads."""

    def __init__(
        self,
        phases: Iterable[Part],
        *,
        on_end: Callable[[PhaseRecord], None] = lambda _record: None,
        on_failure: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Check the graph.

        Args:
            phases: Phases of the graph.
            on_end: Called at the end of each phase, in that phase's thread.
            on_failure: Called with the name of a failed phase, before the failure is reported, to collect evidence of its
                cause.

        Raises:
            ValueError: A phase refers to one that does not exist, or phases need each other.
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
        """Results of the phases that have ended, in the order in which they began to act."""
        with self._lock:
            return tuple(sorted(self._records, key=lambda record: record.started))

    def begin(self, *names: str) -> None:
        """Start phases and all that they depend on, without waiting; a phase that has begun before does not begin again."""
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
        """Start phases as `begin` does, and wait until they have succeeded.

        Raises:
            ProvisioningFailed: One of them, or one that it needs, failed. Phases that do not depend on it continue.
            Cancelled: `stop` was called.
        """
        self.begin(*names)
        self._await(names)

    def failure_of(self, name: str) -> BaseException | None:
        """Return why a phase failed; None where it has not begun, still runs, or succeeded."""
        with self._lock:
            future = self._futures.get(name)
        return future.exception() if future is not None and future.done() else None

    def has_ended(self, name: str) -> bool:
        """Return True where a phase has succeeded or failed."""
        with self._lock:
            future = self._futures.get(name)
        return future is not None and future.done()

    def stopping(self) -> bool:
        """Return True after `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End the waits of all phases, and return once none runs any more. No phase can begin afterwards."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=False)

    def pace(self, timeout: float) -> Pace:
        """Return a pace whose wait ends as soon as `stop` is called."""
        return until(self._stopping, timeout)

    def _run(self, phase: Part) -> None:
        self._await(phase.needs)
        if self.stopping():
            raise Cancelled
        started, clock = datetime.now(UTC), time.monotonic()

        def end(message: str, *, ok: bool) -> None:
            record = PhaseRecord(phase.name, started, time.monotonic() - clock, ok, message)
            with self._lock:
                self._records.append(record)
            self._on_end(record)

        try:
            remark = phase.act()
        except Exception as error:
            # The signal that ended a command may be on its way to the suite as well.
            if self.stopping() or (isinstance(error, EndedBySignal) and self._stopping.wait(SIGNAL_ARRIVES)):
                end(STOPPED, ok=False)
                raise Cancelled from error
            failure = _as_failure(phase.name, error)
            self._on_failure(phase.name)
            end(str(failure), ok=False)
            raise failure from (None if failure is error else error)
        end(remark or "", ok=True)

    def _await(self, names: Iterable[str]) -> None:
        """Wait until phases have succeeded, or raise the first failure among them."""
        with self._lock:
            futures = [self._futures[name] for name in names]
        ended, _running = wait(futures, return_when=FIRST_EXCEPTION)
        for future in ended:
            future.result()

    def _check(self) -> None:
        for phase in self._phases.values():
            for other in (*phase.needs, *phase.alongside):
                if other not in self._phases:
                    raise ValueError(f"no phase is called {other!r} ({phase.name} refers to it)")
        try:
            TopologicalSorter({phase.name: phase.needs for phase in self._phases.values()}).prepare()
        except CycleError as error:
            raise ValueError(f"phases need each other: {' -> '.join(error.args[1])}") from error


def _as_failure(phase: str, error: Exception) -> ProvisioningFailed:
    """Return the error of a phase with the phase's name; a failure passed on from another phase keeps that name."""
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
        remedy="check whether Docker and the cluster still run, then try again; the report has the collected evidence",
    )
