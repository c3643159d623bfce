"""What proxies get from tbot: a stream that is dead, and a caller whom the rules refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.proxies.sds_mode import SdsMode
from facts.teleport.resources import AllowRule, BotInstance, RuleCondition, WorkloadIdentity
from judge.diagnosis.supply import cut_off, refused_by_rules, unheard_of
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW
from tests.unit.judge.diagnosis.told import named

POD = make.pod()
DEAD = make.streams(cx_active=0, rq_active=0, cx_connect_fail=66)


def test_each_proxy_that_holds_a_directory_which_is_gone() -> None:
    since = f"{NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    of_tbot = make.tbot_pod()
    containers = tuple(replace(each, started_at=since) for each in of_tbot.containers)
    tbots = make.tbots(make.tbot(replace(of_tbot, spec=replace(of_tbot.spec, containers=containers))))
    other = make.pod("b")
    found = cut_off([make.proxy(POD, streams=DEAD), make.proxy(other)], [POD, other], tbots)
    assert named(found) == [("Pod test-app/app", "socket-directory-recreated")]


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
