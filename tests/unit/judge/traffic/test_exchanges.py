"""Outcomes of requests, and the reason of a refusal: the suite's own policy, another one, or the proxies' handshake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from facts.finding import Finding
from facts.proxies.policies import Policy
from facts.traffic.ledger import Exchange, Outcome, Request
from judge.traffic import callers as traffic
from judge.traffic import exchanges as judge
from judge.traffic import gateways, paths
from judge.traffic.exchanges import turned_away_by_others
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.exchanges import ALPHA, BETA, CLUSTER, GATEWAY, PAIR, TO_BETA, exchange, request

BUNDLE = make.bundle()
OURS = Policy("run/beta", "run", "callers-of-beta", "ALLOW")
DENIES = Policy("run/beta", "istio-system", "nothing-from-elsewhere", "DENY")
DENY = "AuthorizationPolicy istio-system/nothing-from-elsewhere"
ASKS = Policy("run/beta", "shop", "ask-first", "CUSTOM")
CLOSED_BY_DEFAULT = Policy("run/beta", "istio-system", "allow-nothing", "ALLOW")
AT_THE_GATEWAY = Policy("istio-system/ingress", "istio-system", "allow-nothing", "ALLOW")
COUNTED = {"http.inbound_0.0.0.0_8080;.rbac.denied": 2}
OVER_TCP = {"tcp.rbac.denied": 2}

LET_IN: dict[str, Callable[[Exchange], Finding]] = {
    "answered": lambda e: traffic.answered_once("TRF-01", PAIR, e),
    "seen": lambda e: traffic.caller_was_seen("TRF-01", PAIR, e, BUNDLE),
    "through a gateway": lambda e: gateways.gateway_reaches(GATEWAY, [ALPHA], PAIR, e, BUNDLE),
    "by path": lambda e: paths.policy_tells_paths_apart(PAIR, e, "/", ["/closed"]),
}
"""Judgments about requests that must be let in."""


def test_outcomes_are_counted_most_often_first() -> None:
    requests: Sequence[Request] = (request(Outcome.RESET), request(Outcome.TIMEOUT), request(Outcome.TIMEOUT), request())
    found = judge.outcomes_but(PAIR, exchange(*requests).ledger, {Outcome.ANSWERED})
    assert [p.said for p in found] == [
        f"2 of 4 {TO_BETA} timeout (in the system's words)",
        f"1 of 4 {TO_BETA} connection reset (in the system's words)",
    ]
    assert {p.evidence for p in found} == {("ev-ledger",)}


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_of_the_end_that_decided_it(outcome: Outcome) -> None:
    (found,) = judge.outcomes_but(PAIR, exchange(request(outcome)).ledger, set())
    assert found.subject == (BETA if outcome in (Outcome.ANSWERED, Outcome.DENIED) else ALPHA).ref


def test_a_failure_says_what_the_proxies_did_not_accept() -> None:
    client = {f"{CLUSTER}ssl.fail_verify_error": 2, "cluster.outbound|8080||gamma.run.svc;.ssl.fail_verify_san": 9}
    server = {"listener.0.0.0.0_15006.ssl.fail_verify_san": 1, "listener.0.0.0.0_15006.ssl.fail_verify_no_cert": 0}
    failed = exchange(request(Outcome.NO_UPSTREAM), client=client, server=server)
    finding = traffic.answered_once("TRF-01", PAIR, failed)
    violated(
        finding,
        "TRF-01",
        "2 times for its issuer or its dates",
        "Pod run/beta: its proxy refused the client's certificate 1 times for the name in it",
        causes=(),
    )
    assert "9 times" not in finding.seen


def refused(*policies: Policy, server: dict[str, int] | None = None, **changes: Any) -> Exchange:
    """Two requests that were refused with 403, by `policies` as far as is known."""
    outcome = changes.pop("outcome", Outcome.DENIED)
    asked = [request(outcome, **changes) for _ in range(2)]
    return exchange(*asked, server=COUNTED if server is None else server, policies=policies, policies_evidence=("ev-rbac",))


@pytest.mark.parametrize("judged", LET_IN)
@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            refused(OURS, DENIES),
            f"{DENY}: 2 of 2 requests were refused at Pod run/beta, by this policy or the suite's own (DENY)",
        ),
        (
            refused(ASKS),
            "shop/ask-first: 2 of 2 requests were refused at Pod run/beta, by this policy or the suite's own (CUSTOM)",
        ),
        (
            refused(AT_THE_GATEWAY, server={}),
            "AuthorizationPolicy istio-system/allow-nothing: 2 of 2 requests were refused before they",
        ),
        (refused(server={}), "Pod run/beta: 2 of 2 requests were refused before they reached it, by no policy"),
        (refused(outcome=Outcome.OTHER_ANSWER, status=403, words="blocked by the WAF"), "HTTP 403: blocked by the WAF"),
    ],
    ids=["deny", "custom", "gateway", "unknown", "other words"],
)
def test_who_is_refused_by_a_policy_of_another_owner_shows_nothing(judged: str, found: Exchange, words: str) -> None:
    finding = LET_IN[judged](found)
    if judged == "by path":
        violated(finding, "TRF-07", "the suite did not request /closed")
        assert "/: " not in finding.seen
    else:
        unknown(finding, finding.requirement, "2 of 2", words, evidence=("ev-rbac",))


@pytest.mark.parametrize("judged", LET_IN)
@pytest.mark.parametrize(
    "found",
    [
        refused(OURS),
        # Beside one of the suite's own, an ALLOW policy refuses no caller.
        refused(OURS, CLOSED_BY_DEFAULT),
        refused(outcome=Outcome.OTHER_ANSWER, status=500, words="broken"),
        refused(OURS, DENIES, outcome=Outcome.TLS_ERROR),
    ],
    ids=["ours", "default", "not 403", "not a policy"],
)
def test_who_is_refused_by_the_runs_own_policy_is_refused_for_who_it_is(judged: str, found: Exchange) -> None:
    finding = LET_IN[judged](found)
    violated(finding, finding.requirement, causes=())


def test_what_is_wrong_is_told_although_a_policy_of_another_owner_refuses_as_well() -> None:
    mixed = exchange(request(Outcome.DENIED), request(Outcome.RESET), server={}, policies=(DENIES,))
    violated(traffic.answered_once("TRF-01", PAIR, mixed), "TRF-01", f"1 of 2 {TO_BETA} connection reset")


@pytest.mark.parametrize(
    ("policies", "counted", "aside"),
    [
        ((OURS, DENIES), OVER_TCP, 2),
        ((OURS,), OVER_TCP, 0),
        ((OURS, DENIES), {}, 0),
        ((AT_THE_GATEWAY,), OVER_TCP, 0),
    ],
    ids=["deny", "ours", "not counted", "not at the server"],
)
def test_over_tcp_a_policy_closes_the_connection(policies: Sequence[Policy], counted: dict[str, int], aside: int) -> None:
    found = refused(*policies, server=counted, outcome=Outcome.CLOSED, url="tcp://beta.run:9090")
    assert len(turned_away_by_others(PAIR, found).aside) == aside
    finding = traffic.let_in_over_tcp("TRF-04", PAIR, found, BUNDLE)
    if aside:
        unknown(finding, "TRF-04", DENY)
    else:
        violated(finding, "TRF-04", f"2 of 2 {TO_BETA} connection closed", causes=())


def test_a_refusal_that_is_wanted_may_stand_beside_other_policies() -> None:
    holds(traffic.denied_by_policy("TRF-02", PAIR, refused(OURS, DENIES), BUNDLE), "TRF-02", "ev-rbac")
