"""Judgments about a rotation of Teleport's SPIFFE authority that ends before every proxy has followed: ROT-08.

The cost of such an end must show, and the judgment of ROT-04 must foresee it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Holds, Problem, Remark
from facts.measure import Measure
from facts.traffic.ledger import Outcome, Request
from facts.traffic.load import reasons
from judge.findings import Claim, listed, problem, time_until
from judge.traffic.exchanges import NO_CERTIFICATE_REFUSED, a_certificate_was_refused
from judge.traffic.load import Traffic, fresh, load_problem
from providers.teleport.facts.ca_rotation import Stage
from providers.teleport.judge.ca_rotation import AUTHORITY, each_phase_was_followed


def it_is_foreseen(requirement: str, early: Sequence[Stage], node: str) -> Finding:
    """The judgment of ROT-04 reports for each phase that the proxies of one node, and no others, have not followed.

    Args:
        requirement: Id in the catalogue.
        early: The phases that Teleport entered although the proxies of the node had not followed; at least one.
        node: The node without tbot.
    """
    problems: list[Problem] = []
    for stage in early:
        phase = stage.wanted.phase
        judged = each_phase_was_followed(requirement, [stage], [stage.wanted], stage.waited, 0)
        if judged.holds is not Holds.NO:
            problems.append(Problem(AUTHORITY, f"ROT-04 takes {phase} for followed: {judged.seen}"))
        behind = {pod for pod, _ in stage.behind}
        for proxy in stage.fleet.proxies:
            is_there, is_behind = proxy.pod.node == node, proxy.pod in behind
            if is_there is not is_behind:
                said = f"it runs on {proxy.pod.node} and is {'' if is_behind else 'not '}found behind"
                problems.append(problem(proxy, f"{phase}: {said}"))
    last = early[-1]
    expected = f"every proxy on {node}, and no other, to be found behind in {', '.join(s.wanted.phase for s in early)}"
    return Claim(requirement, expected, f"node {node}", readings(*early)).judged(
        problems,
        held=[Remark(pod.ref, f"found behind; in {last.wanted.phase} it {lacks}") for pod, lacks in last.behind],
        measures=(Measure("proxies that were found to be behind", len(last.behind), at_least=1),),
    )


@dataclass(frozen=True, slots=True)
class Early:
    """A rotation that ended although the proxies of a node had not followed.

    Attributes:
        node: The node, which had no tbot.
        ended: UTC time at which the rotation ended.
        back: UTC time at which tbot was allowed back.
    """

    node: str
    ended: datetime
    back: datetime


def it_costs_requests(requirement: str, traffic: Sequence[Traffic], early: Early, at_most: float) -> Finding:
    """Requests to and from a node fail for a certificate's issuer, from the early end until tbot is back; no others fail.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads: some with one end on the node, some without.
        early: The early end.
        at_most: Seconds from tbot's return to the last request that may fail.
    """
    counted, node = fresh(traffic), early.node
    crossing = [t for t in counted if (t.pair.client.node == node) is not (t.pair.server.node == node)]
    problems = [each for t in crossing for each in _not_as_foreseen(t, early)]
    if not crossing or len(crossing) == len(counted):
        said = f"{len(crossing)} of {len(counted)} loads have one end on it; some must have one there, and some none"
        problems.append(Problem(ObjectRef("Node", node), said))
    lost = [r for t in crossing for r in _lost(t, early)]
    others = [(t, r) for t in counted for r in t.load.failed if t not in crossing or r.at < early.ended]
    for each in counted:
        for why, times in reasons(r for t, r in others if t is each).items():
            problems.append(load_problem(each, f"{times} were lost before the early end, or not at {node}: {why}"))
    first, last = min((r.at for r in lost), default=None), max((r.at for r in lost), default=None)
    expected = f"requests to and from {node} to fail from the early end until tbot is back, and no others"
    return Claim(requirement, expected, listed(t.pair.where for t in counted), readings(*counted)).judged(
        problems,
        held=[] if problems else [Remark(t.pair.server.ref, _told(t)) for t in counted],
        measures=(
            Measure("requests lost to the early end", len(lost), at_least=1),
            Measure("requests lost before it, or elsewhere", len(others), at_most=0),
            *time_until("time from the early end to the first lost request", early.ended, first),
            *time_until("time from tbot's return to the last lost request", early.back, last, at_most),
        ),
    )


def _lost(traffic: Traffic, early: Early) -> list[Request]:
    return [r for r in traffic.load.failed if r.at >= early.ended]


def _not_as_foreseen(traffic: Traffic, early: Early) -> list[Problem]:
    """Problems of a load with one end on the node that did not fail as foreseen."""
    load = traffic.load
    lost = _lost(traffic, early)
    if not lost:
        return [load_problem(traffic, "none failed")]
    problems = []
    if not a_certificate_was_refused(traffic.pair, traffic.exchange):
        problems.append(load_problem(traffic, NO_CERTIFICATE_REFUSED))
    last = max(r.at for r in lost)
    if not any(r.outcome is Outcome.ANSWERED for r in load.between(last, load.ended)):
        problems.append(load_problem(traffic, "none was answered after those that failed"))
    return problems


def _told(traffic: Traffic) -> str:
    load = traffic.load
    why = ", ".join(f"{n}: {reason}" for reason, n in reasons(load.failed).items())
    return f"requests from {traffic.pair.client.name}: {len(load.failed)} of {load.sent} failed" + (
        f" ({why})" if why else ""
    )
