"""Judgments about the age of certificates and what is left of their life, read-only: ROT-01, ROT-06 and ROT-07.

The age counts from the issue: Teleport puts the start of each certificate a minute into the past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.measure import Measure
from facts.proxies.identity import Fleet, ProxyIdentity
from facts.proxies.pushes import Pushes, pushed_at
from facts.svid import Certificate
from facts.teleport.tbot import Tbot
from judge.findings import could_not_tell, not_applicable
from judge.fleet import each_of, of_proxies
from judge.identity.proxies import BACKDATED, SKEW, STREAMS, ObservedProxies
from judge.install.istio import NO_WORKLOAD
from judge.install.known_issues import NOT_RENEWED, known_issues_of
from judge.install.tbot import Component

TENTH = 0.1
"""Of a renewal interval: what a renewal may be late by."""

A_PUSH = timedelta(seconds=5)
"""A push that comes this long after a certificate was issued did not bring that certificate."""


@dataclass(frozen=True, slots=True)
class RenewalPace:
    """How long a certificate lives, and when it is to be renewed.

    Attributes:
        lives: From its issue to its end.
        renewal: After which it is renewed.
        said: What that follows from, in words.
    """

    lives: timedelta
    renewal: timedelta
    said: str

    @property
    def margin(self) -> timedelta:
        """What a renewal may be late by, clocks that are off included."""
        return max(SKEW, TENTH * self.renewal)

    @property
    def oldest(self) -> timedelta:
        """The age that no certificate may be beyond."""
        return self.renewal + self.margin

    @property
    def left_at_renewal(self) -> timedelta:
        """What is left of a certificate's life when it is renewed."""
        return self.lives - self.renewal


def pace_of(proxy: ProxyIdentity, leaf: Certificate, tbot: Tbot) -> RenewalPace:
    """How a proxy's certificate is to be renewed: as the service is configured that its socket belongs to.

    Where tbot's configuration has several services and none of them has that socket, half of the certificate's life.
    """
    lives = leaf.not_after - issued(leaf)
    services = tbot.config.services
    name = proxy.socket_path.rpartition("/")[2]
    own = [s for s in services if s.socket_path.rpartition("/")[2] == name] or (services if len(services) == 1 else ())
    if own:
        renewal = timedelta(seconds=own[0].renewal_interval)
        return RenewalPace(lives, renewal, f"tbot renews every {renewal.total_seconds():.0f} s")
    return RenewalPace(lives, lives / 2, "the renewal interval is not known, so half of the certificate's life is taken")


def issued(leaf: Certificate) -> datetime:
    """When a certificate was issued."""
    return leaf.not_before + BACKDATED


def _age(proxy: ProxyIdentity, leaf: Certificate) -> timedelta:
    return proxy.read_at - issued(leaf)


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"


# --- ROT-01 ----------------------------------------------------------------------------------------------------------


def renewed_before_expiry(sidecars: ObservedProxies, tbot: Tbot, later: Fleet | None = None) -> Finding:
    """ROT-01: each certificate is due for renewal well before its end, and none is overdue or has ended.

    Args:
        sidecars: The proxies that tbot supplies.
        tbot: tbot as it is installed.
        later: The same proxies, read once more after a while; None for one reading.
    """
    proxies = sidecars.fleet.proxies
    again = {p.pod.uid: p for p in later.proxies} if later else {}
    problems: list[str] = []
    renewed = 0
    for first in proxies:
        second = again.get(first.pod.uid, first)
        problems += _schedule_problems(first, tbot) or _schedule_problems(second, tbot)
        if first.leaf and second.leaf and second.leaf.sha256 != first.leaf.sha256:
            renewed += 1
            problems += _successor_problems(second, first.leaf, second.leaf)
    observed = ""
    if later is not None:
        if later.unread and not again:
            return could_not_tell("ROT-01", later.unread[0].why, sidecars.evidence)
        seconds = max((_between(p, again) for p in proxies), default=timedelta())
        observed = f"; of {len(again)} proxies read again after {_seconds(seconds)}, {renewed} had a new certificate"
        observed += f", {len(later.unread)} could not be read again" if later.unread else ""
    remains = [p.leaf.not_after - p.read_at for p in (*proxies, *again.values()) if p.leaf]
    return _judged(
        "ROT-01",
        sidecars,
        tbot,
        problems,
        expected="every certificate due for renewal well before its end, by its age and what is left of its life",
        confirmed=each_of(proxies, lambda p: _told(p, tbot)) + observed,
        evidence=later.evidence if later else (),
        measures=[Measure("shortest remaining life", min(remains).total_seconds(), "s")] if remains else [],
    )


def _between(first: ProxyIdentity, again: Mapping[str, ProxyIdentity]) -> timedelta:
    second = again.get(first.pod.uid)
    return second.read_at - first.read_at if second else timedelta()


