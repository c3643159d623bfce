"""What one proxy held over time, and the timeline that is drawn up from it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from facts.errors import CouldNotTell
from facts.over_time.history import History
from facts.over_time.timeline import Action, Happening, draw_up, parse_timeline
from facts.proxies.identity import ProxyIdentity, Unread
from facts.traffic.load import COLUMNS, Clock, Load, parse_load
from tests.unit.judge import builders as make

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def look(seconds: float, serial: str = "01", *, streams: int = 2, up: int = 100) -> ProxyIdentity:
    identity = make.proxy()
    leaf = replace(identity.chain[0], serial=serial)
    return replace(
        identity,
        chain=(leaf,),
        streams=replace(identity.streams, rq_active=streams, cx_total=int(seconds)),
        uptime=up + int(seconds),
        read_at=after(seconds),
        evidence=(f"ev-{seconds}",),
    )


def history(*looks: ProxyIdentity) -> History:
    seen = History(looks[0].pod)
    for each in looks:
        seen = seen.seen(each)
    return seen


def test_looks_that_see_the_same_are_one_sighting() -> None:
    seen = history(look(0), look(1), look(2, "02"), look(3, "02"))

    assert [(h.what.serial, h.first_seen, h.last_seen) for h in seen.svids] == [
        ("01", after(0), after(1)),
        ("02", after(2), after(3)),
    ]
    assert seen.evidence == ("ev-0", "ev-2")
    assert seen.shown_by(("ev-3",)).evidence == ("ev-0", "ev-2", "ev-3")
    assert seen.last_look == after(3)


def test_a_lost_stream_is_a_new_sighting_of_the_same_certificate() -> None:
    seen = history(look(0), look(1, streams=0), look(2, streams=0), look(3))

    assert [(h.what, h.first_seen) for h in seen.streams] == [(2, after(0)), (0, after(1)), (2, after(3))]
    assert [(h.first_seen, h.last_seen) for h in seen.svids] == [(after(0), after(3))]


def test_an_envoy_that_started_anew_is_told_from_an_uptime_that_is_old() -> None:
    stale = replace(look(6), uptime=101)

    assert history(look(0), stale, look(10)).restarts == 0
    assert history(look(0), look(20, up=-15)).restarts == 1


def test_a_look_that_failed_is_kept() -> None:
    why = CouldNotTell(expected="an answer", seen="none", where="Pod a/b", remedy="look")
    seen = history(look(0)).missed(Unread(look(0).pod, why, after(1)))

    assert seen.last_look == after(1)
    assert [u.at for u in seen.unread] == [after(1)]


# The load.

SAID = json.dumps(
    {
        "server": {"pod": "beta", "namespace": "run", "service_account": "beta", "node": "n2"},
        "peer": ["By=spiffe://td/ns/run/sa/beta;Hash=ab12;URI=spiffe://td/ns/run/sa/alpha"],
    }
)
CLIENT = {"pod": "alpha", "namespace": "run", "service_account": "alpha", "node": "n1"}
CLOCK = Clock("Pod run/alpha", 2.0, 0.01)


def ledger(*rows: tuple[int, ...], **more: object) -> dict[str, object]:
    return {
        "client": CLIENT,
        "url": "http://beta.run:8080/",
        "rate": 20.0,
        "keep": False,
        "began": after(2).isoformat(),
        "ended": after(5).isoformat(),
        "due": len(rows),
        "columns": list(COLUMNS),
        "texts": ["", SAID, "ECONNRESET", "ConnectionResetError: gone", "upstream connect error or TLS_error: expired"],
        "rows": [list(row) for row in rows],
        **more,
    }


ANSWERED, EXPIRED, RESET = (0, 3, 4001, 200, 1, 1, 0, 0), (1500, 3, 4002, 503, 0, 4, 0, 0), (50, 9, 4003, 0, 0, 0, 2, 3)


def test_every_row_has_one_outcome_on_the_suites_clock() -> None:
    load = parse_load(ledger(ANSWERED, EXPIRED, RESET), CLOCK, ("ev-l",))

    assert [(r.at, r.outcome.value) for r in load.ledger.requests] == [
        (after(0), "answered by the server"),
        (after(0.05), "connection reset"),
        (after(1.5), "503 for a TLS error"),
    ]
    assert (load.sent, len(load.failed), load.connections) == (3, 2, 3)
    assert load.seen_hashes() == ("ab12",)
    assert load.between(after(1), after(2)) == load.ledger.requests[2:]


def test_a_port_that_is_given_out_again_is_another_connection_unless_one_is_kept() -> None:
    again = (1000, *ANSWERED[1:])
    assert parse_load(ledger(ANSWERED, again), CLOCK).connections == 2
    assert parse_load(ledger(ANSWERED, again, keep=True), CLOCK).connections == 1


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        ({"due": 3}, "2"),
        ({"rows": []}, "none"),
        ({"ended": ""}, "its process is gone"),
        ({"columns": ["at_ms"]}, "at_ms"),
        ({"rows": [[1, 2], [3]], "due": 2}, "[1, 2]"),
    ],
)
def test_a_damaged_ledger_is_no_ledger(damage: dict[str, object], seen: str) -> None:
    with pytest.raises(CouldNotTell) as refused:
        parse_load(ledger(ANSWERED, RESET, **damage), CLOCK)
    assert seen in refused.value.seen


def test_a_clock_is_read_between_two_moments_of_the_suites() -> None:
    clock = Clock.read("Pod run/alpha", after(10.5), after(10), after(10.4))

    assert clock.ahead == pytest.approx(0.3)
    assert clock.uncertainty == pytest.approx(0.2)
    assert clock.corrected(after(11)) == after(10.7)


# The timeline.


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
    for each in (unread(1, "refused"), unread(2, "refused"), unread(3, "gone"), unread(30, "gone")):
        seen = seen.missed(each)
    drawn = draw_up("node", histories=[seen])

    assert [(s.why, s.looks, s.first, s.last) for s in drawn.silences] == [
        ("refused", 2, after(1), after(2)),
        ("gone", 1, after(3), after(3)),
        ("gone", 1, after(30), after(30)),
    ]
    assert drawn.ended == after(30)
    assert parse_timeline(json.loads(json.dumps(drawn.as_document()))) == drawn


def test_a_timeline_of_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="nothing was seen"):
        draw_up("rotation")
