"""Changes of the suite to machines that it made, as they are kept until they are taken back.

Each has one field. A machine has no object to compare it with, so the field's value is a word of this module.
"""

from __future__ import annotations

from provision.runs.fields import Field
from provision.runs.originals import Change, System

CONTAINER, PROCESSES, DIRECTORY, NODE = "Container", "Processes", "Directory", "Node"
"""Kinds of these changes."""


def paused(container: str) -> Change:
    """Return the change that pauses all processes of a container."""
    return _change(CONTAINER, container, "state", "running", "paused")


def stopped(node: str, container_id: str) -> Change:
    """Return the change that stops the processes of a container on a node."""
    return _change(PROCESSES, node, container_id, "running", "stopped")


def moved(node: str, directory: str) -> Change:
    """Return the change that moves the socket's directory of a node away."""
    return _change(DIRECTORY, node, directory, "in place", "moved away")


def restarted(node: str, mode: str) -> Change:
    """Return the change that restarts a node, whose socket's directory has a mode such as ``755``."""
    return _change(NODE, node, "socket directory", mode, "restarted")


def _change(kind: str, name: str, field: str, was: str, ours: str) -> Change:
    return Change(System.MACHINE, kind, name, (Field((field,), was, ours),))
