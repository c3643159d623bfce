"""What proxies get from tbot: a stream that is dead, and a caller whom the rules refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.proxies.sds_mode import SdsMode
from facts.teleport.resources import AllowRule, BotInstance, RuleCondition, WorkloadIdentity
from facts.teleport.tbot import Tbots
from judge.diagnosis.supply import cut_off, refused_by_rules, unheard_of
from judge.identity.proxies import secrets_come_from_the_socket
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import violated
from tests.unit.judge.certificates import NOW
from tests.unit.judge.diagnosis.told import named

POD = make.pod()
DEAD = make.streams(cx_active=0, rq_active=0, cx_connect_fail=66)


def started(minutes: float, *, ready: bool = True, **config: Any) -> Tbots:
    """A tbot on the node of the proxy, which itself has run for ten minutes."""
    since = f"{NOW - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
    pod = make.tbot_pod(ready=ready)
    containers = tuple(replace(c, started_at=since) for c in pod.containers)
    pod = replace(pod, spec=replace(pod.spec, containers=containers))
    return make.tbots(make.tbot(pod, config=make.tbot_config(**config)))


def test_a_proxy_holds_a_directory_that_is_gone() -> None:
    found = cut_off([make.proxy(POD, streams=DEAD)], [POD], started(5))
    assert named(found) == [("Pod test-app/app", "socket-directory-recreated")]
    assert "66 failed attempts" in found[0].said
    assert found[0].evidence == ("ev-proxy-app", "ev-pod-app", "ev-agent")


@pytest.mark.parametrize(
    ("proxy", "tbots"),
    [
        ({}, started(5)),
        ({"streams": replace(DEAD, cx_active=1)}, started(5)),
        ({"streams": replace(DEAD, cx_connect_fail=0)}, started(5)),
        ({"streams": DEAD, "sds_mode": SdsMode.ISTIO_CA}, started(5)),
        ({"streams": DEAD}, started(5, ready=False)),
        ({"streams": DEAD}, started(0.9)),
        ({"streams": DEAD}, started(11)),
        ({"streams": DEAD}, make.tbots(make.tbot(make.tbot_pod(node="node-2")))),
        ({"streams": DEAD}, started(5, services=(make.workload_api(listen="unix:///run/spire/sockets/agent.sock"),))),
    ],
    ids=[
        "healthy",
        "connected",
        "never failed",
        "istiod's",
        "tbot not Ready",
        "tbot just started",
        "tbot older than the proxy",
        "no tbot",
        "another name",
    ],
)
def test_proxies_with_another_reason_or_none(proxy: dict[str, Any], tbots: Tbots) -> None:
    assert cut_off([make.proxy(POD, **proxy)], [POD], tbots) == []


def test_a_proxy_whose_pod_is_not_known() -> None:
    assert cut_off([make.proxy(POD, streams=DEAD)], [], started(5)) == []


def test_the_requirement_names_it_beside_the_dead_streams() -> None:
    sidecars = make.sidecars(make.proxy(POD, streams=DEAD), pods=[POD])
    finding = secrets_come_from_the_socket(sidecars, started(5))
    violated(finding, "ID-01", "0 of 2 live streams", "is gone", causes=("socket-directory-recreated",))
    violated(secrets_come_from_the_socket(sidecars), "ID-01", "0 of 2 live streams", causes=())


def of(*conditions: RuleCondition, expression: str = "") -> WorkloadIdentity:
    return make.identity(rules=(AllowRule(expression, conditions),))


def where(attribute: str, **operator: Any) -> RuleCondition:
    blank: dict[str, Any] = {"equal": "", "unequal": "", "among": (), "not_among": ()}
    return RuleCondition(f"workload.kubernetes.{attribute}", **(blank | operator))


WAITING = make.proxy(POD, sds_mode=SdsMode.SILENT, chain=())
ELSEWHERE, HERE = where("namespace", equal="payments"), where("namespace", equal="test-app")


@pytest.mark.parametrize(
    "identities",
    [
        [of(ELSEWHERE)],
        [of(where("namespace", unequal="test-app"))],
        [of(where("service_account", among=("a", "b")))],
        [of(where("service_account", not_among=("test-app",)))],
        [of(HERE, where("service_account", equal="other"))],
        [of(ELSEWHERE), of(where("namespace", equal="billing"))],
        [of(ELSEWHERE), make.absent("workload_identity/b")],
    ],
)
def test_rules_that_refuse_the_service_account(identities: list[Any]) -> None:
    found = refused_by_rules([WAITING], identities)
    assert named(found) == [("Pod test-app/app", "identity-rules-refuse")]
    assert "refuse the service account test-app of test-app" in found[0].said


@pytest.mark.parametrize(
    "identities",
    [
        [],
        [make.absent("workload_identity/istio-workloads")],
        [make.identity()],
        [of(HERE)],
        [of(where("namespace", among=("test-app", "b")), where("service_account", unequal="b"))],
        [of(expression='workload.kubernetes.namespace == "payments"')],
        [of(where("pod_name", equal="another"))],
        [of(ELSEWHERE), of(HERE)],
        [make.identity(rules=(AllowRule("", (ELSEWHERE,)), AllowRule("", (HERE,))))],
    ],
)
def test_rules_that_let_it_in_or_may(identities: list[Any]) -> None:
    assert refused_by_rules([WAITING], identities) == []


@pytest.mark.parametrize(
    "proxy", [make.proxy(POD), replace(WAITING, streams=DEAD), replace(WAITING, sds_mode=SdsMode.UNASKED)]
)
def test_proxies_that_wait_for_nothing_or_for_tbot(proxy: Any) -> None:
    assert refused_by_rules([proxy], [of(ELSEWHERE)]) == []


def beat(hours: float, version: str = "18.6.4", hostname: str = "tbot-1") -> BotInstance:
    return make.bot_instance(hostname, version, last_heartbeat=NOW - timedelta(hours=hours))


@pytest.mark.parametrize(("version", "cause"), [("18.6.4", "teleport-unreachable"), ("18.0.9", "tbot-never-recovers")])
def test_a_tbot_of_which_teleport_hears_nothing(version: str, cause: str) -> None:
    found = unheard_of(make.tbots(), [beat(9, version), beat(8, version)], NOW)
    assert named(found) == [("Pod teleport-system/tbot-1", cause)]
    assert found[0].said.endswith(f"since {NOW - timedelta(hours=8):%F %T} UTC")


def test_tbots_that_teleport_hears_of_or_may() -> None:
    without = make.bot_instance("tbot-1", last_heartbeat=None)
    for instances in ([], [beat(1)], [beat(9), beat(0.5)], [beat(9, hostname="tbot-0")], [without]):
        assert unheard_of(make.tbots(), instances, NOW) == []
