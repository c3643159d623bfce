"""Faults of the nodes: what a firewall or somebody with a shell there can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provision.faults import reach
from provision.faults.fault import Fault, Scene

KUBELET = "10250"


@contextmanager
def _kubelet_closed(scene: Scene) -> Iterator[None]:
    node = scene.nodes()[0]
    found = scene.installation.objects.get("v1", "Node", node) or {}
    # Only to pods: the API server goes on reading logs and forwarding ports.
    rule = ["INPUT", "-s", found["spec"]["podCIDR"], "-p", "tcp", "--dport", KUBELET]
    rule += ["-j", "REJECT", "--reject-with", "tcp-reset"]
    scene.on_node(node, "iptables", "-I", *rule)
    try:
        yield
    finally:
        scene.on_node(node, "iptables", "-D", *rule)


@contextmanager
def _directory_for_all(scene: Scene) -> Iterator[None]:
    with directory_for_all(scene, scene.nodes()[0]):
        yield


@contextmanager
def directory_for_all(scene: Scene, node: str) -> Iterator[None]:
    """The socket directory of a node with mode 0777."""
    directory = scene.installation.variables["SOCKET_DIRECTORY"]
    former = scene.on_node(node, "stat", "-c", "%a", directory).strip()
    scene.on_node(node, "chmod", "0777", directory)
    try:
        yield
    finally:
        scene.on_node(node, "chmod", former, directory)


KUBELET_CLOSED = Fault(
    name="kubelet-closed-to-pods",
    description="A firewall on one node keeps pods from its kubelet: tbot there can no longer tell who calls.",
    touches="iptables of one node",
    undo="The rule is deleted.",
    breaks=frozenset({"INST-04", "INST-14"}),
    reach=reach.NODES,
    inject=_kubelet_closed,
)

DIRECTORY_FOR_ALL = Fault(
    name="socket-directory-for-all",
    description="The socket directory of one node has mode 0777: any workload there can become the node's SDS server.",
    touches="the socket directory of one node",
    undo="The mode is put back.",
    breaks=frozenset({"ID-08"}),
    reach=reach.NODES | reach.AGENT,
    inject=_directory_for_all,
)
