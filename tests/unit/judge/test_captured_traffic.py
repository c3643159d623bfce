"""Traffic as it was captured on a cluster, through the parsers and the judgments: each is what it was, and nothing else."""

from __future__ import annotations

import pytest

from facts.envoy_traffic import Counters, parse_counters
from facts.ledger import Exchange, Outcome, parse_ledger
from judge import traffic as judge
from judge.traffic import Pair
from tests.data import document
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated

TRUST_DOMAIN = "teleport.conformance.test"
NAMESPACE = "conformance-run-mesh"


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


def test_who_is_let_in_is_seen_and_shakes_hands_each_time() -> None:
    found, ends = captured("allowed"), pair("alpha", "beta")
    holds(judge.answered_once("TRF-01", ends, found), "TRF-01")
    holds(judge.caller_was_seen("TRF-01", ends, found), "TRF-01")
    holds(judge.every_request_was_a_handshake("TRF-01", ends, found), "TRF-01")
    violated(judge.caller_was_seen("TRF-01", pair("gamma", "beta"), found), "TRF-01", "sa/alpha, not spiffe://")


def test_who_is_refused_is_refused_by_the_policy() -> None:
    holds(judge.denied_by_policy("TRF-02", pair("gamma", "beta"), captured("denied")), "TRF-02")


def test_plain_text_is_reset() -> None:
    holds(judge.plain_text_was_refused(pair("plain", "beta"), captured("plain")), "TRF-03")


def test_tcp_is_told_apart_by_the_policy() -> None:
    holds(judge.let_in_over_tcp("TRF-04", pair("alpha", "beta-far"), captured("tcp_allowed")), "TRF-04")
    holds(judge.denied_over_tcp("TRF-04", pair("gamma", "beta"), captured("tcp_denied")), "TRF-04")
    violated(
        judge.denied_over_tcp("TRF-04", pair("alpha", "beta-far"), captured("tcp_allowed")), "TRF-04", "5 of 5: answered"
    )
    violated(judge.let_in_over_tcp("TRF-04", pair("gamma", "beta"), captured("tcp_denied")), "TRF-04", "5 of 5: connection")


def test_the_gateway_is_seen() -> None:
    gateway = f"spiffe://{TRUST_DOMAIN}/ns/istio-system/sa/istio-ingressgateway-service-account"
    holds(judge.gateway_reaches(gateway, pair("plain", "beta"), captured("gateway")), "TRF-05")


def test_a_name_that_is_not_accepted_is_the_reason() -> None:
    ends = pair("alpha", "beta", "conformance-run-identity-without-sa")
    finding = judge.answered_once("TRF-01", ends, captured("misnamed"))
    words = "5 times the client's proxy refused the server's certificate for the name in it"
    violated(finding, "TRF-01", "5 of 5: 503 without a connection to the server", words)


def test_paths_lead_outside_without_normalization() -> None:
    found, ends = captured("paths"), pair("alpha", "gamma")
    holds(judge.policy_tells_paths_apart(ends, found, "/open/door", "/closed/door"), "TRF-07")
    violated(judge.no_path_leads_outside(ends, found, "/open/", "NONE"), "TRF-07", "arrived as /open/..%2fclosed/door")


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
