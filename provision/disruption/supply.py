"""SDS streams that Envoys hold on tbot's sockets, and the wait for their return.

An Envoy reconnects to its socket at its own pace, up to half a minute after tbot is ready again.
"""

from __future__ import annotations

from collections.abc import Collection

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import SOCKET_VOLUME
from facts.provider.agents import Agent
from facts.proxies import envoy
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin
from observe.readings import at_once
from observe.wait import NotYet, Pace, eventually


def uses_the_socket(pod: Pod) -> bool:
    """Return True where a pod runs and its proxy should get its secrets from the node's socket."""
    if pod.proxy is None or pod.terminating or pod.has_ended:
        return False
    volume = pod.spec.volume(SOCKET_VOLUME)
    return pod.spec.csi_socket is not None or (volume is not None and volume.source == "hostPath")


def tbot_must_be_ready(cluster: Cluster, tbot: Agent) -> None:
    """Check that tbot is Ready on every node; otherwise it does not supply every proxy, and a wait would be in vain.

    Raises:
        CouldNotTell: tbot is not Ready on some node.
    """
    seen = cluster.daemon_set(tbot.daemon_set.namespace, tbot.daemon_set.name)
    if isinstance(seen, Absent) or seen.ready < seen.desired or not seen.desired:
        raise CouldNotTell(
            expected="tbot Ready on every node",
            seen=str(seen) if isinstance(seen, Absent) else f"{seen.ready} of {seen.desired} Ready",
            where=str(tbot.daemon_set.ref),
            remedy="see INST-13 and INST-14; this cannot be determined without tbot",
        )


def supplied(cluster: Cluster) -> frozenset[str]:
    """Return the uids of the pods whose Envoy has all its streams now."""
    pods = [pod for pod in cluster.pods() if uses_the_socket(pod)]
    lacking = at_once(lambda pod: _lack(cluster, pod), pods)
    return frozenset(pod.uid for pod, lacks in zip(pods, lacking, strict=True) if not lacks)


def await_supply(cluster: Cluster, pace: Pace, *, of: Collection[str] | None = None) -> None:
    """Wait until each Envoy on tbot's sockets has had all its streams once.

    Args:
        cluster: Reads the cluster.
        pace: Pace of the wait.
        of: Uids of the pods that count, unless they are gone; None for all.

    Raises:
        CouldNotTell: An Envoy lacked a stream until the time was over.
    """
    supplied_once: set[str] = set()

    def look() -> None:
        pods = [p for p in cluster.pods() if p.uid not in supplied_once and uses_the_socket(p)]
        wanted = [pod for pod in pods if of is None or pod.uid in of]
        lacking = at_once(lambda pod: _lack(cluster, pod), wanted)
        supplied_once.update(pod.uid for pod, lacks in zip(wanted, lacking, strict=True) if not lacks)
        if first := next(filter(None, lacking), ""):
            raise NotYet(first)

    eventually("every Envoy has its SDS streams", look, pace)


def _lack(cluster: Cluster, pod: Pod) -> str:
    """Return what streams a pod's Envoy lacks, in words; empty where it has all."""
    try:
        seen = envoy.parse_streams(read_admin(cluster, pod, [envoy.SDS_HOSTS])[envoy.SDS_HOSTS].document)
    except CouldNotTell as error:
        return str(error)
    return "" if seen.rq_active >= envoy.STREAMS else f"{pod.ref} has {seen.rq_active} of {envoy.STREAMS} streams"
