"""Where a rotation of Teleport's SPIFFE authority stands, from one look: who lags, and whether the next phase may begin.

What a phase demands of each proxy, and what a proxy lacks, is ROT-04's (`facts.over_time.ca_rotation`,
`judge.rotation.ca_rotation`). One look does not know the authorities of before: the newest ones that Teleport publishes
count as the new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from facts.finding import Problem
from facts.over_time.ca_rotation import NEW, OLD, ROLLBACK, STANDBY, Generations, PhaseExpectation, Stage
from facts.proxies.identity import Fleet
from facts.teleport.bundle import TrustBundle
from facts.teleport.resources import ClusterStatus
from judge.fleet import not_read
from judge.rotation.ca_rotation import each_phase_was_followed

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
        phase: As Teleport calls it.
        following: The phase that comes next; empty for none.
        may_begin: Whether it may begin.
        against: What stands against it: proxies that lag, and Teleport where it publishes something else than the phase
            demands.
        unread: Proxies that could not be read, which stand against it as well until they are.
        followed: Number of proxies that have followed the phase.
        lagging: By node the number of proxies that lag there; where all proxies of a node do, look at its tbot.
        nodes: By node the number of its proxies that were read.
    """

    phase: str
    following: str
    may_begin: MayBegin
    against: tuple[Problem, ...]
    unread: tuple[Problem, ...]
    followed: int
    lagging: Mapping[str, int]
    nodes: Mapping[str, int]

    @property
    def nodes_behind(self) -> tuple[str, ...]:
        """Nodes on which every proxy lags."""
        return tuple(sorted(node for node, number in self.lagging.items() if number == self.nodes[node]))


def advised(status: ClusterStatus, bundle: TrustBundle, fleet: Fleet, at: datetime) -> RotationAdvice | None:
    """Say where the rotation stands; None for a phase that this suite does not know.

    Args:
        status: What ``tctl status`` says.
        bundle: The authorities that Teleport publishes.
        fleet: The proxies on tbot's sockets.
        at: When they were read.
    """
    wanted = EXPECTED.get(phase := status.spiffe_phase)
    if wanted is None:
        return None
    stage = Stage(wanted, at, 0, generations_of(bundle, phase), status, bundle, fleet)
    finding = each_phase_was_followed("ROT-04", [stage], [wanted], 0, 0)
    behind = Counter(pod.node for pod, _ in stage.behind)
    unread = tuple(not_read(fleet.unread))
    if phase == STANDBY and not finding.problems:
        answer = MayBegin.NO_ROTATION
    elif finding.problems:
        answer = MayBegin.NO
    else:
        answer = MayBegin.UNKNOWN if unread or not fleet.proxies else MayBegin.YES
    return RotationAdvice(
        phase=phase,
        following=NEXT.get(phase, ""),
        may_begin=answer,
        against=finding.problems,
        unread=unread,
        followed=len(fleet.proxies) - behind.total(),
        lagging=dict(sorted(behind.items())),
        nodes=Counter(proxy.pod.node for proxy in fleet.proxies),
    )


def generations_of(bundle: TrustBundle, phase: str) -> Generations:
    """The old and the new authorities among those that Teleport publishes.

    In standby all are of one generation. Otherwise those that began with the newest one are the new ones.
    """
    if phase == STANDBY or not bundle.authorities:
        return Generations((), bundle.authorities)
    newest = max(each.not_before for each in bundle.authorities)
    new = tuple(each for each in bundle.authorities if newest - each.not_before <= TOGETHER)
    return Generations(tuple(each for each in bundle.authorities if each not in new), new)