def _told(proxy: ProxyIdentity, tbot: Tbot) -> str:
    if proxy.leaf is None:
        return "no certificate"
    pace = pace_of(proxy, proxy.leaf, tbot)
    left = proxy.leaf.not_after - proxy.read_at
    return f"{_seconds(_age(proxy, proxy.leaf))} old, {_seconds(left)} left; {pace.said}"


def _schedule_problems(proxy: ProxyIdentity, tbot: Tbot) -> list[str]:
    """Why a proxy's certificate will not be, or was not, renewed before its end."""
    if proxy.leaf is None:
        return [f"{proxy.pod} holds no certificate that could be renewed"]
    pace = pace_of(proxy, proxy.leaf, tbot)
    left = proxy.leaf.not_after - proxy.read_at
    if left <= timedelta():
        return [f"{proxy.pod}: its certificate expired {_seconds(-left)} ago and was not renewed; {pace.said}"]
    if pace.left_at_renewal < SKEW:
        return [
            f"{proxy.pod}: its certificate lives {_seconds(pace.lives)} and {pace.said}:"
            f" it ends before the next one comes, or less than {_seconds(SKEW)} after it was due"
        ]
    return _overdue(proxy, proxy.leaf, pace)


def _overdue(proxy: ProxyIdentity, leaf: Certificate, pace: RenewalPace) -> list[str]:
    age = _age(proxy, leaf)
    if age <= pace.oldest:
        return []
    return [f"{proxy.pod}: its certificate is {_seconds(age)} old, {_seconds(pace.oldest)} are allowed ({pace.said})"]


def _successor_problems(proxy: ProxyIdentity, old: Certificate, new: Certificate) -> list[str]:
    problems = []
    if new.not_after <= old.not_after:
        problems.append(f"{proxy.pod}: its new certificate ends no later than the old one")
    if new.key_sha256 == old.key_sha256:
        problems.append(f"{proxy.pod}: its new certificate has the old one's key")
    return problems


# --- ROT-06 ----------------------------------------------------------------------------------------------------------


def nothing_expires_soon(sidecars: ObservedProxies, tbot: Tbot, warning: float, authorities_warning: float) -> Finding:
    """ROT-06: no certificate and no trusted authority ends within the warning threshold.

    Args:
        sidecars: The proxies that tbot supplies.
        tbot: tbot as it is installed.
        warning: Seconds before the end of a certificate; 0 for half of what is left of its life when it is renewed.
        authorities_warning: Seconds before the end of an authority.
    """
    problems: list[str] = []
    left_of_all: list[timedelta] = []
    for proxy in sidecars.fleet.proxies:
        if proxy.leaf is None:
            problems.append(f"{proxy.pod} holds no certificate")
            continue
        pace = pace_of(proxy, proxy.leaf, tbot)
        threshold = timedelta(seconds=warning) if warning else max(pace.left_at_renewal / 2, timedelta())
        left = proxy.leaf.not_after - proxy.read_at
        left_of_all.append(left)
        if left <= timedelta():
            problems.append(f"{proxy.pod}: its certificate expired {_seconds(-left)} ago")
        elif left < threshold:
            problems.append(f"{proxy.pod}: its certificate ends in {_seconds(left)}, less than {_seconds(threshold)}")
        for authority in (a for held in proxy.root_authorities.values() for a in held):
            rest = authority.not_after - proxy.read_at
            if rest < timedelta(seconds=authorities_warning):
                problems.append(f"{proxy.pod}: the authority {authority.serial} that it trusts ends in {_seconds(rest)}")
    limit = f"{warning:g} s" if warning else "half of what is left at renewal"
    return _judged(
        "ROT-06",
        sidecars,
        tbot,
        problems,
        expected=f"no certificate that ends within {limit}, and no authority that ends within {authorities_warning:g} s",
        confirmed=each_of(sidecars.fleet.proxies, lambda p: _told(p, tbot)),
        measures=[
            Measure("shortest remaining life", min(left_of_all).total_seconds(), "s", at_least=warning or None)
        ] if left_of_all else [],
    )  # fmt: skip


# --- ROT-07 ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OverdueReason:
    """Why a certificate is older than it should be.

    Attributes:
        words: As a sentence.
        is_tbots: tbot pushed, and did not renew.
    """

    words: str
    is_tbots: bool = False


def overdue(sidecars: ObservedProxies, tbot: Tbot) -> tuple[ProxyIdentity, ...]:
    """The proxies whose certificate is older than its renewal interval and the margin."""
    return tuple(p for p in sidecars.fleet.proxies if p.leaf and _overdue(p, p.leaf, pace_of(p, p.leaf, tbot)))


