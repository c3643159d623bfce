"""Red herrings outside of the mesh: other applications, nodes, name resolution, and tbot's own log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from observe.wait import NotYet, eventually
from provision.faults import Scene
from provision.faults.changes import applied
from provision.herrings.herring import Herring, await_pod, manifest
from provision.names import TBOT, TBOT_NAMESPACE

BESIDE = "beside-the-mesh"
NODE = "never-reports"
WARNING = "Failed to perform Kubernetes workload attestation"
"""tbot logs this when a process asks that is in no pod, and answers it as it answers any caller without a pod."""

LOST = ("FORWARD", "-p", "udp", "--dport", "53", "-m", "statistic", "--mode", "nth", "--every", "3", "--packet", "0")
"""Every third question to the cluster's name server, which a pod asks again after five seconds."""


@contextmanager
def _crash_loop(scene: Scene) -> Iterator[None]:
    with applied(scene, *manifest(scene, "crash-loop")):
        await_pod(scene, "crashing", "is in CrashLoopBackOff", _backs_off, namespace=BESIDE)
        yield


def _backs_off(status: dict[str, Any]) -> bool:
    waiting = [container["state"].get("waiting", {}) for container in status.get("containerStatuses", ())]
    return any(each.get("reason") == "CrashLoopBackOff" for each in waiting)


@contextmanager
def _silent_node(scene: Scene) -> Iterator[None]:
    def look() -> None:
        node = scene.installation.objects.must_get("v1", "Node", NODE)
        states = {c["type"]: c["status"] for c in node["status"].get("conditions", ())}
        if states.get("Ready") != "Unknown":
            raise NotYet(f"its conditions are {states}")

    with applied(scene, *manifest(scene, "node")):
        eventually(f"the node {NODE} is not Ready", look, scene.rollout)
        yield


@contextmanager
def _slow_names(scene: Scene) -> Iterator[None]:
    rule = [*LOST, "-j", "DROP"]
    with ExitStack() as undo:
        for node in scene.nodes():
            scene.on_node(node, "iptables", "-w", "-I", *rule)
            undo.callback(scene.on_node, node, "iptables", "-w", "-D", *rule)
        yield


@contextmanager
def _warnings_of_tbot(scene: Scene) -> Iterator[None]:
    node = scene.nodes()[0]
    socket = f"{scene.installation.variables['SOCKET_DIRECTORY']}/socket"
    # The request ends with an error that nobody needs: tbot has attested its caller by then.
    asks = (
        f"curl --silent --max-time 3 --http2-prior-knowledge --unix-socket {socket} --data-binary @/dev/null"
        " --header 'content-type: application/grpc' --header 'te: trailers' --output /dev/null"
        " http://tbot/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets || true"
    )
    scene.on_node(node, "sh", "-c", asks)
    with scene.looking() as cluster:

        def look() -> None:
            pods = [pod for pod in cluster.pods(TBOT_NAMESPACE, f"app={TBOT}") if pod.node == node]
            if not any(WARNING in str(cluster.logs(pod.namespace, pod.name, TBOT).document) for pod in pods):
                raise NotYet(f"the logs of {len(pods)} pods there do not have it")

        eventually(f"tbot on {node} logs {WARNING!r}", look, scene.rollout)
    yield


HERRINGS = (
    Herring(
        name="crash-loop-of-others",
        description="An application outside of the mesh is in CrashLoopBackOff.",
        touches=f"Namespace {BESIDE} and the pod in it",
        undo="The suite deletes the namespace.",
        inject=_crash_loop,
    ),
    Herring(
        name="node-that-never-reports",
        description="A node without any pod of the mesh is not Ready.",
        touches=f"Node {NODE}",
        undo="The suite deletes the Node.",
        inject=_silent_node,
    ),
    Herring(
        name="slow-name-server",
        description="Every third question to the cluster's name server gets lost, so that names resolve slowly.",
        touches="iptables of every node",
        undo="The suite deletes the rules.",
        inject=_slow_names,
    ),
    Herring(
        name="warnings-in-tbots-log",
        description="tbot warns of a caller that is in no pod, as it does on any node where such a process asks.",
        touches="nothing; a process on one node asks tbot's socket once",
        undo="Nothing has to be undone.",
        inject=_warnings_of_tbot,
    ),
)
