"""The mount through which each proxy reaches its socket, from the mount table of its container."""

from __future__ import annotations

from collections.abc import Iterable

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.proxies.identity import PodRef
from facts.proxies.mounts import SocketMount, parse_mountinfo, socket_mount
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.denial import must_be_allowed
from observe.readings import at_once

TABLE = ("cat", "/proc/self/mountinfo")
"""A fixed command that only reads; distroless images have no ``cat``."""


def read_socket_mounts(cluster: Cluster, pods: Iterable[Pod]) -> tuple[SocketMount, ...]:
    """The mount of the socket's directory in each proxy, or the reason why it is unknown.

    Raises:
        NotGiven: The identity in use may run it in none of them.
    """
    unread: list[CouldNotTell] = []

    def one(pod: Pod) -> SocketMount:
        ref = PodRef.of(pod)
        try:
            done = cluster.exec_in(pod.namespace, pod.name, PROXY, TABLE, parser=parse_mountinfo)
        except CouldNotTell as error:
            unread.append(error)
            return SocketMount(ref, None, error.seen, ())
        if done.exit_code != 0:
            return SocketMount(ref, None, f"exit code {done.exit_code}: {done.tail(200)}", done.evidence)
        try:
            found = socket_mount(parse_mountinfo(done.stdout))
        except CouldNotTell as error:
            # One pod's answer must not cost the reading of the others.
            return SocketMount(ref, None, f"the mount table is damaged: {error.seen}", done.evidence)
        return SocketMount(ref, found, "" if found else "nothing is mounted there", done.evidence)

    found = at_once(one, pods)
    must_be_allowed(unread, len(found))
    return found
