"""Pods, nodes, ConfigMaps and events, from captures and from what differs from them."""

from __future__ import annotations

from typing import Any

import pytest

from facts.document import parse_items
from facts.errors import CouldNotTell
from facts.kubernetes.objects import parse_config_map, parse_event, parse_node, parse_pod
from tests.data import document

PODS = parse_items(document("cluster/pods.json"), parse_pod, ("ev-1",), "pods")


SIDECAR = next(p for p in PODS if p.name == "test-app-7564b6f44-l5nvp")


def test_a_native_sidecar() -> None:
    assert SIDECAR.is_injected
    assert SIDECAR.native_sidecar
    assert not SIDECAR.is_gateway
    assert SIDECAR.ready
    assert SIDECAR.proxy is not None
    assert (SIDECAR.proxy.is_init, SIDECAR.proxy.restart_policy, SIDECAR.proxy.started) == (True, "Always", True)
    assert SIDECAR.proxy.variable("TRUST_DOMAIN") == "teleport.conformance.test"
    assert SIDECAR.proxy.variable("POD_NAME") == "fieldRef:metadata.name"
    assert SIDECAR.owner.startswith("ReplicaSet/test-app-")
    assert SIDECAR.evidence == ("ev-1",)
    socket = SIDECAR.spec.volume("workload-socket")
    assert socket is not None
    assert (socket.source, socket.path) == ("hostPath", "/run/spire/sockets")
    mount = next(m for m in SIDECAR.proxy.mounts if m.name == "workload-socket")
    assert (mount.path, mount.read_only) == ("/var/run/secrets/workload-spiffe-uds", True)


def test_a_gateway_and_a_pod_without_proxy() -> None:
    gateway = next(p for p in PODS if p.name.startswith("istio-ingressgateway"))
    assert gateway.is_gateway
    assert not gateway.native_sidecar
    coredns = next(p for p in PODS if p.name.startswith("coredns"))
    assert not coredns.is_injected


@pytest.mark.parametrize(
    "damage",
    [
        {"metadata": {"name": "p"}},
        {"metadata": {"name": "p"}, "spec": {"containers": [{"image": "no name"}]}},
        {"metadata": {"name": "p"}, "spec": {"containers": "text"}},
        {"metadata": {"name": "p"}, "spec": {"containers": [], "hostPID": "yes"}},
        {"metadata": {"name": "p"}, "spec": {"containers": [], "volumes": [{"emptyDir": {}}]}},
        "text",
        None,
    ],
)
def test_a_damaged_pod_is_not_guessed_at(damage: Any) -> None:
    with pytest.raises(CouldNotTell):
        parse_pod(damage)


def test_a_node_and_its_taints() -> None:
    captured = document("cluster/nodes.json")["items"][0]
    node = parse_node(captured)
    assert node.kubelet_version == "v1.34.4"
    captured["spec"]["taints"] = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    assert parse_node(captured).taints == ("node-role.kubernetes.io/control-plane=:NoSchedule",)


def test_events_with_null_fields_are_still_events() -> None:
    event = parse_event(
        {
            "metadata": {"name": "e", "namespace": "n", "creationTimestamp": "2026-06-01T12:00:00Z"},
            "involvedObject": {"kind": "ReplicaSet", "name": "app"},
            "reason": "FailedCreate",
            "type": "Warning",
            "eventTime": None,
            "count": None,
            "lastTimestamp": None,
        }
    )
    assert (event.about, event.reason) == ("ReplicaSet/app", "FailedCreate")


def test_config_maps() -> None:
    assert "mesh" in parse_config_map(document("cluster/config_map_istio.json")).data
    assert parse_config_map({"metadata": {"name": "empty"}}).data == {}


def test_the_last_change_of_a_config_maps_texts() -> None:
    managed = [
        {"time": "2026-03-01T12:00:00Z", "fieldsV1": {"f:data": {"f:tbot.yaml": {}}}},
        {"time": "2026-03-01T13:00:00Z", "fieldsV1": {"f:data": {"f:other": {}}, "f:metadata": {}}},
        {"time": "2026-03-01T14:00:00Z", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
        {"time": "2026-03-01T15:00:00Z"},
    ]
    assert parse_config_map({"metadata": {"name": "a", "managedFields": managed}}).changed_at == "2026-03-01T13:00:00Z"
    assert parse_config_map({"metadata": {"name": "a", "managedFields": managed[2:]}}).changed_at == ""
    assert parse_config_map({"metadata": {"name": "a"}}).changed_at == ""
