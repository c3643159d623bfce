"""Directories of a node that the containers of a pod see through their mounts.

Sources: the Kubernetes API reference, core/v1 VolumeMount; Kubernetes, "Volumes", recursive read-only mounts: ``readOnly``
holds for the mount itself, and not for file systems that the node has mounted below it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from facts.kubernetes.pod_spec import Container, PodSpec, Volume, VolumeMount

RUN = "/run"
"""A file system in memory of its own on every node with systemd; ``/var/run`` is a link to it."""
RECURSIVE = "Enabled"
"""Value of ``recursiveReadOnly`` with which the runtime has to make every mount below read-only as well."""
EXPRESSION = "$("
"""Start of a variable in a ``subPathExpr``."""


@dataclass(frozen=True, slots=True)
class NodeMount:
    """A mount through which a container reaches a directory of its node.

    Attributes:
        shows: What it shows of the node, as a phrase: a path as the pod's volume has it, or the CSI driver.
        writable: The mount does not keep the container from writing to the directory.
        below_read_only: The mount is read-only, and the directory is in another file system below it.
    """

    container: Container
    mount: VolumeMount
    shows: str
    writable: bool
    below_read_only: bool


def mounts_that_reach(spec: PodSpec, directory: str) -> tuple[NodeMount, ...]:
    """The mounts of a pod's containers that show a directory of the node, or a parent of it.

    Links of the node are unknown but for ``/var/run``. A PersistentVolumeClaim does not say what it shows of a node.

    Args:
        spec: The specification.
        directory: An absolute path of the node.
    """
    volumes = {volume.name: volume for volume in spec.volumes}
    mounts = (
        (container, mount, volumes[mount.name])
        for container in (*spec.containers, *spec.ephemeral)
        for mount in container.mounts
        if mount.name in volumes
    )
    return tuple(
        found
        for container, mount, volume in mounts
        for found in (
            _by_csi(container, mount, volume)
            if volume == spec.csi_socket
            else _by_path(container, mount, volume, real_path(directory))
        )
    )


def real_path(path: str) -> str:
    """A path of a node without empty parts, and without the link ``/var/run``."""
    parts = posixpath.normpath(f"/{path.lstrip('/')}")
    return parts.removeprefix("/var") if is_below(parts, "/var/run") else parts


def is_below(path: str, directory: str) -> bool:
    """Tell whether a path is a directory or below it; both as `real_path` has them."""
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def _by_csi(container: Container, mount: VolumeMount, volume: Volume) -> Iterator[NodeMount]:
    shows = f"the socket of the CSI driver {volume.driver}"
    yield NodeMount(container, mount, shows, not (mount.read_only or volume.read_only), below_read_only=False)


def _by_path(container: Container, mount: VolumeMount, volume: Volume, directory: str) -> Iterator[NodeMount]:
    if volume.source != "hostPath":
        return
    part = mount.sub_path.lstrip("/")
    # A variable stands for a name below; which one, only the running pod tells.
    known = part.partition(EXPRESSION)[0].rpartition("/")[0] if EXPRESSION in part else part
    shown = real_path(posixpath.join(volume.path, known))
    if not is_below(directory, shown):
        return
    crosses = shown != RUN and is_below(RUN, shown) and is_below(directory, RUN)
    guarded = mount.read_only and (not crosses or mount.recursive_read_only == RECURSIVE)
    shows = f"{posixpath.join(volume.path, part) if part else volume.path} of the node"
    yield NodeMount(container, mount, shows, not guarded, below_read_only=mount.read_only and not guarded)
