"""Judgments about a rotation of Teleport's SPIFFE authority that is ended before everybody has followed: ROT-08.

What such an end costs has to be seen, and what ROT-04 goes by has to see it coming.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem, Remark
from facts.measure import Measure
from facts.over_time.ca_rotation import Stage
from facts.traffic.ledger import Exchange, Outcome, Request
from facts.traffic.load import reasons
from judge.findings import Claim, listed, problem
from judge.rotation.ca_rotation import AUTHORITY, each_phase_was_followed
from judge.traffic.exchanges import a_certificate_was_refused
from judge.traffic.load import Traffic, fresh, load_problem


def it_is_foreseen(requirement: str, early: Sequence[Stage], node: str) -> Finding:
    """What ROT-04 goes by says of each phase that it was not followed: by the proxies of a node, and by no others.

    Args:
        requirement: Id in the catalogue.
        early: The phases that were entered although the proxies of the node had not followed; at least one.
        node: The node that tbot was kept off.
    """
    problems: list[Problem] = []
    for stage in early:
        phase = stage.wanted.phase
        judged = each_phase_was_followed(requirement, [stage], [stage.wanted], stage.waited, 0)
        if judged.holds is not Holds.NO:
            problems.append(Problem(AUTHORITY, f"{phase} counts as followed: {judged.seen}"))
        behind = {pod for pod, _ in stage.behind}
        for proxy in stage.fleet.proxies:
            is_there, is_behind = proxy.pod.node == node, proxy.pod in behind
            if is_there is not is_behind:
                said = f"on {proxy.pod.node} is {'' if is_behind else 'not '}found to be behind"
                problems.append(problem(proxy, f"{phase}: {said}"))
    last = early[-1]
    return Claim(
        requirement,
        f"every proxy on {node}, and no other, to be found behind in {', '.join(s.wanted.phase for s in early)}",
        f"node {node}",
        [e for stage in early for e in stage.evidence],
    ).judged(
        problems,
        held=[Remark(pod.ref, f"found to be behind; in {last.wanted.phase} it {lacks}") for pod, lacks in last.behind],
        measures=(Measure("proxies that were found to be behind", len(last.behind), at_least=1),),
    )


@dataclass(frozen=True, slots=True)
class Early:
    """A rotation that was ended although the proxies of a node had not followed.

    Attributes:
        node: The node, which tbot was kept off.
        ended: When the rotation was taken to its end, UTC.
        back: When tbot was let back, UTC.
    """

    node: str
    ended: datetime
    back: datetime


def it_costs_requests(requirement: str, traffic: Sequence[Traffic], early: Early, at_most: float) -> Finding:
    """Requests to and from a node fail for the issuer of a certificate, from the early end until tbot is back; no others do.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads: some with one end on the node, some without.
        early: Where and when.
        at_most: Seconds after tbot was let back within which the last request may have failed.
    """
    counted, node = fresh(traffic), early.node
    crossing = [t for t in counted if (t.pair.client.node == node) is not (t.pair.server.node == node)]
    problems = [each for t in crossing for each in _not_as_foretold(t, early)]
    if not crossing or len(crossing) == len(counted):
        said = f"{len(crossing)} of {len(counted)} loads have one end on it: there must be both kinds"
        problems.append(Problem(ObjectRef("Node", node), said))
    lost = [r for t in crossing for r in _lost(t, early)]
    others = [(t, r) for t in counted for r in t.load.failed if t not in crossing or r.at < early.ended]
    for each in counted:
        for why, times in reasons(r for t, r in others if t is each).items():
            problems.append(load_problem(each, f"lost before it, or by way of no proxy on {node}: {times}: {why}"))
    first, last = min((r.at for r in lost), default=None), max((r.at for r in lost), default=None)
    return Claim(
        requirement,
        f"requests to and from {node} to fail from the early end until tbot is back, and no others",
        listed(t.pair.where for t in counted),
        [e for t in counted for e in t.evidence],
    ).judged(
        problems,
        held=[] if problems else [Remark(t.pair.server.ref, _told(t)) for t in counted],
        measures=(
            Measure("requests lost to the early end", len(lost), at_least=1),
            Measure("requests lost before it, or elsewhere", len(others), at_most=0),
            *_seconds("from the early end to the first lost request", early.ended, first),
            *_seconds("from tbot's return to the last lost request", early.back, last, at_most),
        ),
    )


def _lost(traffic: Traffic, early: Early) -> list[Request]:
    return [r for r in traffic.load.failed if r.at >= early.ended]


def _not_as_foretold(traffic: Traffic, early: Early) -> list[Problem]:
    """What is not as it must be with a load that has one end on the node."""
    load = traffic.load
    lost = _lost(traffic, early)
    if not lost:
        return [load_problem(traffic, "no request has failed")]
    problems = []
    exchange = Exchange(load.ledger, client=load.client, server=load.server)
    if not a_certificate_was_refused(traffic.pair, exchange):
        problems.append(load_problem(traffic, "no proxy has refused a certificate for its issuer or its dates"))
    last = max(r.at for r in lost)
    if not any(r.outcome is Outcome.ANSWERED for r in load.between(last, load.ended)):
        problems.append(load_problem(traffic, "no request was answered after those that failed"))
    return problems


def _told(traffic: Traffic) -> str:
    load = traffic.load
    why = ", ".join(f"{n}: {reason}" for reason, n in reasons(load.failed).items())
    return f"asked by {traffic.pair.client.name}: {len(load.failed)} of {load.sent} failed" + (f" ({why})" if why else "")


def _seconds(name: str, since: datetime, until: datetime | None, at_most: float | None = None) -> list[Measure]:
    if until is None:
        return []
    return [Measure(f"time {name}", max(0.0, (until - since).total_seconds()), "s", at_most=at_most)]
