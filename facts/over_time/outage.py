"""An outage and its effect on a load: moments on the suite's clock, held against the ends of certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from facts.kubernetes.objects import Pod
from facts.over_time.history import Held, History
from facts.proxies.identity import Fleet, ProxyIdentity
from facts.svid import Certificate
from facts.traffic.ledger import Outcome, Request
from facts.traffic.load import Load


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage that the suite caused.

    Attributes:
        of: What, e.g. ``tbot``.
        ordered: When it was told to go.
        gone: When it was seen to be gone.
        recalled: When it was told to come back.
        back: When it was seen to be back.
        shown_by: What it was seen by, as a sentence.
        evidence: Ids of the readings that it was seen in.
        suffering: Pods that live from it, as they were shortly before it was told to come back.
        anew: Where it comes back node by node: when that began on each node, by the node's name.
    """

    of: str
    ordered: datetime
    gone: datetime
    recalled: datetime
    back: datetime
    shown_by: str
    evidence: tuple[str, ...]
    suffering: tuple[Pod, ...] = ()
    anew: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def lasted(self) -> float:
        """Seconds from when it was seen to be gone to when it was told to come back."""
        return (self.recalled - self.gone).total_seconds()

    def __str__(self) -> str:
        return f"{self.of} was away for {self.lasted:.0f} s, from {self.gone:%T} UTC ({self.shown_by})"


@dataclass(frozen=True, slots=True)
class Start:
    """A pod of the run that was started while something was missing.

    Attributes:
        pod: As it was last seen.
        began: When it was told to start.
        last_words: The end of what its agent said when it ended for the first time; empty where it has not ended.
        meanwhile: What its proxy was while that was missing; None where no Envoy ran then.
        ready: When it was seen to be Ready; None where it has not become so.
        proxy: What its proxy was when it was Ready.
        evidence: Ids of the readings.
    """

    pod: Pod
    began: datetime
    last_words: str
    meanwhile: ProxyIdentity | None
    ready: datetime | None
    proxy: ProxyIdentity | None
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relocation:
    """A node's socket directory that was lost, and tbot, which was replaced there.

    Attributes:
        node: The node.
        lost: When the directory was taken away.
        replaced: When the tbot of before was told to go.
        back: When another tbot was seen to be Ready; None where none has become so.
        words: What kept it from that; empty where nothing did.
        inodes: Of the directory before, and of the one that is there now; empty where there is none.
        evidence: Ids of the readings.
    """

    node: str
    lost: datetime
    replaced: datetime
    back: datetime | None
    words: str
    inodes: tuple[str, str]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeRestart:
    """A node that was restarted.

    Attributes:
        node: The node.
        ordered: When that was ordered.
        up: When its machine ran again.
        back: When each pod of before was seen to run anew and to be Ready; None where that was not so in time.
        before: The pods on it before.
        after: The pods on it when it was over.
        proxies: The proxies among them when it was over.
        evidence: Ids of the readings.
    """

    node: str
    ordered: datetime
    up: datetime
    back: datetime | None
    before: tuple[Pod, ...]
    after: tuple[Pod, ...]
    proxies: Fleet
    evidence: tuple[str, ...]


def held_at(history: History, moment: datetime) -> Held[Certificate] | None:
    """The certificate that a proxy presented at a moment, by its own Envoy's clock; None where it had none yet."""
    taken = [svid for svid, at in zip(history.svids, history.taken_up, strict=True) if at <= moment]
    return taken[-1] if taken else None


def renewed_at(history: History, since: datetime) -> datetime | None:
    """When a proxy took up its first certificate after a moment, by its own Envoy's clock; None if it has not."""
    return next((at for at in history.taken_up if at > since), None)


def resupplied_at(history: History, since: datetime) -> datetime | None:
    """When a proxy took up its first certificate over another connection than that of a moment; None if it has not.

    A certificate may come over the old connection as well, as long as that lasts; such a one does not count.
    """
    before = [s.what for s in history.sightings if s.first_seen <= since]
    if not before:
        return None
    connections = before[-1].streams.cx_total
    old = {i.leaf.sha256 for s in history.sightings if (i := s.what).leaf and i.streams.cx_total <= connections}
    new = (s for s in history.sightings if s.what.leaf is not None and s.what.leaf.sha256 not in old)
    return next((s.what.last_updated or s.first_seen for s in new), None)


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of an outage on one load.

    Attributes:
        end: When the first of the certificates ended that both ends had when the source was told to come back.
        margin: How far the clock of the requests may be off against that of the end, in seconds; what had its outcome so
            close before the end counts neither as before it nor as after it.
        until_end: Requests that had their outcome before that end, for all that the clocks can tell.
        after_end: Requests that began after it and had their outcome before the recall, for all that the clocks can tell.
        first_refused: When the first request was refused that was under way at that end or began after it, less the margin;
            None if none was.
        last_answered: When the last of `after_end` was answered; None if none was.
        recovered: When the first request began from which on all were answered, the recall at the earliest; None if the
            last one failed.
    """

    end: datetime
    margin: float
    until_end: tuple[Request, ...]
    after_end: tuple[Request, ...]
    first_refused: datetime | None
    last_answered: datetime | None
    recovered: datetime | None

    @property
    def refused(self) -> tuple[Request, ...]:
        """The requests that failed between the end and the recall."""
        return tuple(r for r in self.after_end if r.outcome is not Outcome.ANSWERED)

    @property
    def early(self) -> tuple[Request, ...]:
        """The requests that failed before the end."""
        return tuple(r for r in self.until_end if r.outcome is not Outcome.ANSWERED)


def effect_of(outage: Outage, load: Load, client: History, server: History) -> Effect | None:
    """Holds a load against the certificates at both its ends; None where one end had none.

    Args:
        outage: Of what supplies both ends.
        load: Requests that began before the outage and ended after it.
        client: What the client's proxy held.
        server: What the server's proxy held.
    """
    held = [svid for svid in (held_at(h, outage.recalled) for h in (client, server)) if svid is not None]
    if len(held) < 2:
        return None
    end = min(svid.what.not_after for svid in held)
    requests, margin = load.ledger.requests, timedelta(seconds=load.clock.uncertainty)
    failed = [r for r in requests if r.outcome is not Outcome.ANSWERED]
    # What was under way at the recall may have been answered because of it.
    after = tuple(r for r in requests if end <= r.at and answered_at(r) < outage.recalled - margin)
    refused = [answered_at(r) for r in failed if answered_at(r) >= end - margin]
    answered = [answered_at(r) for r in after if r.outcome is Outcome.ANSWERED]
    return Effect(
        end=end,
        margin=load.clock.uncertainty,
        until_end=tuple(r for r in requests if answered_at(r) < end - margin),
        after_end=after,
        first_refused=min(refused, default=None),
        last_answered=max(answered, default=None),
        recovered=_recovered(requests, outage.recalled),
    )


def answered_at(request: Request) -> datetime:
    """When a request had its outcome."""
    return request.at + timedelta(seconds=request.seconds)


def _recovered(requests: tuple[Request, ...], recalled: datetime) -> datetime | None:
    failed = [n for n, r in enumerate(requests) if r.outcome is not Outcome.ANSWERED]
    if not failed:
        return recalled
    if failed[-1] == len(requests) - 1:
        return None
    return max(recalled, requests[failed[-1] + 1].at)
