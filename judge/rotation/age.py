"""Judgments about the age and the remaining life of certificates, read-only: ROT-01, ROT-06 and ROT-07.

The age counts from the issue: Teleport backdates each certificate by a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from facts.document import SKEW
from facts.evidence import ObjectRef, Shown, readings
from facts.finding import Finding, Problem
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.proxies.envoy import STREAMS
from facts.proxies.identity import Fleet, ProxyIdentity
from facts.proxies.pushes import Pushes, pushed_at
from facts.svid import Certificate
from judge.explain.cause import causes_of_release
from judge.findings import Claim, problem
from judge.fleet import how_to_read, not_read
from judge.identity.proxies import ObservedProxies, without_certificate
from judge.install.components import Component
from judge.rotation.renewal import PUSHED_NOT_RENEWED, Reason
from providers.teleport.facts.resources import BACKDATED
from providers.teleport.facts.tbot import Tbots
from providers.teleport.facts.tbot_config import WorkloadApi

TENTH = 0.1
"""Share of a renewal interval by which a renewal may be late."""

BEYOND_LIFETIME = "renewal-interval-beyond-lifetime"
NOT_IN_FORCE = "tbot-config-not-in-force"


@dataclass(frozen=True, slots=True)
class RenewalPace:
    """The lifetime of a certificate, and its renewal interval.

    Attributes:
        lives: Time from its issue to its end.
        renewal: Time from its issue to its renewal.
        said: Source of the renewal interval, in words.
        is_too_slow: Under tbot's configuration a certificate ends before its renewal, or within clock skew after it.
    """

    lives: timedelta
    renewal: timedelta
    said: str
    is_too_slow: bool = False

    @property
    def margin(self) -> timedelta:
        """Time by which a renewal may be late, clock skew included."""
        return max(SKEW, TENTH * self.renewal)

    @property
    def oldest(self) -> timedelta:
        """The greatest age that a certificate may reach."""
        return self.renewal + self.margin

    @property
    def left_at_renewal(self) -> timedelta:
        """The remaining life of a certificate at its renewal."""
        return self.lives - self.renewal


@dataclass(frozen=True, slots=True)
class Supply:
    """Every tbot that serves the mesh, and the pods whose proxies they supply.

    Attributes:
        tbots: Every tbot that serves the mesh.
        pods: The pods by uid.
    """

    tbots: Tbots
    pods: Mapping[str, Pod]

    @classmethod
    def of(cls, sidecars: ObservedProxies, tbots: Tbots) -> Supply:
        """The supply of the sidecars under judgement."""
        return cls(tbots, sidecars.by_uid)

    def service_of(self, proxy: ProxyIdentity) -> WorkloadApi | None:
        """The service whose socket a proxy asks: the only one of its node, or that at the proxy's path there.

        None where there are several, and none of them is at that path; a CSI volume, for one, does not show the path.
        """
        there = self.tbots.on(proxy.pod.node)
        services = [service for tbot in there for service in tbot.config.services]
        if len(services) == 1:
            return services[0]
        pod = self.pods.get(proxy.pod.uid)
        path = proxy.socket_on_node(pod) if pod else ""
        return next((socket.service for tbot in there for socket in tbot.sockets if socket.path == path), None)

    def pace_of(self, proxy: ProxyIdentity, leaf: Certificate) -> RenewalPace:
        """The pace of a proxy's certificate, by the settings of its service; without one, half of the certificate's life."""
        lives = leaf.not_after - issued(leaf)
        service = self.service_of(proxy)
        if service is None:
            return RenewalPace(lives, lives / 2, "the renewal interval is unknown, so half of the certificate's life counts")
        renewal, asked = timedelta(seconds=service.renewal_interval), timedelta(seconds=service.credential_ttl)
        return RenewalPace(lives, renewal, f"tbot renews every {_seconds(renewal)}", asked - renewal < SKEW)

    def aging(self, proxy: ProxyIdentity) -> AgingCertificate | None:
        """The certificate of a proxy; None where it holds none."""
        if proxy.leaf is None:
            return None
        node = proxy.pod.node
        older = any(tbot.runs_older_config(node) for tbot in self.tbots.on(node))
        return AgingCertificate(proxy, proxy.leaf, self.pace_of(proxy, proxy.leaf), older)

    def all_aging(self, proxies: Iterable[ProxyIdentity]) -> list[AgingCertificate]:
        """The certificates of several proxies."""
        return [held for proxy in proxies if (held := self.aging(proxy)) is not None]


def issued(leaf: Certificate) -> datetime:
    """The time at which a certificate was issued."""
    return leaf.not_before + BACKDATED


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"


@dataclass(frozen=True, slots=True)
class AgingCertificate:
    """The certificate of one proxy, with its lifetime and renewal interval.

    Attributes:
        pace: Its lifetime and renewal interval.
        older_config: The tbot on its node started before its configuration was changed.
    """

    proxy: ProxyIdentity
    leaf: Certificate
    pace: RenewalPace
    older_config: bool = False

    @property
    def age(self) -> timedelta:
        """Time since its issue."""
        return self.proxy.read_at - issued(self.leaf)

    @property
    def left(self) -> timedelta:
        """Time until its end; negative after that."""
        return self.leaf.not_after - self.proxy.read_at

    @property
    def is_overdue(self) -> bool:
        """True if it is older than its renewal interval plus the margin."""
        return self.age > self.pace.oldest

    @property
    def overdue(self) -> str:
        """Its age, beside the allowed one, in words."""
        return f"its certificate is {_seconds(self.age)} old, more than {_seconds(self.pace.oldest)} ({self.pace.said})"

    @property
    def cause(self) -> str:
        """Id of the cause for which it ended, or will end, without a successor; empty where the proxy does not show it."""
        if self.is_overdue:
            return self.why_overdue().cause
        return BEYOND_LIFETIME if self.pace.is_too_slow else ""

    def why_overdue(self, pushes: Pushes | None = None, affected: str = "") -> Reason:
        """The reason why it was not renewed when it was due.

        Args:
            pushes: Pushes to its Envoy, by Envoy's count; None where Envoy does not count them.
            affected: A version of tbot that pushes without renewing, in words; empty for any other version.
        """
        streams = self.proxy.streams
        if streams.rq_active < STREAMS:
            return Reason(
                f"tbot pushed nothing: the proxy has {streams.rq_active} of {STREAMS} live streams on its socket,"
                f" and {streams.cx_connect_fail} failed attempts to connect"
            )
        known = f"; {affected} has that defect" if affected else ""
        # The version in the dump changes with every push before Envoy 1.37, and from then on with new content only.
        times = [t for t in (pushed_at(self.proxy.version_info), pushes.last if pushes else None) if t is not None]
        last = max(times, default=None)
        # The issue is on Teleport's clock, and the push on tbot's.
        if last is not None and last - issued(self.leaf) > SKEW:
            said = f"tbot pushed without renewing: its last push, at {last:%T} UTC, had the old certificate{known}"
            return Reason(said, PUSHED_NOT_RENEWED)
        if self.older_config and not affected:
            return Reason("the tbot on its node started before its configuration was changed", NOT_IN_FORCE)
        if pushes is not None:
            return Reason("tbot pushed nothing: the streams of the proxy live, and no push came after that certificate")
        said = (
            f"its streams live; without the statistic sds.default.version_text an Envoy {self.proxy.envoy_version} does not"
            f" show whether tbot pushed without renewing{known}"
        )
        return Reason(said, PUSHED_NOT_RENEWED if affected else "")


def _without(proxies: Iterable[ProxyIdentity]) -> list[Problem]:
    return [without_certificate(proxy) for proxy in proxies if proxy.leaf is None]


# --- ROT-01 ----------------------------------------------------------------------------------------------------------


def renewed_before_expiry(sidecars: ObservedProxies, tbots: Tbots, later: Fleet | None = None) -> Finding:
    """ROT-01: each certificate is due for renewal well before its end, and none is overdue or expired.

    Args:
        sidecars: The proxies that tbot supplies.
        tbots: Every tbot that serves the mesh.
        later: The same proxies, read again after some time; None for a single reading.
    """
    expected = "every certificate to be due for renewal well before its end, by its age and its remaining life"
    claim = _claim("ROT-01", expected, sidecars, tbots, later)
    if finding := _without_judgment(claim, sidecars, tbots):
        return finding
    proxies, supply = sidecars.fleet.proxies, Supply.of(sidecars, tbots)
    again = {p.pod.uid: p for p in later.proxies} if later else {}
    gone = {each.pod.uid: each.why for each in later.left_out} if later else {}
    if later and later.unread and not again:
        return claim.judged(unclear=not_read(later.unread), settle=how_to_read(later.unread), left_out=sidecars.left_out)

    def told(proxy: ProxyIdentity) -> str:
        if later is None:
            return _told(proxy, supply)
        second = again.get(proxy.pod.uid)
        return f"{_told(proxy, supply)}; {gone.get(proxy.pod.uid) or _read_again(proxy, second)}"

    remains = [each.left for each in supply.all_aging((*proxies, *again.values()))]
    return sidecars.judged(
        claim,
        [each for proxy in proxies for each in _renewal_problems(proxy, again.get(proxy.pod.uid, proxy), supply)],
        told,
        [Measure("shortest remaining life", min(remains).total_seconds(), "s")] if remains else [],
    )


def _told(proxy: ProxyIdentity, supply: Supply) -> str:
    held = supply.aging(proxy)
    return f"{_seconds(held.age)} old, {_seconds(held.left)} left; {held.pace.said}" if held else "no certificate"


def _read_again(first: ProxyIdentity, second: ProxyIdentity | None) -> str:
    if second is None:
        return "the suite could not read it again"
    new = first.leaf and second.leaf and second.leaf.sha256 != first.leaf.sha256
    return f"read again after {_seconds(second.read_at - first.read_at)}: {'a new' if new else 'the same'} certificate"


def _renewal_problems(first: ProxyIdentity, second: ProxyIdentity, supply: Supply) -> list[Problem]:
    problems = _schedule_problems(first, supply) or _schedule_problems(second, supply)
    old, new = first.leaf, second.leaf
    if old and new and new.sha256 != old.sha256:
        if new.not_after <= old.not_after:
            problems.append(problem(second, "its new certificate ends no later than the old one"))
        if new.key_sha256 == old.key_sha256:
            problems.append(problem(second, "its new certificate has the key of the old one"))
    return problems


def _schedule_problems(proxy: ProxyIdentity, supply: Supply) -> list[Problem]:
    """A problem if a proxy's certificate was not, or will not be, renewed before its end."""
    held = supply.aging(proxy)
    if held is None:
        return [without_certificate(proxy)]
    pace = held.pace
    if held.left <= timedelta():
        said = f"its certificate expired {_seconds(-held.left)} ago and was not renewed; {pace.said}"
    elif pace.left_at_renewal < SKEW:
        said = (
            f"its certificate lives {_seconds(pace.lives)} and {pace.said}:"
            f" it ends before the next one comes, or less than {_seconds(SKEW)} after that was due"
        )
    elif held.is_overdue:
        said = held.overdue
    else:
        return []
    return [problem(proxy, said, held.cause)]


