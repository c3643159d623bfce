"""A container's mount table, and the mount of the socket's directory in it.

Source: proc(5), ``/proc/PID/mountinfo``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from facts.document import damaged
from facts.kubernetes.pod_spec import SOCKET_DIRECTORIES
from facts.masks import TEXT, keeps, lines
from facts.proxies.identity import PodRef
from facts.redaction import beginning

_ID = re.compile(r"[0-9]{1,10}")
"""The id of a mount, 32 bits in the kernel."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of a mount table.

    Attributes:
        id: Of the mount.
        parent: Id of the mount that it is mounted on.
        path: Where; links are resolved in it.
        read_only: The mount or its file system is read-only: nothing can be written through it.
    """

    id: int
    parent: int
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class SocketMount:
    """The mount through which one proxy reaches its socket.

    Attributes:
        pod: The pod it runs in.
        mount: The mount; None where it could not be told.
        why: Why not; empty where it could.
        evidence: Ids of the readings.
    """

    pod: PodRef
    mount: Mount | None
    why: str
    evidence: tuple[str, ...]


@keeps(TEXT)
def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Reads a mount table.

    Raises:
        CouldNotTell: A line of it is damaged, or there is none.
    """
    mounts = tuple(_mount(line) for line in lines(text) if line)
    if not mounts:
        raise damaged("a mount table", "nothing", "mountinfo")
    return mounts


def _mount(line: str) -> Mount:
    before, dash, after = line.partition(" - ")
    # The kernel escapes a blank in a path; U+0085 and others, at which split() splits as well, it writes as they are.
    fields, kind = before.split(" "), after.split(" ")
    if not dash or len(fields) < 6 or len(kind) < 3 or not all(_ID.fullmatch(number) for number in fields[:2]):
        raise damaged("six fields, a hyphen and three fields", repr(beginning(line, 200)), "mountinfo")
    options = {*fields[5].split(","), *kind[2].split(",")}
    if not options & {"ro", "rw"}:
        raise damaged("ro or rw among a mount's options", repr(beginning(line, 200)), "mountinfo")
    return Mount(int(fields[0]), int(fields[1]), _unescaped(fields[4]), "ro" in options)


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)


def socket_mount(mounts: tuple[Mount, ...]) -> Mount | None:
    """The mount on top where Istio looks for the socket; None where nothing is mounted there.

    An entry below ``/var/run`` proves that this is no link, and then Istio looks there; else it is what lies below ``/run``.
    """
    for path in SOCKET_DIRECTORIES:
        here = [m for m in mounts if m.path == path]
        covered = {m.parent for m in here}
        on_top = [m for m in here if m.id not in covered]
        if on_top:
            return on_top[-1]
    return None
