"""Judgments about a rotation of Teleport's SPIFFE authority: ROT-04."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem, Remark
from facts.measure import Measure
from facts.over_time.history import History
from facts.proxies.identity import ProxyIdentity
from facts.svid import Certificate
from facts.traffic.load import Load
from judge.findings import Claim, listed, problem
from judge.fleet import went_away
from judge.traffic.load import Traffic, fresh, load_problem
from providers.teleport.facts.ca_rotation import ANOTHER, NEW, OLD, Generations, PhaseExpectation, Stage, told
from providers.teleport.facts.resources import NoSession

AUTHORITY = ObjectRef("Teleport", "SPIFFE authority")


def each_phase_was_followed(
    requirement: str, stages: Sequence[Stage], plan: Sequence[PhaseExpectation], renewal: float, spare: float
) -> Finding:
    """Teleport went through the phases, and in each Teleport's bundle and every proxy were as the phase requires.

    Args:
        requirement: Id in the catalogue.
        stages: The phases that Teleport entered.
        plan: The phases that it was to enter, in order.
        renewal: Seconds of tbot's slowest renewal interval.
        spare: Grace period in seconds.
    """
    problems = [each for stage in stages for each in _problems(stage)]
    if len(stages) < len(plan):
        missed = ", ".join(wanted.phase for wanted in plan[len(stages) :])
        said = f"the suite did not enter {missed}, because not every proxy had followed {stages[-1].wanted.phase}"
        problems.append(Problem(AUTHORITY, said))
    unread = [(stage.wanted.phase, each) for stage in stages for each in stage.fleet.unread]
    return Claim(
        requirement,
        "proxies "
        + "; ".join(f"to trust {told(w.trusted)} and hold certificates of {told([w.issuer])} in {w.phase}" for w in plan),
        listed({p.pod for stage in stages for p in stage.fleet.proxies}),
        readings(*stages),
    ).judged(
        problems,
        f"Teleport's bundle and each of {min(len(s.fleet.proxies) for s in stages)} proxies followed every phase",
        unclear=[Problem(each.pod.ref, f"{phase}: the suite could not read it: {each.why.seen}") for phase, each in unread],
        # The suite waits in vain for a proxy that it cannot read, so that the time proves nothing.
        measures=[
            Measure(
                f"time until {stage.wanted.phase} was followed",
                stage.waited,
                "s",
                at_most=None if unread and not problems else renewal + spare,
            )
            for stage in stages
        ],
        settle="check whether its istio-proxy runs",
        left_out=[
            Remark(each.subject, f"{stage.wanted.phase}: {each.said}")
            for stage in stages
            for each in went_away(stage.fleet.left_out)
        ],
    )


def _problems(stage: Stage) -> list[Problem]:
    """Differences from the state that the phase requires."""
    phase, status, wanted = stage.wanted.phase, stage.status, stage.wanted
    found = []
    if isinstance(status, NoSession):
        found.append(Problem(AUTHORITY, f"{phase}: tctl status does not work: {status.said}", "", status.evidence))
    elif status.spiffe_phase != phase:
        said = f"{phase}: tctl status reports {status.spiffe_phase or 'nothing about the SPIFFE authority'}"
        found.append(Problem(AUTHORITY, said, "", status.evidence))
    published = stage.generations.named(stage.bundle.authorities)
    if published != wanted.trusted:
        said = f"{phase}: Teleport publishes {told(published)}, not {told(wanted.trusted)}"
        found.append(Problem(AUTHORITY, said, "", stage.bundle.evidence))
    for proxy in stage.fleet.proxies:
        if lacks := wanted.lacks(proxy, stage.generations):
            cause = "rotation-not-followed" if _is_in_another_phase(proxy, stage) else ""
            found.append(problem(proxy, f"{phase}: on {proxy.pod.node} it {lacks}", cause))
    return found


def _is_in_another_phase(proxy: ProxyIdentity, stage: Stage) -> bool:
    """Tell whether Teleport publishes the right authorities, and a proxy has all that it holds from another phase."""
    is_published = stage.generations.named(stage.bundle.authorities) == stage.wanted.trusted
    return is_published and holds_of_a_phase(proxy, stage.generations)


def holds_of_a_phase(proxy: ProxyIdentity, generations: Generations) -> bool:
    """Tell whether a proxy has all that it holds from some phase of a rotation between these authorities."""
    trusted = generations.trusted_by(proxy)
    return bool(trusted) and ANOTHER not in trusted and generations.issuer_of(proxy.chain) in (OLD, NEW)


def peers_saw_the_change(
    requirement: str, traffic: Sequence[Traffic], histories: Sequence[History], generations: Generations
) -> Finding:
    """Each server saw certificates of each signing authority, in the order in which Teleport changed it.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads.
        histories: Histories of the proxies of their clients.
        generations: The authorities.
    """
    by_pod = {h.pod.uid: h for h in histories}
    problems: list[Problem] = []
    held: list[Remark] = []
    shown = 0
    for each in fresh(traffic):
        history = by_pod[each.pair.client.uid]
        spans = _by_issuer(history, generations)
        issuers = " → ".join(issuer for issuer, _ in spans) or "none"
        if len(spans) < 2:
            said = f"it held only certificates of {issuers}"
            problems.append(problem(history, said))
        if ANOTHER in issuers:
            problems.append(problem(history, "it held a certificate of neither authority"))
        seen = [issuer for issuer, certificates in spans if _saw(each.load, certificates)]
        shown += len(seen)
        if len(seen) < len(spans):
            saw = " → ".join(seen) or "none"
            problems.append(load_problem(each, f"it saw certificates of {saw}, while the client held those of {issuers}"))
        held.append(Remark(each.pair.server.ref, f"saw certificates of {issuers} from {each.pair.client.name}"))
    expected = "each server to see certificates of each signing authority, as Teleport changed it"
    return Claim(requirement, expected, listed(t.pair.where for t in fresh(traffic)), readings(*traffic, *histories)).judged(
        problems,
        held=[] if problems else held,
        measures=(Measure("authorities that peers were shown, one after the other, by all loads", shown, at_least=1),),
    )


def _by_issuer(history: History, generations: Generations) -> list[tuple[str, list[Certificate]]]:
    """The certificates of a proxy in order, grouped by their authority."""
    spans = groupby((held.what for held in history.chains), generations.issuer_of)
    return [(issuer, [leaf for leaf, *_between in chains]) for issuer, chains in spans]


def _saw(load: Load, certificates: Sequence[Certificate]) -> bool:
    wanted = {c.sha256 for c in certificates}
    return any(seen.lower() in wanted for seen in load.seen_hashes())
