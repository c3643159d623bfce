"""What a load shows: ROT-03, and outages likewise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from facts.over_time.history import History
from facts.proxies.envoy_traffic import Counters
from facts.svid import Certificate
from facts.traffic.ledger import End, Ledger, Outcome, Peer, Request, Word
from facts.traffic.load import Clock, Load
from judge.traffic.exchanges import Pair
from judge.traffic.load import (
    Traffic,
    each_was_a_handshake,
    failed_requests,
    kept_connection_shows_nothing,
    peers_saw_each_certificate,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, svid

ALPHA = make.pod("alpha", namespace="run", service_account="alpha")
BETA = make.pod("beta", namespace="run", service_account="beta")
PAIR = Pair(ALPHA, BETA, TRUST_DOMAIN)
CALLED = f"spiffe://{TRUST_DOMAIN}/ns/run/sa/beta"
FIRST, SECOND = (svid("run", "alpha", key=key, starts=NOW + timedelta(seconds=s)) for key, s in (("one", -80), ("two", -60)))


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def request(seconds: float, shown: Certificate | None = FIRST, **changes: Any) -> Request:
    """A request that beta answered, having been shown that certificate; without one it was not answered."""
    peer = Peer((CALLED,), (PAIR.caller,), shown.sha256 if shown else "")
    made = Request(
        id=str(seconds),
        url="http://beta.run:8080/",
        at=at(seconds),
        seconds=0.01,
        connection=str(40000 + int(seconds * 10)),
        outcome=Outcome.ANSWERED if shown else Outcome.NO_UPSTREAM,
        status=200 if shown else 503,
        words="" if shown else "upstream connect error",
        word=Word(End("beta", "run"), 1, "/", (peer,)) if shown else None,
    )
    return replace(made, **changes)


def counters(port: int = 8080, handshakes: int = 0, **changes: int) -> Counters:
    """What the client's proxy counted, by the names of Envoy."""
    told = {
        "upstream_rq_total": handshakes, "upstream_cx_total": handshakes, "ssl.handshake": handshakes,
        "upstream_rq_retry": 0, "ssl.session_reused": 0, **changes,
    }  # fmt: skip
    prefix = f"cluster.outbound|{port}||beta.run.svc.cluster.local."
    return Counters({prefix + name: value for name, value in told.items()}, ("ev-counters",))


def load(*requests: Request, keeps: bool = False, client: Counters | None = None) -> Traffic:
    made = requests or tuple(request(n / 10, FIRST if n < 50 else SECOND) for n in range(100))
    ledger = Ledger(End("alpha", "run"), made, ("ev-ledger",))
    ended = max(r.at for r in made) + timedelta(seconds=1)
    counted = client or counters(9090 if keeps else 8080, 1 if keeps else len(made))
    return Traffic(PAIR, Load(ledger, 10, keeps, at(0), ended, Clock("alpha", 0, 0), client=counted))


def history(*held: tuple[Certificate, Sequence[float]]) -> History:
    """Of alpha's proxy: certificates, and when it was seen with each."""
    seen = History(make.proxy(ALPHA).pod)
    for certificate, looks in held:
        for n, look in enumerate(looks):
            proxy = make.proxy(
                ALPHA, chain=(certificate,), read_at=at(look), last_updated=at(looks[0]), uptime=600 + int(look)
            )
            seen = seen.seen(replace(proxy, evidence=(f"ev-look-{look}-{n}",)))
    return seen


RENEWED = history((FIRST, (-1, 0, 4.9)), (SECOND, (5, 10)))


# Failed requests.


def test_sent_is_answered_and_nothing_else() -> None:
    finding = failed_requests("ROT-03", [load()], 0)
    holds(finding, "ROT-03", "ev-ledger", "ev-pod-alpha", "ev-counters")
    assert finding.seen == "100 sent = 100 answered + 0 failed; alpha to beta"
    assert [str(m) for m in finding.measures] == [
        "failed requests: 0 (at most 0)", "requests sent: 100 (at least 1)", "slowest request: 0.01 s",
        "lowest rate of a load: 10 /s",
    ]  # fmt: skip


