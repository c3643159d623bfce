"""Faults of a firewall on a node. A NetworkPolicy that keeps pods from the same port looks the same from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from facts.kubernetes.objects import Pod
from facts.proxies.presence import Stage, start_of
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, eventually
from provision.faults.fault import Scene
from provision.names import APP

KUBELET, INJECTOR, ISTIOD = 10250, 15017, 15012
"""TCP ports: of the kubelet, and of istiod for the API server and for proxies."""


@contextmanager
def rejected(scene: Scene, node: str, chain: str, port: int, *, source: str = "", destination: str = "") -> Iterator[None]:
    """Answer connections to a TCP port with a reset, as a firewall does.

    Args:
        node: Node whose firewall gets the rule.
        chain: Chain of the rule: ``INPUT`` to the node itself, ``OUTPUT`` from it, ``FORWARD`` between others over it.
        port: The port, after the address of a Service has been translated.
        source: Addresses that the rule is for, such as those of the node's pods; empty for all.
        destination: Addresses to which it is; empty for all.
    """
    ends = [*(["-s", source] if source else []), *(["-d", destination] if destination else [])]
    rule = [chain, *ends, "-p", "tcp", "--dport", str(port)]
    rule += ["-j", "REJECT", "--reject-with", "tcp-reset"]
    scene.on_node(node, "iptables", "-w", "-I", *rule)
    try:
        yield
    finally:
        scene.on_node(node, "iptables", "-w", "-D", *rule)


def _pods_of(scene: Scene, node: str) -> str:
    """Return the addresses of the pods of a node."""
    return str(scene.installation.objects.must_get("v1", "Node", node)["spec"]["podCIDR"])


def kubelet_closed(scene: Scene) -> AbstractContextManager[None]:
    """Keep the pods of one node from its kubelet."""
    node = scene.nodes()[0]
    # Only for pods: the API server can still read logs and forward ports.
    return rejected(scene, node, "INPUT", KUBELET, source=_pods_of(scene, node))


def injector_cut_off(scene: Scene) -> AbstractContextManager[None]:
    """Keep the API server from istiod's injector."""
    *_workers, control_plane = scene.nodes()
    return rejected(scene, control_plane, "OUTPUT", INJECTOR)


@contextmanager
def istiod_cut_off(scene: Scene) -> Iterator[None]:
    """Keep the pods of one node from istiod, and replace the test application's pods there."""
    node = scene.nodes()[0]
    try:
        with rejected(scene, node, "FORWARD", ISTIOD, source=_pods_of(scene, node)), scene.looking() as cluster:
            former = {pod.uid for pod in _pods_of_app(cluster, node)}
            for pod in _pods_of_app(cluster, node):
                scene.installation.objects.delete("v1", "Pod", pod.name, namespace=APP)

            def look() -> None:
                now = datetime.now(UTC)
                pods = [pod for pod in _pods_of_app(cluster, node) if pod.uid not in former]
                if not any(start_of(pod, now).stage is Stage.DOWN for pod in pods):
                    raise NotYet(f"{len(pods)} new pods on {node}, none of which has been starting for long")

            eventually("a new proxy does not get its configuration", look, scene.rollout)
            yield
    finally:
        scene.restart_app()


def _pods_of_app(cluster: Cluster, node: str) -> list[Pod]:
    return [pod for pod in cluster.pods(APP, f"app={APP}") if pod.node == node and not pod.terminating]