# --- ROT-06 ----------------------------------------------------------------------------------------------------------


def nothing_expires_soon(sidecars: ObservedProxies, tbots: Tbots, warning: float, authorities_warning: float) -> Finding:
    """ROT-06: no certificate and no trusted authority ends within the warning time.

    Args:
        sidecars: The proxies that tbot supplies.
        tbots: Every tbot that serves the mesh.
        warning: Seconds before the end of a certificate; 0 for half of its remaining life at renewal.
        authorities_warning: Seconds before the end of an authority.
    """
    limit = f"{warning:g} s" if warning else "half of its remaining life at renewal"
    expected = f"no certificate to end within {limit}, and no authority within {authorities_warning:.0f} s"
    claim = _claim("ROT-06", expected, sidecars, tbots)
    if finding := _without_judgment(claim, sidecars, tbots):
        return finding
    proxies, supply = sidecars.fleet.proxies, Supply.of(sidecars, tbots)
    aging = supply.all_aging(proxies)
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
    return sidecars.judged(
        claim,
        problems,
        lambda p: _told(p, supply),
        [] if shortest is None else [Measure("shortest remaining life", shortest, "s", at_least=warning or None)],
    )


# --- ROT-07 ----------------------------------------------------------------------------------------------------------


def overdue(sidecars: ObservedProxies, tbots: Tbots) -> tuple[ProxyIdentity, ...]:
    """The proxies whose certificate is older than its renewal interval plus the margin."""
    return tuple(held.proxy for held in Supply.of(sidecars, tbots).all_aging(sidecars.fleet.proxies) if held.is_overdue)


