"""An outage and its effect on a load: times on the suite's clock, compared with the expiry of certificates."""

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
        ordered: When the suite began to take it away.
        gone: When the suite saw that it was gone.
        recalled: When the suite began to bring it back.
        back: When the suite saw that it was back.
        shown_by: The observation that showed it, as a sentence.
        evidence: Ids of the readings that show it.
        suffering: Pods that depend on it, as they were shortly before the recall.
        anew: For a source that runs node by node: when its new start began on each node, by the node's name.
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
        """Seconds from `gone` to `recalled`."""
        return (self.recalled - self.gone).total_seconds()

    def __str__(self) -> str:
        return f"{self.of} was away for {self.lasted:.0f} s, from {self.gone:%T} UTC ({self.shown_by})"


@dataclass(frozen=True, slots=True)
class Start:
    """A test pod that started while something was missing.

    Attributes:
        pod: The pod, as last read.
        began: When the suite created it.
        last_words: The end of its agent's log when the agent first ended; empty where it has not ended.
        meanwhile: Its proxy while the source was missing; None where no Envoy ran then.
        ready: When it became Ready; None where it has not.
        proxy: Its proxy, once the pod was Ready.
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
    """A node's socket directory that the suite removed, and the replacement of the tbot there.

    Attributes:
        lost: When the suite removed the directory.
        replaced: When the suite deleted the old tbot.
        back: When another tbot became Ready; None where none has.
        words: The reason why none became Ready; empty where one did.
        inodes: Of the old and of the present directory; empty for one that does not exist.
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
    """A node that the suite restarted.

    Attributes:
        ordered: When the suite ordered the restart.
        up: When its machine ran again.
        back: When every pod of `before` ran anew and was Ready; None where one was not in time.
        before: The pods on the node before the restart.
        after: The pods on the node at the end.
        proxies: The proxies on the node at the end.
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
    """The time at which a proxy took up its first certificate after a moment, by its Envoy's clock; None if it has not."""
    return next((at for at in history.taken_up if at > since), None)


def resupplied_at(history: History, since: datetime) -> datetime | None:
    """The time of a proxy's first certificate over another SDS connection than that of a moment; None without one.

    A certificate that comes over the old connection, while that lasts, does not count.
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
        end: The earlier expiry of the two certificates that client and server held at the recall.
        margin: Uncertainty of the client's clock, in seconds; a request whose outcome came so close before the end counts
            neither as before nor as after it.
        until_end: Requests that had their outcome before the end, as far as the clocks can tell.
        after_end: Requests that began after the end and had their outcome before the recall, as far as the clocks can tell.
        first_refused: Earliest failure of a request that was under way at the end, less the margin, or began after it;
            None without one.
        last_answered: When the server answered the last of `after_end`; None if it answered none.
        recovered: Start of the first request from which on the server answered all, the recall at the earliest; None if
            the last request failed.
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
    """Compare a load with the certificates of its client and server; None where one of them had no certificate.

    Args:
        outage: Outage of the source that supplies both.
        load: Requests that began before the outage and ended after it.
        client: History of the client's proxy.
        server: History of the server's proxy.
    """
    held = [svid for svid in (held_at(h, outage.recalled) for h in (client, server)) if svid is not None]
    if len(held) < 2:
        return None
    end = min(svid.what.not_after for svid in held)
    requests, margin = load.ledger.requests, timedelta(seconds=load.clock.uncertainty)
    failed = [r for r in requests if r.outcome is not Outcome.ANSWERED]
    # The recall itself may have answered a request that was under way then.
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
    """The time at which a request had its outcome."""
    return request.at + timedelta(seconds=request.seconds)


def _recovered(requests: tuple[Request, ...], recalled: datetime) -> datetime | None:
    failed = [n for n, r in enumerate(requests) if r.outcome is not Outcome.ANSWERED]
    if not failed:
        return recalled
    if failed[-1] == len(requests) - 1:
        return None
    return max(recalled, requests[failed[-1] + 1].at)
