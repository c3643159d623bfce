"""A rotation of Teleport's SPIFFE authority: the effect of each phase on the trust domain, and the progress of its proxies.

Source: Teleport, "Certificate authority rotation": in ``init`` a new authority is trusted besides the old one, which goes on
signing; from ``update_clients`` on the new one signs; ``update_servers`` changes nothing for SPIFFE; ``standby`` drops the
old one. ``rollback`` lets the old one sign again, and ``standby`` after it drops the new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from facts.proxies.identity import Fleet, PodRef, ProxyIdentity
from facts.svid import Certificate, is_signed_by
from facts.teleport.bundle import TrustBundle
from facts.teleport.resources import ClusterStatus, NoSession

OLD, NEW, ANOTHER, NONE = "old", "new", "another", "none"

STANDBY, ROLLBACK = "standby", "rollback"


@dataclass(frozen=True, slots=True)
class Generations:
    """The authorities of a trust domain before a rotation, and those that came with it.

    Attributes:
        old: Those before; several where each Auth service has one of its own.
        new: Those that the phase ``init`` has brought; none before it.
    """

    old: tuple[Certificate, ...]
    new: tuple[Certificate, ...] = ()

    def with_new(self, published: Iterable[Certificate]) -> Generations:
        """The same with whatever is published and not old as the new ones."""
        known = {a.sha256 for a in self.old}
        return Generations(self.old, tuple(a for a in published if a.sha256 not in known))

    def of(self, name: str) -> tuple[Certificate, ...]:
        """The old ones or the new ones, by `OLD` or `NEW`."""
        return self.old if name == OLD else self.new

    def named(self, authorities: Iterable[Certificate]) -> tuple[str, ...]:
        """What some authorities are: `OLD` and `NEW` where they are all of those, `ANOTHER` for any that is neither."""
        held = {a.sha256 for a in authorities}
        names = [name for name in (OLD, NEW) if self.of(name) and held >= {a.sha256 for a in self.of(name)}]
        known = {a.sha256 for name in names for a in self.of(name)}
        return (*names, *((ANOTHER,) if held - known else ()))

    def trusted_by(self, proxy: ProxyIdentity) -> tuple[str, ...]:
        """What a proxy trusts, as `named` says it."""
        return self.named(a for authorities in proxy.root_authorities.values() for a in authorities)

    def issuer_of(self, leaf: Certificate | None) -> str:
        """Which of them has signed a certificate: `OLD`, `NEW`, `ANOTHER`; `NONE` where there is no certificate."""
        if leaf is None:
            return NONE
        return next((name for name in (OLD, NEW) if is_signed_by(leaf, self.of(name))), ANOTHER)


@dataclass(frozen=True, slots=True)
class PhaseExpectation:
    """The state of the trust domain that a phase has to bring about.

    Attributes:
        phase: As Teleport calls it.
        trusted: `OLD`, `NEW` or both, in this order: what is published, and what every proxy has to trust.
        issuer: `OLD` or `NEW`: who has to have signed every proxy's certificate.
    """

    phase: str
    trusted: tuple[str, ...]
    issuer: str

    def lacks(self, proxy: ProxyIdentity, generations: Generations) -> str:
        """How a proxy is behind, as the end of a sentence; empty where it has followed."""
        trusted, issuer = generations.trusted_by(proxy), generations.issuer_of(proxy.leaf)
        behind = [
            *([f"trusts {told(trusted)}, not {told(self.trusted)}"] if trusted != self.trusted else []),
            *([f"has a certificate of {told([issuer])}, not of {told([self.issuer])}"] if issuer != self.issuer else []),
        ]
        return " and ".join(behind)


def told(names: Iterable[str]) -> str:
    """Authorities by their names, as people say it."""
    return " and ".join(f"the {name}" if name in (OLD, NEW) else name for name in names) or "none"


@dataclass(frozen=True, slots=True)
class Stage:
    """One phase that Teleport entered, and the readings once every proxy had followed or the suite stopped waiting.

    Attributes:
        wanted: What it has to make of the trust domain.
        entered: When Teleport had taken it, UTC.
        waited: Seconds from then until every proxy was seen to have followed, or until the waiting was over.
        generations: The authorities, as they were known then.
        status: What ``tctl status`` said.
        bundle: What Teleport published.
        fleet: The proxies.
    """

    wanted: PhaseExpectation
    entered: datetime
    waited: float
    generations: Generations
    status: ClusterStatus | NoSession
    bundle: TrustBundle
    fleet: Fleet

    @property
    def behind(self) -> tuple[tuple[PodRef, str], ...]:
        """The proxies that have not followed, each with how it is behind."""
        said = ((proxy.pod, self.wanted.lacks(proxy, self.generations)) for proxy in self.fleet.proxies)
        return tuple((pod, lacks) for pod, lacks in said if lacks)

    def has_been_followed(self, *, but_on: str = "") -> bool:
        """Whether every proxy has, those on one node aside if it is given."""
        pods = (*(pod for pod, _ in self.behind), *(unread.pod for unread in self.fleet.unread))
        return all(pod.node == but_on for pod in pods)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return (*self.status.evidence, *self.bundle.evidence, *self.fleet.evidence)
