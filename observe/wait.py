"""The one wait vocabulary: `eventually` and `converges`. Nowhere else does this suite sleep.

Each takes a look: a function that returns what it sees, or raises `NotYet` with it. A wait that fails reports the number of
attempts, the time it took and the last observation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_fixed

from facts.errors import ConformanceError, CouldNotTell

T = TypeVar("T")


class NotYet(Exception):
    """A look that did not see the expected state yet. The text is the last observation."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Patience of a wait.

    Attributes:
        timeout: Seconds until giving up.
        interval: Seconds between two looks.
        sleep: Replaced in tests.
        clock: Monotonic seconds; replaced in tests.
    """

    timeout: float
    interval: float = 0.25
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@contextmanager
def not_yet(*errors: type[ConformanceError]) -> Iterator[None]:
    """Within a look, take errors of these types for `NotYet`, with what they saw."""
    try:
        yield
    except errors as error:
        raise NotYet(error.seen) from error


def wait_until(moment: datetime) -> None:
    """Waits for a moment; returns at once where it has passed."""
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def eventually(what: str, look: Callable[[], T], pace: Pace, *, remedy: str = "look at the last observation") -> T:
    """Looks until a look succeeds.

    Args:
        what: The expected state, as in "the DaemonSet tbot is ready on every node".
        look: Returns what it sees, or raises `NotYet` with the observation.
        pace: Patience.
        remedy: The next step for a person when the wait fails.

    Raises:
        CouldNotTell: No look succeeded in time; holds attempts, seconds and the last observation.
    """
    return converges(what, look, pace, times=1, remedy=remedy)


def converges(
    what: str, look: Callable[[], T], pace: Pace, *, times: int, remedy: str = "look at the last observation"
) -> T:
    """Looks until `times` looks in a row succeed; a single `NotYet` starts the count again.

    Raises:
        CouldNotTell: See `eventually`.
    """
    in_a_row = 0

    def attempt() -> T:
        nonlocal in_a_row
        try:
            seen = look()
        except NotYet:
            in_a_row = 0
            raise
        in_a_row += 1
        if in_a_row < times:
            raise NotYet(f"{in_a_row} of {times} in a row")
        return seen

    began = pace.clock()

    def give_up(state: RetryCallState) -> NoReturn:
        last = state.outcome.exception() if state.outcome else None
        took = pace.clock() - began
        raise CouldNotTell(
            expected=f"{what} within {pace.timeout:g} s",
            seen=f"after {state.attempt_number} looks in {took:.1f} s: {last}",
            where=what,
            remedy=remedy,
        ) from last

    retrying = Retrying(
        retry=retry_if_exception_type(NotYet),
        wait=wait_fixed(pace.interval),
        stop=lambda _state: pace.clock() - began + pace.interval > pace.timeout,
        sleep=pace.sleep,
        retry_error_callback=give_up,
    )
    return retrying(attempt)
