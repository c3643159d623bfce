"""Pods, workloads and the rest of the API, from captures and from what differs from them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from facts.document import decoded, maybe, need, parse_items, texts, when
from facts.errors import CouldNotTell
from facts.kubernetes.objects import parse_config_map, parse_event, parse_node, parse_pod
from facts.kubernetes.workloads import parse_daemon_set, parse_deployment
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


def _pod(spec: dict[str, Any], status: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "n"}, "spec": spec, "status": status or {}}


def test_a_fragment_of_the_proxy_in_containers_does_not_hide_the_real_one() -> None:
    broken = _pod(
        {
            "containers": [{"name": "app", "image": "a"}, {"name": "istio-proxy", "volumeMounts": []}],
            "initContainers": [{"name": "istio-proxy", "image": "proxyv2", "restartPolicy": "Always"}],
        }
    )
    pod = parse_pod(broken)
    assert [c.name for c in pod.containers] == ["istio-proxy", "app", "istio-proxy"]
    assert pod.proxy is not None
    assert pod.proxy.image == "proxyv2"


def test_why_a_container_waits_and_how_it_ended() -> None:
    status = {
        "phase": "Pending",
        "initContainerStatuses": [
            {
                "name": "istio-proxy",
                "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
                "lastState": {"terminated": {"exitCode": 255, "reason": "Error", "message": "socket"}},
            }
        ],
    }
    pod = parse_pod(_pod({"containers": [], "initContainers": [{"name": "istio-proxy", "image": "p"}]}, status))
    assert pod.proxy is not None
    assert (pod.proxy.state, pod.proxy.reason, pod.proxy.message) == ("waiting", "CrashLoopBackOff", "back-off 40s")
    assert (pod.proxy.restarts, pod.proxy.last_exit_code, pod.proxy.last_message) == (4, 255, "socket")
    assert (pod.ready, pod.phase) == (False, "Pending")


def test_volumes_by_their_source() -> None:
    volumes = [
        {"name": "a", "hostPath": {"path": "/run/x", "type": "Directory"}},
        {"name": "b", "csi": {"driver": "csi.spiffe.io", "readOnly": True}},
        {"name": "c", "emptyDir": None},
        {"name": "d"},
        {
            "name": "e",
            "projected": {"sources": [{"serviceAccountToken": {"audience": "td", "expirationSeconds": 600, "path": "t"}}]},
        },
        {"name": "f", "configMap": {"name": "tbot-config"}},
    ]
    read = parse_pod(_pod({"containers": [], "volumes": volumes})).volumes
    assert [(v.name, v.source) for v in read] == [
        ("a", "hostPath"), ("b", "csi"), ("c", "emptyDir"), ("d", "emptyDir"), ("e", "projected"), ("f", "configMap"),
    ]  # fmt: skip
    assert (read[1].driver, read[1].read_only) == ("csi.spiffe.io", True)
    assert [(t.audience, t.expiration_seconds, t.path) for t in read[4].tokens] == [("td", 600, "t")]
    assert read[5].config_map == "tbot-config"


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


def test_a_list_without_items_is_no_list() -> None:
    with pytest.raises(CouldNotTell):
        parse_items({"kind": "Status", "code": 403}, parse_pod, (), "pods")
    assert parse_items({"items": []}, parse_pod, (), "pods") == ()


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


def test_a_node_and_its_taints() -> None:
    captured = document("cluster/nodes.json")["items"][0]
    node = parse_node(captured)
    assert node.ready
    assert node.kubelet_version == "v1.34.4"
    assert node.addresses["InternalIP"]
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
    assert (event.about, event.count, event.last_seen) == ("ReplicaSet/app", 1, "2026-06-01T12:00:00Z")


def test_config_maps() -> None:
    assert "mesh" in parse_config_map(document("cluster/config_map_istio.json")).data
    assert parse_config_map({"metadata": {"name": "empty"}}).data == {}


def test_fields_are_demanded_by_kind() -> None:
    thing = {"a": {"b": 1, "c": True, "d": None, "e": ["x", "y"], "f": "x"}}
    assert need(thing, "a.b", int, "here") == 1
    assert maybe(thing, "a.d", "default", "here") == "default"
    assert texts(thing, "a.e", "here") == ("x", "y")
    assert texts(thing, "a.f", "here") == ("x",)
    for path, kind in (("a.c", int), ("a.b", bool), ("a.x", str), ("a.d", str), ("a.b.z", str)):
        with pytest.raises(CouldNotTell) as caught:
            need(thing, path, kind, "here")
        assert path in caught.value.expected
        assert caught.value.where == "here"


def test_times_of_any_precision_are_utc() -> None:
    assert when("2025-12-14T19:53:56.205302389Z", "x").isoformat() == "2025-12-14T19:53:56.205302+00:00"
    assert when("2025-12-14T21:53:56+02:00", "x").hour == 19
    for damaged in ("", "yesterday", "2025-12-14T19:53:56"):
        with pytest.raises(CouldNotTell):
            when(damaged, "x")


def test_a_stored_body_is_decoded_as_it_was_read() -> None:
    assert decoded('{"a": 1}') == {"a": 1}
    assert decoded("istio_agent_x 1\n") == "istio_agent_x 1\n"
