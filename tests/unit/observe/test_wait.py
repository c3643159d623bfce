"""The wait vocabulary, against a clock that moves only during a sleep."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from facts.errors import CouldNotTell, ProvisioningFailed
from observe.wait import NotYet, Pace, converges, eventually, not_yet


class Clock:
    """Seconds that pass only in `sleep`, and in looks that take a while."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def pace(self, timeout: float, interval: float = 1.0) -> Pace:
        return Pace(timeout, interval, sleep=self.sleep, clock=lambda: self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def looks(*answers: str) -> Callable[[], str]:
    """One answer for each look, the last one for ever; one that starts with ! is not yet what is wanted."""
    given: Iterator[str] = iter(answers)
    last = ""

    def look() -> str:
        nonlocal last
        last = next(given, last)
        if last.startswith("!"):
            raise NotYet(last[1:])
        return last

    return look


def test_what_is_so_at_once_needs_no_sleep(clock: Clock) -> None:
    assert eventually("it is there", looks("there"), clock.pace(10)) == "there"
    assert clock.slept == []


def test_what_becomes_so_is_returned_after_as_many_looks(clock: Clock) -> None:
    assert eventually("it is there", looks("!no", "!nearly", "there"), clock.pace(10)) == "there"
    assert clock.slept == [1.0, 1.0]


def test_what_never_becomes_so_ends_with_looks_seconds_and_the_last_observation(clock: Clock) -> None:
    with pytest.raises(CouldNotTell) as raised:
        eventually("the pod is Ready", looks("!Pending", "!ContainerCreating"), clock.pace(5), remedy="describe it")
    error = raised.value
    assert error.expected == "the pod is Ready within 5 s"
    assert error.seen == "after 6 looks in 5.0 s: ContainerCreating"
    assert (error.where, error.remedy) == ("the pod is Ready", "describe it")
    assert isinstance(error.__cause__, NotYet)


@pytest.mark.parametrize(("timeout", "looked"), [(0.0, 1), (0.5, 1), (1.0, 2), (2.9, 3)])
def test_no_look_is_started_after_the_timeout(clock: Clock, timeout: float, looked: int) -> None:
    with pytest.raises(CouldNotTell, match=f"after {looked} looks"):
        eventually("it is there", looks("!no"), clock.pace(timeout))
    assert clock.now <= 100.0 + timeout


def test_slow_looks_count_for_the_timeout(clock: Clock) -> None:
    def slow() -> str:
        clock.now += 4
        raise NotYet("still slow")

    with pytest.raises(CouldNotTell, match=r"after 2 looks in 9\.0 s: still slow"):
        eventually("it is there", slow, clock.pace(6))


def test_any_other_error_is_not_waited_out(clock: Clock) -> None:
    def broken() -> str:
        raise LookupError("a defect, not a state")

    with pytest.raises(LookupError):
        eventually("it is there", broken, clock.pace(10))
    assert clock.slept == []


def test_could_not_tell_ends_the_wait(clock: Clock) -> None:
    def unreadable() -> str:
        raise CouldNotTell(expected="an answer", seen="none", where="there", remedy="look")

    with pytest.raises(CouldNotTell, match="expected an answer"):
        eventually("it is there", unreadable, clock.pace(10))
    assert clock.slept == []


def test_an_error_that_a_look_expects_is_waited_out_and_another_one_is_not(clock: Clock) -> None:
    refused = ProvisioningFailed(expected="an answer", seen="HTTP 503", where="GET /readyz", remedy="wait")

    def look() -> None:
        with not_yet(ProvisioningFailed):
            raise refused

    with pytest.raises(CouldNotTell, match=r"after 3 looks in 2\.0 s: HTTP 503"):
        eventually("it answers", look, clock.pace(2))
    with pytest.raises(ProvisioningFailed), not_yet(CouldNotTell):
        raise refused


def test_converging_takes_so_many_looks_in_a_row(clock: Clock) -> None:
    answer = converges("it is stable", looks("a", "!gone", "b", "c", "d"), clock.pace(10), times=3)
    assert answer == "d"
    assert len(clock.slept) == 4


def test_what_flaps_does_not_converge(clock: Clock) -> None:
    with pytest.raises(CouldNotTell, match="1 of 2 in a row"):
        converges("it is stable", looks("a", "!gone", "a", "!gone", "a"), clock.pace(4), times=2)


def test_the_default_pace_really_sleeps_and_really_ends() -> None:
    with pytest.raises(CouldNotTell, match=r"within 0\.05 s"):
        eventually("it is there", looks("!no"), Pace(0.05, 0.01))
