"""Faults of the nodes: a firewall rule, and the mode of a directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provision.faults import reach
from provision.faults.fault import Fault, Scene

KUBELET = "10250"


@contextmanager
def _kubelet_closed(scene: Scene) -> Iterator[None]:
    node = scene.nodes()[0]
    pods = scene.installation.objects.must_get("v1", "Node", node)["spec"]["podCIDR"]
    # Only for pods: the API server can still read logs and forward ports.
    rule = ["INPUT", "-s", pods, "-p", "tcp", "--dport", KUBELET]
    rule += ["-j", "REJECT", "--reject-with", "tcp-reset"]
    scene.on_node(node, "iptables", "-I", *rule)
    try:
        yield
    finally:
        scene.on_node(node, "iptables", "-D", *rule)


@contextmanager
def directory_for_all(scene: Scene, node: str) -> Iterator[None]:
    """Give the socket directory of a node the mode 0777."""
    directory = scene.installation.variables["SOCKET_DIRECTORY"]
    former = scene.on_node(node, "stat", "-c", "%a", directory).strip()
    scene.on_node(node, "chmod", "0777", directory)
    try:
        yield
    finally:
        scene.on_node(node, "chmod", former, directory)


DIRECTORY_FOR_ALL = Fault(
    name="socket-directory-for-all",
    description="The socket directory of one node has mode 0777, so any workload there can become the node's SDS server.",
    cause="socket-directory-writable",
    touches="the socket directory of one node",
    undo="The suite restores the mode.",
    breaks=frozenset({"ID-08"}),
    reach=reach.NODES | reach.TBOT,
    inject=lambda scene: directory_for_all(scene, scene.nodes()[0]),
)

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
    DIRECTORY_FOR_ALL,
)
