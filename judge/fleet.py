"""Requirements on many proxies at once: what is wrong, what is not up, what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from facts.document import when
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.proxies.identity import Fleet, ProxyIdentity
from judge.findings import Claim, confirmed_of, problem

STARTING = timedelta(seconds=60)
"""A pod younger than this whose proxy is not up yet is starting; one that is older and still not up has no identity."""


def of_proxies(
    claim: Claim,
    pods: Iterable[Pod],
    fleet: Fleet,
    problems: Iterable[Problem],
    *,
    confirmed: str = "",
    held: Iterable[Remark] = (),
    notes: Iterable[Problem] = (),
    measures: Sequence[Measure] = (),
) -> Finding:
    """Judge a claim about a fleet, its unread proxies included: one that is down has no identity, any other is unclear.

    Args:
        claim: The claim.
        pods: The pods of the fleet, as the API server has them.
        fleet: Their proxies.
        problems: What is wrong with the proxies that were read.
        confirmed: What is so where nothing is wrong.
        held: What is so of each proxy; of one with a problem it is not confirmed.
        notes: What shows beside the answer.
        measures: The numbers that it rests on.
    """
    known = {pod.uid: pod for pod in pods}
    down, unread = [], []
    for each in fleet.unread:
        pod = known.get(each.pod.uid)
        if pod is not None and not _is_up(pod) and not _is_starting(pod, each.at):
            down.append(problem(pod, f"holds no identity: its istio-proxy is not up{_waiting(pod)}"))
        else:
            unread.append(Problem(each.pod.ref, f"could not be read: {each.why.seen}"))
    wrong = [*problems, *down]
    read = (*(e for pod in known.values() for e in pod.evidence), *fleet.evidence, *claim.evidence)
    return Claim(claim.requirement, claim.expected, claim.where, read, claim.guide_says).judged(
        wrong,
        confirmed,
        held=confirmed_of(held, wrong),
        unclear=unread,
        notes=notes,
        measures=measures,
        settle=fleet.unread[0].why.remedy if unread else "",
    )


def each_of(proxies: Iterable[ProxyIdentity], said: Callable[[ProxyIdentity], str]) -> list[Remark]:
    """What is so of each proxy."""
    return [Remark(proxy.ref, said(proxy)) for proxy in proxies]


def _is_up(pod: Pod) -> bool:
    return pod.proxy is not None and (pod.proxy.ready or pod.proxy.started)


def _is_starting(pod: Pod, at: datetime) -> bool:
    return not (pod.proxy and pod.proxy.restarts) and at - when(pod.created_at, str(pod.ref)) < STARTING


def _waiting(pod: Pod) -> str:
    return f" ({pod.proxy.reason})" if pod.proxy is not None and pod.proxy.reason else ""
