"""Sightings of one proxy over time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from facts.errors import CouldNotTell
from facts.over_time.history import History
from facts.proxies.identity import ProxyIdentity, Unread
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


def test_chains_follow_one_another_as_their_leaves_do() -> None:
    none = replace(look(1), chain=())
    root = replace(look(2, "02"), chain=(*look(2, "02").chain, *look(2).chain))
    found = history(look(0), none, root).chains
    assert [([c.serial for c in h.what], h.first_seen) for h in found] == [(["01"], after(0)), (["02", "01"], after(2))]


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


def test_an_uptime_is_up_to_six_seconds_old() -> None:
    assert history(look(0), replace(look(10), uptime=104)).restarts == 0
    assert history(look(0), replace(look(10), uptime=103)).restarts == 1
