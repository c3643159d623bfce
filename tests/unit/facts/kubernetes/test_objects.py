"""Pods, nodes, ConfigMaps and events, from captures and from what differs from them."""

from __future__ import annotations

from typing import Any

import pytest

from facts.document import parse_items
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.kubernetes.objects import named, parse_config_map, parse_event, parse_namespace, parse_node, parse_pod
from facts.kubernetes.pod_spec import SOCKET_FILE
from facts.masks import kept_for
from facts.redaction import Hiding
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
    assert node.heartbeat == "2026-11-24T00:01:58Z"
    assert node.kubelet_version == "v1.34.4"
    captured["spec"]["taints"] = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    assert parse_node(captured).taints == ("node-role.kubernetes.io/control-plane=:NoSchedule",)


@pytest.mark.parametrize(
    ("spec", "status", "labels", "why"),
    [
        ({}, {}, {}, ""),
        ({}, {"conditions": [{"type": "Ready", "status": "Unknown"}]}, {}, "it is not Ready"),
        ({}, {"conditions": []}, {}, "it is not Ready"),
        ({"unschedulable": True}, {}, {}, "it is cordoned"),
        ({}, {"nodeInfo": {"kubeletVersion": "v1", "operatingSystem": "windows"}}, {}, "its operating system is windows"),
        ({}, {"nodeInfo": {"kubeletVersion": "v1"}}, {}, ""),
        ({}, {}, {"type": "virtual-kubelet"}, "it is a virtual node, which has no sockets"),
        ({"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]}, {}, {}, "it has the taint a=b:NoSchedule"),
        ({"taints": [{"key": "a", "effect": "NoExecute"}]}, {}, {}, "it has the taint a=:NoExecute"),
        ({"taints": [{"key": "a", "effect": "PreferNoSchedule"}]}, {}, {}, ""),
    ],
)
def test_nodes_that_take_no_ordinary_pod(
    spec: dict[str, Any], status: dict[str, Any], labels: dict[str, str], why: str
) -> None:
    captured = document("cluster/nodes.json")["items"][0]
    captured["spec"] |= spec
    captured["status"] |= status
    captured["metadata"]["labels"] |= labels
    assert parse_node(captured).why_no_workloads == why


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
    found = parse_config_map({"metadata": {"name": "a", "managedFields": managed}})
    assert (found.changed_at, found.texts_changed_at) == ("2026-03-01T13:00:00Z", "2026-03-01T12:00:00Z")
    assert parse_config_map({"metadata": {"name": "a", "managedFields": managed[2:]}}).changed_at == ""
    assert parse_config_map({"metadata": {"name": "a"}}).changed_at == ""


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({"metadata": {"namespace": "n", "name": "p"}}, "Pod n/p"),
        ({"metadata": {"name": "p"}}, "Pod p"),
        ({"metadata": {"namespace": "n", "generateName": "p-"}}, "Pod n/p-"),
        ({"metadata": {}}, "Pod "),
        ({"metadata": "text"}, "Pod"),
        ({}, "Pod"),
        ("text", "Pod"),
        (None, "Pod"),
    ],
)
def test_an_object_is_named_by_what_is_known_of_it(document: Any, name: str) -> None:
    assert named("Pod", document) == name


@pytest.mark.parametrize(
    ("parse", "kind"),
    [(parse_pod, "Pod"), (parse_node, "Node"), (parse_config_map, "ConfigMap"), (parse_event, "Event")],
)
def test_damage_names_the_object(parse: Any, kind: str) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse({"metadata": {"namespace": "n", "name": 1}, "data": 1, "type": 1})
    assert caught.value.where == f"{kind} n/1"


def test_a_namespace_and_its_labels() -> None:
    found = parse_namespace({"metadata": {"name": "n", "labels": {"a": "b"}, "annotations": {"c": "d"}}}, ("ev-1",))
    assert (found.name, found.labels, found.annotations, found.evidence) == ("n", {"a": "b"}, {"c": "d"}, ("ev-1",))
    with pytest.raises(CouldNotTell, match="Namespace"):
        parse_namespace({"metadata": {}})


def pod(**changes: Any) -> Any:
    return parse_pod(
        {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"containers": []}} | changes, ("ev",)
    )


