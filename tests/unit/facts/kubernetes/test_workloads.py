"""Deployments and DaemonSets, captured and changed."""

from __future__ import annotations

import copy
from typing import Any

from facts.kubernetes.workloads import parse_daemon_set, parse_deployment
from tests.data import document


def test_a_captured_daemon_set() -> None:
    daemon_set = parse_daemon_set(document("cluster/daemon_set.json"))
    assert daemon_set.is_complete
    assert daemon_set.desired == 2
    spec = daemon_set.template.spec
    assert [c.readiness_probe for c in spec.containers] == [True]
    assert spec.host_pid
    assert [t.audience for v in spec.volumes for t in v.tokens] == ["teleport.conformance.test"]
    (tbot,) = spec.containers
    assert tbot.variable("TELEPORT_NODE_NAME").startswith("fieldRef:")


def _deployment(**status: Any) -> dict[str, Any]:
    taken: dict[str, Any] = copy.deepcopy(document("cluster/deployments.json")["items"][0])
    taken["status"] |= status
    return taken


def test_available_means_for_the_present_specification() -> None:
    assert parse_deployment(_deployment()).is_available
    behind = parse_deployment(_deployment(observedGeneration=0))
    assert (behind.is_current, behind.is_available) == (False, False)
    scaled = _deployment()
    scaled["spec"]["replicas"] = 0
    assert not parse_deployment(scaled).is_available
