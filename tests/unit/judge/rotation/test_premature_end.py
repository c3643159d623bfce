"""A rotation that was ended too early: ROT-08."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from facts.proxies.envoy_traffic import Counters
from facts.proxies.identity import ProxyIdentity
from facts.traffic.ledger import End, Ledger, Outcome, Request
from facts.traffic.load import Clock, Load
from judge.rotation.premature_end import Early, it_costs_requests, it_is_foreseen
from judge.traffic.exchanges import Pair
from judge.traffic.load import Traffic
from providers.teleport.facts.ca_rotation import NEW, OLD, PhaseExpectation, Stage
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated
from tests.unit.judge.certificates import TRUST_DOMAIN, svid
from tests.unit.judge.traffic.test_load import at, request
from tests.unit.providers.teleport.judge.test_ca_rotation import AFTER, BEFORE, CLIENTS, SIGNER, stage

NEAR, FAR = "node-near", "node-far"
STANDBY = PhaseExpectation("standby", (NEW,), NEW)


def proxy(name: str, node: str, trusts: tuple[Any, ...], issuer: str) -> ProxyIdentity:
    chain = (svid(issuer=SIGNER[issuer]),)
    return make.proxy(make.pod(name, node=node), chain=chain, root_authorities={TRUST_DOMAIN: trusts})


LEFT = proxy("left", FAR, (BEFORE, AFTER), OLD)


def early(wanted: PhaseExpectation, *proxies: ProxyIdentity) -> Stage:
    return stage(wanted, fleet=make.fleet(*proxies))


FORESEEN = [
    early(CLIENTS, proxy("went-on", NEAR, (BEFORE, AFTER), NEW), LEFT),
    early(STANDBY, proxy("went-on", NEAR, (AFTER,), NEW), LEFT),
]


# Foreseen.


def test_those_without_tbot_are_found_behind_and_no_others() -> None:
    finding = it_is_foreseen("ROT-08", FORESEEN, FAR)
    holds(finding, "ROT-08", "ev-proxy-left", "ev-proxy-went-on", "ev-bundle", "ev-status")
    assert "in standby it trusts the old and the new, not the new" in finding.seen
    assert [str(m) for m in finding.measures] == ["proxies that were found to be behind: 1 (at least 1)"]


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([early(STANDBY, proxy("left", FAR, (AFTER,), NEW))], "takes standby for followed"),
        (
            [early(STANDBY, LEFT, proxy("too", FAR, (AFTER,), NEW))],
            "Pod test-app/too: standby: it runs on node-far and is not found behind",
        ),
        (
            [early(STANDBY, LEFT, proxy("slow", NEAR, (AFTER,), OLD))],
            "Pod test-app/slow: standby: it runs on node-near and is found behind",
        ),
    ],
)
def test_what_is_not_foreseen_is_named(stages: list[Stage], words: str) -> None:
    violated(it_is_foreseen("ROT-08", stages, FAR), "ROT-08", words)


# What it costs.


ALPHA = make.pod("alpha", namespace="run", service_account="alpha", node=NEAR)
BETA = make.pod("beta", namespace="run", service_account="beta", node=FAR)
GAMMA = make.pod("gamma", namespace="run", service_account="gamma", node=NEAR)
WHEN = Early(FAR, ended=at(2), back=at(5))


def asked(pair: tuple[Any, Any], lost: Sequence[float], *, refused: int = 1, until: int = 10) -> Traffic:
    """One request a second, those at some seconds lost; and what the client's proxy refused."""
    client, server = pair
    requests: list[Request] = [request(n, None) if n in lost else request(n) for n in range(until)]
    name = f"cluster.outbound|8080||{server.name}.run.svc.cluster.local.ssl.fail_verify_error"
    counted = Counters({name: refused}, ("ev-counters",))
    ledger = Ledger(End(client.name, "run"), tuple(requests), (f"ev-{client.name}",))
    load = Load(ledger, 1, False, at(0), at(until), Clock("alpha", 0, 0), client=counted)
    return Traffic(Pair(client, server, TRUST_DOMAIN), load)


CROSSING = asked((ALPHA, BETA), (3, 4, 5, 6))
ASIDE = asked((ALPHA, GAMMA), (), refused=0)


def test_requests_over_the_border_are_lost_from_the_end_until_tbot_is_back() -> None:
    finding = it_costs_requests("ROT-08", [CROSSING, ASIDE], WHEN, 60)
    holds(finding, "ROT-08", "ev-alpha", "ev-counters", "ev-pod-beta", "ev-pod-gamma")
    assert "Pod run/beta: requests from alpha: 4 of 10 failed (4: 503 without a connection" in finding.seen
    assert "Pod run/gamma: requests from alpha: 0 of 10 failed" in finding.seen
    assert [str(m) for m in finding.measures] == [
        "requests lost to the early end: 4 (at least 1)",
        "requests lost before it, or elsewhere: 0 (at most 0)",
        "time from the early end to the first lost request: 1 s",
        "time from tbot's return to the last lost request: 1 s (at most 60 s)",
    ]


@pytest.mark.parametrize(
    ("traffic", "words"),
    [
        ([asked((ALPHA, BETA), ()), ASIDE], "Pod run/beta: requests from alpha: none failed"),
        ([asked((ALPHA, BETA), (1, 3)), ASIDE], "requests lost before it, or elsewhere: 1 (at most 0)"),
        ([CROSSING, asked((ALPHA, GAMMA), (4,))], "or not at node-far: 503"),
        ([asked((ALPHA, BETA), (3, 4), refused=0), ASIDE], "no proxy refused a certificate for its issuer"),
        ([asked((ALPHA, BETA), (3, 8, 9)), ASIDE], "none was answered after those that failed"),
        ([CROSSING], "Node node-far: 1 of 1 loads have one end on it"),
        ([ASIDE], "0 of 1 loads have one end on it"),
    ],
)
def test_what_is_not_as_foretold_is_named(traffic: list[Traffic], words: str) -> None:
    violated(it_costs_requests("ROT-08", traffic, WHEN, 60), "ROT-08", words)


def test_a_recovery_that_takes_too_long_breaks_the_budget() -> None:
    violated(it_costs_requests("ROT-08", [CROSSING, ASIDE], WHEN, 0.5), "ROT-08", "last lost request: 1 s (at most 0.5 s)")


def test_a_timeout_is_lost_as_well() -> None:
    slow = replace(CROSSING.load.ledger.requests[3], outcome=Outcome.TIMEOUT)
    requests = (*CROSSING.load.ledger.requests[:3], slow, *CROSSING.load.ledger.requests[4:])
    late = replace(CROSSING, load=replace(CROSSING.load, ledger=replace(CROSSING.load.ledger, requests=requests)))
    holds(it_costs_requests("ROT-08", [late, ASIDE], WHEN, 60), "ROT-08")