def test_a_failed_request_has_its_reason_and_counts_against_the_budget() -> None:
    with_one = load(request(0), request(1, None), request(2))
    violated(
        failed_requests("ROT-03", [with_one], 0), "ROT-03",
        "Pod run/alpha: 1 of 3 requests from alpha to beta: 503 without a connection to the server (upstream connect error)",
        "failed requests: 1 (at most 0)", causes=(),
    )  # fmt: skip
    holds(failed_requests("ROT-03", [with_one], 1), "ROT-03")


def test_a_kept_connection_counts_neither_way() -> None:
    kept = load(request(0), request(1, None), keeps=True)
    finding = failed_requests("ROT-03", [load(), kept], 0)
    holds(finding, "ROT-03")
    assert finding.seen.startswith("100 sent")


def test_an_answer_of_another_server_and_a_repetition_are_no_answers() -> None:
    other, twice = request(0).word, request(1).word
    assert other is not None
    assert twice is not None
    wrong = load(
        request(0, word=replace(other, server=End("gamma", "run"))),
        request(1, word=replace(twice, arrivals=2)),
    )
    violated(
        failed_requests("ROT-03", [wrong], 0),
        "ROT-03",
        "Pod run/beta: Pod run/gamma answered alpha instead of it; 1 requests of alpha did not arrive exactly once",
        causes=(),
    )


PLAIN, CONTROL = (make.pod(name, namespace="run", injected=False) for name in ("plain", "control"))
OUTSIDE = Pair(PLAIN, CONTROL, TRUST_DOMAIN)


def late(seconds: float) -> Request:
    return request(seconds, None, outcome=Outcome.TIMEOUT, status=0, words="TimeoutError: timed out")


def outside(*requests: Request) -> Traffic:
    return replace(load(*requests), pair=OUTSIDE)


def test_requests_outside_the_mesh_count_neither_way() -> None:
    lost_outside = outside(request(0), request(1, None))
    finding = failed_requests("ROT-03", [load(), lost_outside], 0)
    holds(finding, "ROT-03")
    assert finding.seen.startswith("100 sent")
    assert "failed requests outside the mesh: 1" in map(str, finding.measures)
    assert len(each_was_a_handshake("ROT-03", [load(), lost_outside])) == 1
    holds(peers_saw_each_certificate("ROT-03", [load(), lost_outside], [RENEWED]), "ROT-03")


def test_timeouts_tell_nothing_where_requests_outside_the_mesh_time_out_as_well() -> None:
    finding = failed_requests("ROT-03", [load(request(0), late(1)), outside(request(0), late(1), request(2))], 0)
    unknown(
        finding, "ROT-03", "1 of 2 requests from alpha to beta: timeout", "1 of 3 requests from plain to control: timeout"
    )


@pytest.mark.parametrize(
    ("inside", "beside"),
    [
        pytest.param((late(1),), (request(1),), id="all was well outside"),
        pytest.param((late(1),), (request(1, None),), id="outside something else was wrong"),
        pytest.param((late(1),), (late(12),), id="outside it was another time"),
        pytest.param((late(1), request(2, None)), (late(1),), id="not all of it are timeouts"),
    ],
)
def test_what_failed_inside_counts_where_the_outside_does_not_explain_it(
    inside: tuple[Request, ...], beside: tuple[Request, ...]
) -> None:
    traffic = [load(request(0), *inside), outside(request(0), *beside)]
    violated(failed_requests("ROT-03", traffic, 0), "ROT-03", f"failed requests: {len(inside)} (at most 0)")


# Handshakes.


def test_each_load_is_held_against_what_its_proxy_counts() -> None:
    holds(each_was_a_handshake("ROT-03", [load(), load(keeps=True)])[0], "ROT-03", "ev-counters")
    assert len(each_was_a_handshake("ROT-03", [load(), load(keeps=True)])) == 1
    (resumed,) = each_was_a_handshake("ROT-03", [load(client=counters(handshakes=100, **{"ssl.session_reused": 3}))])
    violated(resumed, "ROT-03", "3 resumed handshakes, not 0")


