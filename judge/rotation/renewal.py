"""Judgments about proxies that were watched while their certificates were renewed: ROT-02, and what ROT-03 has of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from facts.document import Absent
from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.over_time.history import History
from facts.proxies.pushes import Pushes
from judge.findings import concluded, listed
from judge.fleet import SHOWN


@dataclass(frozen=True, slots=True)
class Watched:
    """One proxy that was watched.

    Attributes:
        history: What was seen of it.
        renewal: Seconds after which tbot renews its certificate, as configured.
        before: Its pod when it began.
        after: Its pod when it ended.
        pushes: What Envoy counted of what was sent to it, when it ended; None where it does not say.
    """

    history: History
    renewal: float
    before: Pod
    after: Pod | Absent
    pushes: Pushes | None = None

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        pushed = self.pushes.evidence if self.pushes else ()
        return (*self.before.evidence, *self.history.evidence, *self.after.evidence, *pushed)

    @property
    def intervals(self) -> tuple[float, ...]:
        """Seconds that each certificate was held before the next one came."""
        return tuple((later - earlier).total_seconds() for earlier, later in pairwise(self.history.taken_up))


def renewed_in_time(requirement: str, watched: Sequence[Watched], count: int, spare: float) -> Finding:
    """Each proxy has had so many new certificates, each within one renewal interval and what is granted besides.

    Args:
        requirement: Id in the catalogue.
        watched: The proxies.
        count: How many new certificates each must have had.
        spare: Seconds granted beyond the interval.
    """
    problems = []
    for each in watched:
        new = len(each.history.svids) - 1
        if new < count:
            problems.append(
                f"{each.history.pod} has had {max(new, 0)} new certificates, and waited {each.history.waiting:.0f} s"
                f" for the next: {_why_none(each)}"
            )
    by_interval = {each.renewal: [i for w in watched if w.renewal == each.renewal for i in w.intervals] for each in watched}
    measures = [
        Measure(f"longest time to a new certificate, renewed every {renewal:g} s", max(took), "s", at_most=renewal + spare)
        for renewal, took in sorted(by_interval.items())
        if took
    ]
    fewest = min((len(each.history.svids) - 1 for each in watched), default=0)
    return concluded(
        requirement,
        expected=f"at least {count} new certificates, each within one renewal interval plus {spare:g} s",
        problems=problems,
        confirmed="; ".join(_serials(each) for each in watched[:SHOWN]),
        where=_where(watched),
        evidence=_evidence(watched),
        measures=(Measure("new certificates of each proxy", max(fewest, 0), at_least=count), *measures),
    )


def each_is_new(requirement: str, watched: Sequence[Watched]) -> Finding:
    """Each certificate differs from the one before it in serial and key, ends later, and has the same name."""
    problems = []
    renewals = 0
    for each in watched:
        certificates = [held.what for held in each.history.svids]
        if len(certificates) < 2:
            problems.append(f"{each.history.pod} has had no new certificate: {_why_none(each)}")
        for old, new in pairwise(certificates):
            renewals += 1
            what = f"{each.history.pod}: the certificate with the serial {new.serial}"
            if new.serial == old.serial:
                problems.append(f"{what} is not the one before it, and has its serial")
            if new.key_sha256 == old.key_sha256:
                problems.append(f"{what} has the key of the one before it")
            if new.not_after <= old.not_after:
                problems.append(f"{what} ends at {new.not_after:%T} UTC, no later than the one before it")
            if new.uri_sans != old.uri_sans:
                problems.append(f"{what} is for {listed(new.uri_sans)}, the one before it for {listed(old.uri_sans)}")
    return concluded(
        requirement,
        expected="another serial, another key and a later end with each renewal, and the same name",
        problems=problems,
        confirmed=f"{renewals} renewals, each with a new serial, a new key and a later end",
        where=_where(watched),
        evidence=_evidence(watched),
        measures=(Measure("renewals", renewals, at_least=1),),
    )


def nothing_was_replaced(requirement: str, watched: Sequence[Watched]) -> Finding:
    """The pods are the same, no container has restarted, and each Envoy's uptime has only grown."""
    problems = []
    for each in watched:
        before, after = each.before, each.after
        if isinstance(after, Absent) or after.uid != before.uid:
            problems.append(f"{before.ref} is gone: {after.ref if isinstance(after, Pod) else after}")
            continue
        ran = {c.name: (c.restarts, c.container_id) for c in before.containers}
        again = [c for c in after.containers if (c.restarts, c.container_id) != ran.get(c.name)]
        problems += [f"{after.ref}: {c.name} has restarted {c.restarts} times" for c in again]
        if each.history.restarts:
            problems.append(f"{after.ref}: Envoy has started anew {each.history.restarts} times, by its uptime")
    return concluded(
        requirement,
        expected="the same pods, no restart of a container, and an uptime of each Envoy that only grows",
        problems=problems,
        confirmed=f"{len(watched)} pods with the uid that they had, no restart; no Envoy has started anew",
        where=_where(watched),
        evidence=_evidence(watched),
        measures=(Measure("restarts", sum(w.history.restarts for w in watched), at_most=0),),
    )


def _why_none(watched: Watched) -> str:
    """Why no new certificate came, as far as the proxy shows it."""
    history = watched.history
    if history.latest is None:
        return "it could not be read"
    if not history.latest.streams.rq_active:
        return "not pushed: it has no live stream on its socket"
    moved = len(history.pushes) - 1
    if moved:
        return (
            f"pushed but not renewed: version_info moved {moved} times"
            f" (Envoy {history.latest.envoy_version}) and the certificate stayed the same"
        )
    if watched.pushes is not None and history.taken_up:
        since = watched.pushes.last - history.taken_up[-1] if watched.pushes.last else None
        if since is not None and since.total_seconds() > 1:
            return (
                f"pushed but not renewed: the last push came {since.total_seconds():.0f} s after the certificate"
                f" (sds.default.version_text; Envoy {history.latest.envoy_version} leaves version_info as it is)"
            )
        return "not pushed: its streams live, and nothing has come since the certificate"
    return "its streams live; whether anything was pushed, this Envoy does not say"


def _serials(watched: Watched) -> str:
    serials = " → ".join(f"{held.what.serial[:8]}…" for held in watched.history.svids)
    latest = watched.history.latest
    envoy = f" (Envoy {latest.envoy_version})" if latest else ""
    return f"{watched.history.pod}{envoy}: {serials}"


def _where(watched: Sequence[Watched]) -> str:
    return listed(str(each.history.pod) for each in watched)


def _evidence(watched: Sequence[Watched]) -> list[str]:
    return [e for each in watched for e in each.evidence]
