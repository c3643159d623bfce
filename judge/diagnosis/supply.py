"""Rules about what proxies get from tbot: a stream that is dead, and a caller whom Teleport's rules refuse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from facts.document import Absent
from facts.evidence import readings
from facts.finding import Problem
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.teleport.issuing import why_refused
from facts.teleport.resources import BotInstance, WorkloadIdentity
from facts.teleport.tbot import Tbots
from judge.causes import causes_of_release
from judge.identity.streams import lost_directory

SILENT_FOR = timedelta(minutes=65)
"""Time without a heartbeat after which tbot is not heard of; it sends one every 30 minutes. Source: Teleport, lib/tbot."""

NEVER_RECOVERS = "tbot-never-recovers"


def cut_off(proxies: Iterable[ProxyIdentity], pods: Iterable[Pod], tbots: Tbots) -> list[Problem]:
    """Proxies that hold a socket directory which is gone; see `lost_directory`.

    Args:
        proxies: Proxies of the mesh.
        pods: Their pods.
        tbots: Every tbot that serves the mesh.
    """
    known = {pod.uid: pod for pod in pods}
    return [found for proxy in proxies if (found := lost_directory(proxy, known, tbots)) is not None]


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
    """Pods of tbot that run, and of which Teleport has heard nothing for longer than two heartbeats.

    A release that does not join again once its own identity has ended shows so; of another one, the way to Teleport is cut.

    Args:
        tbots: Every tbot that serves the mesh.
        instances: Instances of their bots.
        now: UTC time of the reading.
    """
    beats = [(each, each.last_heartbeat) for each in instances if each.last_heartbeat is not None]
    found = []
    for pod in (pod for tbot in tbots.each for pod in tbot.pods.values()):
        # With the node's network the host name is the node's, which another tbot of the node may have as well.
        own = [(at, instance) for instance, at in beats if instance.hostname == pod.name]
        if not own:
            continue
        at, instance = max(own, key=lambda each: each[0])
        if now - at <= SILENT_FOR:
            continue
        version = instance.version
        stays = version is not None and any(cause.id == NEVER_RECOVERS for cause in causes_of_release("tbot", version))
        said = f"it runs, and Teleport has heard nothing of it since {at:%F %T} UTC"
        found.append(Problem(pod.ref, said, NEVER_RECOVERS if stays else "teleport-unreachable", readings(instance, pod)))
    return found
