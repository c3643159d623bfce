"""Where a rotation of Teleport's SPIFFE authority stands, from one look: who lags, and whether the next phase may begin.

What a phase demands of each proxy, and what a proxy lacks, is ROT-04's (`providers.teleport.facts.ca_rotation`,
`providers.teleport.judge.ca_rotation`). One look does not know the authorities of before: the newest ones that Teleport
publishes count as the new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from facts.finding import Problem
from facts.provider.trust import TrustBundle
from facts.proxies.identity import Fleet, PodRef
from judge.findings import problem
from judge.fleet import not_read
from providers.teleport.facts.ca_rotation import NEW, OLD, ROLLBACK, STANDBY, Generations, PhaseExpectation, Stage
from providers.teleport.facts.resources import ClusterStatus
from providers.teleport.judge.ca_rotation import each_phase_was_followed, holds_of_a_phase

INIT, CLIENTS, SERVERS = "init", "update_clients", "update_servers"

EXPECTED = {
    STANDBY: PhaseExpectation(STANDBY, (NEW,), NEW),
    INIT: PhaseExpectation(INIT, (OLD, NEW), OLD),
    CLIENTS: PhaseExpectation(CLIENTS, (OLD, NEW), NEW),
    SERVERS: PhaseExpectation(SERVERS, (OLD, NEW), NEW),
    ROLLBACK: PhaseExpectation(ROLLBACK, (OLD, NEW), OLD),
}
"""What each phase demands of every proxy. In standby there is one generation of authorities, which counts as the new one."""

NEXT = {INIT: CLIENTS, CLIENTS: SERVERS, SERVERS: STANDBY, ROLLBACK: STANDBY}
"""The phase behind each; none behind standby, where no rotation is under way."""

TOGETHER = timedelta(hours=1)
"""Authorities that began within this time of the newest one came with it: each Auth Service may have one of its own."""


class MayBegin(StrEnum):
    """The answer about the next phase."""

    YES = "the next phase may begin"
    NO = "the next phase must wait"
    UNKNOWN = "not determined"
    NO_ROTATION = "no rotation is under way"


@dataclass(frozen=True, slots=True)
class RotationAdvice:
    """Where a rotation stands.

    Attributes:
        phase: As Teleport calls it; empty where only its public bundle was read, which does not name the phase.
        following: The phase that comes next; empty for none, and where the phase is not known.
        may_begin: Whether it may begin.
        against: What stands against it: proxies that lag, and Teleport where it publishes something else than the phase
            demands.
        unread: Proxies that could not be read or asked, which stand against it as well until they are.
        followed: Number of proxies that have followed the phase.
        lagging: By node the number of proxies that lag there; where all proxies of a node do, look at its tbot.
        nodes: By node the number of its proxies that were read.
        might_be: The phases that it may be, where it is not known.
        done: Those of them that every proxy has followed.
    """

    phase: str
    following: str
    may_begin: MayBegin
    against: tuple[Problem, ...]
    unread: tuple[Problem, ...]
    followed: int
    lagging: Mapping[str, int]
    nodes: Mapping[str, int]
    might_be: tuple[str, ...] = ()
    done: tuple[str, ...] = ()

    @property
    def nodes_behind(self) -> tuple[str, ...]:
        """Nodes on which every proxy lags."""
        return tuple(sorted(node for node, number in self.lagging.items() if number == self.nodes[node]))


def advised(
    status: ClusterStatus, bundle: TrustBundle, fleet: Fleet, at: datetime, out_of_sight: Iterable[Problem] = ()
) -> RotationAdvice | None:
    """Say where the rotation stands; None for a phase that this suite does not know.

    Args:
        status: What ``tctl status`` says.
        bundle: The authorities that Teleport publishes.
        fleet: The proxies on tbot's sockets.
        at: When they were read.
        out_of_sight: Open points: further pods on these sockets, which nobody can ask.
    """
    wanted = EXPECTED.get(phase := status.spiffe_phase)
    if wanted is None:
        return None
    stage = Stage(wanted, at, 0, generations_of(bundle, phase), status, bundle, fleet)
    finding = each_phase_was_followed("ROT-04", [stage], [wanted], 0, 0)
    answer = MayBegin.NO_ROTATION if phase == STANDBY else MayBegin.YES
    return _advice(finding.problems, [pod for pod, _ in stage.behind], fleet, answer, phase, out_of_sight=out_of_sight)


def advised_by_bundle(bundle: TrustBundle, fleet: Fleet, out_of_sight: Iterable[Problem] = ()) -> RotationAdvice:
    """Say what can be told of a rotation without a session at Teleport.

    Every phase demands that a proxy trusts all that Teleport publishes, and holds a certificate of one of these authorities.
    A proxy that does not stands against the next phase, whatever the phase is. With a single authority there is no rotation.
    Several may be those of a rotation, in any of its phases, or each of an Auth Service of its own: that is not known.

    Args:
        bundle: The authorities that Teleport publishes.
        fleet: The proxies on tbot's sockets.
        out_of_sight: As above.
    """
    generations = generations_of(bundle, INIT)
    published = generations.named(bundle.authorities)
    problems, issuers = [], set[str]()
    for proxy in fleet.proxies:
        issuers.add(issuer := generations.issuer_of(proxy.chain))
        wanted = PhaseExpectation("", published, issuer if issuer in (OLD, NEW) else NEW)
        if lacks := wanted.lacks(proxy, generations):
            cause = "rotation-not-followed" if holds_of_a_phase(proxy, generations) else ""
            problems.append(problem(proxy, f"on {proxy.pod.node} it {lacks}", cause))
    lagging = {each.subject for each in problems}
    behind = [proxy.pod for proxy in fleet.proxies if proxy.ref in lagging]
    if len(bundle.authorities) < 2:
        return _advice(problems, behind, fleet, MayBegin.NO_ROTATION, STANDBY, out_of_sight=out_of_sight)
    advice = _advice(problems, behind, fleet, MayBegin.UNKNOWN, "", out_of_sight=out_of_sight)
    if advice.against or advice.unread or not fleet.proxies:
        return replace(advice, might_be=tuple(EXPECTED))
    done = [phase for phase, expected in EXPECTED.items() if phase == STANDBY or issuers == {expected.issuer}]
    return replace(advice, might_be=tuple(EXPECTED), done=tuple(done))


def _advice(
    problems: Iterable[Problem],
    behind: Iterable[PodRef],
    fleet: Fleet,
    otherwise: MayBegin,
    phase: str,
    *,
    out_of_sight: Iterable[Problem],
) -> RotationAdvice:
    """The advice, with an answer that holds where nothing stands against it.

    That a phase was followed is known once every proxy was read; that there is no rotation, by Teleport alone.
    """
    lagging, against = Counter(pod.node for pod in behind), tuple(problems)
    unread = (*not_read(fleet.unread), *out_of_sight)
    is_open = otherwise is not MayBegin.NO_ROTATION and (bool(unread) or not fleet.proxies)
    return RotationAdvice(
        phase=phase,
        following=NEXT.get(phase, ""),
        may_begin=MayBegin.NO if against else MayBegin.UNKNOWN if is_open else otherwise,
        against=against,
        unread=unread,
        followed=len(fleet.proxies) - lagging.total(),
        lagging=dict(sorted(lagging.items())),
        nodes=Counter(proxy.pod.node for proxy in fleet.proxies),
    )


def generations_of(bundle: TrustBundle, phase: str) -> Generations:
    """The old and the new authorities among those that Teleport publishes.

    In standby all are of one generation. Otherwise those that began with the newest one are the new ones. In a phase of a
    rotation there are two generations, however soon after the first one it began: where all began together, the longest
    time between two of them parts the generations.

    Args:
        bundle: What Teleport publishes.
    """
    if phase == STANDBY or not bundle.authorities:
        return Generations((), bundle.authorities)
    began = sorted({each.not_before for each in bundle.authorities})
    since = next(each for each in began if began[-1] - each <= TOGETHER)
    if since == began[0] and len(began) > 1:
        _longest, since = max((later - earlier, later) for earlier, later in pairwise(began))
    new = tuple(each for each in bundle.authorities if each.not_before >= since)
    return Generations(tuple(each for each in bundle.authorities if each not in new), new)
