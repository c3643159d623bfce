"""Repeated sightings of one proxy over a span of time: the ground of every claim that something was renewed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Generic, TypeVar

from facts.evidence import ObjectRef, readings
from facts.proxies.identity import PodRef, ProxyIdentity, Unread
from facts.svid import Certificate

T = TypeVar("T")

UPTIME_IS_OLD = timedelta(seconds=6)
"""Greatest age of Envoy's uptime at a reading: Istio has Envoy refresh it every 5 s."""


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """A state that lasted from one look to another.

    Attributes:
        what: The state.
        first_seen: UTC time of the first look that saw it.
        last_seen: UTC time of the last look before it was otherwise, or of the last look at all.
    """

    what: T
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class History:
    """One proxy over a span of time.

    Attributes:
        sightings: Its states, in order; a new one begins where anything but the time has changed.
        unread: Looks that failed.
    """

    pod: PodRef
    sightings: tuple[Held[ProxyIdentity], ...] = ()
    unread: tuple[Unread, ...] = ()

    @property
    def ref(self) -> ObjectRef:
        """Its pod, as the subject of a finding."""
        return self.pod.ref

    def seen(self, identity: ProxyIdentity) -> History:
        """The history with one more look."""
        if self.sightings and _same(self.sightings[-1].what, identity):
            last = replace(self.sightings[-1], last_seen=identity.read_at)
            return replace(self, sightings=(*self.sightings[:-1], last))
        return replace(self, sightings=(*self.sightings, Held(identity, identity.read_at, identity.read_at)))

    def missed(self, unread: Unread) -> History:
        """The history with one more look that failed."""
        return replace(self, unread=(*self.unread, unread))

    def shown_by(self, evidence: tuple[str, ...]) -> History:
        """The history with further readings that show the last sighting."""
        if not self.sightings or not evidence:
            return self
        last = self.sightings[-1]
        shown = replace(last.what, evidence=tuple(dict.fromkeys((*last.what.evidence, *evidence))))
        return replace(self, sightings=(*self.sightings[:-1], replace(last, what=shown)))

    @property
    def latest(self) -> ProxyIdentity | None:
        """The proxy as last read; its times are those of the first look that saw this state."""
        return self.sightings[-1].what if self.sightings else None

    @property
    def last_look(self) -> datetime | None:
        """UTC time of the last look, also of one that failed; None before the first."""
        times = [*(s.last_seen for s in self.sightings[-1:]), *(u.at for u in self.unread[-1:])]
        return max(times, default=None)

    @property
    def svids(self) -> tuple[Held[Certificate], ...]:
        """The certificates that it presented, one after the other; times without one are left out."""
        return tuple(Held(h.what, h.first_seen, h.last_seen) for h in self._held(lambda i: i.leaf) if h.what is not None)

    @property
    def chains(self) -> tuple[Held[tuple[Certificate, ...]], ...]:
        """The same as `svids`, each with the certificates that it presented beside the leaf, leaf first."""
        return tuple(held for held in self._held(lambda i: i.chain) if held.what)

    @property
    def taken_up(self) -> tuple[datetime, ...]:
        """The time at which Envoy took up each of `svids`, by its own clock: of the update that first brought it."""
        first = {h.what.leaf.sha256: h for h in reversed(self.sightings) if h.what.leaf is not None}
        return tuple(first[s.what.sha256].what.last_updated or s.first_seen for s in self.svids)

    @property
    def waiting(self) -> float:
        """Seconds that the present certificate has been seen for; 0 before the first."""
        return (self.svids[-1].last_seen - self.svids[-1].first_seen).total_seconds() if self.svids else 0.0

    @property
    def authorities(self) -> tuple[Held[tuple[Certificate, ...]], ...]:
        """The authorities that it trusted, of all trust domains, one set after the other."""
        return self._held(lambda i: tuple(c for certificates in i.root_authorities.values() for c in certificates))

    @property
    def streams(self) -> tuple[Held[int], ...]:
        """The number of its SDS streams."""
        return self._held(lambda i: i.streams.rq_active)

    @property
    def pushes(self) -> tuple[Held[tuple[str, datetime | None]], ...]:
        """``version_info`` and ``last_updated`` of ``default``, which prove nothing about its content."""
        return self._held(lambda i: (i.version_info, i.last_updated))

    @property
    def restarts(self) -> int:
        """The number of new starts of Envoy: its start time moved by more than its uptime can be old."""
        starts = [s.what.started_at for s in self.sightings]
        return sum(later - earlier > UPTIME_IS_OLD for earlier, later in pairwise(starts))

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings at which anything had changed."""
        return readings(*(s.what for s in self.sightings))

    def _held(self, part: Callable[[ProxyIdentity], T]) -> tuple[Held[T], ...]:
        """A part of it, one value after the other."""
        found: list[Held[T]] = []
        for sighting in self.sightings:
            value = part(sighting.what)
            if found and found[-1].what == value:
                found[-1] = replace(found[-1], last_seen=sighting.last_seen)
            else:
                found.append(Held(value, sighting.first_seen, sighting.last_seen))
        return tuple(found)


def _same(one: ProxyIdentity, other: ProxyIdentity) -> bool:
    """Tell whether two looks saw the same state; times and the proxy's counters do not count."""
    if abs(one.started_at - other.started_at) > UPTIME_IS_OLD:
        return False
    still = replace(
        other,
        uptime=one.uptime,
        read_at=one.read_at,
        evidence=one.evidence,
        streams=replace(one.streams, cx_active=other.streams.cx_active, rq_active=other.streams.rq_active),
    )
    return still == one
