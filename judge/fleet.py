"""Judgments about many proxies at once, those that could not be read included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from facts.evidence import readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.measure import Measure
from facts.proxies.identity import Fleet, LeftOut, PodRef, ProxyIdentity, Unread
from facts.proxies.presence import ISTIOS_OWN, Stage, Start, start_of
from judge.findings import Claim, confirmed_of, problem

NONE_STAYED = "every proxy went away while the suite read it"
READ_AGAIN = "run again when the workloads are not being rolled out"
"""Next step where nothing stayed long enough to be read."""
ASK_ALL = "run again; the suite must ask every pod that it judges"
"""Next step where pods were not asked."""


NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"})
"""Reasons of a container that waits for its image. Source: Kubernetes, kubelet."""


def cause_of_no_start(pod: Pod) -> str:
    """Cause for which the proxy of a pod has not started, where the pod's own status tells it; else empty."""
    own = [c for c in pod.containers if c.name == PROXY or c.name in ISTIOS_OWN]
    return "proxy-image-unavailable" if any(c.reason in NO_IMAGE for c in own) else ""


class Outcome(Protocol):
    """What came of one pod that was asked."""

    @property
    def pod(self) -> PodRef:
        """The pod."""


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

    A pod that went away while the suite read the fleet is left out by name, unless that leaves nothing to judge.

    Args:
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
    down, unread = down_or_unread(fleet, known)
    wrong, open_points = [*problems, *down], [*unclear, *not_read(unread)]
    if fleet.left_out and not (fleet.proxies or wrong or open_points):
        open_points = [claim.problem(NONE_STAYED, evidence=readings(*fleet.left_out))]
        settle = READ_AGAIN
    return replace(claim, evidence=(*readings(*known.values(), fleet), *claim.evidence)).judged(
        wrong,
        confirmed,
        held=confirmed_of(held, [*wrong, *open_points]),
        unclear=open_points,
        left_out=[*left_out, *went_away(fleet.left_out)],
        notes=notes,
        measures=measures,
        settle=how_to_read(unread, settle),
    )


def down_or_unread(fleet: Fleet, pods: Mapping[str, Pod]) -> tuple[list[Problem], list[Unread]]:
    """The proxies that were not read: problems of those that are down, and the others.

    Args:
        fleet: Proxies.
        pods: Their pods, by uid.
    """
    down, unread = [], []
    for each in fleet.unread:
        pod = each.now or pods.get(each.pod.uid)
        start = start_of(pod, each.at) if pod is not None else Start(Stage.UP)
        if pod is not None and start.stage is Stage.DOWN:
            reasons = "; ".join(filter(None, (start.said, _last_end(pod))))
            reason = f" ({reasons})" if reasons else ""
            down.append(problem(pod, f"it holds no identity: its istio-proxy is not up{reason}", cause_of_no_start(pod)))
        else:
            unread.append(each)
    return down, unread


def _last_end(pod: Pod) -> str:
    """How the proxy of a pod ended the last time, in words; empty where it never did."""
    proxy = pod.proxy
    if proxy is None or proxy.last_exit_code is None:
        return ""
    return f"it ended with code {proxy.last_exit_code}, {proxy.last_reason or 'for no reason that is given'}"


def not_read(unread: Iterable[Unread]) -> list[Problem]:
    """Open points: proxies that could not be read, each with the reason."""
    return [
        Problem(each.pod.ref, f"the suite could not read it: {_why(each)}", evidence=readings(each.now)) for each in unread
    ]


def not_asked(pods: Iterable[Pod], outcomes: Iterable[Outcome]) -> list[Problem]:
    """Open points: pods without an answer or a reason; leaving them out would prove too much.

    Args:
        pods: The pods that are judged.
        outcomes: What came of each pod that was asked.
    """
    asked = {each.pod.uid for each in outcomes}
    return [problem(pod, "the suite did not ask it") for pod in pods if pod.uid not in asked]


def went_away(left_out: Iterable[LeftOut]) -> list[Remark]:
    """The pods that went away while the suite read the fleet."""
    return [Remark(each.pod.ref, each.why) for each in left_out]


def how_to_read(unread: Sequence[Unread], otherwise: str = "") -> str:
    """Next step that lets the suite read a proxy; where all were read, another one."""
    return unread[0].why.remedy if unread else otherwise


def each_of(proxies: Iterable[ProxyIdentity], said: Callable[[ProxyIdentity], str]) -> list[Remark]:
    """One observation of each proxy."""
    return [Remark(proxy.ref, said(proxy)) for proxy in proxies]


def _why(unread: Unread) -> str:
    """The reason, from the state of the pod where that tells it."""
    start = start_of(unread.now, unread.at) if unread.now is not None else Start(Stage.UP)
    return unread.why.seen if start.stage in (Stage.UP, Stage.DOWN) else start.said
