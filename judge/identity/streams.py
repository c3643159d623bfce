"""Proxies whose stream to the socket is dead beside a tbot that is Ready: some hold a directory that is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from facts.document import when
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.finding import Problem
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.teleport.tbot import Tbot, Tbots
from facts.teleport.tbot_log import LastAttempt

DEAD_DIRECTORY = "socket-directory-recreated"

RECONNECTED = timedelta(seconds=60)
"""Time after tbot opened its socket within which every Envoy has tried again; its back-off is 30 s at most."""


@dataclass(frozen=True, slots=True)
class DeadStream:
    """A proxy that cannot connect to the socket of a tbot that is Ready and has started since.

    Without a readiness probe, as in the guide, a tbot is Ready before it has joined and opened its socket.

    Attributes:
        proxy: The proxy.
        pod: Its pod.
        tbot: The tbot.
        supplier: The pod of tbot on the proxy's node.
        since: UTC time at which that started.
    """

    proxy: ProxyIdentity
    pod: Pod
    tbot: Tbot
    supplier: Pod
    since: datetime

    @property
    def open_by(self) -> datetime:
        """UTC time at which the socket has to have been open: otherwise its Envoy need not have tried again since."""
        return self.proxy.read_at - RECONNECTED

    @property
    def said(self) -> str:
        """What is so, whatever the cause."""
        return (
            f"it cannot connect to {self.pod.socket_on_node} ({self.proxy.streams.cx_connect_fail} failed attempts),"
            f" although the tbot of this socket is Ready since {self.since:%F %T} UTC"
        )

    def because(self, cause: str, why: str = "") -> Problem:
        """The proxy's problem.

        Args:
            cause: Its cause.
            why: What shows it.
        """
        evidence = readings(self.proxy, self.pod, self.tbot)
        return Problem(self.proxy.ref, f"{self.said}: {why}" if why else self.said, cause, evidence)

    @property
    def lost_directory(self) -> Problem:
        """The problem of a proxy whose mount is of a directory that is gone, which is for the caller to know.

        The kubelet mounts a directory, not its path: a directory that was removed and made again is another one.
        """
        return self.because(DEAD_DIRECTORY, "its mount is of a directory that is gone")


def dead_stream(proxy: ProxyIdentity, pods: Mapping[str, Pod], tbots: Tbots) -> DeadStream | None:
    """The dead stream of a proxy under the path that it mounts; None where it has none, or tbot may be the reason.

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
            return DeadStream(proxy, pod, tbot, tbot.pods[pod.node], since)
    return None


def lost_directory(
    proxy: ProxyIdentity, pods: Mapping[str, Pod], tbots: Tbots, attempts: Mapping[str, LastAttempt]
) -> Problem | None:
    """A problem if a proxy has a dead stream to a tbot whose socket was open in time for it.

    Args:
        proxy: The proxy.
        pods: Pods by uid.
        tbots: Every tbot that serves the mesh.
        attempts: By the uid of a pod of tbot: its last attempt to speak with Teleport, where its log was read.
    """
    dead = dead_stream(proxy, pods, tbots)
    last = attempts.get(dead.supplier.uid) if dead is not None else None
    is_open = dead is not None and last is not None and last.opened_before(dead.open_by)
    return dead.lost_directory if dead is not None and is_open else None


def ready_since(tbot: Tbot, node: str) -> datetime | None:
    """UTC time at which the tbot of a node started; None where it has none, or one that is not Ready."""
    pod = tbot.pods.get(node)
    container = pod.spec.container(tbot.container.name) if pod is not None and pod.ready and not pod.terminating else None
    try:
        return when(container.started_at, str(pod.ref)) if container is not None and pod is not None else None
    except CouldNotTell:
        return None
