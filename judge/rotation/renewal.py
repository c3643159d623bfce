"""Judgments about proxies that the suite watched while their certificates were renewed: ROT-02 and part of ROT-03."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from facts.document import Absent
from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Remark
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Container
from facts.measure import Measure
from facts.over_time.history import History
from facts.proxies.pushes import Pushes
from judge.findings import Claim, listed, problem, true_ones

PUSHED_NOT_RENEWED = "tbot-pushes-without-renewing"


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason why no new certificate came, as far as the proxy shows it.

    Attributes:
        said: The reason, in words.
        cause: Id of the cause; empty where the proxy does not show it.
    """

    said: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Watched:
    """One proxy that the suite watched.

    Attributes:
        renewal: Seconds after which tbot renews its certificate, as configured.
        before: Its pod at the beginning.
        after: Its pod at the end.
        pushes: Pushes to it, by Envoy's count at the end; None where Envoy does not count them.
    """

    history: History
    renewal: float
    before: Pod
    after: Pod | Absent
    pushes: Pushes | None = None

    @property
    def ref(self) -> ObjectRef:
        """Its pod."""
        return self.history.pod.ref

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return readings(self.before, self.history, self.after, self.pushes)

    @property
    def new(self) -> int:
        """Number of new certificates that it had."""
        return max(len(self.history.svids) - 1, 0)

    @property
    def intervals(self) -> tuple[float, ...]:
        """Seconds for which it held each certificate before the next one came."""
        return tuple((later - earlier).total_seconds() for earlier, later in pairwise(self.history.taken_up))


def renewed_in_time(requirement: str, watched: Sequence[Watched], count: int, spare: float) -> Finding:
    """Each proxy had so many new certificates, each within one renewal interval plus a grace period.

    Args:
        requirement: Id in the catalogue.
        watched: The proxies.
        count: New certificates that each must have had.
        spare: Grace period in seconds.
    """
    problems = []
    for each in (w for w in watched if w.new < count):
        why = why_none_came(each.history, each.pushes)
        waited = f"it had {each.new} new certificates, and waited {each.history.waiting:.0f} s for the next"
        problems.append(problem(each, f"{waited}: {why.said}", why.cause))
    by_interval = {each.renewal: [i for w in watched if w.renewal == each.renewal for i in w.intervals] for each in watched}
    measures = [
        Measure(f"longest time to a new certificate, renewed every {renewal:g} s", max(took), "s", at_most=renewal + spare)
        for renewal, took in sorted(by_interval.items())
        if took
    ]
    fewest = min((each.new for each in watched), default=0)
    return _claim(
        requirement,
        f"each proxy to get at least {count} new certificates, each within one renewal interval plus {spare:g} s",
        watched,
    ).judged(
        problems,
        held=[Remark(each.ref, _serials(each)) for each in watched if each.new >= count],
        measures=(Measure("new certificates of each proxy", fewest, at_least=count), *measures),
    )


def each_is_new(requirement: str, watched: Sequence[Watched]) -> Finding:
    """Each certificate differs from the previous one in serial and key, ends later, and has the same name."""
    problems = []
    for each in watched:
        if not each.new:
            why = why_none_came(each.history, each.pushes)
            problems.append(problem(each, f"it had no new certificate: {why.said}", why.cause))
        for old, new in pairwise(held.what for held in each.history.svids):
            statements = {
                "has the serial of the previous one, which it replaced": new.serial == old.serial,
                "has the key of the previous one": new.key_sha256 == old.key_sha256,
                f"ends at {new.not_after:%T} UTC, no later than the previous one": new.not_after <= old.not_after,
                f"is for {listed(new.uri_sans)}, the previous one for {listed(old.uri_sans)}": new.uri_sans != old.uri_sans,
            }
            the = f"the certificate with the serial {new.serial}"
            problems += [problem(each, f"{the} {said}") for said in true_ones(statements)]
    renewals = sum(each.new for each in watched)
    return _claim(
        requirement, "each renewal to bring a new serial, a new key and a later end, and to keep the name", watched
    ).judged(
        problems,
        f"{renewals} renewals, each with a new serial, a new key and a later end",
        measures=(Measure("renewals", renewals, at_least=1),),
    )


def nothing_was_replaced(requirement: str, watched: Sequence[Watched]) -> Finding:
    """The pods are the same, no container has restarted, and each Envoy's uptime only grew."""
    problems = []
    for each in watched:
        before, after = each.before, each.after
        if isinstance(after, Absent) or after.uid != before.uid:
            instead = "another pod has its name" if isinstance(after, Pod) else str(after)
            problems.append(problem(each, f"it is gone: {instead}"))
            continue
        problems += [problem(after, f"its {c.name} has restarted {c.restarts} times") for c in restarted(before, after)]
        if each.history.restarts:
            problems.append(problem(each, f"its Envoy has restarted {each.history.restarts} times, by its uptime"))
    return _claim(
        requirement, "the pods to stay, no container to restart, and the uptime of each Envoy only to grow", watched
    ).judged(
        problems,
        f"{len(watched)} pods have kept their uid, and no container or Envoy has restarted",
        measures=(Measure("restarts", sum(w.history.restarts for w in watched), at_most=0),),
    )


def restarted(before: Pod, after: Pod) -> list[Container]:
    """Containers of a pod that have restarted between two readings of it."""
    ran = {c.name: (c.restarts, c.container_id) for c in before.containers}
    return [c for c in after.containers if (c.restarts, c.container_id) != ran.get(c.name)]


def why_none_came(history: History, pushes: Pushes | None = None) -> Reason:
    """The reason why a proxy got no certificate after its latest one.

    Args:
        history: History of the proxy.
        pushes: Pushes to it, by Envoy's count; None where Envoy does not count them.
    """
    if history.latest is None:
        return Reason("the suite could not read it")
    if not history.latest.streams.rq_active:
        return Reason("tbot pushed nothing: the proxy has no live stream on its socket")
    if not history.svids:
        return Reason("it showed no certificate at all")
    version = history.latest.envoy_version
    present = history.svids[-1].first_seen
    if moved := sum(push.first_seen > present for push in history.pushes):
        said = f"version_info changed {moved} times (Envoy {version}), and the certificate stayed the same"
        return Reason(f"tbot pushed without renewing: {said}", PUSHED_NOT_RENEWED)
    if pushes is None:
        return Reason("its streams live; this Envoy does not show whether tbot pushed anything")
    since = (pushes.last - history.taken_up[-1]).total_seconds() if pushes.last else 0.0
    if since <= 1:
        return Reason("tbot pushed nothing: the streams of the proxy live, and no push came after the certificate")
    said = f"the last push came {since:.0f} s after the certificate"
    shown = f"(sds.default.version_text; Envoy {version} does not change version_info)"
    return Reason(f"tbot pushed without renewing: {said} {shown}", PUSHED_NOT_RENEWED)


def _serials(watched: Watched) -> str:
    serials = " → ".join(f"{held.what.serial[:8]}…" for held in watched.history.svids)
    latest = watched.history.latest
    return f"{serials} (Envoy {latest.envoy_version})" if latest else serials


def _claim(requirement: str, expected: str, watched: Sequence[Watched]) -> Claim:
    return Claim(requirement, expected, listed(each.history.pod for each in watched), readings(*watched))
