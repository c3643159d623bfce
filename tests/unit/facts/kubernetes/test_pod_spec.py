"""Containers and volumes of a pod, and the state of its containers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.kubernetes.objects import parse_pod
from facts.kubernetes.pod_spec import Container, injected_by
from facts.masks import kept_for, kept_of
from facts.redaction import Hiding


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
    assert (pod.proxy.restarts, pod.proxy.last_exit_code, pod.proxy.last_reason) == (4, 255, "Error")
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


def _containers(*containers: dict[str, Any], statuses: list[dict[str, Any]] | None = None) -> tuple[Container, ...]:
    return parse_pod(_pod({"containers": [*containers]}, {"containerStatuses": statuses or []})).containers


@pytest.mark.parametrize(
    ("state", "read"),
    [
        ({"running": {"startedAt": "2026-03-01T12:00:00Z"}}, ("running", "", "", None, "2026-03-01T12:00:00Z")),
        ({"waiting": {"reason": "ErrImagePull", "message": "m"}}, ("waiting", "ErrImagePull", "m", None, "")),
        ({"terminated": {"exitCode": 3, "reason": "Error", "message": "m"}}, ("terminated", "Error", "m", 3, "")),
        ({"running": None, "waiting": None}, ("", "", "", None, "")),
        ({}, ("", "", "", None, "")),
    ],
)
def test_the_state_of_a_container(state: dict[str, Any], read: tuple[Any, ...]) -> None:
    (found,) = _containers({"name": "a"}, statuses=[{"name": "a", "state": state}])
    assert (found.state, found.reason, found.message, found.exit_code, found.started_at) == read


def test_what_the_kubelet_reports() -> None:
    status = {
        "name": "a", "imageID": "sha256:1", "containerID": "containerd://1", "ready": True, "started": True,
        "restartCount": 2,
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-03-01T12:00:00Z"}},
    }  # fmt: skip
    (found,) = _containers({"name": "a", "image": "i"}, statuses=[status])
    assert (found.image_id, found.container_id, found.ready, found.started) == ("sha256:1", "containerd://1", True, True)
    assert (found.restarts, found.last_reason, found.last_exit_code) == (2, "OOMKilled", 137)
    assert (found.last_ended, found.name, found.image) == ("2026-03-01T12:00:00Z", "a", "i")
    (none,) = _containers({"name": "a"})
    assert (none.image_id, none.container_id, none.ready, none.started, none.restarts) == ("", "", False, False, 0)
    assert (none.last_reason, none.last_exit_code, none.last_ended) == ("", None, "")


def test_variables_by_value_and_by_source() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B"},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "E", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        {"name": "F", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "G", "valueFrom": {}},
    ]
    (found,) = _containers({"name": "a", "env": env})
    assert found.env == {
        "A": "1", "B": "", "C": "fieldRef:spec.nodeName", "D": "secretKeyRef:s/k", "E": "configMapKeyRef:c/k",
        "F": "resourceFieldRef:limits.cpu", "G": "",
    }  # fmt: skip
    assert (found.variable("A"), found.variable("none")) == ("1", "")
    with pytest.raises(CouldNotTell, match="a fieldRef that says of what"):
        _containers({"name": "a", "env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]})


def test_the_rest_of_a_container() -> None:
    (found, bare) = _containers(
        {
            "name": "a",
            "command": ["c"],
            "args": ["proxy", "router"],
            "restartPolicy": "Always",
            "securityContext": {"runAsUser": 0},
            "readinessProbe": {"httpGet": {}},
            "ports": [
                {"containerPort": 80},
                {"containerPort": 53, "protocol": "UDP"},
                {"containerPort": 81, "protocol": "TCP"},
            ],
            "volumeMounts": [
                {"name": "m", "mountPath": "/m", "readOnly": True, "subPath": "s"},
                {"name": "n", "mountPath": "/n", "subPathExpr": "$(X)"},
                {"name": "o", "mountPath": "/o"},
            ],
        },
        {"name": "b"},
    )
    assert (found.command, found.args, found.restart_policy, found.run_as_user) == (("c",), ("proxy", "router"), "Always", 0)
    assert (found.readiness_probe, bare.readiness_probe, bare.run_as_user, bare.command) == (True, False, None, ())
    assert (found.tcp_ports, bare.tcp_ports) == ((80, 81), ())
    assert [(m.name, m.path, m.read_only, m.sub_path) for m in found.mounts] == [
        ("m", "/m", True, "s"), ("n", "/n", False, "$(X)"), ("o", "/o", False, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "router"),
    [(["proxy", "router"], True), (["proxy", "waypoint", "--x"], True), (["proxy", "sidecar"], False), (["router"], False)],
)
def test_a_router_by_its_arguments(args: list[str], router: bool) -> None:
    (found,) = _containers({"name": "a", "args": args})
    assert found.is_router is router


def test_a_specification_and_its_parts() -> None:
    spec = parse_pod(
        _pod(
            {
                "containers": [{"name": "a", "image": ""}, {"name": "a", "image": "second"}, {"name": "b"}],
                "volumes": [{"name": "v", "emptyDir": {}}],
                "hostPID": True,
                "hostNetwork": True,
                "nodeSelector": {"a": "b"},
                "serviceAccount": "old",
            }
        )
    ).spec
    assert (spec.host_pid, spec.host_network, spec.node_selector, spec.service_account) == (True, True, {"a": "b"}, "old")
    assert [getattr(spec.container(name), "image", None) for name in ("a", "b", "c")] == ["second", "", None]
    assert getattr(spec.volume("v"), "source", None) == "emptyDir"
    assert spec.volume("w") is None
    bare = parse_pod(_pod({"containers": []})).spec
    assert (bare.host_pid, bare.host_network, bare.node_selector, bare.node) == (False, False, {}, "")


def test_a_projected_token_has_the_apis_defaults() -> None:
    sources = [{"configMap": {"name": "x"}}, {"serviceAccountToken": {"path": "t"}}]
    (volume,) = parse_pod(_pod({"containers": [], "volumes": [{"name": "v", "projected": {"sources": sources}}]})).volumes
    assert [(t.audience, t.expiration_seconds, t.path) for t in volume.tokens] == [("", 3600, "t")]


def test_the_kind_of_a_host_path_is_kept() -> None:
    volumes = [{"name": "a", "hostPath": {"path": "/x", "type": "Directory"}}, {"hostPath": {"path": "/y"}, "name": "b"}]
    read = parse_pod(_pod({"containers": [], "volumes": volumes})).volumes
    assert [(v.source, v.path, v.type) for v in read] == [("hostPath", "/x", "Directory"), ("hostPath", "/y", "")]


STATUS = '{"initContainers": ["istio-init"], "containers": null, "volumes": ["a"], "revision": "1-31"}'


@pytest.mark.parametrize(
    ("status", "revision"),
    [
        (STATUS, "1-31"),
        (f'{{"revision": "{"a" * 63}"}}', "a" * 63),
        (f'{{"revision": "{"a" * 64}"}}', ""),
        ('{"revision": ""}', ""),
        ('{"revision": 1}', ""),
        ('{"revision": null}', ""),
        ("{}", ""),
        ("[]", ""),
        ("1-31", ""),
        ("", ""),
        ("[" * 100_000, ""),
    ],
)
def test_the_revision_that_the_injector_wrote(status: str, revision: str) -> None:
    assert injected_by(status) == revision


def test_of_the_injectors_words_evidence_keeps_the_revision_alone() -> None:
    pod = _pod({"containers": []})
    pod["metadata"]["annotations"] = {"sidecar.istio.io/status": STATUS, "istio.io/rev": "1-31", "other": "x"}
    kept = json.loads(kept_of(json.dumps(pod), kept_for(parse_pod), Hiding()))
    assert kept["metadata"]["annotations"] == {"sidecar.istio.io/status": '{"revision": "1-31"}', "istio.io/rev": "1-31"}
    assert injected_by(parse_pod(kept).annotations["sidecar.istio.io/status"]) == "1-31"
    pod["metadata"]["annotations"] = {"sidecar.istio.io/status": 7}
    with pytest.raises(CouldNotTell):
        parse_pod(json.loads(kept_of(json.dumps(pod), kept_for(parse_pod), Hiding())))
