"""Faults of the nodes: the mode of a directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provision.faults import reach
from provision.faults.fault import Fault, Scene


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

FAULTS = (DIRECTORY_FOR_ALL,)
