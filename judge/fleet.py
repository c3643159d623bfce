"""Judgments about many proxies at once, those that could not be read included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from facts.document import when
from facts.evidence import readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.proxies.identity import Fleet, ProxyIdentity, Unread
from judge.findings import Claim, confirmed_of, problem

STARTING = timedelta(seconds=60)
"""A younger pod whose proxy is not up yet is starting; an older one whose proxy is not up has no identity."""


def of_proxies(
    claim: Claim,
    pods: Iterable[Pod],
    fleet: Fleet,
    problems: Iterable[Problem],
    *,
    confirmed: str = "",
    held: Iterable[Remark] = (),
    unclear: Iterable[Problem] = (),
    settle: str = "",
    left_out: Iterable[Remark] = (),
    notes: Iterable[Problem] = (),
    measures: Sequence[Measure] = (),
) -> Finding:
    """Judge a claim about a fleet, its unread proxies included: one that is down has no identity, any other is unclear.

    Args:
        claim: The claim.
        pods: The pods of the fleet, as the API server has them.
        fleet: Their proxies.
        problems: Problems of the proxies that were read.
        confirmed: Observation where nothing is wrong.
        held: Observation of each proxy; those of proxies with a problem or an open point are dropped.
        unclear: What could not be determined of proxies that were read.
        settle: Next step to determine it.
        left_out: Subjects that were not judged, each with the reason.
        notes: Observations that break nothing here.
        measures: Numbers that the answer rests on.
    """
    known = {pod.uid: pod for pod in pods}
    down, unread = [], []
    for each in fleet.unread:
        pod = known.get(each.pod.uid)
        if pod is not None and not _is_up(pod) and not _is_starting(pod, each.at):
            down.append(problem(pod, f"it holds no identity: its istio-proxy is not up{_waiting(pod)}"))
        else:
            unread.append(each)
    wrong, open_points = [*problems, *down], [*unclear, *not_read(unread)]
    return replace(claim, evidence=(*readings(*known.values(), fleet), *claim.evidence)).judged(
        wrong,
        confirmed,
        held=confirmed_of(held, [*wrong, *open_points]),
        unclear=open_points,
        left_out=left_out,
        notes=notes,
        measures=measures,
        settle=how_to_read(unread, settle),
    )


def not_read(unread: Iterable[Unread]) -> list[Problem]:
    """Open points: proxies that could not be read, each with the reason."""
    return [Problem(each.pod.ref, f"the suite could not read it: {each.why.seen}") for each in unread]


def how_to_read(unread: Sequence[Unread], otherwise: str = "") -> str:
    """Next step that lets the suite read a proxy; where all were read, another one."""
    return unread[0].why.remedy if unread else otherwise


def each_of(proxies: Iterable[ProxyIdentity], said: Callable[[ProxyIdentity], str]) -> list[Remark]:
    """One observation of each proxy."""
    return [Remark(proxy.ref, said(proxy)) for proxy in proxies]


def _is_up(pod: Pod) -> bool:
    return pod.proxy is not None and (pod.proxy.ready or pod.proxy.started)


def _is_starting(pod: Pod, at: datetime) -> bool:
    return not (pod.proxy and pod.proxy.restarts) and at - when(pod.created_at, str(pod.ref)) < STARTING


def _waiting(pod: Pod) -> str:
    return f" ({pod.proxy.reason})" if pod.proxy is not None and pod.proxy.reason else ""
