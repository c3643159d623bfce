"""Rules about what proxies get from tbot: a stream that is dead, and a caller whom Teleport's rules refuse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from facts.document import Absent
from facts.evidence import readings
from facts.finding import Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SocketDirectoryProbe
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.teleport.issuing import why_refused
from facts.teleport.resources import BotInstance, WorkloadIdentity
from facts.teleport.tbot import Tbots
from judge.causes import causes_of_release
from judge.identity.streams import GONE, lost_directory, ready_since
from judge.install.probes import why_unreachable

SILENT_FOR = timedelta(minutes=65)
"""Time without a heartbeat after which tbot is not heard of; it sends one every 30 minutes. Source: Teleport, lib/tbot."""

NEVER_RECOVERS = "tbot-never-recovers"


CLOSED = ("socket-closed", "socket-directory-closed", "socket-stale")
"""Causes for which a proxy cannot connect again to a socket that is there, beside a directory that is gone."""


def cut_off(
    proxies: Iterable[ProxyIdentity],
    pods: Iterable[Pod],
    tbots: Tbots,
    looked: Iterable[SocketDirectoryProbe | Refused] = (),
) -> list[Problem]:
    """Proxies that cannot connect to the socket of a tbot that started after them; see `lost_directory`.

    They hold a directory that is gone; or the socket's mode or its directory's keeps them out, or no process listens on it.
    It is the first where a proxy of the node is connected to this tbot under the same path, or a probe pod found nothing
    else wrong. Where nothing decides, each such proxy has one problem for every cause, in the same words.

    Args:
        proxies: Proxies of the mesh.
        pods: Their pods.
        tbots: Every tbot that serves the mesh.
        looked: What probe pods saw of the sockets' directories.
    """
    every, known = list(proxies), {pod.uid: pod for pod in pods}
    there = [(proxy, known[proxy.pod.uid]) for proxy in every if proxy.pod.uid in known]
    connected = {(pod.node, pod.socket_on_node) for proxy, pod in there if proxy.streams.cx_active}
    seen = {probe.node: probe for probe in looked if isinstance(probe, SocketDirectoryProbe)}
    found: list[Problem] = []
    for proxy, pod in there:
        lost = lost_directory(proxy, known, tbots)
        if lost is None or (pod.node, pod.socket_on_node) in connected:
            found += [lost] if lost is not None else []
        elif (probe := seen.get(pod.node)) is not None:
            why, cause = why_unreachable(probe, pod.socket_on_node.rpartition("/")[2])
            words = f"{lost.said.removesuffix(GONE)}: {why}" if cause else lost.said
            found.append(replace(lost, said=words, cause=cause or lost.cause, evidence=(*probe.evidence, *lost.evidence)))
        else:
            found += [replace(lost, said=lost.said.removesuffix(GONE), cause=cause) for cause in (lost.cause, *CLOSED)]
    return found


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


def unheard_of(tbots: Tbots, instances: Iterable[BotInstance], now: datetime) -> list[Problem]:
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
