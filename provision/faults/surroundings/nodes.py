"""Faults of the nodes: the modes of the socket and of its directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from facts.kubernetes.pod_spec import ISTIOS_SOCKET
from provision.faults import reach
from provision.faults.fault import Fault, Scene


@contextmanager
def _with_mode(scene: Scene, node: str, path: str, mode: str) -> Iterator[None]:
    """Give a file or directory of a node another mode."""
    former = scene.on_node(node, "stat", "-c", "%a", path).strip()
    scene.on_node(node, "chmod", mode, path)
    try:
        yield
    finally:
        scene.on_node(node, "chmod", former, path)


def directory_for_all(scene: Scene, node: str) -> AbstractContextManager[None]:
    """Give the socket directory of a node the mode 0777."""
    return _with_mode(scene, node, scene.installation.variables["SOCKET_DIRECTORY"], "0777")


def _directory_closed(scene: Scene) -> AbstractContextManager[None]:
    return _with_mode(scene, scene.nodes()[0], scene.installation.variables["SOCKET_DIRECTORY"], "0700")


def _socket_closed(scene: Scene) -> AbstractContextManager[None]:
    socket = f"{scene.installation.variables['SOCKET_DIRECTORY']}/{ISTIOS_SOCKET}"
    return _with_mode(scene, scene.nodes()[0], socket, "0600")


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

# Proxies that are connected stay so: the modes decide when a connection is made.
_mode_fault = partial(
    Fault,
    undo="The suite restores the mode.",
    breaks=frozenset({"INST-14"}),
    reach=reach.NODES | reach.TBOT | {"ID-01", "ID-08"},
)

FAULTS = (
    DIRECTORY_FOR_ALL,
    _mode_fault(
        name="socket-directory-for-root-alone",
        description="The socket directory of one node has mode 0700, so no workload that starts there sees the socket.",
        cause="socket-directory-closed",
        touches="the socket directory of one node",
        inject=_directory_closed,
    ),
    _mode_fault(
        name="socket-for-root-alone",
        description="tbot's socket on one node has mode 0600, so no workload that starts there can connect to it.",
        cause="socket-closed",
        touches="tbot's socket on one node",
        inject=_socket_closed,
    ),
)
