"""Proxies whose stream to the socket is dead beside a tbot that is Ready: some hold a directory that is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from facts.document import when
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.finding import Problem
from facts.kubernetes.objects import Pod
from facts.provider.agents import Agent, Agents
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from providers.teleport.facts.tbot_log import LastAttempt

DEAD_DIRECTORY = "socket-directory-recreated"

RECONNECTED = timedelta(seconds=60)
"""Time after tbot opened its socket within which every Envoy has tried again; its back-off is 30 s at most."""


@dataclass(frozen=True, slots=True)
class DeadStream:
    """A proxy that cannot connect to the socket of a tbot that is Ready and has started since.

    Without a readiness probe, as in the guide, a tbot is Ready before it has joined and opened its socket.

    Attributes:
        supplier: The pod of tbot on the proxy's node.
        since: UTC time at which that started.
    """

    proxy: ProxyIdentity
    pod: Pod
    tbot: Agent
    supplier: Pod
    since: datetime

    @property
    def open_by(self) -> datetime:
        """UTC time at which the socket has to have been open: otherwise its Envoy need not have tried again since."""
        return self.proxy.read_at - RECONNECTED

    def opened_in_time(self, last: LastAttempt | None) -> bool:
        """Whether the log of tbot shows that its socket was open by `open_by`.

        Args:
            last: Its last attempt to speak with Teleport; None where its log was not read.
        """
        return last is not None and last.opened_before(self.open_by)

    def opened_too_late(self, last: LastAttempt | None) -> bool:
        """Whether it shows that the socket was not open by then; other proxies may be connected already."""
        return last is not None and last.opened_after(self.open_by)

    def is_used_beside(self, connected: Collection[tuple[str, str]], last: LastAttempt | None) -> bool:
        """Whether another proxy is connected to the socket, which thus was open by then unless the log denies it.

        Args:
            connected: The sockets to which a proxy is connected; see `connected_sockets`.
            last: As above.
        """
        return (self.pod.node, self.pod.socket_on_node) in connected and not self.opened_too_late(last)

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


def dead_stream(proxy: ProxyIdentity, pods: Mapping[str, Pod], tbots: Agents) -> DeadStream | None:
    """The dead stream of a proxy under the path that it mounts; None where it has none, or tbot may be the reason.

    Args:
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
    proxy: ProxyIdentity,
    pods: Mapping[str, Pod],
    tbots: Agents,
    attempts: Mapping[str, LastAttempt],
    connected: Collection[tuple[str, str]] = (),
) -> Problem | None:
    """A problem if a proxy has a dead stream to a tbot whose socket was open in time for it, by its log or another proxy.

    Args:
        pods: Pods by uid.
        tbots: Every tbot that serves the mesh.
        attempts: By the uid of a pod of tbot: its last attempt to speak with Teleport, where its log was read.
        connected: The sockets to which a proxy is connected; see `connected_sockets`.
    """
    dead = dead_stream(proxy, pods, tbots)
    if dead is None:
        return None
    last = attempts.get(dead.supplier.uid)
    is_open = dead.is_used_beside(connected, last) or dead.opened_in_time(last)
    return dead.lost_directory if is_open else None


def connected_sockets(proxies: Iterable[ProxyIdentity], pods: Mapping[str, Pod]) -> frozenset[tuple[str, str]]:
    """The sockets to which a proxy is connected, each by its node and its path there.

    Args:
        pods: Pods by uid.
    """
    there = [pods[proxy.pod.uid] for proxy in proxies if proxy.streams.cx_active and proxy.pod.uid in pods]
    return frozenset((pod.node, pod.socket_on_node) for pod in there)


def ready_since(tbot: Agent, node: str) -> datetime | None:
    """UTC time at which the tbot of a node started; None where it has none, or one that is not Ready."""
    pod = tbot.pods.get(node)
    container = pod.spec.container(tbot.container.name) if pod is not None and pod.ready and not pod.terminating else None
    try:
        return when(container.started_at, str(pod.ref)) if container is not None and pod is not None else None
    except CouldNotTell:
        return None
