"""The timeline that is drawn up from histories and loads."""

from __future__ import annotations

import json

import pytest

from facts.errors import CouldNotTell
from facts.over_time.timeline import Action, Happening, draw_up, parse_timeline
from facts.proxies.identity import Unread
from facts.traffic.load import Load, parse_load
from tests.unit.facts.over_time.test_history import after, history, look
from tests.unit.facts.traffic.test_load import ANSWERED, CLOCK, EXPIRED, RESET, ledger


def load() -> Load:
    return parse_load(ledger(ANSWERED, EXPIRED, RESET), CLOCK)


def test_a_timeline_is_the_same_after_it_was_written_down() -> None:
    drawn = draw_up(
        "rotation",
        histories=[history(look(0), look(2, "02"), look(3, "02", streams=1))],
        loads=[load()],
        actions=[Action("tbot is restarted", after(1), after(2))],
        happenings=[Happening("tbot", after(1.2), "Listener opened")],
    )

    assert parse_timeline(json.loads(json.dumps(drawn.as_document()))) == drawn
    assert (drawn.began, drawn.ended) == (after(0), after(3))
    assert [bar.serial for bar in drawn.svids] == ["01", "02"]
    assert [s.active for s in drawn.streams] == [2, 1]
    (line,) = drawn.loads
    assert line.answered == (1, 0, 0, 0)
    assert [(f.first, f.count) for f in line.failures] == [(after(0.05), 1), (after(1.5), 1)]
    assert line.failed == 2
    assert drawn.clocks == (CLOCK,)


def test_failures_of_one_second_and_reason_are_one_entry() -> None:
    resets = [(at, 9, 4003, 0, 0, 0, 2, 3) for at in (50, 100, 900, 1000)]
    drawn = draw_up("outage", loads=[parse_load(ledger(*resets, EXPIRED), CLOCK)])

    (line,) = drawn.loads
    assert [(f.first, f.last, f.count) for f in line.failures] == [
        (after(0.05), after(0.9), 3),
        (after(1), after(1), 1),
        (after(1.5), after(1.5), 1),
    ]
    assert line.sent == line.failed == 5


def test_looks_that_fail_alike_are_one_silence() -> None:
    def unread(seconds: float, seen: str) -> Unread:
        return Unread(
            look(0).pod, CouldNotTell(expected="an answer", seen=seen, where="Pod a/b", remedy="look"), after(seconds)
        )

    seen = history(look(0))
    for each in (unread(1, "refused"), unread(2, "refused"), unread(3, "gone"), unread(18, "gone"), unread(33.5, "gone")):
        seen = seen.missed(each)
    drawn = draw_up("node", histories=[seen])

    assert [(s.why, s.looks, s.first, s.last) for s in drawn.silences] == [
        ("refused", 2, after(1), after(2)),
        ("gone", 2, after(3), after(18)),
        ("gone", 1, after(33.5), after(33.5)),
    ]
    assert drawn.ended == after(33.5)
    assert parse_timeline(json.loads(json.dumps(drawn.as_document()))) == drawn


def test_a_timeline_of_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="nothing was seen"):
        draw_up("rotation")
