"""Judgments about the age of certificates and what is left of their life, read-only: ROT-01, ROT-06 and ROT-07.

The age counts from the issue: Teleport puts the start of each certificate a minute into the past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from facts.evidence import ObjectRef
from facts.finding import Finding, Problem
from facts.measure import Measure
from facts.proxies.envoy import STREAMS
from facts.proxies.identity import Fleet, ProxyIdentity
from facts.proxies.pushes import Pushes, pushed_at
from facts.svid import Certificate
from facts.teleport.resources import BACKDATED
from facts.teleport.tbot import Tbot
from judge.findings import Claim, problem
from judge.fleet import each_of, of_proxies
from judge.identity.proxies import SKEW, ObservedProxies, without_certificate
from judge.install.istio import NO_WORKLOAD
from judge.install.known_issues import NOT_RENEWED, known_issues_of
from judge.install.tbot import Component
from judge.rotation.renewal import PUSHED_NOT_RENEWED, Reason

TENTH = 0.1
"""Of a renewal interval: what a renewal may be late by."""

BEYOND_LIFETIME = "renewal-interval-beyond-lifetime"
NOT_IN_FORCE = "tbot-config-not-in-force"


@dataclass(frozen=True, slots=True)
class RenewalPace:
    """How long a certificate lives, and when it is to be renewed.

    Attributes:
        lives: From its issue to its end.
        renewal: After which it is renewed.
        said: What that follows from, in words.
        is_too_slow: By tbot's configuration alone, a certificate ends before its renewal, or hardly later.
    """

    lives: timedelta
    renewal: timedelta
    said: str
    is_too_slow: bool = False

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
        renewal, asked = timedelta(seconds=own[0].renewal_interval), timedelta(seconds=own[0].credential_ttl)
        return RenewalPace(lives, renewal, f"tbot renews every {_seconds(renewal)}", asked - renewal < SKEW)
    return RenewalPace(lives, lives / 2, "the renewal interval is not known, so half of the certificate's life is taken")


def issued(leaf: Certificate) -> datetime:
    """When a certificate was issued."""
    return leaf.not_before + BACKDATED


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"


@dataclass(frozen=True, slots=True)
class AgingCertificate:
    """The certificate of one proxy, beside the pace at which it is to be renewed.

    Attributes:
        proxy: The proxy.
        leaf: The certificate.
        pace: How long it lives, and when it is to be renewed.
        older_config: The tbot on its node started before its configuration was changed.
    """

    proxy: ProxyIdentity
    leaf: Certificate
    pace: RenewalPace
    older_config: bool = False

    @property
    def age(self) -> timedelta:
        """Since its issue."""
        return self.proxy.read_at - issued(self.leaf)

    @property
    def left(self) -> timedelta:
        """Until its end; negative after that."""
        return self.leaf.not_after - self.proxy.read_at

    @property
    def is_overdue(self) -> bool:
        """It is older than its renewal interval and the margin."""
        return self.age > self.pace.oldest

    @property
    def overdue(self) -> str:
        """How old it is, beside what is allowed."""
        return f"its certificate is {_seconds(self.age)} old, {_seconds(self.pace.oldest)} are allowed ({self.pace.said})"

    @property
    def cause(self) -> str:
        """Id of the cause for which it ends, or will end, without a successor; empty where the proxy does not show it."""
        if self.is_overdue:
            return self.why_overdue().cause
        return BEYOND_LIFETIME if self.pace.is_too_slow else ""

    def why_overdue(self, pushes: Pushes | None = None, affected: str = "") -> Reason:
        """Why it was not renewed when it was due.

        Args:
            pushes: What its Envoy counted of what was sent to it; None where it does not say.
            affected: A version of tbot that pushes without renewing, in words; empty where it is another or not known.
        """
        streams = self.proxy.streams
        if streams.rq_active < STREAMS:
            return Reason(
                f"not pushed: {streams.rq_active} of {STREAMS} live streams on its socket,"
                f" {streams.cx_connect_fail} failed to connect"
            )
        known = f"; {affected} is known for that" if affected else ""
        # What is in the dump moves with every push before Envoy 1.37, and from then on with new content only.
        times = [t for t in (pushed_at(self.proxy.version_info), pushes.last if pushes else None) if t is not None]
        last = max(times, default=None)
        # Teleport's clock tells the issue and tbot's the push.
        if last is not None and last - issued(self.leaf) > SKEW:
            said = f"pushed but not renewed: the last push came at {last:%T} UTC with the certificate of before{known}"
            return Reason(said, PUSHED_NOT_RENEWED)
        if self.older_config and not affected:
            return Reason("the tbot on its node started before its configuration was changed", NOT_IN_FORCE)
        if pushes is not None:
            return Reason("not pushed: its streams live, and nothing has come since that certificate")
        said = (
            f"its streams live; whether it was pushed but not renewed, an Envoy {self.proxy.envoy_version} does not say"
            f" without the statistic sds.default.version_text{known}"
        )
        return Reason(said, PUSHED_NOT_RENEWED if affected else "")


def _aging(proxy: ProxyIdentity, tbot: Tbot) -> AgingCertificate | None:
    if proxy.leaf is None:
        return None
    older_config = tbot.runs_older_config(proxy.pod.node)
    return AgingCertificate(proxy, proxy.leaf, pace_of(proxy, proxy.leaf, tbot), older_config)


def _all_aging(proxies: Iterable[ProxyIdentity], tbot: Tbot) -> list[AgingCertificate]:
    return [each for proxy in proxies if (each := _aging(proxy, tbot))]


def _without(proxies: Iterable[ProxyIdentity]) -> list[Problem]:
    return [without_certificate(proxy) for proxy in proxies if proxy.leaf is None]


# --- ROT-01 ----------------------------------------------------------------------------------------------------------


def renewed_before_expiry(sidecars: ObservedProxies, tbot: Tbot, later: Fleet | None = None) -> Finding:
    """ROT-01: each certificate is due for renewal well before its end, and none is overdue or has ended.

    Args:
        sidecars: The proxies that tbot supplies.
        tbot: tbot as it is installed.
        later: The same proxies, read once more after a while; None for one reading.
    """
    expected = "every certificate due for renewal well before its end, by its age and what is left of its life"
    claim = _claim("ROT-01", expected, sidecars, tbot, later.evidence if later else ())
    if finding := _without_judgment(claim, sidecars, tbot):
        return finding
    proxies = sidecars.fleet.proxies
    again = {p.pod.uid: p for p in later.proxies} if later else {}
    if later and later.unread and not again:
        unclear = [Problem(u.pod.ref, f"could not be read again: {u.why.seen}") for u in later.unread]
        return claim.judged(unclear=unclear, settle=later.unread[0].why.remedy)

    def told(proxy: ProxyIdentity) -> str:
        return _told(proxy, tbot) + ("" if later is None else f"; {_read_again(proxy, again.get(proxy.pod.uid))}")

    found = [(proxy, _renewal_problems(proxy, again.get(proxy.pod.uid, proxy), tbot)) for proxy in proxies]
    remains = [each.left for each in _all_aging((*proxies, *again.values()), tbot)]
    return of_proxies(
        claim,
        sidecars.pods,
        sidecars.fleet,
        [each for _, wrong in found for each in wrong],
        held=each_of([proxy for proxy, wrong in found if not wrong], told),
        measures=[Measure("shortest remaining life", min(remains).total_seconds(), "s")] if remains else [],
    )


def _told(proxy: ProxyIdentity, tbot: Tbot) -> str:
    held = _aging(proxy, tbot)
    return f"{_seconds(held.age)} old, {_seconds(held.left)} left; {held.pace.said}" if held else "no certificate"


def _read_again(first: ProxyIdentity, second: ProxyIdentity | None) -> str:
    if second is None:
        return "could not be read again"
    new = first.leaf and second.leaf and second.leaf.sha256 != first.leaf.sha256
    return f"read again after {_seconds(second.read_at - first.read_at)}: {'a new' if new else 'the same'} certificate"


def _renewal_problems(first: ProxyIdentity, second: ProxyIdentity, tbot: Tbot) -> list[Problem]:
    problems = _schedule_problems(first, tbot) or _schedule_problems(second, tbot)
    old, new = first.leaf, second.leaf
    if old and new and new.sha256 != old.sha256:
        if new.not_after <= old.not_after:
            problems.append(problem(second, "its new certificate ends no later than the old one"))
        if new.key_sha256 == old.key_sha256:
            problems.append(problem(second, "its new certificate has the old one's key"))
    return problems


def _schedule_problems(proxy: ProxyIdentity, tbot: Tbot) -> list[Problem]:
    """Why a proxy's certificate will not be, or was not, renewed before its end."""
    held = _aging(proxy, tbot)
    if held is None:
        return [without_certificate(proxy)]
    pace = held.pace
    if held.left <= timedelta():
        said = f"its certificate expired {_seconds(-held.left)} ago and was not renewed; {pace.said}"
    elif pace.left_at_renewal < SKEW:
        said = (
            f"its certificate lives {_seconds(pace.lives)} and {pace.said}:"
            f" it ends before the next one comes, or less than {_seconds(SKEW)} after it was due"
        )
    elif held.is_overdue:
        said = held.overdue
    else:
        return []
    return [problem(proxy, said, held.cause)]


