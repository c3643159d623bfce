"""Faults that show in outages only: an installation that works until tbot, Teleport, istiod or a directory is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from facts.errors import ProvisioningFailed
from provision.faults import reach
from provision.faults.fault import Fault, Scene, register
from provision.faults.istio import istio_settings
from provision.faults.surroundings import nodes
from provision.faults.tbot import daemon_set
from provision.installing.teleport import PROXY_PORT
from provision.names import TBOT, TBOT_NAMESPACE

SLOW = 50
"""Seconds that tbot takes to start: too long for certificates of 60 s that tbot renews every 20 s."""
WAITS = "wait-for-nothing"
SOCKETS = "sockets"
"""tbot's volume with its socket's directory."""


def _daemon_set(scene: Scene) -> dict[str, Any]:
    found = scene.installation.objects.get("apps/v1", "DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
    if found is None:
        raise LookupError(f"no DaemonSet {TBOT_NAMESPACE}/{TBOT}")
    return found


def _patch(scene: Scene, spec: dict[str, Any]) -> None:
    scene.installation.objects.patch("apps/v1", "DaemonSet", TBOT, {"spec": spec}, namespace=TBOT_NAMESPACE)


@contextmanager
def _slow_to_start(scene: Scene) -> Iterator[None]:
    former = _daemon_set(scene)["spec"]["updateStrategy"]
    waits = {
        "name": WAITS,
        "image": scene.installation.sources.workload_image,
        "command": ["python3", "-c", f"import select; select.select([], [], [], {SLOW})"],
    }

    def put(init: dict[str, Any], strategy: dict[str, Any]) -> None:
        _patch(scene, {"template": {"spec": {"initContainers": [init]}}, "updateStrategy": strategy})

    # All nodes at the same time, which is faster than one after the other.
    put(waits, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}})
    try:
        scene.await_tbot()
        yield
    finally:
        put({"name": WAITS, "$patch": "delete"}, former)
        scene.await_tbot()


@contextmanager
def _lives_by_teleport(scene: Scene) -> Iterator[None]:
    aliases = _daemon_set(scene)["spec"]["template"]["spec"].get("hostAliases", [])
    if not aliases:
        raise ProvisioningFailed(
            expected="a Teleport that this run has made, whose address tbot's pods have in their hostAliases",
            seen="none",
            where=daemon_set.DAEMON_SET,
            remedy="inject this fault into the lab",
        )
    probe = {
        "httpGet": {"scheme": "HTTPS", "host": aliases[0]["ip"], "port": PROXY_PORT, "path": "/webapi/ping"},
        "periodSeconds": 5,
        "timeoutSeconds": 2,
        "failureThreshold": 2,
    }

    def put(liveness: dict[str, Any] | None) -> None:
        _patch(scene, {"template": {"spec": {"containers": [{"name": TBOT, "livenessProbe": liveness}]}}})

    put(probe)
    try:
        scene.await_tbot()
        yield
    finally:
        put(None)
        scene.await_tbot()


@contextmanager
def _makes_no_directory(scene: Scene) -> Iterator[None]:
    volumes = _daemon_set(scene)["spec"]["template"]["spec"]["volumes"]
    (sockets,) = (v for v in volumes if v["name"] == SOCKETS)

    def put(kind: str) -> None:
        volume = {"name": SOCKETS, "hostPath": {**sockets["hostPath"], "type": kind}}
        _patch(scene, {"template": {"spec": {"volumes": [volume]}}})

    put("Directory")
    try:
        scene.await_tbot()
        yield
    finally:
        put(sockets["hostPath"].get("type", ""))
        scene.await_tbot()


@contextmanager
def _for_all_and_writable(scene: Scene) -> Iterator[None]:
    with istio_settings.VOLUMES_ONLY.inject(scene):
        try:
            with nodes.DIRECTORY_FOR_ALL.inject(scene):
                yield
        finally:
            # When the agent that had taken tbot's place ended, it removed tbot's new socket.
            scene.restart_tbot()


register(
    Fault(
        name="tbot-slow-to-start",
        description=f"An init container in tbot's pod delays tbot by {SLOW} s, which does not show while tbot runs.",
        cause="tbot-slow-to-start",
        touches=daemon_set.DAEMON_SET,
        undo="The suite removes the init container and waits until every Envoy has its streams again.",
        breaks=frozenset({"RES-01", "RES-02"}),
        reach=reach.TBOT,
        inject=_slow_to_start,
    )
)

register(
    Fault(
        name="tbot-killed-without-teleport",
        description="tbot's liveness probe asks Teleport, so that the kubelet kills tbot when Teleport does not answer.",
        cause="tbot-restarts-without-teleport",
        touches=daemon_set.DAEMON_SET,
        undo="The suite removes the probe and waits until every Envoy has its streams again.",
        breaks=frozenset({"RES-03"}),
        reach=reach.TBOT,
        inject=_lives_by_teleport,
    )
)

register(
    Fault(
        name="directory-that-tbot-does-not-make",
        description="tbot's volume requires the socket's directory to exist: when it is lost, nothing creates it again.",
        cause="socket-directory-not-recreated",
        touches=daemon_set.DAEMON_SET,
        undo="The suite puts the volume's type back and waits until every Envoy has its streams again.",
        breaks=frozenset({"RES-05", "RES-08"}),
        reach=reach.TBOT,
        inject=_makes_no_directory,
    )
)

register(
    Fault(
        name="socket-that-a-sidecar-may-take-away",
        description="The socket directory of one node has mode 0777, and the injection template leaves Istio's mount of"
        " it writable: when tbot is killed, a new pod removes the dead socket, creates its own, and becomes the node's"
        " SDS server.",
        cause="socket-directory-writable",
        along=frozenset({"mount-writable"}),
        touches=f"{nodes.DIRECTORY_FOR_ALL.touches}; {istio_settings.VOLUMES_ONLY.touches}; DaemonSet teleport-system/tbot",
        undo=f"{nodes.DIRECTORY_FOR_ALL.undo} It restarts tbot. {istio_settings.VOLUMES_ONLY.undo}",
        # With only one of the two, the dead socket stays where it is.
        breaks=frozenset({"ID-08", "ID-12", "RES-06"}),
        reach=reach.TBOT,
        inject=_for_all_and_writable,
    )
)

register(
    Fault(
        name="affected-tbot-without-istiod",
        description="tbot runs a release that pushes certificates without renewing them, whether istiod is there or not.",
        cause="tbot-pushes-without-renewing",
        touches=daemon_set.AFFECTED_TBOT.touches,
        undo=daemon_set.AFFECTED_TBOT.undo,
        breaks=frozenset({"INST-16", "RES-07"}),
        reach=reach.TBOT,
        inject=daemon_set.AFFECTED_TBOT.inject,
    )
)
