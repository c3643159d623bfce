"""Containers and volumes of a pod, and the state of its containers."""

from __future__ import annotations

from typing import Any

from facts.kubernetes.objects import parse_pod


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
