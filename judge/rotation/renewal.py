"""Judgments about proxies that were watched while their certificates were renewed: ROT-02, and what ROT-03 has of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from facts.document import Absent
from facts.evidence import ObjectRef
from facts.finding import Finding, Remark
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.over_time.history import History
from facts.proxies.pushes import Pushes
from judge.findings import Claim, listed, problem

PUSHED_NOT_RENEWED = "tbot-pushes-without-renewing"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why no new certificate came, as far as the proxy shows it.

    Attributes:
        said: In words.
        cause: Id of the cause; empty where the proxy does not show it.
    """

    said: str
    cause: str = ""


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
    def ref(self) -> ObjectRef:
        """Its pod."""
        return self.history.pod.ref

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        pushed = self.pushes.evidence if self.pushes else ()
        return (*self.before.evidence, *self.history.evidence, *self.after.evidence, *pushed)

    @property
    def new(self) -> int:
        """How many new certificates it has had."""
        return max(len(self.history.svids) - 1, 0)

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
    for each in (w for w in watched if w.new < count):
        why = why_none_came(each.history, each.pushes)
        waited = f"has had {each.new} new certificates, and waited {each.history.waiting:.0f} s for the next"
        problems.append(problem(each, f"{waited}: {why.said}", why.cause))
    by_interval = {each.renewal: [i for w in watched if w.renewal == each.renewal for i in w.intervals] for each in watched}
    measures = [
        Measure(f"longest time to a new certificate, renewed every {renewal:g} s", max(took), "s", at_most=renewal + spare)
        for renewal, took in sorted(by_interval.items())
        if took
    ]
    fewest = min((each.new for each in watched), default=0)
    return _claim(
        requirement, f"at least {count} new certificates, each within one renewal interval plus {spare:g} s", watched
    ).judged(
        problems,
        held=[Remark(each.ref, _serials(each)) for each in watched if each.new >= count],
        measures=(Measure("new certificates of each proxy", fewest, at_least=count), *measures),
    )


def each_is_new(requirement: str, watched: Sequence[Watched]) -> Finding:
    """Each certificate differs from the one before it in serial and key, ends later, and has the same name."""
    problems = []
    for each in watched:
        if not each.new:
            why = why_none_came(each.history, each.pushes)
            problems.append(problem(each, f"has had no new certificate: {why.said}", why.cause))
        for old, new in pairwise(held.what for held in each.history.svids):
            wrong = []
            if new.serial == old.serial:
                wrong.append("is not the one before it, and has its serial")
            if new.key_sha256 == old.key_sha256:
                wrong.append("has the key of the one before it")
            if new.not_after <= old.not_after:
                wrong.append(f"ends at {new.not_after:%T} UTC, no later than the one before it")
            if new.uri_sans != old.uri_sans:
                wrong.append(f"is for {listed(new.uri_sans)}, the one before it for {listed(old.uri_sans)}")
            problems += [problem(each, f"the certificate with the serial {new.serial} {said}") for said in wrong]
    renewals = sum(each.new for each in watched)
    return _claim(
        requirement, "another serial, another key and a later end with each renewal, and the same name", watched
    ).judged(
        problems,
        f"{renewals} renewals, each with a new serial, a new key and a later end",
        measures=(Measure("renewals", renewals, at_least=1),),
    )


def nothing_was_replaced(requirement: str, watched: Sequence[Watched]) -> Finding:
    """The pods are the same, no container has restarted, and each Envoy's uptime has only grown."""
    problems = []
    for each in watched:
        before, after = each.before, each.after
        if isinstance(after, Absent) or after.uid != before.uid:
            instead = "another pod has its name" if isinstance(after, Pod) else str(after)
            problems.append(problem(each, f"is gone: {instead}"))
            continue
        ran = {c.name: (c.restarts, c.container_id) for c in before.containers}
        again = [c for c in after.containers if (c.restarts, c.container_id) != ran.get(c.name)]
        problems += [problem(after, f"{c.name} has restarted {c.restarts} times") for c in again]
        if each.history.restarts:
            problems.append(problem(each, f"Envoy has started anew {each.history.restarts} times, by its uptime"))
    return _claim(
        requirement, "the same pods, no restart of a container, and an uptime of each Envoy that only grows", watched
    ).judged(
        problems,
        f"{len(watched)} pods with the uid that they had, no restart; no Envoy has started anew",
        measures=(Measure("restarts", sum(w.history.restarts for w in watched), at_most=0),),
    )


def why_none_came(history: History, pushes: Pushes | None = None) -> Reason:
    """Why a proxy has had no certificate after the one that it has.

    Args:
        history: What was seen of it.
        pushes: What its Envoy counted of what was sent to it; None where it does not say.
    """
    if history.latest is None:
        return Reason("it could not be read")
    if not history.latest.streams.rq_active:
        return Reason("not pushed: it has no live stream on its socket")
    if not history.svids:
        return Reason("it has shown no certificate at all")
    version = history.latest.envoy_version
    present = history.svids[-1].first_seen
    if moved := sum(push.first_seen > present for push in history.pushes):
        said = f"version_info moved {moved} times (Envoy {version}) and the certificate stayed the same"
        return Reason(f"pushed but not renewed: {said}", PUSHED_NOT_RENEWED)
    if pushes is None:
        return Reason("its streams live; whether anything was pushed, this Envoy does not say")
    since = (pushes.last - history.taken_up[-1]).total_seconds() if pushes.last else 0.0
    if since <= 1:
        return Reason("not pushed: its streams live, and nothing has come since the certificate")
    said = f"the last push came {since:.0f} s after the certificate"
    shown = f"(sds.default.version_text; Envoy {version} leaves version_info as it is)"
    return Reason(f"pushed but not renewed: {said} {shown}", PUSHED_NOT_RENEWED)


def _serials(watched: Watched) -> str:
    serials = " → ".join(f"{held.what.serial[:8]}…" for held in watched.history.svids)
    latest = watched.history.latest
    return f"{serials} (Envoy {latest.envoy_version})" if latest else serials


def _claim(requirement: str, expected: str, watched: Sequence[Watched]) -> Claim:
    where = listed(each.history.pod for each in watched)
    return Claim(requirement, expected, where, [e for each in watched for e in each.evidence])
