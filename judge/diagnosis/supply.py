"""Rules about what proxies get from tbot: a stream that is dead, and a caller whom Teleport's rules refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from facts.document import Absent
from facts.evidence import readings
from facts.finding import OpenPoint, Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import ANSWERS, SILENT, Refused, SocketDirectoryProbe
from facts.provider.agents import Agents
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from judge.explain.cause import causes_of_release
from judge.identity.streams import DEAD_DIRECTORY, DeadStream, connected_sockets, dead_stream, ready_since
from judge.install.probes import DIRECTORY_CLOSED, socket_seen, why_unreachable
from providers.teleport.facts.issuing import why_refused
from providers.teleport.facts.resources import BotInstance, WorkloadIdentity
from providers.teleport.facts.tbot_log import LastAttempt
from providers.teleport.judge import reaching

SILENT_FOR = timedelta(minutes=65)
"""Time without a heartbeat after which tbot is not heard of; it sends one every 30 minutes. Source: Teleport, lib/tbot."""

NEVER_RECOVERS = "tbot-never-recovers"


CLOSED = ("socket-closed", "socket-directory-closed", "socket-stale")
"""Causes for which a proxy cannot connect again to a socket that is there, beside a directory that is gone."""


@dataclass(frozen=True, slots=True)
class Clues:
    """What tells why proxies have dead streams.

    Attributes:
        attempts: By the uid of a pod of tbot: its last attempt to speak with Teleport, where its log was read.
        looked: What probe pods saw of the sockets' directories.
    """

    attempts: Mapping[str, LastAttempt] = field(default_factory=dict)
    looked: tuple[SocketDirectoryProbe | Refused, ...] = ()

    def seen_of(self, pod: Pod) -> SocketDirectoryProbe | None:
        """What a probe pod saw of the directory in which a pod looks for its socket."""
        there = (pod.node, pod.socket_on_node.rpartition("/")[0])
        probes = (probe for probe in self.looked if isinstance(probe, SocketDirectoryProbe))
        return next((probe for probe in probes if (probe.node, probe.path) == there), None)


def dead_streams(proxies: Iterable[ProxyIdentity], pods: Iterable[Pod], tbots: Agents) -> list[DeadStream]:
    """The proxies that cannot connect to the socket of a tbot that is Ready and started after them; see `dead_stream`."""
    known = {pod.uid: pod for pod in pods}
    return [dead for proxy in proxies if (dead := dead_stream(proxy, known, tbots)) is not None]


def unsettled(proxies: Iterable[ProxyIdentity], pods: Iterable[Pod], tbots: Agents) -> list[DeadStream]:
    """The proxies with dead streams, without those beside which another one is connected under the same path."""
    every, known = list(proxies), list(pods)
    connected = connected_sockets(every, {pod.uid: pod for pod in known})
    return [d for d in dead_streams(every, known, tbots) if (d.pod.node, d.pod.socket_on_node) not in connected]


def cut_off(proxies: Iterable[ProxyIdentity], pods: Iterable[Pod], tbots: Agents, clues: Clues) -> list[Problem | OpenPoint]:
    """Why proxies have dead streams, as far as that shows.

    They hold a directory that is gone; or the socket's mode or its directory's keeps them out, or no process listens on it.
    It is the first where a proxy of the node is connected to this tbot under the same path, or a probe pod found nothing
    else wrong. Where nothing decides, each such proxy has one problem for every cause, in the same words. A tbot that need
    not have opened its socket is an open point instead, as is one that did so too late for the proxy to have tried again by
    then: there none of them need be so.

    Args:
        proxies: Proxies of the mesh.
        pods: Their pods.
        tbots: Every tbot that serves the mesh.
        clues: What tells them apart.
    """
    every, known = list(proxies), list(pods)
    connected = connected_sockets(every, {pod.uid: pod for pod in known})
    found: list[Problem | OpenPoint] = []
    for dead in dead_streams(every, known, tbots):
        if dead.is_used_beside(connected, clues.attempts.get(dead.supplier.uid)):
            found.append(dead.lost_directory)
        else:
            found += _why(dead, clues)
    return list(dict.fromkeys(found))  # a tbot is open once, for however many proxies


def _why(dead: DeadStream, clues: Clues) -> Sequence[Problem | OpenPoint]:
    name = dead.pod.socket_on_node.rpartition("/")[2]
    last = clues.attempts.get(dead.supplier.uid)
    if (probe := clues.seen_of(dead.pod)) is not None:
        why, cause = why_unreachable(probe, name)
        socket = socket_seen(probe, name)
        is_served = socket is not None and socket.listener in (ANSWERS, SILENT) and not dead.opened_too_late(last)
        is_open = socket is not None and dead.opened_in_time(last)
        if cause == DIRECTORY_CLOSED or is_served or is_open:
            said = dead.because(cause, why) if cause else dead.lost_directory
            return [replace(said, evidence=(*probe.evidence, *said.evidence))]
        if socket is None and probe.entries is not None:
            unseen = f"a probe pod sees no socket called {name} in {probe.path}"
            return [_unopened(dead, unseen, (*probe.evidence, *readings(last)))]
    if why := reaching.unjoined(last, dead.open_by):
        return [_unopened(dead, why, readings(last))]
    return [dead.because(cause) for cause in (DEAD_DIRECTORY, *CLOSED)]


def _unopened(dead: DeadStream, why: str, evidence: Iterable[str]) -> OpenPoint:
    return reaching.unopened(dead.supplier, dead.pod.socket_on_node, f"proxies cannot connect to it, and {why}", evidence)


def refused_by_rules(proxies: Iterable[ProxyIdentity], identities: Sequence[WorkloadIdentity | Absent]) -> list[Problem]:
    """Proxies that wait for a certificate on a live stream, and whose service account no workload identity lets in.

    Args:
        proxies: Proxies of the mesh.
        identities: The workload identities that tbot issues to the mesh.
    """
    return [
        Problem(proxy.ref, f"it waits for its certificate: {why}", "identity-rules-refuse", readings(proxy, *identities))
        for proxy in proxies
        if proxy.sds_mode is SdsMode.SILENT
        and proxy.streams.cx_active
        and (why := why_refused(identities, proxy.pod.namespace, proxy.pod.service_account))
    ]


def unheard_of(tbots: Agents, instances: Iterable[BotInstance], now: datetime) -> list[Problem]:
    """Pods of tbot that are Ready and have run for longer than two heartbeats, in which Teleport has heard nothing of them.

    The way to Teleport is cut; or it was, and the release is one that does not join again once its own identity has ended.
    Of such a release each pod has a problem with either cause, in the same words.

    Args:
        tbots: Every tbot that serves the mesh.
        instances: Instances of their bots.
        now: UTC time of the reading.
    """
    beats = [(each, each.last_heartbeat) for each in instances if each.last_heartbeat is not None]
    found = []
    for tbot, node, pod in ((each, node, pod) for each in tbots.each for node, pod in each.pods.items()):
        since = ready_since(tbot, node)
        # With the node's network the host name is the node's, which another tbot of the node may have as well.
        own = [(at, instance) for instance, at in beats if instance.hostname == pod.name]
        if not own or since is None or now - since <= SILENT_FOR:
            continue
        at, instance = max(own, key=lambda each: each[0])
        if now - at <= SILENT_FOR:
            continue
        version = instance.version
        may_stay = version is None or any(cause.id == NEVER_RECOVERS for cause in causes_of_release("tbot", version))
        said = f"it is Ready since {since:%F %T} UTC, and Teleport has heard nothing of it since {at:%F %T} UTC"
        causes = ("teleport-unreachable", *([NEVER_RECOVERS] if may_stay else []))
        found += [Problem(pod.ref, said, cause, readings(instance, pod)) for cause in causes]
    return found