@pytest.mark.parametrize(
    ("phase", "ended"), [("Succeeded", True), ("Failed", True), ("Running", False), ("Pending", False), ("", False)]
)
def test_a_pod_has_ended_in_two_phases(phase: str, ended: bool) -> None:
    assert pod(status={"phase": phase}).has_ended is ended


@pytest.mark.parametrize(("status", "ready"), [("True", True), ("False", False), ("Unknown", False)])
def test_a_pod_is_ready_by_its_condition(status: str, ready: bool) -> None:
    read = pod(status={"conditions": [{"type": "Scheduled", "status": "True"}, {"type": "Ready", "status": status}]})
    assert (read.ready, read.conditions[1].status) == (ready, status)
    assert not pod(status={"conditions": [{"type": "Scheduled", "status": "True"}]}).ready
    assert pod(status={"conditions": [{"type": "Ready"}]}).conditions[0].status == "Unknown"


def test_a_pod_belongs_to_its_controller() -> None:
    owners = [
        {"kind": "Node", "name": "n1"},
        {"kind": "ReplicaSet", "name": "r", "controller": True},
        {"kind": "X", "name": "x", "controller": False},
    ]
    read = pod(
        metadata={"ownerReferences": owners, "name": "p", "namespace": "n", "deletionTimestamp": "2026-03-01T12:00:00Z"}
    )
    assert (read.owner, read.terminating, read.due) == ("ReplicaSet/r", True, "2026-03-01T12:00:00Z")
    assert pod(metadata={"ownerReferences": owners[:1]}).owner == ""
    assert (pod().owner, pod().terminating, pod().native_sidecar, pod().is_gateway) == ("", False, False, False)
    assert pod().due == ""
    assert pod().ref == ObjectRef("Pod", "p", "n", "u")


def test_a_container_has_the_state_of_its_own_list() -> None:
    read = pod(
        spec={"containers": [{"name": "a"}], "initContainers": [{"name": "a"}], "nodeName": "n1", "serviceAccountName": "s"},
        status={
            "initContainerStatuses": [{"name": "a", "restartCount": 1}],
            "containerStatuses": [{"name": "a", "restartCount": 2}, {"name": "b", "restartCount": 3}],
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "message": "evicted",
        },
    )
    assert [(c.is_init, c.restarts) for c in read.containers] == [(True, 1), (False, 2)]
    assert (read.node, read.service_account, read.ip, read.message) == ("n1", "s", "10.0.0.1", "evicted")
    assert (read.ips, pod().ips) == (("10.0.0.1", "fd00::1"), ())


def test_a_cordoned_node() -> None:
    node: Any = {"metadata": {"name": "n"}, "status": {"nodeInfo": {"kubeletVersion": "v1.34.4"}}}
    assert (parse_node(node).unschedulable, parse_node(node).taints) == (False, ())
    node["spec"] = {"unschedulable": True, "taints": [{"key": "a", "value": "b", "effect": "NoExecute"}]}
    assert (parse_node(node).unschedulable, parse_node(node).taints) == (True, ("a=b:NoExecute",))


@pytest.mark.parametrize(
    ("volume", "variables", "path"),
    [
        ({"hostPath": {"path": "/run/spire/sockets"}}, [], "/run/spire/sockets/socket"),
        ({"hostPath": {"path": "/run/a/"}}, [{"name": SOCKET_FILE, "value": "workload.sock"}], "/run/a/workload.sock"),
        ({"emptyDir": {}}, [], ""),
        ({"csi": {"driver": "csi.spiffe.io"}}, [], ""),
        (None, [], ""),
    ],
)
def test_the_socket_that_a_proxy_looks_for(volume: Any, variables: list[Any], path: str) -> None:
    volumes = [] if volume is None else [{"name": "workload-socket", **volume}]
    spec = {"containers": [{"name": "istio-proxy", "image": "i", "env": variables}], "volumes": volumes}
    mask = kept_for(parse_pod)
    taken = mask.kept({"kind": "Pod", "metadata": {"name": "a"}, "spec": spec}, Hiding())
    assert parse_pod(taken, ("ev",)).socket_on_node == path
    without = {**spec, "containers": [{"name": "app", "image": "i"}]}
    assert parse_pod({"metadata": {"name": "a"}, "spec": without}, ("ev",)).socket_on_node == ""
