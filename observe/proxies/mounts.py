"""The mount through which each proxy reaches its socket, from the mount table of its container."""

from __future__ import annotations

from collections.abc import Iterable

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.proxies.identity import LeftOut, PodRef, Unread
from facts.proxies.mounts import SocketMount, parse_mountinfo, socket_mount
from observe.kubernetes.streams import NOT_STARTED
from observe.proxies.envoy import ProxyConnection
from observe.proxies.survey import Part

TABLE = ("cat", "/proc/self/mountinfo")
"""A fixed command that only reads; distroless images have no ``cat``."""


def mount_of(connection: ProxyConnection, pod: Pod) -> SocketMount:
    """The mount of the socket's directory in one proxy, or the reason why it is unknown.

    Raises:
        CouldNotTell: The container cannot be reached.
    """
    ref = PodRef.of(pod)
    try:
        done = connection.cluster.exec_in(pod.namespace, pod.name, PROXY, TABLE, parser=parse_mountinfo)
    except CouldNotTell as error:
        if error.expected != NOT_STARTED:
            raise
        return SocketMount(ref, None, error.seen, ())  # its image has no such program, however often it is asked
    if done.exit_code != 0:
        return SocketMount(ref, None, f"exit code {done.exit_code}: {done.tail(200)}", done.evidence)
    try:
        found = socket_mount(parse_mountinfo(done.stdout))
    except CouldNotTell as error:
        return SocketMount(ref, None, f"the mount table is damaged: {error.seen}", done.evidence)
    return SocketMount(ref, found, "" if found else "nothing is mounted there", done.evidence)


MOUNT: Part[SocketMount] = Part("mount", mount_of)


def as_mounts(outcomes: Iterable[SocketMount | Unread | LeftOut]) -> tuple[SocketMount | LeftOut, ...]:
    """The mounts of a fleet; one that could not be read is unknown for that reason."""
    return tuple(SocketMount(o.pod, None, o.why.seen, ()) if isinstance(o, Unread) else o for o in outcomes)