# --- ROT-06 ----------------------------------------------------------------------------------------------------------


def nothing_expires_soon(sidecars: ObservedProxies, tbot: Tbot, warning: float, authorities_warning: float) -> Finding:
    """ROT-06: no certificate and no trusted authority ends within the warning threshold.

    Args:
        sidecars: The proxies that tbot supplies.
        tbot: tbot as it is installed.
        warning: Seconds before the end of a certificate; 0 for half of what is left of its life when it is renewed.
        authorities_warning: Seconds before the end of an authority.
    """
    limit = f"{warning:g} s" if warning else "half of what is left at renewal"
    expected = f"no certificate that ends within {limit}, and no authority that ends within {authorities_warning:g} s"
    claim = _claim("ROT-06", expected, sidecars, tbot)
    if finding := _without_judgment(claim, sidecars, tbot):
        return finding
    proxies = sidecars.fleet.proxies
    aging = _all_aging(proxies, tbot)
    problems = _without(proxies)
    for held in aging:
        threshold = timedelta(seconds=warning) if warning else max(held.pace.left_at_renewal / 2, timedelta())
        if held.left <= timedelta():
            problems.append(problem(held.proxy, f"its certificate expired {_seconds(-held.left)} ago", held.cause))
        elif held.left < threshold:
            said = f"its certificate ends in {_seconds(held.left)}, less than {_seconds(threshold)}"
            problems.append(problem(held.proxy, said, held.cause))
        for authority in (a for authorities in held.proxy.root_authorities.values() for a in authorities):
            rest = authority.not_after - held.proxy.read_at
            if rest < timedelta(seconds=authorities_warning):
                said = f"the authority {authority.serial} that it trusts ends in {_seconds(rest)}"
                problems.append(problem(held.proxy, said))
    shortest = min((held.left.total_seconds() for held in aging), default=None)
    return of_proxies(
        claim,
        sidecars.pods,
        sidecars.fleet,
        problems,
        held=each_of(_apart_from(proxies, problems), lambda p: _told(p, tbot)),
        measures=[] if shortest is None else [Measure("shortest remaining life", shortest, "s", at_least=warning or None)],
    )


