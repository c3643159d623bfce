"""Outages: the certificates at both ends, and the requests before and after their end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.over_time.history import History
from facts.over_time.outage import Effect, Outage, answered_at, effect_of, held_at, renewed_at, resupplied_at
from facts.svid import Certificate
from facts.traffic.ledger import End, Ledger, Outcome, Request
from facts.traffic.load import Clock, Load
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, svid

FIRST, SECOND, THIRD = (svid("run", "alpha", key=f"outage {n}", starts=NOW + timedelta(seconds=n)) for n in range(3))


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def history(*looks: tuple[float, Certificate | None, int]) -> History:
    """A proxy at some seconds: the certificate that it had, and the number of its SDS connections by then."""
    seen = History(make.proxy().pod)
    for seconds, certificate, connections in looks:
        seen = seen.seen(
            make.proxy(
                chain=(certificate,) if certificate else (),
                last_updated=None,
                streams=make.streams(cx_total=connections),
                read_at=at(seconds),
                uptime=600 + int(seconds),
            )
        )
    return seen


def request(began: float, took: float = 0.0, outcome: Outcome = Outcome.ANSWERED) -> Request:
    return Request(f"{began}", "http://b", at(began), took, "1", outcome, 200, "", None)


def failed(began: float, took: float = 0.0) -> Request:
    return request(began, took, Outcome.TLS_ERROR)


OUTAGE = Outage("tbot", at(3), at(5), at(40), at(44), "none of its pods is left", ("ev-1",))
ENDS_AT_20 = svid("run", "alpha", key="ends at 20", starts=at(20 - 3600))
ENDS_AT_24 = svid("run", "beta", key="ends at 24", starts=at(24 - 3600))


def effect(*requests: Request, uncertainty: float = 0.0) -> Effect:
    load = Load(Ledger(End("a", "run"), requests, ()), 1, False, at(0), at(60), Clock("a", 0, uncertainty))
    found = effect_of(OUTAGE, load, history((0, ENDS_AT_24, 1)), history((0, ENDS_AT_20, 1)))
    assert found is not None
    return found


def test_an_outage_lasts_from_its_beginning_to_the_recall() -> None:
    assert OUTAGE.lasted == 35
    assert str(OUTAGE) == "tbot was away for 35 s, from 12:00:05 UTC (none of its pods is left)"


class TestCertificates:
    SEEN = history((0, None, 1), (10, FIRST, 1), (20, FIRST, 2), (30, SECOND, 2), (40, THIRD, 3))

    @pytest.mark.parametrize(
        ("seconds", "held"), [(9, None), (10, FIRST), (29, FIRST), (30, SECOND), (39, SECOND), (40, THIRD), (99, THIRD)]
    )
    def test_the_one_held_at_a_moment(self, seconds: float, held: Certificate | None) -> None:
        found = held_at(self.SEEN, at(seconds))
        assert (found and found.what) == held

    @pytest.mark.parametrize(("since", "renewed"), [(0, 10), (9, 10), (10, 30), (29, 30), (30, 40), (40, None)])
    def test_the_first_one_after_a_moment(self, since: float, renewed: float | None) -> None:
        assert renewed_at(self.SEEN, at(since)) == (None if renewed is None else at(renewed))

    @pytest.mark.parametrize(("since", "supplied"), [(-1, None), (0, 40), (10, 40), (20, 40), (30, 40), (40, None)])
    def test_the_first_one_over_another_connection(self, since: float, supplied: float | None) -> None:
        """The second came over the connection of the look before, so only the third counts; at 0 and 10 there was one."""
        seen = history((0, None, 1), (10, FIRST, 1), (20, FIRST, 1), (30, SECOND, 1), (40, THIRD, 2))
        assert resupplied_at(seen, at(since)) == (None if supplied is None else at(supplied))

    def test_envoys_own_time_wins_over_that_of_the_look(self) -> None:
        seen = history((0, FIRST, 1))
        anew = make.proxy(chain=(SECOND,), last_updated=at(8), streams=make.streams(cx_total=2), read_at=at(10), uptime=610)
        seen = seen.seen(anew)
        assert resupplied_at(seen, at(0)) == renewed_at(seen, at(0)) == at(8)
        assert (held_at(seen, at(7.9)) or pytest.fail("none")).what == FIRST
        assert (held_at(seen, at(8)) or pytest.fail("none")).what == SECOND


class TestEffect:
    def test_without_a_certificate_at_one_end_there_is_none(self) -> None:
        load = Load(Ledger(End("a", "run"), (request(0),), ()), 1, False, at(0), at(60), Clock("a", 0, 0))
        held = history((0, ENDS_AT_20, 1))
        assert effect_of(OUTAGE, load, held, history((0, None, 1))) is None
        assert effect_of(OUTAGE, load, history((41, ENDS_AT_20, 1)), held) is None

    def test_the_earlier_end_counts(self) -> None:
        assert effect(request(0)).end == at(20)

    def test_requests_before_and_after_the_end(self) -> None:
        before, across, after, late, beyond = request(1), request(19, 2), request(20), request(39, 0.5), request(39, 1)
        found = effect(before, across, after, late, beyond)
        assert found.until_end == (before,)
        assert found.after_end == (after, late)
        assert found.last_answered == at(39.5)

    def test_the_margin_widens_what_counts_as_neither(self) -> None:
        requests = (request(18), request(18.5), request(38), request(38.5))
        found = effect(*requests, uncertainty=1.5)
        assert (found.margin, found.until_end, found.after_end) == (1.5, requests[:1], requests[2:3])
        assert effect(*requests).until_end == requests[:2]

    def test_failures_before_the_end_and_after_it(self) -> None:
        early, within, after, last = failed(5), failed(19), failed(25, 1), failed(30)
        found = effect(early, within, request(21), after, last, request(35), uncertainty=1)
        assert found.early == (early,)
        assert found.refused == (after, last)
        assert found.first_refused == at(19)
        assert found.last_answered == at(35)
        assert effect(early, request(21)).first_refused is None
        assert effect(failed(21)).last_answered is None

    def test_an_answer_before_the_end_is_no_last_answer(self) -> None:
        assert effect(request(1), failed(21)).last_answered is None

    @pytest.mark.parametrize(
        ("requests", "recovered"),
        [
            ((request(1), request(45)), 40),
            ((failed(30), request(35), request(45)), 40),
            ((failed(30), failed(42), request(43), request(45)), 43),
            ((request(41), failed(45)), None),
            ((failed(41), request(41.5), failed(42), request(50)), 50),
        ],
    )
    def test_recovery_begins_with_the_first_request_of_an_unbroken_row(
        self, requests: tuple[Request, ...], recovered: float | None
    ) -> None:
        assert effect(*requests).recovered == (None if recovered is None else at(recovered))

    @given(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5), st.booleans()), min_size=1, max_size=12), st.integers(0, 3)
    )
    def test_no_request_is_both_before_and_after_the_end(self, rows: list[tuple[int, int, bool]], uncertainty: int) -> None:
        requests = tuple(
            replace(request(began, took), outcome=Outcome.ANSWERED if fine else Outcome.RESET) for began, took, fine in rows
        )
        found = effect(*requests, uncertainty=uncertainty)
        assert all(answered_at(r) < found.end - timedelta(seconds=uncertainty) for r in found.until_end)
        assert all(found.end <= r.at and answered_at(r) < at(40 - uncertainty) for r in found.after_end)
        assert {*found.early} <= {*found.until_end}
        assert {*found.refused} <= {*found.after_end}
        assert all(r.outcome is not Outcome.ANSWERED for r in (*found.early, *found.refused))