# What peers saw.


def test_every_certificate_was_shown() -> None:
    finding = peers_saw_each_certificate("ROT-03", [load()], [RENEWED])
    holds(finding, "ROT-03", "ev-ledger", "ev-look--1-0", "ev-look-5-0")
    assert [str(m) for m in finding.measures] == [
        "certificates that peers saw: 2 (at least 1)", "longest time from a new certificate to its first handshake: 0 s",
    ]  # fmt: skip


def test_a_certificate_that_no_peer_saw_is_named() -> None:
    only_the_first = load(*(request(n / 10) for n in range(100)))
    finding = peers_saw_each_certificate("ROT-03", [only_the_first], [RENEWED])
    violated(finding, "ROT-03", f"it never saw the certificate of alpha with the serial {SECOND.serial}", causes=())


def test_one_that_came_with_the_last_request_need_not_have_been_shown() -> None:
    until_then = load(*(request(n / 10) for n in range(52)))
    holds(peers_saw_each_certificate("ROT-03", [until_then], [RENEWED]), "ROT-03")


def test_a_certificate_that_the_client_never_held_is_a_strangers() -> None:
    stranger = svid("run", "alpha", key="three")
    violated(
        peers_saw_each_certificate("ROT-03", [load(request(0), request(1, stranger))], [RENEWED]), "ROT-03", "never held"
    )


# The kept connection.


def test_a_kept_connection_outlives_its_certificate_and_so_proves_nothing() -> None:
    finding = kept_connection_shows_nothing("ROT-03", [load(), load(keeps=True, *_over_one(100))], [RENEWED])  # noqa: B026
    holds(finding, "ROT-03", "ev-counters")
    assert f"made under the serial {FIRST.serial}, which was replaced 1 times meanwhile" in finding.seen
    short = replace(FIRST, not_after=at(3))
    over = history((short, (-1, 4.9)), (SECOND, (5, 10)))
    assert "it ended 8 s after that certificate had expired" in kept_connection_shows_nothing(
        "ROT-03", [load(keeps=True, *_over_one(100))], [over]  # noqa: B026
    ).seen  # fmt: skip


def test_a_kept_connection_that_ends_with_its_certificate_has_not_outlived_it() -> None:
    kept = load(keeps=True, *_over_one(100))  # noqa: B026
    ends = replace(FIRST, not_after=kept.load.ended)
    finding = kept_connection_shows_nothing("ROT-03", [kept], [history((ends, (-1, 4.9)), (SECOND, (5, 10)))])
    assert "had expired" not in finding.seen


@pytest.mark.parametrize(
    ("traffic", "held", "words"),
    [
        (
            load(request(0), request(6), keeps=True),
            RENEWED,
            "2 connections and 1 handshakes with beta, not one of each",
        ),
        (load(request(0), keeps=True), history((FIRST, (-1, 10))), "its certificate was not replaced during the load"),
        (load(request(0), keeps=True), history((FIRST, (1, 10))), "its certificate was not replaced during the load"),
        (
            load(request(0, None, connection="1"), request(6, connection="1"), keeps=True),
            RENEWED,
            "1 of 2 requests from alpha to beta: 503 without",
        ),
    ],
)
def test_what_a_kept_connection_is_not(traffic: Traffic, held: History, words: str) -> None:
    violated(kept_connection_shows_nothing("ROT-03", [traffic], [held]), "ROT-03", words)


def test_without_a_kept_connection_nothing_is_shown() -> None:
    unknown(kept_connection_shows_nothing("ROT-03", [load()], [RENEWED]), "ROT-03", "no load keeps its connection")


def _over_one(count: int) -> tuple[Request, ...]:
    return tuple(request(n / 10, connection="40000") for n in range(count))
