"""Pods of the install that have a proxy."""

from __future__ import annotations

from tests.unit.judge import builders as make
from tests.unit.observe.doubles import Cluster, install

ROUTER = make.istio_proxy(is_init=False, args=("proxy", "router"))


def test_pods_that_ended_or_leave_or_are_not_placed_have_no_proxy_to_ask() -> None:
    pods = [
        make.pod("runs"),
        make.pod("finished", phase="Succeeded"),
        make.pod("failed", phase="Failed"),
        make.pod("leaves", terminating=True),
        make.pod("waits", node="", phase="Pending"),
        make.pod("starts", phase="Pending", ready=False),
        make.pod("plain", injected=False),
        make.pod("gateway", proxy=ROUTER),
    ]
    read = install(Cluster(*pods))
    assert [p.name for p in read.proxies.pods()] == ["runs", "starts", "gateway"]
    assert [p.name for p in read.proxies.sidecar_pods()] == ["runs", "starts"]
    assert "plain" in [p.name for p in read.cluster.living_pods()]