def none_is_overdue(
    sidecars: ObservedProxies, tbots: Tbots, versions: Sequence[Component], pushes: Mapping[str, Pushes | None]
) -> Finding:
    """ROT-07: no certificate is older than tbot's renewal interval plus a margin; if one is, the reason why.

    Args:
        sidecars: The proxies that tbot supplies.
        tbots: Every tbot that serves the mesh.
        versions: Versions of tbot, as far as they are known.
        pushes: Pushes to the overdue proxies, by uid of the pod; None where Envoy does not count them.
    """
    expected = "no certificate to be older than tbot's renewal interval plus a margin"
    claim = _claim("ROT-07", expected, sidecars, tbots, *pushes.values(), *versions)
    if finding := _without_judgment(claim, sidecars, tbots):
        return finding
    proxies, supply = sidecars.fleet.proxies, Supply.of(sidecars, tbots)
    aging = supply.all_aging(proxies)
    problems = _without(proxies)
    for held in (each for each in aging if each.is_overdue):
        pushed = pushes.get(held.proxy.pod.uid)
        why = held.why_overdue(pushed, _affected(tbots, held.proxy.pod.node, versions))
        problems.append(Problem(held.proxy.ref, f"{held.overdue}; {why.said}", why.cause, readings(held.proxy, pushed)))
    limits = {held.pace.oldest.total_seconds() for held in aging}
    at_most = limits.pop() if len(limits) == 1 else None
    oldest = max((held.age.total_seconds() for held in aging), default=None)
    return sidecars.judged(
        claim,
        problems,
        lambda p: _told(p, supply),
        [] if oldest is None else [Measure("oldest certificate", oldest, "s", at_most=at_most)],
    )


