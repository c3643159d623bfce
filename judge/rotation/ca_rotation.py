"""Judgments about a rotation of Teleport's SPIFFE authority: ROT-04."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.measure import Measure
from facts.over_time.ca_rotation import ANOTHER, Generations, PhaseExpectation, Stage, told
from facts.over_time.history import History
from facts.svid import Certificate
from facts.teleport.resources import NoSession
from facts.traffic.load import Load
from judge.findings import concluded, could_not_tell, listed
from judge.traffic.load import Traffic, fresh


def each_phase_was_followed(
    requirement: str, stages: Sequence[Stage], plan: Sequence[PhaseExpectation], renewal: float, spare: float
) -> Finding:
    """Teleport was taken through the phases, and in each what it publishes and what every proxy holds is what it asks for.

    Args:
        requirement: Id in the catalogue.
        stages: The phases that were entered.
        plan: The phases that were to be entered, in order.
        renewal: Seconds of tbot's slowest renewal interval.
        spare: Seconds granted beyond it.
    """
    problems = [w for stage in stages for w in _problems(stage)]
    if len(stages) < len(plan):
        missed = ", ".join(wanted.phase for wanted in plan[len(stages) :])
        problems.append(f"{missed} was not entered, because not everybody had followed {stages[-1].wanted.phase}")
    evidence = [e for stage in stages for e in stage.evidence]
    where = listed({p.pod for stage in stages for p in stage.fleet.proxies})
    expected = "; ".join(f"{w.phase}: {told(w.trusted)} trusted, certificates of {told([w.issuer])}" for w in plan)
    unread = [f"{u.pod}: {u.why.seen}" for stage in stages for u in stage.fleet.unread]
    if unread and not problems:
        remedy = "see whether its istio-proxy runs"
        error = CouldNotTell(expected=expected, seen="; ".join(unread), where=where, remedy=remedy)
        return could_not_tell(requirement, error, evidence)
    return concluded(
        requirement,
        expected=expected,
        problems=problems,
        confirmed=f"so it was, in Teleport's bundle and in each of {min(len(s.fleet.proxies) for s in stages)} proxies",
        where=where,
        evidence=evidence,
        measures=tuple(
            Measure(f"time until {stage.wanted.phase} was followed", stage.waited, "s", at_most=renewal + spare)
            for stage in stages
        ),
    )


def _problems(stage: Stage) -> list[str]:
    """What is not as the phase asks for."""
    phase, found = stage.wanted.phase, []
    if isinstance(stage.status, NoSession):
        found.append(f"{phase}: tctl status does not work: {stage.status.said}")
    elif stage.status.spiffe_phase != phase:
        found.append(f"{phase}: tctl status says {stage.status.spiffe_phase or 'nothing of the SPIFFE authority'}")
    published = stage.generations.named(stage.bundle.authorities)
    if published != stage.wanted.trusted:
        found.append(f"{phase}: Teleport publishes {told(published)}, not {told(stage.wanted.trusted)}")
    return [*found, *(f"{phase}: {pod} on {pod.node} {lacks}" for pod, lacks in stage.behind)]


def peers_saw_the_change(
    requirement: str, traffic: Sequence[Traffic], histories: Sequence[History], generations: Generations
) -> Finding:
    """Each server was shown a certificate of the authority that signed, each time that this had changed, in this order.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads.
        histories: What the proxies of their clients held.
        generations: The authorities.
    """
    by_pod = {h.pod.uid: h for h in histories}
    problems: list[str] = []
    said: dict[str, None] = {}
    shown = 0
    for each in fresh(traffic):
        spans = _by_issuer(by_pod[each.pair.client.uid], generations)
        held = " → ".join(issuer for issuer, _ in spans) or "none"
        if len(spans) < 2:
            problems.append(f"{each}: its client's proxy held those of {held} alone")
        if ANOTHER in held:
            problems.append(f"{each}: the client's proxy had a certificate of neither authority")
        seen = [issuer for issuer, certificates in spans if _saw(each.load, certificates)]
        shown += len(seen)
        if len(seen) < len(spans):
            saw = " → ".join(seen) or "none"
            problems.append(f"{each}: certificates of {held} were held, and the server saw those of {saw}")
        said[held] = None
    return concluded(
        requirement,
        expected="each server to be shown certificates of whoever signed, as that changed",
        problems=problems,
        confirmed=f"certificates of {' and of '.join(said)}, in this order, at every server",
        where=listed(t.pair.where for t in fresh(traffic)),
        evidence=[*(e for t in traffic for e in t.evidence), *(e for h in histories for e in h.evidence)],
        measures=(Measure("authorities that peers were shown, one after the other, by all loads", shown, at_least=1),),
    )


def _by_issuer(history: History, generations: Generations) -> list[tuple[str, list[Certificate]]]:
    """The certificates of a proxy, in order, those of one authority after the other together."""
    held = [svid.what for svid in history.svids]
    return [(issuer, list(group)) for issuer, group in groupby(held, generations.issuer_of)]


def _saw(load: Load, certificates: Sequence[Certificate]) -> bool:
    wanted = {c.sha256 for c in certificates}
    return any(seen.lower() in wanted for seen in load.seen_hashes())