def none_is_overdue(
    sidecars: ObservedProxies, tbot: Tbot, versions: Sequence[Component], pushes: Mapping[str, Pushes | None]
) -> Finding:
    """ROT-07: no certificate is older than tbot's renewal interval and a margin; if one is, why.

    Args:
        sidecars: The proxies that tbot supplies.
        tbot: tbot as it is installed.
        versions: Of tbot, as far as they are known.
        pushes: By uid of the pod, for those that are overdue: what their Envoys say of what was sent to them.
    """
    defect = next(
        (
            f"tbot {c.version} has the defect '{NOT_RENEWED}': upgrade to {issue.fixed_in}"
            for c in versions
            if c.version is not None
            for issue in known_issues_of(c.name, c.version)
            if issue.name == NOT_RENEWED
        ),
        "",
    )
    problems: list[str] = []
    remedies: list[str] = []
    for proxy in overdue(sidecars, tbot):
        if proxy.leaf is None:
            continue
        pace = pace_of(proxy, proxy.leaf, tbot)
        cause = _cause(proxy, proxy.leaf, pushes.get(proxy.pod.uid))
        (problem,) = _overdue(proxy, proxy.leaf, pace)
        problems.append(f"{problem}; {cause.words}")
        remedies.append(_remedy(proxy, cause, defect))
    problems += [f"{p.pod} holds no certificate" for p in sidecars.fleet.proxies if p.leaf is None]
    if defect and remedies:
        problems.append(defect)
    ages = [_age(p, p.leaf) for p in sidecars.fleet.proxies if p.leaf]
    limits = {pace_of(p, p.leaf, tbot).oldest for p in sidecars.fleet.proxies if p.leaf}
    at_most = next(iter(limits)).total_seconds() if len(limits) == 1 else None
    read = (*(e for each in pushes.values() if each for e in each.evidence), *(e for c in versions for e in c.evidence))
    return _judged(
        "ROT-07",
        sidecars,
        tbot,
        problems,
        expected="no certificate older than tbot's renewal interval and a margin",
        confirmed=each_of(sidecars.fleet.proxies, lambda p: _told(p, tbot)),
        evidence=read,
        remedy="; ".join(dict.fromkeys(remedies)),
        measures=[Measure("oldest certificate", max(ages).total_seconds(), "s", at_most=at_most)] if ages else [],
    )


def _cause(proxy: ProxyIdentity, leaf: Certificate, pushes: Pushes | None) -> OverdueReason:
    """Why a certificate was not renewed, by what the proxy shows."""
    streams = proxy.streams
    if streams.rq_active < STREAMS:
        return OverdueReason(
            f"not pushed: {streams.rq_active} of {STREAMS} live streams on its socket,"
            f" {streams.cx_connect_fail} failed to connect"
        )
    # What is in the dump moves with every push before Envoy 1.37, and from then on with new content only.
    times = [t for t in (pushed_at(proxy.version_info), pushes.last if pushes else None) if t is not None]
    last = max(times, default=None)
    if last is not None and last - issued(leaf) > A_PUSH:
        return OverdueReason(
            f"pushed but not renewed: the last push came at {last:%T} UTC with the certificate of before", is_tbots=True
        )
    if pushes is not None:
        return OverdueReason("not pushed: its streams live, and nothing has come since that certificate")
    return OverdueReason(
        f"its streams live; whether anything was pushed since, an Envoy {proxy.envoy_version} does not say"
        " without the statistic sds.default.version_text"
    )


def _remedy(proxy: ProxyIdentity, cause: OverdueReason, defect: str) -> str:
    if defect:
        return defect.partition(": ")[2] + " (restarting pods or moving to a CSI driver does not mend it)"
    if cause.is_tbots:
        return "find out tbot's version and upgrade it to 18.6.4 or 17.7.14, or later"
    if proxy.streams.rq_active < STREAMS:
        return (
            "see whether tbot answers on that node (INST-14); if it does, restart the pod: it holds a directory that is gone"
        )
    return "see renewal_interval in tbot's configuration, whether tbot was restarted since it was changed, and tbot's log"


def _judged(
    requirement: str,
    sidecars: ObservedProxies,
    tbot: Tbot,
    problems: Sequence[str],
    *,
    expected: str,
    confirmed: str,
    evidence: Sequence[str] = (),
    remedy: str = "",
    measures: Sequence[Measure] = (),
) -> Finding:
    where = f"{len(sidecars.pods)} proxies on tbot's socket"
    if not sidecars.pods:
        return not_applicable(requirement, NO_WORKLOAD, where=where, evidence=sidecars.evidence)
    if not tbot.config.services:
        error = CouldNotTell(
            expected="a service of type workload-identity-api, which renews the certificates",
            seen="none",
            where=f"ConfigMap {tbot.config_map}",
            remedy="configure the service; see INST-13",
        )
        return could_not_tell(requirement, error, sidecars.evidence)
    return of_proxies(
        requirement,
        sidecars.pods,
        sidecars.fleet,
        expected=expected,
        problems=problems,
        confirmed=confirmed,
        where=where,
        evidence=(*sidecars.evidence, *tbot.evidence, *evidence),
        remedy=remedy,
        measures=measures,
    )
