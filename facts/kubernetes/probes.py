"""Reports of probe pods on a node. Their programs are ``manifests/probes/node_probe.py`` and ``socket_directory.py``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from facts.declared import At, Declared, ListOf, Many, Read, read
from facts.document import parse_json
from facts.svid import Certificate

KUBELET_PORT = 10250


@dataclass(frozen=True, slots=True)
class KubeletAddress:
    """The address at which an agent of the provider finds the kubelet of its own node.

    Attributes:
        field: Field of the pod that holds the host: ``status.hostIP`` or ``spec.nodeName``.
        port: TCP port.
        host_network: Dialled from the node's own network.
    """

    field: str = "status.hostIP"
    port: int = KUBELET_PORT
    host_network: bool = False


@dataclass(frozen=True, slots=True)
class SeenContainer(Declared):
    """A container of the node, as its processes' mountinfo shows it.

    Attributes:
        container: Container id, 64 hex digits; empty if the path holds none.
        pod: Pod uid.
        ids_in_path: Number of 64-digit ids in the path; tbot takes the first.
        root: The path, as tbot parses it.
    """

    container: str
    pod: str
    ids_in_path: int
    root: str


@dataclass(frozen=True, slots=True)
class NodeProbe(Declared):
    """The report of one probe.

    Attributes:
        node: The node's name.
        kubelet_address: HOST:PORT that was dialled, as tbot dials it.
        kubelet_status: HTTP status of the kubelet's health page; 0 if there was no answer.
        kubelet_error: Why there was none.
        containers: Containers that mountinfo shows.
        unreadable: Processes whose mountinfo could not be read.
        evidence: Ids of the readings.
    """

    node: str
    kubelet_address: Annotated[str, At("kubelet.address")]
    kubelet_status: Annotated[int, At("kubelet.status")]
    kubelet_error: Annotated[str, At("kubelet.error")]
    containers: Annotated[Many[SeenContainer], At("processes.containers")]
    unreadable: Annotated[int, At("processes.unreadable")]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A probe pod that the cluster did not admit, or that never ran.

    Attributes:
        node: The node that it should run on.
        reason: The cluster's own words.
        evidence: Ids of the readings.
        by_policy: The cluster or the node refused such a pod. Otherwise another obstacle (an image that cannot be pulled,
            a right that this identity lacks, an API server that did not answer) kept the probe from looking.
    """

    node: str
    reason: str
    evidence: tuple[str, ...]
    by_policy: bool = True


@dataclass(frozen=True, slots=True)
class SdsProbe:
    """The answer of a node's socket to a probe that asked for its own identity: the facts of INST-14.

    Attributes:
        node: The node whose socket was asked.
        namespace: The probe's own.
        service_account: The probe's own.
        leaf: The certificate that the socket gave it; None if it gave none.
        reason: The reason why it gave none; empty if it gave one.
        read_at: UTC.
        evidence: Ids of the readings.
        intermediates: Certificates that the socket gave it beside the leaf.
        socket: Path of the socket on the node; empty where it is not known.
    """

    node: str
    namespace: str
    service_account: str
    leaf: Certificate | None
    reason: str
    read_at: datetime
    evidence: tuple[str, ...]
    intermediates: tuple[Certificate, ...] = ()
    socket: str = ""


def _mode(text: str) -> int:
    if not re.fullmatch(r"[0-7]{4}", text):
        raise ValueError("four octal digits of a mode")
    return int(text, 8)


ANSWERS, SILENT, NOBODY = "answers", "silent", "nobody"
"""Who is behind a socket: a server of HTTP/2 that greets a client; a process that says nothing, whether it takes the
connection or lets it wait; or no process at all, so that the kernel refuses the connection."""


@dataclass(frozen=True, slots=True)
class SeenFile(Declared):
    """A file, directory or socket of the node.

    Attributes:
        uid: Its owner.
        gid: Its group.
        mode: Permission bits, the sticky bit among them.
        is_socket: It is a unix socket.
        listener: Who is behind the socket: `ANSWERS`, `SILENT` or `NOBODY`; empty where that is not known.
    """

    name: str
    uid: int
    gid: int
    mode: Annotated[int, Read(str, _mode)]
    is_socket: Annotated[bool, At("socket")]
    listener: str = ""

    def __str__(self) -> str:
        return f"mode {self.mode:04o}, owner {self.uid}:{self.gid}"


@dataclass(frozen=True, slots=True)
class SocketDirectoryProbe(Declared):
    """Rights of a workload on the directory of a node's socket: the facts of ID-08.

    Attributes:
        node: The node's name.
        uid: User that the probe ran as.
        gid: Its group.
        writable: The kernel lets the probe write in it (access(2)); it did not.
        mount_read_only: The probe's own mount is read-only, so that `writable` says nothing about the directory.
        entries: Its entries; None where the probe may not list them.
        evidence: Ids of the readings.
        path: Path of the directory on the node.
    """

    node: str
    uid: int
    gid: int
    directory: SeenFile
    writable: bool
    mount_read_only: bool
    entries: Annotated[ListOf[SeenFile] | None, Field(default=None)]
    evidence: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class TeleportProbe(Declared):
    """How far a probe came that dialled Teleport from a node as tbot does there.

    Attributes:
        node: The node's name.
        address: HOST:PORT that was dialled.
        stage: Where it ended: ``name`` (the name has no address), ``connect``, ``tls``, or ``answered``.
        addresses: Addresses of the name.
        error: The error that ended it; empty where it was answered.
        evidence: Ids of the readings.
    """

    node: str
    address: str
    stage: str
    addresses: ListOf[str]
    error: str
    evidence: tuple[str, ...]


def parse_node_probe(text: str, node: str, evidence: tuple[str, ...] = ()) -> NodeProbe:
    """Reads a node probe's log.

    Args:
        text: The pod's whole log: one JSON document.
        node: The node it ran on.
        evidence: Ids of the readings.

    Raises:
        CouldNotTell: The log is not the document that the probe prints.
    """
    where = f"log of the probe pod on {node}"
    return read(NodeProbe, parse_json(text, where), where, node=node, evidence=evidence)


def parse_socket_directory_probe(
    text: str, node: str, evidence: tuple[str, ...] = (), *, path: str = ""
) -> SocketDirectoryProbe:
    """Reads the log of a probe of a socket's directory, by its path; other arguments and errors as `parse_node_probe`."""
    where = f"log of the probe pod for the socket's directory on {node}"
    return read(SocketDirectoryProbe, parse_json(text, where), where, node=node, path=path, evidence=evidence)


def parse_teleport_probe(text: str, node: str, evidence: tuple[str, ...] = (), *, address: str = "") -> TeleportProbe:
    """Reads the log of a probe that dialled Teleport at an address; other arguments and errors as `parse_node_probe`."""
    where = f"log of the probe pod that dialled Teleport from {node}"
    return read(TeleportProbe, parse_json(text, where), where, node=node, address=address, evidence=evidence)
