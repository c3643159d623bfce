"""The cache of readings."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from facts.errors import CouldNotTell
from facts.recorder import KeptInMemory
from observe.readings import Key, Readings
from tests.unit.observe.doubles import Unrecorded


def key(name: str) -> Key[str]:
    return Key(name, lambda value: (f"ev-{value}",))


class Attached(KeptInMemory):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []

    def attach(self, evidence_ids: object) -> None:
        assert isinstance(evidence_ids, tuple)
        self.ids += evidence_ids


def readings(recorder: KeptInMemory | None = None) -> Readings:
    return Readings(recorder or Unrecorded(), lambda _part: None)


def test_a_reading_is_made_once_and_its_evidence_attached_each_time() -> None:
    recorder, made = Attached(), []

    def read() -> str:
        made.append("x")
        return "value"

    kept = readings(recorder)
    assert [kept.once(key("k"), read) for _ in range(3)] == ["value"] * 3
    assert (made, recorder.ids) == (["x"], ["ev-value"] * 3)
    assert kept.seen(key("k")) == "value"
    assert kept.seen(key("other")) is None


@pytest.mark.parametrize(
    "error",
    [CouldNotTell(expected="it", seen="nothing", where="x", remedy="y"), KeyError("a defect of the suite")],
    ids=repr,
)
def test_a_reading_that_failed_is_not_tried_again(error: Exception) -> None:
    made: list[str] = []

    def read() -> str:
        made.append("x")
        raise error

    kept = readings()
    for _ in range(2):
        with pytest.raises(type(error)):
            kept.once(key("k"), read)
    assert made == ["x"]
    assert kept.seen(key("k")) is None
    assert kept.seen(key("k")) is None


def test_what_follows_from_an_outdated_reading_goes_with_it() -> None:
    kept = readings()
    made: list[str] = []

    def note(name: str) -> str:
        made.append(name)
        return name

    fleet = key("fleet")
    keys = (fleet, fleet.narrowed("after 5 s"), key("fleets"))
    for each in (*keys, *keys):
        kept.once(each, partial(note, each.name))
    kept.outdated("fleet")
    assert kept.seen(fleet) is None
    for each in keys:
        kept.once(each, partial(note, each.name))
    assert made == ["fleet", "fleet after 5 s", "fleets", "fleet", "fleet after 5 s"]


def test_a_later_reading_takes_the_place_of_an_earlier_one() -> None:
    recorder = Attached()
    kept = readings(recorder)
    kept.once(key("k"), lambda: "first")
    kept.renew(key("k"), "second")
    assert kept.once(key("k"), lambda: "third") == "second"
    assert recorder.ids == ["ev-first", "ev-second"]


def test_two_threads_that_want_the_same_reading_make_it_once_and_another_one_does_not_wait_for_it() -> None:
    kept, made, begun, go_on = readings(), [], threading.Event(), threading.Event()

    def slow() -> str:
        made.append("x")
        begun.set()
        assert go_on.wait(5)
        return "slow"

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(kept.once, key("slow"), slow)
        assert begun.wait(5)
        second = pool.submit(kept.once, key("slow"), slow)
        assert kept.once(key("quick"), lambda: "quick") == "quick"
        assert not second.done()
        go_on.set()
        assert (first.result(5), second.result(5), made) == ("slow", "slow", ["x"])


def test_a_reading_may_be_made_of_others() -> None:
    kept = readings()
    assert kept.once(key("whole"), lambda: kept.once(key("part"), lambda: "part") + "s") == "parts"
