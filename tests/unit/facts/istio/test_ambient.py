"""Workloads whose traffic goes through ztunnel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.istio.ambient import is_enrolled, is_plain_waypoint
from facts.kubernetes.objects import Labelled, parse_pod
from facts.kubernetes.pod_spec import Volume, VolumeMount
from facts.masks import kept_for
from facts.redaction import Hiding
from tests.unit.judge import builders as make

MODE = "istio.io/dataplane-mode"
ENROLLED = {"ambient.istio.io/redirection": "enabled"}
AMBIENT, OTHER = make.namespace(labels={MODE: "ambient"}), make.namespace(labels={})


@pytest.mark.parametrize(
    ("changes", "namespace", "enrolled"),
    [
        ({}, AMBIENT, True),
        ({}, OTHER, False),
        ({}, None, False),
        ({"labels": {MODE: "ambient"}}, OTHER, True),
        ({"labels": {MODE: "ambient"}}, None, True),
        ({"labels": {MODE: "none"}}, AMBIENT, False),
        ({"annotations": ENROLLED}, OTHER, True),
        ({"annotations": {"ambient.istio.io/redirection": "disabled"}}, OTHER, False),
        ({"injected": True, "annotations": ENROLLED}, AMBIENT, False),
    ],
)
def test_the_marks_of_a_pod_and_of_its_namespace(
    changes: dict[str, Any], namespace: Labelled | None, enrolled: bool
) -> None:
    assert is_enrolled(make.pod(**{"injected": False, **changes}), namespace) is enrolled


def test_pods_in_the_nodes_network_and_ztunnel_itself_are_not_enrolled() -> None:
    plain = make.pod(injected=False)
    assert not is_enrolled(replace(plain, spec=replace(plain.spec, host_network=True)), AMBIENT)
    assert not is_enrolled(make.pod(proxy=make.istio_proxy(args=("proxy", "ztunnel"))), AMBIENT)


def _pod(**metadata: Any) -> dict[str, Any]:
    """As Istio's chart `ztunnel` and istiod's deployment of a waypoint have their pods, cut to what is read."""
    return {"metadata": {"name": "p", "namespace": "n", **metadata}, "spec": {"nodeName": "a"}}


def test_a_ztunnel_is_no_proxy_of_the_mesh() -> None:
    document = _pod(labels={"app": "ztunnel"}, annotations={"sidecar.istio.io/inject": "false"})
    document["spec"]["containers"] = [
        {
            "name": "istio-proxy",
            "image": "istio/ztunnel:1.31.0",
            "args": ["proxy", "ztunnel"],
            "securityContext": {"runAsUser": 0, "runAsNonRoot": False, "capabilities": {"add": ["NET_ADMIN", "SYS_ADMIN"]}},
        }
    ]
    pod = parse_pod(document)
    assert (pod.is_ztunnel, pod.is_injected, pod.is_gateway, pod.is_waypoint, pod.proxy) == (True, False, False, False, None)


def test_a_waypoint_is_a_gateway_and_more() -> None:
    document = _pod(labels={"gateway.networking.k8s.io/gateway-class-name": "istio-waypoint", MODE: "none"})
    document["spec"]["containers"] = [
        {"name": "istio-proxy", "image": "istio/proxyv2:1.31.0", "args": ["proxy", "waypoint", "--domain", "x"]}
    ]
    pod = parse_pod(document)
    assert (pod.is_waypoint, pod.is_gateway, pod.is_injected, pod.is_ztunnel) == (True, True, True, False)
    sidecar = make.pod()
    assert (sidecar.is_waypoint, sidecar.is_ztunnel, sidecar.is_injected) == (False, False, True)


def test_the_mark_of_the_cni_plugin_is_kept_in_evidence() -> None:
    document = _pod(annotations={**ENROLLED, "example.org/a": "b"})
    document["spec"]["containers"] = [{"name": "app", "image": "i"}]
    kept = kept_for(parse_pod).kept(document, Hiding())
    assert kept["metadata"]["annotations"] == ENROLLED
    assert is_enrolled(parse_pod(kept), None)


def test_a_waypoint_is_istiods_unless_it_mounts_a_socket() -> None:
    waypoint = make.istio_proxy(args=("proxy", "waypoint"), mounts=(VolumeMount("own", make.SOCKET_MOUNT),))
    csi = Volume("own", "csi", driver="csi.spiffe.io")
    made = [make.pod(proxy=waypoint, socket=socket) for socket in (make.EMPTY_DIR, None, make.NODES_SOCKET, csi)]
    assert [is_plain_waypoint(pod) for pod in made] == [True, True, False, False]
    gateway = make.pod(proxy=make.istio_proxy(args=("proxy", "router")), socket=make.EMPTY_DIR)
    assert not any(map(is_plain_waypoint, (gateway, make.pod(socket=make.EMPTY_DIR), make.pod(injected=False))))