def _affected(tbots: Tbots, node: str, versions: Sequence[Component]) -> str:
    """The version of the tbot on a node, in words, if it pushes without renewing; empty if it does not, or is unknown."""
    runs = {tbot.pods[node].ref for tbot in tbots.on(node) if node in tbot.pods}
    known = {c.version for c in versions if c.version is not None and runs & {*c.where}}
    affected = [v for v in known if PUSHED_NOT_RENEWED in {cause.id for cause in causes_of_release("tbot", v)}]
    return f"tbot {max(known)}" if known and len(affected) == len(known) else ""


# --- all of them -----------------------------------------------------------------------------------------------------


def _claim(requirement: str, expected: str, sidecars: ObservedProxies, tbots: Tbots, *others: Shown | None) -> Claim:
    where = f"{len(sidecars.pods)} proxies on tbot's socket"
    return Claim(requirement, expected, where, readings(sidecars, tbots, *others))


def _without_judgment(claim: Claim, sidecars: ObservedProxies, tbots: Tbots) -> Finding | None:
    """The finding where there is no proxy to judge, or no service to judge it by; None otherwise."""
    if sidecars.is_empty and not sidecars.others:
        return sidecars.not_applicable(claim)
    if sidecars.is_empty:
        said = f"none of {len(sidecars.others)} injected pods mounts the directory of tbot's socket"
        settle = "see ID-01 and CHK-6, which say who certifies these pods"
        return claim.judged(unclear=[claim.problem(said)], settle=settle, left_out=sidecars.left_out)
    if not any(tbot.config.services for tbot in tbots.each):
        config = ObjectRef("ConfigMap", tbots.first.config_map, tbots.first.daemon_set.namespace)
        said = "it has no service of type workload-identity-api, which would renew the certificates"
        settle = "configure the service; see INST-13"
        return claim.judged(unclear=[Problem(config, said)], settle=settle, left_out=sidecars.left_out)
    return None
