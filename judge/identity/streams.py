"""Proxies whose stream to the socket is dead although tbot answers on their node: they hold a directory that is gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from facts.document import when
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.finding import Problem
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.teleport.tbot import Tbot, Tbots

DEAD_DIRECTORY = "socket-directory-recreated"

GONE = ": its mount is of a directory that is gone"
"""End of the statement about such a proxy."""

RECONNECTED = timedelta(seconds=60)
"""Time after a start of tbot within which every Envoy has tried again; its back-off is 30 s at most."""


def lost_directory(proxy: ProxyIdentity, pods: Mapping[str, Pod], tbots: Tbots) -> Problem | None:
    """A problem if a proxy cannot reach the socket of a Ready tbot that has started since, under the path that it mounts.

    The kubelet mounts a directory, not its path: a directory that was removed and made again is another one.

    Args:
        proxy: The proxy.
        pods: Pods by uid.
        tbots: Every tbot that serves the mesh.
    """
    pod = pods.get(proxy.pod.uid)
    if pod is None or proxy.streams.cx_active or not proxy.streams.cx_connect_fail:
        return None
    if proxy.sds_mode not in (SdsMode.EXTERNAL, SdsMode.RACE):
        return None
    for tbot in tbots.on(pod.node):
        since = ready_since(tbot, pod.node)
        there = pod.socket_on_node in {socket.path for socket in tbot.sockets}
        if there and since is not None and proxy.started_at < since < proxy.read_at - RECONNECTED:
            said = (
                f"it cannot connect to {pod.socket_on_node} ({proxy.streams.cx_connect_fail} failed attempts), where a Ready"
                f" tbot has listened since {since:%F %T} UTC{GONE}"
            )
            return Problem(proxy.ref, said, DEAD_DIRECTORY, readings(proxy, pod, tbot))
    return None


def ready_since(tbot: Tbot, node: str) -> datetime | None:
    """UTC time at which the tbot of a node started; None where it has none, or one that is not Ready."""
    pod = tbot.pods.get(node)
    container = pod.spec.container(tbot.container.name) if pod is not None and pod.ready and not pod.terminating else None
    try:
        return when(container.started_at, str(pod.ref)) if container is not None and pod is not None else None
    except CouldNotTell:
        return None
