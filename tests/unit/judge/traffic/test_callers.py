"""TRF-01 to TRF-04 and TRF-06: each judgment in both directions, each refusal told from the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.traffic.ledger import End, Exchange, Outcome, Peer
from judge.traffic import callers as judge
from judge.traffic import gateways
from judge.traffic.exchanges import Pair
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import TRUST_DOMAIN, svid
from tests.unit.judge.exchanges import (
    ALPHA,
    BETA,
    CALLED,
    CALLER,
    CLUSTER,
    EVIDENCE,
    FRESH,
    GATEWAY,
    HELD,
    OF_ALPHA,
    PAIR,
    PLAIN,
    TO_BETA,
    exchange,
    request,
    word,
)

BUNDLE = make.bundle()
ALL_OF_ONE_KIND = [o for o in Outcome if o is not Outcome.ANSWERED]


def test_every_request_answered_once() -> None:
    holds(judge.answered_once("TRF-01", PAIR, exchange()), "TRF-01", *EVIDENCE, "ev-pod-alpha", "ev-pod-beta")
    twice = exchange(request(), request(said=word(arrivals=2)))
    finding = judge.answered_once("TRF-01", PAIR, twice)
    violated(
        finding, "TRF-01", "Pod run/beta: 1 requests of alpha did not arrive exactly once", evidence=EVIDENCE, causes=()
    )
    other = exchange(request(said=word(server=End("gamma", "run"))))
    violated(judge.answered_once("TRF-01", PAIR, other), "TRF-01", "Pod run/gamma answered alpha instead of it")


@pytest.mark.parametrize("outcome", ALL_OF_ONE_KIND)
def test_no_other_outcome_is_an_answer(outcome: Outcome) -> None:
    failed = exchange(request(), request(outcome), server={"http.inbound_0.0.0.0_8080;.rbac.denied": 1})
    for finding in (
        judge.answered_once("TRF-01", PAIR, failed),
        judge.caller_was_seen("TRF-01", PAIR, failed, BUNDLE),
        judge.let_in_over_tcp("TRF-04", PAIR, failed, BUNDLE),
        gateways.gateway_reaches(GATEWAY, [ALPHA], PAIR, failed, BUNDLE),
    ):
        violated(finding, finding.requirement, "1 of 2 requests from", outcome.value, causes=())


def test_the_server_saw_exactly_the_caller() -> None:
    holds(judge.caller_was_seen("TRF-04", PAIR, exchange(), BUNDLE), "TRF-04", *EVIDENCE)


@pytest.mark.parametrize(
    ("peers", "words"),
    [
        ((), "reported 0 peers"),
        ((Peer((CALLED,), (CALLER,), OF_ALPHA),) * 2, "Pod run/beta: its proxy reported 2 peers"),
        (
            (Peer((CALLED,), (f"spiffe://{TRUST_DOMAIN}/ns/run/alpha",), OF_ALPHA),),
            "ns/run/alpha, not",
        ),
        ((Peer((CALLED,), (f"{CALLER}/",), OF_ALPHA),), f"not {CALLER}"),
        ((Peer((CALLED,), (), OF_ALPHA),), "a peer without a SPIFFE ID"),
        ((Peer((CALLED,), (CALLER, CALLED), OF_ALPHA),), f"not {CALLER}"),
        ((Peer(("spiffe://cluster.local/ns/run/sa/beta",), (CALLER,), OF_ALPHA),), "reported by spiffe://cluster.local"),
        ((Peer((CALLED,), (CALLER,), "0f5a"),), "a certificate (SHA-256 0f5a…) that is not the caller's own"),
    ],
)
def test_another_caller_is_a_violation(peers: tuple[Peer, ...], words: str) -> None:
    violated(judge.caller_was_seen("TRF-01", PAIR, exchange(request(said=word(peers=peers))), BUNDLE), "TRF-01", words)


def test_a_certificate_that_was_renewed_meanwhile_is_the_callers_own() -> None:
    renewed = make.proxy(ALPHA, chain=(svid("run", "alpha", minutes=50),))
    held = exchange(request(), request(said=word(peers=(Peer((CALLED,), (CALLER,), renewed.chain[0].sha256),))))
    violated(judge.caller_was_seen("TRF-01", PAIR, held, BUNDLE), "TRF-01", "not the caller's own")
    holds(judge.caller_was_seen("TRF-01", PAIR, replace(held, proxies=(*HELD, renewed, HELD[1])), BUNDLE), "TRF-01")


CERTIFIED: dict[str, Callable[[Exchange], Finding]] = {
    "seen": lambda e: judge.caller_was_seen("TRF-01", PAIR, e, BUNDLE),
    "denied": lambda e: judge.denied_by_policy("TRF-02", PAIR, denied(e, Outcome.DENIED), BUNDLE),
    "let in over TCP": lambda e: judge.let_in_over_tcp("TRF-04", PAIR, e, BUNDLE),
    "denied over TCP": lambda e: judge.denied_over_tcp("TRF-04", PAIR, denied(e, Outcome.CLOSED), BUNDLE),
}
"""Judgments about who called, as of an exchange in which all else is as it must be."""

DECIDED = {
    "tcp.rbac.allowed": 2,
    "tcp.rbac.denied": 2,
    "http.inbound_0.0.0.0_8080;.rbac.denied": 2,
}


def denied(of: Exchange, outcome: Outcome) -> Exchange:
    """The same exchange, with both requests refused."""
    return replace(of, ledger=replace(of.ledger, requests=(request(outcome), request(outcome))))


def of_istiod(*fallen_back: Pod) -> Exchange:
    """An exchange in which some of the ends hold certificates of istiod with the right names, as the server saw them."""
    held = tuple(make.istiod_proxy(pod) if pod in fallen_back else make.proxy(pod) for pod in (ALPHA, BETA))
    said = word(peers=(Peer((CALLED,), (CALLER,), held[0].chain[0].sha256),))
    return exchange(request(said=said), request(said=said), server=DECIDED, proxies=held)


@pytest.mark.parametrize("judged", CERTIFIED)
@pytest.mark.parametrize("end", [ALPHA, BETA], ids=["client", "server"])
def test_what_istiod_certified_shows_nothing_of_teleport_whatever_arrives(judged: str, end: Pod) -> None:
    finding = CERTIFIED[judged](of_istiod(end))
    violated(finding, finding.requirement, f"Pod run/{end.name}: its certificate does not come from Teleport", causes=())
    violated(CERTIFIED[judged](of_istiod(ALPHA, BETA)), finding.requirement, "Pod run/alpha, Pod run/beta: its", causes=())
    holds(CERTIFIED[judged](of_istiod()), finding.requirement, "ev-bundle", *EVIDENCE)


@pytest.mark.parametrize("judged", CERTIFIED)
def test_an_end_whose_proxy_was_not_read_leaves_it_open(judged: str) -> None:
    finding = CERTIFIED[judged](exchange(server=DECIDED, proxies=HELD[:1]))
    unknown(finding, finding.requirement, "Pod run/beta: the suite did not read its proxy")


def test_a_proxy_that_does_not_say_which_certificate_it_saw_leaves_it_open() -> None:
    unsaid = exchange(request(said=word(peers=(Peer((CALLED,), (CALLER,), ""),))))
    unknown(judge.caller_was_seen("TRF-01", PAIR, unsaid, BUNDLE), "TRF-01", "Pod run/beta: its proxy does not report which")


def test_fresh_handshakes_are_counted_by_the_clients_proxy() -> None:
    holds(judge.every_request_was_a_handshake("TRF-01", PAIR, exchange()), "TRF-01", *EVIDENCE)


@pytest.mark.parametrize(
    ("counter", "value", "words"),
    [
        ("upstream_rq_total", 3, "3 requests sent on"),
        ("upstream_rq_retry", 1, "1 repeated requests"),
        ("upstream_cx_total", 1, "1 connections, not 2"),
        ("ssl.handshake", 1, "1 handshakes"),
        ("ssl.session_reused", 1, "1 resumed handshakes"),
    ],
)
def test_whatever_is_not_one_handshake_for_one_request_is_a_violation(counter: str, value: int, words: str) -> None:
    counted = exchange(client={**FRESH, f"{CLUSTER}{counter}": value})
    violated(
        judge.every_request_was_a_handshake("TRF-01", PAIR, counted),
        "TRF-01",
        f"Pod run/alpha: its proxy counts {words}",
        causes=(),
    )


def test_a_proxy_that_does_not_count_cannot_tell() -> None:
    kept = {name: value for name, value in FRESH.items() if "ssl" not in name}
    finding = judge.every_request_was_a_handshake("TRF-01", PAIR, exchange(client=kept))
    unknown(finding, "TRF-01", "Pod run/alpha: its proxy does not count ssl.handshake, ssl.session_reused")
    without = replace(exchange(), client=None)
    unknown(judge.every_request_was_a_handshake("TRF-01", PAIR, without), "TRF-01")


HTTP_DENIED, TCP_DENIED = {"http.inbound_0.0.0.0_8080;.rbac.denied": 2}, {"tcp.rbac.denied": 2}
Judge = Callable[[Exchange], Finding]
REFUSALS: dict[str, tuple[Judge, set[Outcome], dict[str, int]]] = {
    "by policy": (lambda e: judge.denied_by_policy("TRF-02", PAIR, e, BUNDLE), {Outcome.DENIED}, HTTP_DENIED),
    "over TCP": (lambda e: judge.denied_over_tcp("TRF-04", PAIR, e, BUNDLE), {Outcome.RESET, Outcome.CLOSED}, TCP_DENIED),
    "of plain text": (
        lambda e: judge.plain_text_was_refused(Pair(PLAIN, BETA, TRUST_DOMAIN), e),
        {Outcome.RESET},
        {"listener.0.0.0.0_15006.no_filter_chain_match": 2},
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("outcome", Outcome)
def test_a_refusal_is_of_its_own_kind_and_no_other(refusal: str, outcome: Outcome) -> None:
    judged, right, counted = REFUSALS[refusal]
    finding = judged(exchange(request(outcome), request(outcome), server=counted))
    if outcome in right:
        holds(finding, finding.requirement, *EVIDENCE)
    else:
        client = "plain" if refusal == "of plain text" else "alpha"
        violated(finding, finding.requirement, f"2 of 2 requests from {client} to beta: {outcome.value}", causes=())


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_that_the_server_does_not_count_is_by_chance(refusal: str) -> None:
    judged, right, _ = REFUSALS[refusal]
    for outcome in right:
        finding = judged(exchange(request(outcome), request(outcome)))
        violated(finding, finding.requirement, "Pod run/beta: its p", " 0 ", causes=())


def test_tcp_is_let_in_by_the_policy_for_the_principal() -> None:
    holds(judge.let_in_over_tcp("TRF-04", PAIR, exchange(server={"tcp.rbac.allowed": 2}), BUNDLE), "TRF-04", *EVIDENCE)
    violated(
        judge.let_in_over_tcp("TRF-04", PAIR, exchange(), BUNDLE),
        "TRF-04",
        "counts 0 requests allowed by policies, not 2",
        causes=(),
    )


class TestBlindSpots:
    answers = tuple(replace(make.guide(), asked=f"command {n}") for n in range(judge.CHECKLIST))
    unnamed: ClassVar = {f"{CLUSTER}ssl.fail_verify_san": 2}
    broken = exchange(request(Outcome.NO_UPSTREAM), request(Outcome.TLS_ERROR), client=unnamed)

    def judged(self, answers: Sequence[Any] = answers, found: Exchange = broken) -> Finding:
        return judge.unseen_by_the_checklist("The trust domain differs.", answers, PAIR, found, BUNDLE)

    def test_the_checklist_passes_and_traffic_fails(self) -> None:
        finding = self.judged()
        holds(finding, "TRF-06", *EVIDENCE, *self.answers[0].evidence)
        assert finding.seen.startswith(f"9 items are healthy, and TRF-01 fails: Pod run/alpha: 1 of 2 {TO_BETA} 503")
        assert finding.seen.endswith("Pod run/alpha: its proxy refused the server's certificate 2 times for the name in it")

    def test_a_checklist_that_sees_it_is_no_blind_spot(self) -> None:
        sees = (*self.answers[:-1], replace(make.guide(healthy=False), said="CrashLoopBackOff"))
        violated(self.judged(sees), "TRF-06", "the guide's check finds it: CrashLoopBackOff", causes=())
        violated(self.judged(self.answers[:-1]), "TRF-06", "8 of the 9 items")

    def test_traffic_that_passes_shows_that_the_suite_is_wrong(self) -> None:
        violated(self.judged(found=exchange()), "TRF-06", "TRF-01 does not fail", f"2 of 2 {TO_BETA} answered")

    @pytest.mark.parametrize("outcome", [o for o in ALL_OF_ONE_KIND if o not in (Outcome.TLS_ERROR, Outcome.NO_UPSTREAM)])
    def test_another_failure_is_by_chance(self, outcome: Outcome) -> None:
        found = exchange(request(outcome), request(outcome), client=self.unnamed)
        violated(self.judged(found=found), "TRF-06", outcome.value)

    @pytest.mark.parametrize("counted", [{}, {f"{CLUSTER}ssl.fail_verify_error": 2}, {f"{CLUSTER}ssl.fail_verify_san": 1}])
    def test_another_reason_is_by_chance(self, counted: dict[str, int]) -> None:
        found = exchange(request(Outcome.NO_UPSTREAM), request(Outcome.NO_UPSTREAM), client=counted)
        violated(self.judged(found=found), "TRF-06", "of 2 handshakes failed for the name in a certificate")
