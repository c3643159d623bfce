"""The ledger: every outcome differs from all others, and the server names its caller."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.document import decoded
from facts.errors import CouldNotTell
from facts.traffic.ledger import End, Outcome, Peer, parse_ledger, parse_peers

ENDS = {
    "client": {"pod": "alpha", "namespace": "run", "service_account": "alpha", "node": "node-1"},
    "server": {"pod": "beta", "namespace": "run", "service_account": "beta", "node": "node-2"},
}
XFCC = (
    'By=spiffe://teleport.test/ns/run/sa/beta;Hash=0f5a;Subject="";'
    "URI=spiffe://teleport.test/ns/run/sa/alpha"
)  # fmt: skip
TLS = (
    "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure "
    "reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed:TLS_error_end"
)


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "id": "id-1",
        "url": "http://beta:8080/",
        "at": "2026-11-24T18:00:00.123456+00:00",
        "seconds": 0.01,
        "connection": "10.244.0.7:41000",
        "status": 200,
        "body": "",
        "error": "",
        "detail": "",
        **changes,
    }


def said(**changes: Any) -> str:
    word = {"server": ENDS["server"], "id": "id-1", "arrivals": 1, "target": "/", "peer": [XFCC]}
    return json.dumps({**word, **changes})


def one(**changes: Any) -> Any:
    (request,) = parse_ledger({"client": ENDS["client"], "requests": [entry(**changes)]}).requests
    return request


def test_an_answer_holds_the_servers_word() -> None:
    ledger = parse_ledger({"client": ENDS["client"], "requests": [entry(body=said())]}, ("ev-1",))
    (word,) = ledger.words
    assert ledger.client == End("alpha", "run")
    assert ledger.evidence == ("ev-1",)
    assert ledger.requests[0].outcome is Outcome.ANSWERED
    assert (word.server.pod, word.server.namespace, word.arrivals, word.target) == ("beta", "run", 1, "/")
    assert word.peers == (
        Peer(("spiffe://teleport.test/ns/run/sa/beta",), ("spiffe://teleport.test/ns/run/sa/alpha",), "0f5a"),
    )


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"status": 0, "url": "tcp://beta:9090", "body": said(target="", peer=[])}, Outcome.ANSWERED),
        ({"body": said(id="another request")}, Outcome.OTHER_ANSWER),
        ({"body": "hello"}, Outcome.OTHER_ANSWER),
        ({"status": 403, "body": "RBAC: access denied"}, Outcome.DENIED),
        ({"status": 403, "body": "forbidden by the application"}, Outcome.OTHER_ANSWER),
        ({"status": 404}, Outcome.OTHER_ANSWER),
        ({"status": 503, "body": TLS}, Outcome.TLS_ERROR),
        ({"status": 503, "body": "no healthy upstream"}, Outcome.NO_UPSTREAM),
        ({"status": 503, "body": "upstream connect error … reset reason: connection timeout"}, Outcome.TIMEOUT),
        ({"status": 504, "body": "upstream request timeout"}, Outcome.TIMEOUT),
        ({"status": 0, "error": "ECONNRESET"}, Outcome.RESET),
        ({"status": 0, "error": "EPIPE"}, Outcome.RESET),
        ({"status": 0, "error": "ECONNRESET", "connection": ""}, Outcome.RESET),
        ({"status": 0, "error": "ECONNREFUSED", "connection": ""}, Outcome.REFUSED),
        ({"status": 0, "error": "closed"}, Outcome.CLOSED),
        ({"status": 0, "error": "timeout"}, Outcome.TIMEOUT),
        ({"status": 0, "error": "ETIMEDOUT"}, Outcome.TIMEOUT),
        ({"status": 0, "error": "unresolved", "connection": ""}, Outcome.UNRESOLVED),
        ({"status": 0, "error": "EHOSTUNREACH", "connection": ""}, Outcome.OTHER_ERROR),
        ({"status": 0, "error": "garbled"}, Outcome.OTHER_ERROR),
    ],
)
def test_each_outcome_is_told_from_the_others(changes: dict[str, Any], outcome: Outcome) -> None:
    request = one(**changes)
    assert request.outcome is outcome
    assert (request.word is not None) is (outcome is Outcome.ANSWERED)


def test_an_outcome_is_put_into_words_with_what_the_proxy_said() -> None:
    assert "503 for a TLS error (upstream connect error" in str(one(status=503, body=TLS))
    assert str(one(status=404, body="")) == "another answer (HTTP 404)"
    assert str(one(status=403, body="RBAC: access denied")) == "403 RBAC: access denied"


@pytest.mark.parametrize(
    "document",
    [
        "",
        "Traceback (most recent call last)",
        {},
        {"client": ENDS["client"], "requests": []},
        {"client": {}, "requests": [entry(body=said())]},
        {"client": ENDS["client"], "requests": [{**entry(), "status": "200"}]},
        {"client": ENDS["client"], "requests": [entry(at="yesterday")]},
        {"client": ENDS["client"], "requests": [entry(body=said(arrivals=None))]},
        {"client": ENDS["client"], "requests": [entry(body=said(peer=["no pair"]))]},
    ],
)
def test_a_damaged_ledger_is_said_to_be_damaged(document: Any) -> None:
    with pytest.raises(CouldNotTell):
        parse_ledger(decoded(document) if isinstance(document, str) else document)


def test_peers_of_several_proxies_are_told_apart() -> None:
    forged = 'By=spiffe://x/a;URI=spiffe://x/b;Subject="CN=a, O=\\"b;c\\"";URI=spiffe://x/c'
    first, last = parse_peers(f"{forged},{XFCC}")
    assert first.uris == ("spiffe://x/b", "spiffe://x/c")
    assert last.uris == ("spiffe://teleport.test/ns/run/sa/alpha",)
    assert parse_peers("") == ()


@given(st.text())
def test_no_header_breaks_the_parser(header: str) -> None:
    with suppress(CouldNotTell):
        parse_peers(header)


def test_a_quoted_value_is_read_without_its_quotes() -> None:
    (peer,) = parse_peers(r'By="spiffe://x/a";URI="spiffe://x/\"b\"";Hash="0f"')
    assert peer == Peer(("spiffe://x/a",), ('spiffe://x/"b"',), "0f")
