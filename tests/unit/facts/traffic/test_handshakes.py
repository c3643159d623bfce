"""The end of a connection, by the outcome of the request over it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from facts.evidence import ObjectRef
from facts.traffic.handshakes import Ended, ended_of, seen_at_gateway, seen_behind_gateway
from facts.traffic.ledger import End, Ledger, Outcome, Peer, Request, Word

PEER = Peer(("spiffe://a/b",), ("spiffe://a/c",), "")


def request(outcome: Outcome, *peers: Peer, word: bool = True) -> Request:
    said = Word(End("server", "shop"), 1, "/", peers) if word else None
    return Request("1", "http://server", datetime(2026, 3, 1, tzinfo=UTC), 0.1, "10.0.0.1:1", outcome, 200, "", said)


@pytest.mark.parametrize(
    ("outcome", "ended"),
    [
        (Outcome.DENIED, Ended.LET_IN),
        (Outcome.TLS_ERROR, Ended.REFUSED),
        (Outcome.NO_UPSTREAM, Ended.REFUSED),
        (Outcome.RESET, Ended.REFUSED),
        (Outcome.CLOSED, Ended.REFUSED),
        (Outcome.REFUSED, Ended.UNTOLD),
        (Outcome.UNRESOLVED, Ended.UNTOLD),
        (Outcome.TIMEOUT, Ended.UNTOLD),
        (Outcome.OTHER_ANSWER, Ended.UNTOLD),
        (Outcome.OTHER_ERROR, Ended.UNTOLD),
    ],
)
def test_where_the_server_did_not_answer(outcome: Outcome, ended: Ended) -> None:
    assert ended_of(request(outcome, word=False)) is ended


def test_an_answer_tells_whether_the_servers_proxy_verified_a_peer() -> None:
    assert ended_of(request(Outcome.ANSWERED, PEER)) is Ended.MUTUAL
    assert ended_of(request(Outcome.ANSWERED)) is Ended.PLAIN
    assert ended_of(request(Outcome.ANSWERED), over_tcp=True) is Ended.LET_IN
    assert ended_of(request(Outcome.ANSWERED, word=False)) is Ended.LET_IN


GATEWAY = [ObjectRef("Pod", "gateway-1", "istio-system"), ObjectRef("Pod", "gateway-2", "istio-system")]
POD = ObjectRef("Pod", "alpha", "run")


def ledger(one: Request) -> Ledger:
    return Ledger(End("alpha", "run"), (one,), ("ev-ledger",))


@pytest.mark.parametrize(
    ("outcome", "status", "ended"),
    [
        (Outcome.OTHER_ANSWER, 418, Ended.LET_IN),
        (Outcome.OTHER_ANSWER, 404, Ended.UNTOLD),
        (Outcome.ANSWERED, 200, Ended.UNTOLD),
        (Outcome.DENIED, 403, Ended.LET_IN),
        (Outcome.NO_UPSTREAM, 503, Ended.REFUSED),
        (Outcome.RESET, 0, Ended.REFUSED),
    ],
)
def test_a_gateway_shows_by_its_own_answer_that_it_let_a_client_in(outcome: Outcome, status: int, ended: Ended) -> None:
    seen = seen_at_gateway(ledger(replace(request(outcome), status=status)), POD, GATEWAY, 8080)
    assert (seen.ended, seen.port, seen.evidence) == (ended, 8080, ("ev-ledger",))
    assert seen.pairs == ((POD, GATEWAY[0]), (POD, GATEWAY[1]))


@pytest.mark.parametrize(
    ("outcome", "denies", "ended"),
    [
        (Outcome.ANSWERED, False, Ended.MUTUAL),
        (Outcome.DENIED, False, Ended.LET_IN),
        (Outcome.DENIED, True, Ended.UNTOLD),
        (Outcome.TLS_ERROR, True, Ended.REFUSED),
        (Outcome.NO_UPSTREAM, False, Ended.REFUSED),
        (Outcome.RESET, False, Ended.UNTOLD),
        (Outcome.CLOSED, False, Ended.UNTOLD),
        (Outcome.OTHER_ANSWER, False, Ended.UNTOLD),
    ],
)
def test_what_came_through_a_gateway_is_about_the_connection_behind_it(outcome: Outcome, denies: bool, ended: Ended) -> None:
    seen = seen_behind_gateway(ledger(request(outcome, PEER)), GATEWAY, POD, 8080, gateway_denies=denies)
    assert seen.ended is ended
    assert seen.pairs == ((GATEWAY[0], POD), (GATEWAY[1], POD))