# --- ROT-07 ----------------------------------------------------------------------------------------------------------


def overdue(sidecars: ObservedProxies, tbot: Tbot) -> tuple[ProxyIdentity, ...]:
    """The proxies whose certificate is older than its renewal interval and the margin."""
    return tuple(held.proxy for held in _all_aging(sidecars.fleet.proxies, tbot) if held.is_overdue)


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
    read = (*(e for each in pushes.values() if each for e in each.evidence), *(e for c in versions for e in c.evidence))
    claim = _claim("ROT-07", "no certificate older than tbot's renewal interval and a margin", sidecars, tbot, read)
    if finding := _without_judgment(claim, sidecars, tbot):
        return finding
    proxies = sidecars.fleet.proxies
    aging = _all_aging(proxies, tbot)
    problems = _without(proxies)
    for held in (each for each in aging if each.is_overdue):
        pushed = pushes.get(held.proxy.pod.uid)
        why = held.why_overdue(pushed, _affected(tbot, held.proxy.pod.node, versions))
        decisive = (*held.proxy.evidence, *(pushed.evidence if pushed else ()))
        problems.append(Problem(held.proxy.ref, f"{held.overdue}; {why.said}", why.cause, decisive))
    limits = {held.pace.oldest.total_seconds() for held in aging}
    at_most = limits.pop() if len(limits) == 1 else None
    oldest = max((held.age.total_seconds() for held in aging), default=None)
    return of_proxies(
        claim,
        sidecars.pods,
        sidecars.fleet,
        problems,
        held=each_of(_apart_from(proxies, problems), lambda p: _told(p, tbot)),
        measures=[] if oldest is None else [Measure("oldest certificate", oldest, "s", at_most=at_most)],
    )


def _affected(tbot: Tbot, node: str, versions: Sequence[Component]) -> str:
    """The version of the tbot on a node, in words, if it pushes without renewing; empty if not, or if that is not known."""
    runs = tbot.pods[node].ref if node in tbot.pods else None
    known = {c.version for c in versions if c.version is not None and runs in c.where}
    issues = {version: {issue.name for issue in known_issues_of("tbot", version)} for version in known}
    return next((f"tbot {v}" for v in known if all(NOT_RENEWED in names for names in issues.values())), "")


# --- all of them -----------------------------------------------------------------------------------------------------


def _claim(requirement: str, expected: str, sidecars: ObservedProxies, tbot: Tbot, evidence: Iterable[str] = ()) -> Claim:
    where = f"{len(sidecars.pods)} proxies on tbot's socket"
    return Claim(requirement, expected, where, (*sidecars.evidence, *tbot.evidence, *evidence))


def _without_judgment(claim: Claim, sidecars: ObservedProxies, tbot: Tbot) -> Finding | None:
    """The finding where there is nothing to judge, or nothing to judge by; None otherwise."""
    if not sidecars.pods:
        return claim.not_applicable(NO_WORKLOAD)
    if not tbot.config.services:
        config = ObjectRef("ConfigMap", tbot.config_map, tbot.daemon_set.namespace)
        said = "has no service of type workload-identity-api, which would renew the certificates"
        return claim.judged(unclear=[Problem(config, said)], settle="configure the service; see INST-13")
    return None


def _apart_from(proxies: Iterable[ProxyIdentity], problems: Iterable[Problem]) -> list[ProxyIdentity]:
    subjects = {each.subject for each in problems}
    return [proxy for proxy in proxies if proxy.ref not in subjects]
