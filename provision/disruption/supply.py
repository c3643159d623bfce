"""Supply of Envoys: the streams that they hold on tbot's sockets, and the wait for their return.

A tbot that is ready again is not the end of it: Envoy comes back to its socket in its own time, up to half a minute later.
"""

from __future__ import annotations

from collections.abc import Collection

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.proxies import envoy
from facts.teleport.tbot import Tbot
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin
from observe.wait import NotYet, Pace, eventually
from provision.names import WORKLOAD_SOCKET

STREAMS = 2
"""SDS streams that an Envoy holds on the socket: one for `default`, one for `ROOTCA`."""

CSI_DRIVER = "csi.spiffe.io"


def uses_the_socket(pod: Pod) -> bool:
    """Return whether a pod lives and its proxy is meant to take its secrets from the node's socket."""
    if pod.proxy is None or pod.terminating or pod.has_ended:
        return False
    return any((v.name == WORKLOAD_SOCKET and v.source == "hostPath") or v.driver == CSI_DRIVER for v in pod.volumes)


def tbot_must_be_ready(cluster: Cluster, tbot: Tbot) -> None:
    """Sees that tbot is Ready on every node: one that is not supplies no proxy, so that there is nothing to wait for.

    Raises:
        CouldNotTell: It is not.
    """
    seen = cluster.daemon_set(tbot.daemon_set.namespace, tbot.daemon_set.name)
    if isinstance(seen, Absent) or seen.ready < seen.desired or not seen.desired:
        raise CouldNotTell(
            expected="tbot Ready on every node",
            seen=str(seen) if isinstance(seen, Absent) else f"{seen.ready} of {seen.desired} Ready",
            where=str(tbot.daemon_set.ref),
            remedy="see INST-13 and INST-14; without it nothing shows here",
        )


def supplied(cluster: Cluster) -> frozenset[str]:
    """Uids of the pods whose Envoy has all its streams now."""
    return frozenset(pod.uid for pod in cluster.pods() if uses_the_socket(pod) and not _lack(cluster, pod))


def await_supply(cluster: Cluster, pace: Pace, *, of: Collection[str] | None = None) -> None:
    """Waits until each Envoy on tbot's sockets has all its streams; each is asked until it has, once.

    Args:
        cluster: To look at.
        pace: Patience.
        of: Uids of the pods that count, those that are gone excepted; None for all.

    Raises:
        CouldNotTell: It was not so in time.
    """
    well: set[str] = set()

    def look() -> None:
        for pod in cluster.pods():
            if pod.uid in well or not uses_the_socket(pod) or (of is not None and pod.uid not in of):
                continue
            if lacks := _lack(cluster, pod):
                raise NotYet(lacks)
            well.add(pod.uid)

    eventually("every Envoy has its SDS streams", look, pace)


def _lack(cluster: Cluster, pod: Pod) -> str:
    """The streams that a pod's Envoy lacks, in words; empty where it has all."""
    try:
        seen = envoy.parse_streams(read_admin(cluster, pod, [envoy.SDS_HOSTS])[envoy.SDS_HOSTS].document)
    except CouldNotTell as error:
        return str(error)
    return "" if seen.rq_active >= STREAMS else f"{pod.ref} has {seen.rq_active} of {STREAMS} streams"
