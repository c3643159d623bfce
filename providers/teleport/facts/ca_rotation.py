"""A rotation of Teleport's SPIFFE authority: the effect of each phase on the trust domain, and the progress of its proxies.

Source: Teleport, "Certificate authority rotation": in ``init`` a new authority is trusted besides the old one, which goes on
signing; from ``update_clients`` on the new one signs; ``update_servers`` changes nothing for SPIFFE; ``standby`` drops the
old one. ``rollback`` lets the old one sign again, and ``standby`` after it drops the new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from facts.provider.trust import TrustBundle
from facts.proxies.identity import Fleet, PodRef, ProxyIdentity
from facts.svid import Certificate, is_signed_by
from providers.teleport.facts.resources import ClusterStatus, NoSession

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
        """Names of some authorities: `OLD` and `NEW` where all of those are among them, `ANOTHER` for any other."""
        held = {a.sha256 for a in authorities}
        names = [name for name in (OLD, NEW) if self.of(name) and held >= {a.sha256 for a in self.of(name)}]
        known = {a.sha256 for name in names for a in self.of(name)}
        return (*names, *((ANOTHER,) if held - known else ()))

    def trusted_by(self, proxy: ProxyIdentity) -> tuple[str, ...]:
        """Names of the authorities that a proxy trusts, see `named`."""
        return self.named(a for authorities in proxy.root_authorities.values() for a in authorities)

    def issuer_of(self, chain: Sequence[Certificate]) -> str:
        """Name of the authority that a chain, leaf first, leads to: `OLD`, `NEW`, `ANOTHER`; `NONE` without a chain."""
        if not chain:
            return NONE
        leaf, *between = chain
        return next((name for name in (OLD, NEW) if is_signed_by(leaf, self.of(name), between)), ANOTHER)


@dataclass(frozen=True, slots=True)
class PhaseExpectation:
    """The state of the trust domain that a phase must bring about.

    Attributes:
        phase: As Teleport calls it.
        trusted: `OLD`, `NEW` or both, in this order: Teleport must publish them, and every proxy must trust them.
        issuer: `OLD` or `NEW`: the authority that must have signed every proxy's certificate.
    """

    phase: str
    trusted: tuple[str, ...]
    issuer: str

    def lacks(self, proxy: ProxyIdentity, generations: Generations) -> str:
        """The difference between a proxy and the phase, as the end of a sentence; empty where the proxy has followed."""
        trusted, issuer = generations.trusted_by(proxy), generations.issuer_of(proxy.chain)
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
        wanted: The state that the phase must bring about.
        entered: When Teleport entered it, UTC.
        waited: Seconds from then until every proxy had followed, or until the suite stopped waiting.
        generations: The authorities known then.
        status: The answer of ``tctl status``.
        bundle: The trust bundle that Teleport published.
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
        """Tell whether every proxy has followed; those on the node `but_on` do not count."""
        pods = (*(pod for pod, _ in self.behind), *(unread.pod for unread in self.fleet.unread))
        return all(pod.node == but_on for pod in pods)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return (*self.status.evidence, *self.bundle.evidence, *self.fleet.evidence)
