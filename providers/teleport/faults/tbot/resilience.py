"""Faults that only an outage shows: the installation works until tbot, Teleport, istiod or a directory is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from facts.errors import ProvisioningFailed
from providers.teleport.faults.tbot import daemon_set
from providers.teleport.faults.tbot.sockets import requiring_the_directory
from providers.teleport.installing.teleport import PROXY_PORT
from provision.faults import reach
from provision.faults.changes import patched_tbot, pod_template
from provision.faults.fault import Fault, Scene
from provision.faults.istio import istio_settings
from provision.faults.surroundings import nodes
from provision.names import TBOT

SLOW = 50
"""Seconds that tbot takes to start: too long for certificates of 60 s that tbot renews every 20 s."""
WAITS = "wait-for-nothing"


def _slow_to_start(scene: Scene) -> AbstractContextManager[None]:
    waits = {
        "name": WAITS,
        "image": scene.installation.sources.workload_image,
        "command": ["python3", "-c", f"import select; select.select([], [], [], {SLOW})"],
    }
    # All nodes at the same time, which is faster than one after the other.
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}}
    former = daemon_set.tbot(scene)["updateStrategy"]
    return patched_tbot(
        scene,
        pod_template(initContainers=[waits]) | {"updateStrategy": strategy},
        pod_template(initContainers=[{"name": WAITS, "$patch": "delete"}]) | {"updateStrategy": former},
    )


def _lives_by_teleport(scene: Scene) -> AbstractContextManager[None]:
    aliases = daemon_set.pods_of_tbot(scene).get("hostAliases", [])
    if not aliases:
        raise ProvisioningFailed(
            expected="a Teleport that this run has made, whose address tbot's pods have in their hostAliases",
            seen="no hostAliases",
            where=daemon_set.DAEMON_SET,
            remedy="inject this fault into the lab",
        )
    probe = {
        "httpGet": {"scheme": "HTTPS", "host": aliases[0]["ip"], "port": PROXY_PORT, "path": "/webapi/ping"},
        "periodSeconds": 5,
        "timeoutSeconds": 2,
        "failureThreshold": 2,
    }
    broken, sound = (pod_template(containers=[{"name": TBOT, "livenessProbe": each}]) for each in (probe, None))
    return patched_tbot(scene, broken, sound)


@contextmanager
def _for_all_and_writable(scene: Scene) -> Iterator[None]:
    with istio_settings.VOLUMES_ONLY.inject(scene):
        try:
            with nodes.DIRECTORY_FOR_ALL.inject(scene):
                yield
        finally:
            # When the Istio agent that had replaced tbot ended, it removed tbot's new socket.
            scene.restart_tbot()


_fault_of_tbot = partial(Fault, touches=daemon_set.DAEMON_SET, reach=reach.TBOT)

FAULTS = (
    _fault_of_tbot(
        name="tbot-slow-to-start",
        description=f"An init container in tbot's pod delays tbot by {SLOW} s, which does not show while tbot runs.",
        cause="tbot-slow-to-start",
        undo="The suite removes the init container and waits until every Envoy has its streams again.",
        breaks=frozenset({"RES-01", "RES-02"}),
        inject=_slow_to_start,
    ),
    _fault_of_tbot(
        name="tbot-killed-without-teleport",
        description="tbot's liveness probe asks Teleport, so the kubelet kills tbot when Teleport does not answer.",
        cause="tbot-restarts-without-teleport",
        undo="The suite removes the probe and waits until every Envoy has its streams again.",
        breaks=frozenset({"RES-03"}),
        inject=_lives_by_teleport,
    ),
    _fault_of_tbot(
        name="directory-that-tbot-does-not-make",
        description="tbot's volume requires the socket's directory to exist: when it is lost, nothing creates it again.",
        cause="socket-directory-not-recreated",
        undo="The suite restores the volume's type and waits until every Envoy has its streams again.",
        breaks=frozenset({"RES-05", "RES-08"}),
        inject=lambda scene: patched_tbot(scene, *requiring_the_directory(scene)),
    ),
    _fault_of_tbot(
        name="socket-that-a-sidecar-may-take-away",
        description="The socket directory of one node has mode 0777, and the injection template leaves Istio's mount of"
        " it writable: when tbot is killed, a new pod removes the stale socket, creates its own, and becomes the node's"
        " SDS server.",
        cause="socket-directory-writable",
        further_causes=frozenset({"mount-writable"}),
        touches=f"{nodes.DIRECTORY_FOR_ALL.touches}; {istio_settings.VOLUMES_ONLY.touches}; DaemonSet teleport-system/tbot",
        undo=f"{nodes.DIRECTORY_FOR_ALL.undo} It restarts tbot. {istio_settings.VOLUMES_ONLY.undo}",
        # With only one of the two, the stale socket stays where it is.
        breaks=frozenset({"ID-08", "ID-12", "RES-06"}),
        inject=_for_all_and_writable,
    ),
    _fault_of_tbot(
        name="affected-tbot-without-istiod",
        description="tbot runs a release that pushes certificates without renewing them, whether istiod is there or not.",
        cause="tbot-pushes-without-renewing",
        touches=daemon_set.AFFECTED_TBOT.touches,
        undo=daemon_set.AFFECTED_TBOT.undo,
        breaks=frozenset({"INST-16", "RES-07"}),
        inject=daemon_set.AFFECTED_TBOT.inject,
    ),
)
