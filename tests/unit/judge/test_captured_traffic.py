"""Traffic as it was captured on a cluster, through the parsers and the judgments: each is what it was, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.provider.trust import TrustBundle
from facts.proxies.envoy_traffic import Counters, parse_counters
from facts.svid import workload_id
from facts.traffic.ledger import Exchange, Outcome, parse_ledger
from facts.traffic.paths import Bounds
from judge.traffic import callers as judge
from judge.traffic import gateways, paths
from judge.traffic.exchanges import Pair
from tests.data import document
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated
from tests.unit.judge.certificates import svid

TRUST_DOMAIN = "teleport.conformance.test"
BUNDLE = make.bundle(trust_domain=TRUST_DOMAIN)
NAMESPACE = "conformance-run-mesh"
Judgment = Callable[[str, Pair, Exchange, TrustBundle], Finding]


def pair(client: str, server: str, namespace: str = NAMESPACE) -> Pair:
    pods = [
        make.pod(name, namespace=namespace, service_account=name.removesuffix("-far"), injected=name != "plain")
        for name in (client, server)
    ]
    return Pair(pods[0], pods[1], TRUST_DOMAIN)


def counted(name: str, end: str) -> Counters | None:
    try:
        before, after = (parse_counters(document(f"traffic/{name}_{end}_{when}.json")) for when in ("before", "after"))
    except FileNotFoundError:
        return None
    return after.since(before)


def captured(name: str) -> Exchange:
    ledger = parse_ledger(document(f"traffic/{name}_ledger.json"), ("ev-ledger",))
    return Exchange(ledger, counted(name, "client"), counted(name, "server"))


def certified(name: str, ends: Pair, *others: Pod) -> Exchange:
    """The same, with certificates made for the test, of which the client's has the digest that the server saw."""
    found = captured(name)
    seen = next((peer.hash for word in found.ledger.words for peer in word.peers), "")
    proxies = []
    for pod in (*ends.ends, *others):
        leaf = svid(pod.namespace, pod.service_account, uri=workload_id(TRUST_DOMAIN, pod.namespace, pod.service_account))
        proxies.append(make.proxy(pod, chain=(replace(leaf, sha256=seen or leaf.sha256),)))
    return replace(found, proxies=tuple(proxies))


def test_who_is_let_in_is_seen_and_shakes_hands_each_time() -> None:
    ends = pair("alpha", "beta")
    found = certified("allowed", ends)
    holds(judge.answered_once("TRF-01", ends, found), "TRF-01")
    holds(judge.caller_was_seen("TRF-01", ends, found, BUNDLE), "TRF-01")
    holds(judge.every_request_was_a_handshake("TRF-01", ends, found), "TRF-01")
    violated(judge.caller_was_seen("TRF-01", pair("gamma", "beta"), found, BUNDLE), "TRF-01", "sa/alpha, not spiffe://")


def judged(judgment: Judgment, requirement: str, client: str, server: str, name: str) -> Finding:
    ends = pair(client, server)
    return judgment(requirement, ends, certified(name, ends), BUNDLE)


def test_who_is_refused_is_refused_by_the_policy() -> None:
    holds(judged(judge.denied_by_policy, "TRF-02", "gamma", "beta", "denied"), "TRF-02")


def test_plain_text_is_reset() -> None:
    holds(judge.plain_text_was_refused(pair("plain", "beta"), captured("plain")), "TRF-03")


def test_tcp_is_told_apart_by_the_policy() -> None:
    holds(judged(judge.let_in_over_tcp, "TRF-04", "alpha", "beta-far", "tcp_allowed"), "TRF-04")
    holds(judged(judge.denied_over_tcp, "TRF-04", "gamma", "beta", "tcp_denied"), "TRF-04")
    violated(
        judged(judge.denied_over_tcp, "TRF-04", "alpha", "beta-far", "tcp_allowed"), "TRF-04", "5 of 5 requests", "answered"
    )
    violated(
        judged(judge.let_in_over_tcp, "TRF-04", "gamma", "beta", "tcp_denied"), "TRF-04", "5 of 5 requests", "connection"
    )


def test_the_gateway_is_seen() -> None:
    gateway = f"spiffe://{TRUST_DOMAIN}/ns/istio-system/sa/istio-ingressgateway-service-account"
    pod = make.pod("ingress", namespace="istio-system", service_account="istio-ingressgateway-service-account")
    ends = pair("plain", "beta")
    holds(gateways.gateway_reaches(gateway, [pod], ends, certified("gateway", ends, pod), BUNDLE), "TRF-05")


def test_a_name_that_is_not_accepted_is_the_reason() -> None:
    ends = pair("alpha", "beta", "conformance-run-identity-without-sa")
    finding = judge.answered_once("TRF-01", ends, captured("misnamed"))
    words = "5 times for the name in it"
    violated(finding, "TRF-01", "5 of 5 requests", "503 without a connection to the server", words, causes=())


def test_paths_lead_outside_without_normalization() -> None:
    found, ends = captured("paths"), pair("alpha", "gamma")
    holds(paths.policy_tells_paths_apart(ends, found, "/open/door", ["/closed/door"]), "TRF-07")
    bounds = Bounds("/open/", "/open/vault/")
    finding = paths.no_path_leads_outside(ends, found, bounds, "NONE")
    words = "/open/..%2fclosed/door (means /closed/door)"
    violated(finding, "TRF-07", words, causes=("path-normalization-off",))


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("allowed", Outcome.ANSWERED),
        ("denied", Outcome.DENIED),
        ("plain", Outcome.RESET),
        ("tcp_allowed", Outcome.ANSWERED),
        ("tcp_denied", Outcome.CLOSED),
        ("misnamed", Outcome.NO_UPSTREAM),
        ("gateway", Outcome.ANSWERED),
    ],
)
def test_every_refusal_has_its_own_outcome(name: str, outcome: Outcome) -> None:
    assert {r.outcome for r in captured(name).ledger.requests} == {outcome}
