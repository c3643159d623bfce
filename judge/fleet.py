"""How a requirement on proxies is concluded over many of them: what is wrong, what is not up, what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from facts.document import when
from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.guide import Defect
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.proxies.identity import Fleet, ProxyIdentity
from judge.findings import concluded, could_not_tell

STARTING = timedelta(seconds=60)
"""A pod younger than this whose proxy is not up yet is starting; one that is older and still not up has no identity."""

SHOWN = 10
"""As many proxies are named where all is well; the evidence has the rest."""


def of_proxies(
    requirement: str,
    pods: Iterable[Pod],
    fleet: Fleet,
    *,
    expected: str,
    problems: Sequence[str],
    confirmed: str,
    where: str,
    evidence: Iterable[str],
    remedy: str = "",
    guide_says: str = "",
    guide_defect: Defect | None = None,
    measures: Sequence[Measure] = (),
) -> Finding:
    """YES or NO as `concluded`; but nobody can tell where all that is wrong is that proxies could not be read.

    Args:
        requirement: Id in the catalogue.
        pods: The pods of the fleet, as the API server has them.
        fleet: Their proxies.
        expected: What must be so.
        problems: What is not so, of the proxies that were read.
        confirmed: What is so when there is no problem.
        where: What was judged.
        evidence: Ids of further readings.
        remedy: A remedy that fits better than the catalogue's.
        guide_says: What the guide's own check answered.
        guide_defect: The defect of the guide that shows in the problems, if one does.
        measures: The numbers that it rests on.
    """
    known = {pod.uid: pod for pod in pods}
    ids = (*(e for pod in known.values() for e in pod.evidence), *fleet.evidence, *evidence)
    down, unread = [], []
    for each in fleet.unread:
        pod = known.get(each.pod.uid)
        if pod is not None and not _is_up(pod) and not _is_starting(pod, each.at):
            down.append(f"{each.pod} holds no identity: its istio-proxy is not up{_waiting(pod)}")
        else:
            unread.append(f"{each.pod} could not be read: {each.why.seen}")
    if unread and not problems and not down:
        error = CouldNotTell(expected=expected, seen="; ".join(unread), where=where, remedy=fleet.unread[0].why.remedy)
        return could_not_tell(requirement, error, ids, guide_says=guide_says)
    return concluded(
        requirement,
        expected=expected,
        problems=[*problems, *down, *unread],
        confirmed=confirmed,
        where=where,
        evidence=ids,
        remedy=remedy,
        guide_says=guide_says,
        guide_defect=guide_defect,
        measures=measures,
    )


def each_of(proxies: Sequence[ProxyIdentity], said: Callable[[ProxyIdentity], str]) -> str:
    """What is so of each proxy, as a person lists it; of many, the first of them and how many more."""
    lines = [f"{proxy.pod}: {said(proxy)}" for proxy in proxies]
    return "; ".join(lines[:SHOWN]) + (f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")


def _is_up(pod: Pod) -> bool:
    return pod.proxy is not None and (pod.proxy.ready or pod.proxy.started)


def _is_starting(pod: Pod, at: datetime) -> bool:
    return not (pod.proxy and pod.proxy.restarts) and at - when(pod.created_at, str(pod.ref)) < STARTING


def _waiting(pod: Pod) -> str:
    return f" ({pod.proxy.reason})" if pod.proxy is not None and pod.proxy.reason else ""
