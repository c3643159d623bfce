"""Faults of a firewall on a node. A NetworkPolicy that keeps pods from the same port looks the same from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from facts.kubernetes.objects import Pod
from facts.proxies.presence import Stage, start_of
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, eventually
from provision.faults import reach
from provision.faults.fault import Fault, Scene
from provision.names import APP

KUBELET, INJECTOR, ISTIOD = 10250, 15017, 15012
"""TCP ports: of the kubelet, and of istiod for the API server and for proxies."""


@contextmanager
def rejected(scene: Scene, node: str, chain: str, port: int, *, source: str = "", destination: str = "") -> Iterator[None]:
    """Answer connections to a TCP port with a reset, as a firewall does.

    Args:
        scene: The scene.
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


def _kubelet_closed(scene: Scene) -> AbstractContextManager[None]:
    node = scene.nodes()[0]
    # Only for pods: the API server can still read logs and forward ports.
    return rejected(scene, node, "INPUT", KUBELET, source=_pods_of(scene, node))


@contextmanager
def _injector_cut_off(scene: Scene) -> Iterator[None]:
    *_workers, control_plane = scene.nodes()
    with rejected(scene, control_plane, "OUTPUT", INJECTOR):
        scene.await_refusal()
        yield
    scene.await_injected()


@contextmanager
def _istiod_cut_off(scene: Scene) -> Iterator[None]:
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


FAULTS = (
    Fault(
        name="kubelet-closed-to-pods",
        description="A firewall rule on one node keeps pods from its kubelet, so tbot there cannot attest callers.",
        cause="kubelet-unreachable",
        touches="iptables of one node",
        undo="The suite deletes the rule.",
        breaks=frozenset({"INST-04", "INST-14"}),
        reach=reach.NODES,
        inject=_kubelet_closed,
    ),
    Fault(
        name="injector-cut-off",
        description="A firewall rule keeps the API server from istiod's injector: istiod is available, and no new pod is"
        " injected.",
        cause="injector-unreachable",
        touches="iptables of the control plane's node",
        undo="The suite deletes the rule and waits until the API server accepts an injected pod again.",
        breaks=frozenset({"INST-07", "CHK-1"}),
        reach=reach.ISTIO,
        inject=_injector_cut_off,
    ),
    Fault(
        name="istiod-cut-off",
        description="A firewall rule on one node keeps pods from istiod. A pod of the test application that started since"
        " then has no configuration, and so asks for no certificate.",
        cause="istiod-unreachable",
        touches="iptables of one node; Deployment test-app/test-app",
        undo="The suite deletes the rule and restarts the test application.",
        breaks=frozenset({"INST-15", "CHK-6", "CHK-7", "CHK-8", "CHK-9"})
        | {"ID-01", "ID-02", "ID-03", "ID-04", "ID-05", "ID-06", "ID-11"},
        reach=reach.TBOT | {"INST-05", "ID-07"},
        inject=_istiod_cut_off,
    ),
)
