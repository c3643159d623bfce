"""TRF-01 to TRF-07: each judgment in both directions, each refusal told from the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from facts.document import Reading
from facts.envoy_traffic import Counters
from facts.finding import Finding
from facts.guide import Defect
from facts.kubernetes import Node
from facts.ledger import End, Exchange, Ledger, Outcome, Peer, Request, Word
from judge import traffic as judge
from judge.traffic import Pair, meant
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN

ALPHA = make.pod("alpha", namespace="run", service_account="alpha")
BETA = make.pod("beta", namespace="run", service_account="beta")
PLAIN = make.pod("plain", namespace="run", service_account="plain", injected=False, socket=None)
PAIR = Pair(ALPHA, BETA, TRUST_DOMAIN)
CALLER, CALLED = (f"spiffe://{TRUST_DOMAIN}/ns/run/sa/{name}" for name in ("alpha", "beta"))
GATEWAY = f"spiffe://{TRUST_DOMAIN}/ns/istio-system/sa/istio-ingressgateway-service-account"
CLUSTER = "cluster.outbound|8080||beta.run.svc.cluster.local;."
FRESH = {
    f"{CLUSTER}upstream_rq_total": 2,
    f"{CLUSTER}upstream_rq_retry": 0,
    f"{CLUSTER}upstream_cx_total": 2,
    f"{CLUSTER}ssl.handshake": 2,
    f"{CLUSTER}ssl.session_reused": 0,
}
EVIDENCE = ("ev-ledger", "ev-client", "ev-server")


def word(**changes: Any) -> Word:
    peer = Peer((CALLED,), (CALLER,), "0f5a")
    return replace(Word(End("beta", "run", "beta", make.NODE), 1, "/", (peer,)), **changes)


def request(outcome: Outcome = Outcome.ANSWERED, said: Word | None = None, **changes: Any) -> Request:
    said = said or (word() if outcome is Outcome.ANSWERED else None)
    words = "" if said else "in the system's words"
    made = Request("id", "http://beta.run:8080/", NOW, 0.01, "10.0.0.1:4000", outcome, 200, words, said)
    return replace(made, **changes)


def exchange(*requests: Request, client: dict[str, int] | None = None, server: dict[str, int] | None = None) -> Exchange:
    ledger = Ledger(End("alpha", "run", "alpha", make.NODE), requests or (request(), request()), ("ev-ledger",))
    counted = Counters(FRESH if client is None else client, ("ev-client",))
    return Exchange(ledger, counted, Counters(server or {}, ("ev-server",)))


ALL_OF_ONE_KIND = [o for o in Outcome if o is not Outcome.ANSWERED]


def test_every_request_answered_once() -> None:
    holds(judge.answered_once("TRF-01", PAIR, exchange()), "TRF-01", *EVIDENCE, "ev-pod-alpha", "ev-pod-beta")
    twice = exchange(request(), request(said=word(arrivals=2)))
    violated(judge.answered_once("TRF-01", PAIR, twice), "TRF-01", "arrived 2 times", evidence=EVIDENCE)
    other = exchange(request(said=word(server=End("gamma", "run", "gamma", make.NODE))))
    violated(judge.answered_once("TRF-01", PAIR, other), "TRF-01", "Pod run/gamma answered instead")


@pytest.mark.parametrize("outcome", ALL_OF_ONE_KIND)
def test_no_other_outcome_is_an_answer(outcome: Outcome) -> None:
    failed = exchange(request(), request(outcome))
    for finding in (
        judge.answered_once("TRF-01", PAIR, failed),
        judge.caller_was_seen("TRF-01", PAIR, failed),
        judge.let_in_over_tcp("TRF-04", PAIR, failed),
        judge.gateway_reaches(GATEWAY, PAIR, failed),
    ):
        violated(finding, finding.requirement, "1 of 2: ", outcome.value)


def test_the_server_saw_exactly_the_caller() -> None:
    holds(judge.caller_was_seen("TRF-04", PAIR, exchange()), "TRF-04", *EVIDENCE)


@pytest.mark.parametrize(
    ("peers", "words"),
    [
        ((), "told of 0 peers"),
        ((Peer((CALLED,), (CALLER,), ""),) * 2, "told of 2 peers"),
        (
            (Peer((CALLED,), (f"spiffe://{TRUST_DOMAIN}/ns/run/alpha",), ""),),
            "ns/run/alpha, not",
        ),
        ((Peer((CALLED,), (f"{CALLER}/",), ""),), f"not {CALLER}"),
        ((Peer((CALLED,), (), ""),), "a peer without a SPIFFE ID"),
        ((Peer((CALLED,), (CALLER, CALLED), ""),), f"not {CALLER}"),
        ((Peer(("spiffe://cluster.local/ns/run/sa/beta",), (CALLER,), ""),), "told so by spiffe://cluster.local"),
    ],
)
def test_another_caller_is_a_violation(peers: tuple[Peer, ...], words: str) -> None:
    violated(judge.caller_was_seen("TRF-01", PAIR, exchange(request(said=word(peers=peers)))), "TRF-01", words)


def test_fresh_handshakes_are_counted_by_the_clients_proxy() -> None:
    holds(judge.every_request_was_a_handshake("TRF-01", PAIR, exchange()), "TRF-01", *EVIDENCE)


@pytest.mark.parametrize(
    ("counter", "value", "words"),
    [
        ("upstream_rq_total", 3, "3 requests sent on"),
        ("upstream_rq_retry", 1, "1 of them repetitions"),
        ("upstream_cx_total", 1, "1 connections, 2 expected"),
        ("ssl.handshake", 1, "1 handshakes"),
        ("ssl.session_reused", 1, "1 of them resumed"),
    ],
)
def test_whatever_is_not_one_handshake_for_one_request_is_a_violation(counter: str, value: int, words: str) -> None:
    counted = exchange(client={**FRESH, f"{CLUSTER}{counter}": value})
    violated(judge.every_request_was_a_handshake("TRF-01", PAIR, counted), "TRF-01", words)


def test_a_proxy_that_does_not_count_cannot_tell() -> None:
    kept = {name: value for name, value in FRESH.items() if "ssl" not in name}
    finding = judge.every_request_was_a_handshake("TRF-01", PAIR, exchange(client=kept))
    unknown(finding, "TRF-01", "does not keep ssl.handshake, ssl.session_reused")
    without = replace(exchange(), client=None)
    unknown(judge.every_request_was_a_handshake("TRF-01", PAIR, without), "TRF-01")


HTTP_DENIED, TCP_DENIED = {"http.inbound_0.0.0.0_8080;.rbac.denied": 2}, {"tcp.rbac.denied": 2}
Judge = Callable[[Exchange], Finding]
REFUSALS: dict[str, tuple[Judge, set[Outcome], dict[str, int]]] = {
    "by policy": (lambda e: judge.denied_by_policy("TRF-02", PAIR, e), {Outcome.DENIED}, HTTP_DENIED),
    "over TCP": (lambda e: judge.denied_over_tcp("TRF-04", PAIR, e), {Outcome.RESET, Outcome.CLOSED}, TCP_DENIED),
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
        violated(finding, finding.requirement, f"2 of 2: {outcome.value}")


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_that_the_server_does_not_count_is_by_chance(refusal: str) -> None:
    judged, right, _ = REFUSALS[refusal]
    for outcome in right:
        violated(judged(exchange(request(outcome), request(outcome))), judged(exchange()).requirement, "0")


def test_tcp_is_let_in_by_the_policy_for_the_principal() -> None:
    holds(judge.let_in_over_tcp("TRF-04", PAIR, exchange(server={"tcp.rbac.allowed": 2})), "TRF-04", *EVIDENCE)
    violated(judge.let_in_over_tcp("TRF-04", PAIR, exchange()), "TRF-04", "counts 0 allowed, not 2")


def test_nodes_and_gateways_that_are_not_there() -> None:
    assert judge.needs_two_nodes((), ("node-1", "node-2")) is None
    assert judge.needs_an_ingress_gateway(make.mesh(), [make.gateway()]) is None
    inapplicable(judge.needs_an_ingress_gateway(make.mesh(gateways=()), []) or _nothing(), "TRF-05")


def test_a_cluster_without_the_gateway_api() -> None:
    assert judge.needs_the_gateway_api(Reading({"kind": "APIGroup"}, "ev-group", NOW)) is None
    inapplicable(judge.needs_the_gateway_api(Reading(None, "ev-group", NOW)) or _nothing(), "TRF-05", "ev-group")


def test_one_node_makes_traffic_between_nodes_inapplicable() -> None:
    node = Node("node-1", {}, True, (), "v1.34.4", "", "", "", (), {}, False, ("ev-node-1",))
    found = judge.needs_two_nodes((node,), ("node-1",))
    inapplicable(found or _nothing(), "TRF-04", "ev-node-1")


def _nothing() -> Finding:
    raise AssertionError("it applies")


class TestGateway:
    pod = make.pod("ingress", namespace="istio-system", service_account="istio-ingressgateway-service-account")

    def judged(self, *found: Any, through: Exchange | None = None) -> Finding:
        return judge.gateways_are_certified(make.fleet(*found), make.bundle(), through.ledger if through else None)

    def test_a_gateway_that_teleport_certifies(self) -> None:
        holds(self.judged(make.proxy(self.pod), through=exchange()), "TRF-05")

    def test_the_guides_gateway_is_called_what_it_is(self) -> None:
        refused = exchange(request(Outcome.TLS_ERROR), request(Outcome.TLS_ERROR))
        finding = self.judged(make.istiod_proxy(self.pod), through=refused)
        violated(
            finding,
            "TRF-05",
            "gateway certificate issued by istiod",
            "through it: 2 of 2: 503 for a TLS error",
            evidence=("ev-ledger",),
        )
        assert finding.guide_defect is Defect.GATEWAY

    def test_another_identity_or_none(self) -> None:
        elsewhere = make.proxy(make.pod("other", namespace="istio-system", service_account="other"))
        finding = self.judged(replace(elsewhere, pod=make.proxy(self.pod).pod))
        violated(finding, "TRF-05", "its identity is", f"not {GATEWAY}")
        assert finding.guide_defect is None
        violated(self.judged(make.proxy(self.pod, chain=())), "TRF-05", "no certificate")
        violated(self.judged(), "TRF-05", "no pod of a gateway runs")

    def test_a_gateway_that_cannot_be_read(self) -> None:
        unknown(self.judged(make.unread(self.pod)), "TRF-05")

    def test_the_server_sees_the_gateway(self) -> None:
        seen = word(peers=(Peer((CALLED,), (GATEWAY,), ""),))
        holds(judge.gateway_reaches(GATEWAY, PAIR, exchange(request(said=seen))), "TRF-05", *EVIDENCE)
        violated(judge.gateway_reaches(GATEWAY, PAIR, exchange()), "TRF-05", f"saw {CALLER}, not {GATEWAY}")

    def test_without_a_way_in_nobody_can_tell(self) -> None:
        unknown(judge.no_way_in([make.gateway()]), "TRF-05", "none has one")


class TestPaths:
    def asked(self, *answers: tuple[str, Outcome, str]) -> Exchange:
        """Requests by path as it was sent, outcome, and path as it arrived."""
        return exchange(
            *(
                request(outcome, word(target=arrived) if arrived else None, url=f"http://beta.run:8080{path}")
                for path, outcome, arrived in answers
            )
        )

    def told_apart(self, *answers: tuple[str, Outcome, str]) -> Finding:
        return judge.policy_tells_paths_apart(PAIR, self.asked(*answers), "/open/door", "/closed/door")

    def around(self, *answers: tuple[str, Outcome, str], normalization: str = "NONE") -> Finding:
        return judge.no_path_leads_outside(PAIR, self.asked(*answers), "/open/", normalization)

    def test_the_policy_must_tell_plain_paths_apart_first(self) -> None:
        inside = ("/open/door", Outcome.ANSWERED, "/open/door")
        outside = ("/closed/door", Outcome.DENIED, "")
        holds(self.told_apart(inside, outside), "TRF-07", *EVIDENCE)
        violated(
            self.told_apart(inside, ("/closed/door", Outcome.ANSWERED, "/closed/door")), "TRF-07", "/closed/door: answered"
        )
        violated(self.told_apart(("/open/door", Outcome.TIMEOUT, ""), outside), "TRF-07", "/open/door: timeout")
        violated(self.told_apart(inside), "TRF-07", "/closed/door was not asked for")

    def test_what_is_refused_or_stays_inside_is_no_hole(self) -> None:
        finding = self.around(
            ("/open/door", Outcome.ANSWERED, "/open/door"),
            ("/open/../closed/door", Outcome.DENIED, ""),
            ("/open/a/../door", Outcome.ANSWERED, "/open/door"),
            ("/open/%2e%2e/closed", Outcome.OTHER_ANSWER, ""),
        )
        holds(finding, "TRF-07", *EVIDENCE)
        assert finding.seen.startswith("under NONE, 2 of 4 refused")

    @pytest.mark.parametrize("path", ["/open/../closed", "/open/..%2Fclosed", "/open/%2e%2e/closed", "/open//../../closed"])
    def test_a_path_that_leads_outside_is_a_hole(self, path: str) -> None:
        violated(self.around((path, Outcome.ANSWERED, path)), "TRF-07", f"{path} was let in", "which means /closed", "NONE")

    def test_the_hole_is_the_guides_under_its_normalization_alone(self) -> None:
        hole = ("/open/../closed", Outcome.ANSWERED, "/open/../closed")
        assert self.around(hole).guide_defect is Defect.PATH_NORMALIZATION
        assert self.around(hole, normalization="BASE").guide_defect is None
        assert self.around(("/open/door", Outcome.ANSWERED, "/open/door")).guide_defect is None

    def test_a_request_that_went_wrong_shows_nothing(self) -> None:
        finding = self.around(("/open/../closed", Outcome.TIMEOUT, ""))
        violated(finding, "TRF-07", "1 of 1: timeout")
        assert finding.guide_defect is None


@pytest.mark.parametrize(
    ("target", "meaning"),
    [
        ("/", "/"),
        ("/open/a", "/open/a"),
        ("/open/../a?x=/../..", "/a"),
        ("/open/..%2Fa", "/a"),
        ("/open/%2e%2E%2fa", "/a"),
        ("//open/.//a", "/open/a"),
        ("/../../a", "/a"),
        ("/open/%252e%252e/a", "/open/%2e%2e/a"),
    ],
)
def test_what_a_path_means(target: str, meaning: str) -> None:
    assert meant(target) == meaning


def test_outcomes_are_counted_most_often_first() -> None:
    requests: Sequence[Request] = (request(Outcome.RESET), request(Outcome.TIMEOUT), request(Outcome.TIMEOUT), request())
    assert judge.outcomes_but(exchange(*requests).ledger, {Outcome.ANSWERED}) == [
        "2 of 4: timeout (in the system's words)",
        "1 of 4: connection reset (in the system's words)",
    ]


class TestBlindSpots:
    answers = tuple(replace(make.guide(), asked=f"command {n}") for n in range(judge.CHECKLIST))
    unnamed: ClassVar = {f"{CLUSTER}ssl.fail_verify_san": 2}
    broken = exchange(request(Outcome.NO_UPSTREAM), request(Outcome.TLS_ERROR), client=unnamed)

    def judged(self, answers: Sequence[Any] = answers, found: Exchange = broken) -> Finding:
        return judge.unseen_by_the_checklist("The trust domain differs.", answers, PAIR, found)

    def test_the_checklist_passes_and_traffic_fails(self) -> None:
        finding = self.judged()
        holds(finding, "TRF-06", *EVIDENCE, *self.answers[0].evidence)
        assert finding.seen.startswith("9 items healthy; TRF-01 fails: 1 of 2: 503")
        assert "the client's proxy refused the server's certificate for the name in it" in finding.seen

    def test_a_checklist_that_sees_it_is_no_blind_spot(self) -> None:
        sees = (*self.answers[:-1], replace(make.guide(healthy=False), said="CrashLoopBackOff"))
        violated(self.judged(sees), "TRF-06", "the guide sees it", "CrashLoopBackOff")
        violated(self.judged(self.answers[:-1]), "TRF-06", "8 of the 9 items")

    def test_traffic_that_passes_shows_that_the_suite_is_wrong(self) -> None:
        violated(self.judged(found=exchange()), "TRF-06", "TRF-01 does not see it", "2 of 2: answered by the server")

    @pytest.mark.parametrize("outcome", set(ALL_OF_ONE_KIND) - {Outcome.TLS_ERROR, Outcome.NO_UPSTREAM})
    def test_another_failure_is_by_chance(self, outcome: Outcome) -> None:
        found = exchange(request(outcome), request(outcome), client=self.unnamed)
        violated(self.judged(found=found), "TRF-06", outcome.value)

    @pytest.mark.parametrize("counted", [{}, {f"{CLUSTER}ssl.fail_verify_error": 2}, {f"{CLUSTER}ssl.fail_verify_san": 1}])
    def test_another_reason_is_by_chance(self, counted: dict[str, int]) -> None:
        found = exchange(request(Outcome.NO_UPSTREAM), request(Outcome.NO_UPSTREAM), client=counted)
        violated(self.judged(found=found), "TRF-06", "of 2 handshakes were ended for the name in a certificate")


def test_a_failure_says_what_the_proxies_did_not_accept() -> None:
    client = {f"{CLUSTER}ssl.fail_verify_error": 2, "cluster.outbound|8080||gamma.run.svc;.ssl.fail_verify_san": 9}
    server = {"listener.0.0.0.0_15006.ssl.fail_verify_san": 1, "listener.0.0.0.0_15006.ssl.fail_verify_no_cert": 0}
    failed = exchange(request(Outcome.NO_UPSTREAM), client=client, server=server)
    finding = judge.answered_once("TRF-01", PAIR, failed)
    violated(
        finding,
        "TRF-01",
        "2 times the client's proxy refused the server's certificate for its issuer or its dates",
        "1 times the server's proxy refused the client's certificate for the name in it",
    )
    assert "9 times" not in finding.seen
