"""What faults change of the nodes: the modes of the socket and of its directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provision.faults.fault import Scene


@contextmanager
def with_mode(scene: Scene, path: str, mode: str, node: str = "") -> Iterator[None]:
    """Give a file or directory of a node another mode.

    Args:
        path: The file or directory.
        mode: The mode, as chmod takes it.
        node: The node; empty for the first one.
    """
    node = node or scene.nodes()[0]
    former = scene.on_node(node, "stat", "-c", "%a", path).strip()
    scene.on_node(node, "chmod", mode, path)
    try:
        yield
    finally:
        scene.on_node(node, "chmod", former, path)
