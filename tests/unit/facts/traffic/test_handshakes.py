"""The end of a connection, by the outcome of the request over it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from facts.traffic.handshakes import Ended, ended_of
from facts.traffic.ledger import End, Outcome, Peer, Request, Word

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
