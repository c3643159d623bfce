"""Faults of resilience: an installation that works, until something that it needs goes away for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from facts.errors import ProvisioningFailed
from provision.faults import reach
from provision.faults.fault import Fault, Scene
from provision.faults.istio import istio_settings
from provision.faults.surroundings import nodes
from provision.faults.tbot import daemon_set
from provision.installing.teleport import PROXY_PORT

SLOW = 50
"""Seconds that tbot takes to start: longer than a certificate of sixty that is renewed every twenty may be without it."""
WAITS = "wait-for-nothing"
SOCKETS = "sockets"
"""tbot's volume with the directory of its socket."""


def _daemon_set(scene: Scene) -> dict[str, Any]:
    found = scene.installation.objects.get("apps/v1", "DaemonSet", daemon_set.TBOT, namespace=daemon_set.NAMESPACE)
    if found is None:
        raise LookupError(f"no DaemonSet {daemon_set.NAMESPACE}/{daemon_set.TBOT}")
    return found


def _patch(scene: Scene, spec: dict[str, Any]) -> None:
    scene.installation.objects.patch("apps/v1", "DaemonSet", daemon_set.TBOT, {"spec": spec}, namespace=daemon_set.NAMESPACE)


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

    # Every node at once: one after the other would only take longer.
    put(waits, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}})
    try:
        scene.await_agent()
        yield
    finally:
        put({"name": WAITS, "$patch": "delete"}, former)
        scene.await_agent()


@contextmanager
def _lives_by_teleport(scene: Scene) -> Iterator[None]:
    aliases = _daemon_set(scene)["spec"]["template"]["spec"].get("hostAliases", [])
    if not aliases:
        raise ProvisioningFailed(
            expected="a Teleport of this run's own, whose address tbot's pods are given",
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
        _patch(scene, {"template": {"spec": {"containers": [{"name": daemon_set.TBOT, "livenessProbe": liveness}]}}})

    put(probe)
    try:
        scene.await_agent()
        yield
    finally:
        put(None)
        scene.await_agent()


@contextmanager
def _makes_no_directory(scene: Scene) -> Iterator[None]:
    volumes = _daemon_set(scene)["spec"]["template"]["spec"]["volumes"]
    (sockets,) = (v for v in volumes if v["name"] == SOCKETS)

    def put(kind: str) -> None:
        volume = {"name": SOCKETS, "hostPath": {**sockets["hostPath"], "type": kind}}
        _patch(scene, {"template": {"spec": {"volumes": [volume]}}})

    put("Directory")
    try:
        scene.await_agent()
        yield
    finally:
        put(sockets["hostPath"].get("type", ""))
        scene.await_agent()


@contextmanager
def _for_all_and_writable(scene: Scene) -> Iterator[None]:
    with istio_settings.VOLUMES_ONLY.inject(scene):
        try:
            with nodes.DIRECTORY_FOR_ALL.inject(scene):
                yield
        finally:
            # The agent that had taken tbot's place took tbot's new socket with it when it ended.
            scene.restart_agent()


SLOW_TO_START = Fault(
    name="tbot-slow-to-start",
    description=f"Something in tbot's pod takes {SLOW} s before tbot starts, which nobody notices while all goes well.",
    touches=daemon_set.DAEMON_SET,
    undo="The init container is taken out again, and every Envoy has its streams.",
    breaks=frozenset({"RES-01", "RES-02"}),
    reach=reach.AGENT,
    inject=_slow_to_start,
)

LIVES_BY_TELEPORT = Fault(
    name="tbot-killed-without-teleport",
    description="A liveness probe of tbot's asks Teleport: where Teleport does not answer, the kubelet kills tbot as well.",
    touches=daemon_set.DAEMON_SET,
    undo="The probe is taken out again, and every Envoy has its streams.",
    breaks=frozenset({"RES-03"}),
    reach=reach.AGENT,
    inject=_lives_by_teleport,
)

MAKES_NO_DIRECTORY = Fault(
    name="directory-that-tbot-does-not-make",
    description="tbot's volume wants the socket's directory to be there already: nobody makes it again where it is lost.",
    touches=daemon_set.DAEMON_SET,
    undo="The volume's type is put back, and every Envoy has its streams.",
    breaks=frozenset({"RES-05", "RES-08"}),
    reach=reach.AGENT,
    inject=_makes_no_directory,
)

TAKEN_AWAY = Fault(
    name="socket-that-a-sidecar-may-take-away",
    description="The socket directory of one node has mode 0777, and the injection template leaves Istio's mount of it"
    " writable: where tbot is killed, a new pod takes the dead socket away, makes its own, and is the node's SDS server.",
    touches=f"{nodes.DIRECTORY_FOR_ALL.touches}; {istio_settings.VOLUMES_ONLY.touches}; DaemonSet teleport-system/tbot",
    undo=f"{nodes.DIRECTORY_FOR_ALL.undo} tbot is restarted. {istio_settings.VOLUMES_ONLY.undo}",
    # Either of the two alone keeps the socket where it is.
    breaks=frozenset({"ID-08", "ID-12", "RES-06"}),
    reach=reach.AGENT,
    inject=_for_all_and_writable,
)

NOT_RENEWED = Fault(
    name="affected-tbot-without-istiod",
    description="tbot is a release that pushes certificates without renewing them; that istiod is away does not matter.",
    touches=daemon_set.AFFECTED_TBOT.touches,
    undo=daemon_set.AFFECTED_TBOT.undo,
    breaks=frozenset({"INST-16", "RES-07"}),
    reach=reach.AGENT,
    inject=daemon_set.AFFECTED_TBOT.inject,
)
