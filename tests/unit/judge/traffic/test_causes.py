"""Causes that traffic tells. Under faults that it cannot tell from others it fails as well, and must name none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity
from facts.traffic.ledger import Exchange, Outcome
from judge.traffic import callers as judge
from judge.traffic import gateways
from judge.traffic.exchanges import Pair
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import violated
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN, svid
from tests.unit.judge.exchanges import ALPHA, BETA, CLUSTER, GATEWAY, HELD, PAIR, PLAIN, exchange, request

BUNDLE = make.bundle()
INGRESS = make.pod("ingress", namespace="istio-system", service_account="istio-ingressgateway-service-account")
NOTHING_SEEN = {
    "http.inbound_0.0.0.0_8080;.rbac.allowed": 0,
    "http.inbound_0.0.0.0_8080;.rbac.denied": 0,
    "tcp.rbac.allowed": 0,
    "tcp.rbac.denied": 0,
    "listener.0.0.0.0_15006.no_filter_chain_match": 0,
    "listener.0.0.0.0_15006.ssl.handshake": 0,
}
"""Counters of a server's proxy in whose sight nothing happened."""

MISNAMED = {f"{CLUSTER}ssl.fail_verify_san": 2}
UNVERIFIED = {f"{CLUSTER}ssl.fail_verify_error": 2}


def without_sa(pod: Pod) -> ProxyIdentity:
    return make.proxy(pod, chain=(svid(uri=f"spiffe://{TRUST_DOMAIN}/ns/{pod.namespace}/{pod.service_account}"),))


def not_valid_yet(pod: Pod) -> ProxyIdentity:
    return make.proxy(pod, chain=(svid(pod.namespace, pod.service_account, starts=NOW + timedelta(minutes=10)),))


def under(outcome: Outcome, held: Callable[[Pod], ProxyIdentity], client: Mapping[str, int]) -> Exchange:
    proxies = (held(ALPHA), held(BETA), make.proxy(INGRESS))
    return exchange(request(outcome), request(outcome), client=dict(client), server=NOTHING_SEEN, proxies=proxies)


FAULTS = {
    "trust-domain-cluster-local": under(Outcome.NO_UPSTREAM, make.proxy, MISNAMED),
    "identity-without-sa": under(Outcome.NO_UPSTREAM, without_sa, MISNAMED),
    "template-without-hostpath": under(Outcome.ANSWERED, make.istiod_proxy, {}),
    "issuers-clock-ahead": under(Outcome.NO_UPSTREAM, not_valid_yet, UNVERIFIED),
    "port-past-the-proxy": under(Outcome.TLS_ERROR, make.proxy, {}),
}
"""What two workloads and a gateway get under faults that the outcome of a request does not tell."""

JUDGED: Mapping[str, Callable[[Exchange], Finding]] = {
    "answered": lambda e: judge.answered_once("TRF-01", PAIR, e),
    "seen": lambda e: judge.caller_was_seen("TRF-01", PAIR, e, BUNDLE),
    "denied": lambda e: judge.denied_by_policy("TRF-02", PAIR, e, BUNDLE),
    "let in over TCP": lambda e: judge.let_in_over_tcp("TRF-04", PAIR, e, BUNDLE),
    "denied over TCP": lambda e: judge.denied_over_tcp("TRF-04", PAIR, e, BUNDLE),
    "through a gateway": lambda e: gateways.gateway_reaches(GATEWAY, [INGRESS], PAIR, e, BUNDLE),
}


@pytest.mark.parametrize("judged", JUDGED)
@pytest.mark.parametrize("fault", FAULTS)
def test_no_cause_is_named_where_a_failure_does_not_tell_it(fault: str, judged: str) -> None:
    finding = JUDGED[judged](FAULTS[fault])
    if (fault, judged) != ("template-without-hostpath", "answered"):  # two that istiod certified let each other in
        violated(finding, finding.requirement, causes=())


def test_a_gateway_with_a_certificate_of_teleports_that_is_not_valid_yet_has_its_socket() -> None:
    finding = gateways.gateways_are_certified(make.fleet(not_valid_yet(INGRESS)), BUNDLE, None)
    violated(finding, "TRF-05", "its certificate does not come from Teleport", causes=())


STRANGER: Mapping[str, tuple[Callable[[Exchange], Finding], str]] = {
    "over HTTP": (JUDGED["denied"], "http.inbound_0.0.0.0_8080;.rbac.allowed"),
    "over TCP": (JUDGED["denied over TCP"], "tcp.rbac.allowed"),
}


@pytest.mark.parametrize("how", STRANGER)
def test_a_caller_that_a_policy_lets_in_although_the_runs_own_does_not_name_it(how: str) -> None:
    judged, counter = STRANGER[how]
    let_in = exchange(server={**NOTHING_SEEN, counter: 2})
    finding = judged(let_in)
    violated(finding, finding.requirement, "Pod run/beta: ", "a policy allowed 2 requests", causes=("policy-too-wide",))
    past_the_policies = exchange(server=NOTHING_SEEN)
    under_another_name = replace(let_in, proxies=(without_sa(ALPHA), HELD[1]))
    for_half = exchange(server={**NOTHING_SEEN, counter: 1})
    for other in (
        past_the_policies,
        under_another_name,
        for_half,
        replace(let_in, proxies=()),
        replace(let_in, server=None),
    ):
        violated(judged(other), finding.requirement, causes=())


def plain_text(outcome: Outcome = Outcome.ANSWERED, server: Mapping[str, int] = NOTHING_SEEN) -> Finding:
    """The judgment of two requests in plain text, of which the second ended so."""
    asked = exchange(request(), request(outcome), server=dict(server))
    return judge.plain_text_was_refused(Pair(PLAIN, BETA, TRUST_DOMAIN), asked)


def test_plain_text_that_no_proxy_saw_went_past_it() -> None:
    words = "Pod run/beta: 2 of 2 requests from plain to beta: answered", "its proxy saw none of the 2 requests"
    violated(plain_text(), "TRF-03", *words, causes=("port-bypasses-proxy",))


@pytest.mark.parametrize(
    "counter",
    [
        "http.inbound_0.0.0.0_8080;.rbac.allowed",
        "http.InboundPassthroughCluster;.rbac.allowed",
        "tcp.rbac.allowed",
        "listener.0.0.0.0_15006.no_filter_chain_match",
        "listener.0.0.0.0_15006.ssl.handshake",
    ],
)
def test_plain_text_that_a_proxy_saw_did_not(counter: str) -> None:
    violated(plain_text(server={**NOTHING_SEEN, counter: 2}), "TRF-03", causes=())


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.ANSWERED}))
def test_plain_text_of_which_not_all_was_answered_does_not_tell(outcome: Outcome) -> None:
    violated(plain_text(outcome), "TRF-03", causes=())


@pytest.mark.parametrize("kept", ["rbac", "no_filter_chain_match"])
def test_a_proxy_that_does_not_count_everything_does_not_tell(kept: str) -> None:
    violated(plain_text(server={n: v for n, v in NOTHING_SEEN.items() if kept in n}), "TRF-03", causes=())


def test_a_server_without_a_proxy_does_not_tell() -> None:
    pair = Pair(PLAIN, BETA, TRUST_DOMAIN)
    violated(judge.plain_text_was_refused(pair, replace(exchange(), server=None)), "TRF-03", causes=())
