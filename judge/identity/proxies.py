"""Judgments about the identity of each sidecar: ID-01 to ID-07.

Each kind of problem of one proxy has a function (`mode_problems`, `name_problems` …), which the guide's checklist and the
sweep over the whole mesh (`judge.identity.sweep`) use as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType

from facts.document import SKEW
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.finding import Finding, Problem, Remark
from facts.istio.istio_ca import IstioAuthorities
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.provider.trust import TrustBundle
from facts.proxies.envoy import STREAMS, Validator
from facts.proxies.identity import Fleet, PodRef, ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.svid import Certificate, SpiffeId, is_signed_by, malformation, verify_chain, workload_id
from judge.findings import Claim, listed, problem, true_ones
from judge.fleet import ASK_ALL, each_of, not_asked, of_proxies
from judge.identity.streams import connected_sockets, lost_directory
from judge.install.istio import NO_SIDECAR, NO_WORKLOAD
from providers.teleport.facts.issuing import Issuing
from providers.teleport.facts.resources import BACKDATED
from providers.teleport.facts.tbot import Tbots
from providers.teleport.facts.tbot_log import LastAttempt

CAUSES_OF_MODES = {SdsMode.RACE: "pod-started-before-tbot", SdsMode.TAKEOVER: "socket-taken-over"}
"""Modes that have one cause. A certificate of istiod has several: `cause_of_no_socket` tells which from the pod's spec."""

ONLY_UNUSED_GATEWAYS = "only gateways that need no certificate run in the mesh"

FROM_TELEPORT = (SdsMode.EXTERNAL, SdsMode.RACE)
"""Modes in which Envoy's certificate comes from tbot, so that Teleport's clock and tbot's configuration set its times."""


# --- one proxy -------------------------------------------------------------------------------------------------------


def mode_problems(proxy: ProxyIdentity) -> list[Problem]:
    """A problem if a proxy's secrets do not come from the external socket."""
    if proxy.sds_mode is SdsMode.EXTERNAL:
        return []
    said = f"{proxy.sds_mode.told}: {'; '.join(proxy.decided_by)}"
    return [problem(proxy, said, CAUSES_OF_MODES.get(proxy.sds_mode, ""))]


def cause_of_no_configuration(proxy: ProxyIdentity, pod: Pod | None) -> str:
    """Cause for which nothing in a proxy asks for an identity, where its agent's count tells it; else empty.

    A proxy that has started has had its configuration, so what its agent counts is over.

    Args:
        pod: Its pod, as the API server has it; None where it has none.
    """
    starting = pod is not None and pod.proxy is not None and not (pod.proxy.ready or pod.proxy.started)
    return "istiod-unreachable" if starting and proxy.sds_mode is SdsMode.UNASKED and proxy.istiod_failures else ""


def stream_problems(proxy: ProxyIdentity) -> list[Problem]:
    """A problem if no new secret would reach a proxy, whatever it holds now."""
    streams = proxy.streams
    if streams.cx_active and streams.rq_active >= STREAMS:
        return []
    said = (
        f"it has {streams.rq_active} of {STREAMS} live streams on its socket:"
        f" {streams.cx_active} connected, {streams.cx_connect_fail} failed attempts to connect"
    )
    return [problem(proxy, said)]


def request_problems(proxy: ProxyIdentity) -> list[Problem]:
    """Signs that a proxy's agent has asked istiod for a certificate since it started."""
    found = []
    cause = CAUSES_OF_MODES[SdsMode.RACE] if proxy.sds_mode is SdsMode.RACE else ""
    if proxy.csr_count:
        found.append(problem(proxy, f"its Istio agent sent {proxy.csr_count} certificate requests to istiod", cause))
    if proxy.agent_certificate_held:
        found.append(problem(proxy, "its Istio agent holds a certificate of its own", cause))
    return found


def supply_problems(proxy: ProxyIdentity) -> list[Problem]:
    """Problems of a proxy that the external socket does not supply, now or for the next renewal."""
    return mode_problems(proxy) or stream_problems(proxy) + request_problems(proxy)


def name_problems(proxy: ProxyIdentity, trust_domain: str) -> list[Problem]:
    """A problem unless the only URI SAN of a proxy's certificate is its pod's own SPIFFE ID."""
    if proxy.leaf is None:
        return [without_certificate(proxy)]
    own = workload_id(trust_domain, proxy.pod.namespace, proxy.pod.service_account)
    if proxy.spiffe_ids == (own,):
        return []
    return [problem(proxy, f"it carries {listed(proxy.spiffe_ids, 'no SPIFFE ID')}, its own SPIFFE ID is {own}")]


WITHOUT_SA, WITH_SLASH = "identity-template-without-sa", "identity-template-trailing-slash"
"""Causes that the name in a certificate shows."""


def template_of(names: Sequence[str], pod: PodRef) -> str:
    """Id of the cause for which a pod has none of its names as Istio demands them: the template that makes such names.

    Args:
        names: URI SANs of its certificate.

    Returns:
        Empty where one is its own, or no known template makes them.
    """
    domain = (names[0] if names else "").removeprefix("spiffe://").partition("/")[0]
    own = workload_id(domain, pod.namespace, pod.service_account)
    if own in names:
        return ""
    if f"{own}/" in names:
        return WITH_SLASH
    # As a whole: another name may go on after the account, as /ns/shop/s does in /ns/shop/sa/other.
    return WITHOUT_SA if any(name.endswith(f"/ns/{pod.namespace}/{pod.service_account}") for name in names) else ""


def issuer_problems(proxy: ProxyIdentity, bundle: TrustBundle) -> list[Problem]:
    """A problem unless a proxy's certificate descends from Teleport's authorities now."""
    if proxy.leaf is None:
        return [without_certificate(proxy)]
    chain = verify_chain(proxy.leaf, bundle.authorities, proxy.read_at, proxy.intermediates)
    return [] if chain.ok else [problem(proxy, f"its certificate does not come from Teleport: {chain.reason}")]


def own_identity_problems(proxy: ProxyIdentity, bundle: TrustBundle) -> list[Problem]:
    """Problems unless a proxy's certificate is its own, issued by Teleport and valid now."""
    if proxy.leaf is None:
        return [without_certificate(proxy)]
    return name_problems(proxy, bundle.trust_domain) + issuer_problems(proxy, bundle)


def istiod_problems(proxy: ProxyIdentity, istiod: IstioAuthorities) -> list[Problem]:
    """A problem if a proxy's certificate descends from istiod's authority, expired or not."""
    if proxy.leaf is not None and is_signed_by(proxy.leaf, istiod.authorities, proxy.intermediates):
        return [problem(proxy, "its certificate descends from istiod's authority")]
    return []


def profile_problems(proxy: ProxyIdentity, longest: timedelta) -> list[Problem]:
    """Problems unless a proxy's certificate is a well-formed X509-SVID leaf that is valid now and no longer than allowed.

    Sources: X509-SVID sections 2 to 5, RFC 5280 sections 4.2.1.6 and 4.2.1.9.
    """
    if proxy.leaf is None:
        return [without_certificate(proxy)]
    leaf, at = proxy.leaf, proxy.read_at
    found = [problem(proxy, wrong) for wrong in _leaf_problems(leaf)]
    # istiod chooses the times of its certificates; they say nothing about tbot's configuration and Teleport's clock.
    from_teleport = proxy.sds_mode in FROM_TELEPORT
    if at < leaf.not_before + SKEW:
        said = (
            f"its certificate is valid from {leaf.not_before:%F %T} UTC; at {at:%F %T} UTC a peer {_off('slow')} refuses it"
        )
        found.append(problem(proxy, said, "issuer-clock-off" if from_teleport else ""))
    if at > leaf.not_after - SKEW:
        said = (
            f"its certificate is valid until {leaf.not_after:%F %T} UTC; at {at:%F %T} UTC a peer {_off('fast')} refuses it"
        )
        found.append(problem(proxy, said))
    if (lives := leaf.not_after - leaf.not_before) > longest:
        said = f"its certificate lives {lives.total_seconds():.0f} s, more than {longest.total_seconds():.0f} s"
        found.append(problem(proxy, said, "lifetime-above-maximum" if from_teleport else ""))
    return found


def _leaf_problems(leaf: Certificate) -> list[str]:
    usage, signs = leaf.key_usage, leaf.key_usage & {"key_cert_sign", "crl_sign"}
    missing = {"server_auth", "client_auth"} - leaf.extended_key_usage
    statements = {
        "is that of a CA": leaf.is_ca,
        f"has {len(leaf.uri_sans)} URI names": len(leaf.uri_sans) != 1,
        "has an empty subject, and an alternative name that is not critical": not (leaf.subject or leaf.san_critical),
        "has no key usage": not usage,
        "has a key usage that is not critical": usage and not leaf.key_usage_critical,
        "lacks the key usage digital_signature": usage and "digital_signature" not in usage,
        f"has the key usage of an authority: {listed(signs)}": signs,
        f"lacks the extended key usage {listed(missing)}": missing,
    }
    return [f"its certificate {each}" for each in true_ones(statements)]


def _off(how: str) -> str:
    return f"whose clock is {SKEW.total_seconds():.0f} s {how}"


def grammar_problems(proxy: ProxyIdentity) -> list[Problem]:
    """Names in a proxy's certificate that break the SPIFFE-ID grammar; a workload's ID has a path."""
    if not proxy.spiffe_ids:
        return [without_certificate(proxy) if proxy.leaf is None else problem(proxy, "it carries no URI name")]
    wrong = [(name, malformation(name)) for name in proxy.spiffe_ids]
    wrong += [(n, "it has no path") for n in proxy.spiffe_ids if not malformation(n) and not SpiffeId.parse(n).path]
    return [problem(proxy, f"it carries {name!r}: {why}") for name, why in wrong if why]


def authority_problems(proxy: ProxyIdentity, bundle: TrustBundle) -> list[Problem]:
    """Differences between the authorities that a proxy validates its peers with and those that Teleport publishes."""
    if proxy.validator is Validator.NONE:
        return [problem(proxy, "it holds no authority to validate its peers with")]
    if proxy.validator is Validator.TRUSTED_CA:
        names = listed(a.subject or "an authority without a name" for a in proxy.root_authorities.get("", ()))
        return [problem(proxy, f"it validates its peers with a plain trusted_ca ({names}), not with the SPIFFE validator")]
    found = []
    if foreign := set(proxy.root_authorities) - {bundle.trust_domain}:
        # Without Teleport's own domain among them, it is not Teleport's tbot that answers on the socket.
        is_others = bundle.trust_domain not in proxy.root_authorities and proxy.sds_mode in FROM_TELEPORT
        said = f"it trusts the trust domains {listed(foreign)} {'instead' if is_others else 'as well'}"
        found.append(problem(proxy, said, "other-provider-on-socket" if is_others else ""))
    held = {a.sha256: a for a in proxy.root_authorities.get(bundle.trust_domain, ())}
    if more := [a for sha256, a in held.items() if sha256 not in bundle.fingerprints]:
        found.append(problem(proxy, f"it trusts {_named(more)}, which Teleport does not publish"))
    if fewer := [a for a in bundle.authorities if a.sha256 not in held]:
        # A proxy with some of Teleport's authorities has an older or newer bundle; one with none has a foreign one.
        cause = "bundle-not-delivered" if held and proxy.sds_mode in FROM_TELEPORT else ""
        found.append(problem(proxy, f"it lacks {_named(fewer)}, which Teleport publishes", cause))
    return found


def _named(authorities: Sequence[Certificate]) -> str:
    return listed(f"{a.subject or 'an authority without a name'} (SHA-256 {a.sha256[:16]}…)" for a in authorities)


def without_certificate(proxy: ProxyIdentity) -> Problem:
    """The problem of a proxy that presents no certificate."""
    return problem(proxy, f"it holds no certificate: {listed(proxy.decided_by)}")


def cause_of_no_certificate(proxy: ProxyIdentity, pod: Pod | None) -> str:
    """Cause for which a proxy asks no server for a certificate; empty where it does, or may have no configuration yet.

    Args:
        pod: Its pod, which is Ready only once Envoy has its configuration; None where it is unknown.
    """
    is_configured = pod is not None and pod.ready
    return "no-certificate-asked-for" if proxy.sds_mode is SdsMode.UNASKED and is_configured else ""


# --- how long a certificate may live ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The longest that an SVID may live.

    Attributes:
        longest: From the start of its validity to the end, the minute that Teleport backdates it by included.
        said: The settings that it follows from, in words.
        evidence: Ids of the readings.
    """

    longest: timedelta
    said: str
    evidence: tuple[str, ...]


def effective_lifetime(tbots: Tbots, issuing: Sequence[Issuing]) -> Lifetime:
    """The lesser of what tbot asks for and what the workload identity allows, plus the time by which Teleport backdates.

    Of several services, and of several workload identities of one, those that allow the most.

    Args:
        tbots: Every tbot that serves the mesh.
        issuing: Their services that issue to the mesh.

    Raises:
        CouldNotTell: tbot has no service that issues.
    """
    if not issuing:
        raise CouldNotTell(
            expected="a service of type workload-identity-api, whose credential_ttl limits each certificate",
            seen="no such service",
            where=f"ConfigMap {tbots.first.config_map}",
            remedy="configure the service; see INST-13",
        )
    seconds, said = max(map(_longest_of, issuing))
    said += f", Teleport backdates {BACKDATED.total_seconds():.0f} s"
    return Lifetime(timedelta(seconds=seconds) + BACKDATED, said, readings(tbots, *issuing))


def _longest_of(issuing: Issuing) -> tuple[float, str]:
    """Seconds that a certificate of a service may live, and the settings that it follows from."""
    asked, allowed = issuing.service.credential_ttl, issuing.longest_allowed
    if allowed is None:
        return asked, f"tbot asks for {asked:.0f} s, the limit of the workload identity is not known"
    return min(asked, allowed), f"tbot asks for {asked:.0f} s, the workload identity allows {allowed:.0f} s"


# --- the requirements ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ObservedProxies:
    """Sidecars under judgement.

    Attributes:
        pods: Their pods, as the API server has them.
        fleet: Their proxies.
        evidence: The list of all pods, which also shows that there is none.
        others: Pods with a proxy that are not among them.
        asked: Pods that were asked, as they were listed then; some are listed no more.
        left_out: Gateways that `without` took out, since they need no certificate; a finding names them.
    """

    pods: Sequence[Pod]
    fleet: Fleet
    evidence: tuple[str, ...]
    others: Sequence[Pod] = ()
    asked: Sequence[Pod] = ()
    left_out: tuple[Remark, ...] = ()

    @property
    def is_empty(self) -> bool:
        """There is no proxy, and there was none."""
        return not (self.pods or self.fleet.outcomes)

    @property
    def by_uid(self) -> Mapping[str, Pod]:
        """The pods by uid, with those that went away after their proxies were read: these are judged by what they held."""
        return {pod.uid: pod for pod in (*self.asked, *self.pods)}

    def without(self, left_out: Iterable[Remark]) -> ObservedProxies:
        """The same, without gateways that need no certificate; remarks about other pods change nothing."""
        known = {pod.ref for pod in self.pods} | {each.pod.ref for each in self.fleet.outcomes}
        taken = tuple(each for each in left_out if each.subject in known)
        refs = {each.subject for each in taken}
        fleet = Fleet.of(each for each in self.fleet.outcomes if each.pod.ref not in refs)
        pods = [pod for pod in self.pods if pod.ref not in refs]
        return replace(self, pods=pods, fleet=fleet, left_out=(*self.left_out, *taken))

    def not_applicable(self, claim: Claim) -> Finding:
        """A claim about them where none is left to judge; it names those that were left out."""
        return replace(claim.not_applicable(ONLY_UNUSED_GATEWAYS if self.left_out else NO_WORKLOAD), left_out=self.left_out)

    @property
    def not_asked(self) -> list[Problem]:
        """Open points of pods that were not asked."""
        return not_asked(self.pods, self.fleet.outcomes)

    def judged(
        self,
        claim: Claim,
        problems: Iterable[Problem],
        held: Callable[[ProxyIdentity], str],
        measures: Sequence[Measure] = (),
        *,
        unclear: Iterable[Problem] = (),
        settle: str = "",
    ) -> Finding:
        """Judge a claim about them, see `of_proxies`. Pods that were not asked are open points.

        Args:
            problems: Problems of the proxies that were read.
            held: Observation of a proxy without a problem.
            measures: Numbers that the answer rests on.
            unclear: What could not be determined of proxies that were read.
            settle: Next step to determine it.
        """
        missing = self.not_asked
        return of_proxies(
            claim,
            self.pods,
            self.fleet,
            problems,
            held=each_of(self.fleet.proxies, held),
            measures=measures,
            unclear=[*unclear, *missing],
            settle=settle or (ASK_ALL if missing else ""),
            left_out=self.left_out,
        )


def secrets_come_from_the_socket(
    sidecars: ObservedProxies, tbots: Tbots | None = None, attempts: Mapping[str, LastAttempt] = MappingProxyType({})
) -> Finding:
    """ID-01: the external socket supplies both secrets over live streams, and no certificate request ever went to istiod.

    Args:
        tbots: Every tbot that serves the mesh, which may tell why a stream is dead.
        attempts: By the uid of a pod of tbot: its last attempt to speak with Teleport, where its log was read.
    """
    proxies, pods = sidecars.fleet.proxies, sidecars.by_uid
    connected = connected_sockets(proxies, pods)
    owners = {(p.pod.node, p.leaf.key_sha256): p.pod for p in proxies if p.leaf and p.sds_mode is SdsMode.ISTIO_CA}

    def problems(proxy: ProxyIdentity) -> list[Problem]:
        found = supply_problems(proxy)
        # The pod whose agent took over the socket uses the key that it hands out.
        owner = owners.get((proxy.pod.node, proxy.leaf.key_sha256)) if proxy.leaf else None
        if proxy.sds_mode is SdsMode.TAKEOVER and owner is not None:
            serves = f"the key is that of {owner}, whose Istio agent serves the node's socket"
            found = [replace(each, said=f"{each.said}; {serves}") for each in found]
        if cause := cause_of_no_configuration(proxy, pods.get(proxy.pod.uid)):
            fails = f"its Istio agent failed {proxy.istiod_failures} times to connect to istiod"
            found = [replace(each, said=f"{each.said}; {fails}", cause=cause) for each in found]
        lost = lost_directory(proxy, pods, tbots, attempts, connected) if tbots is not None else None
        return found if lost is None else [*found, lost]

    return _judged(
        "ID-01",
        sidecars,
        problems,
        expected="each proxy to get its secrets from the external socket over live streams, and none from istiod",
        held=lambda p: f"{p.streams.rq_active} live streams; {'; '.join(p.decided_by)}",
    )


def names_are_the_pods_own(sidecars: ObservedProxies, bundle: TrustBundle) -> Finding:
    """ID-02: the only URI SAN is the SPIFFE ID of the pod's namespace and service account in Teleport's trust domain."""
    return _judged(
        "ID-02",
        sidecars,
        lambda p: name_problems(p, bundle.trust_domain),
        expected=f"each proxy to carry exactly its own spiffe://{bundle.trust_domain}/ns/NAMESPACE/sa/SERVICE_ACCOUNT",
        held=lambda p: listed(p.spiffe_ids),
        evidence=bundle.evidence,
    )


def teleport_issued(sidecars: ObservedProxies, bundle: TrustBundle, istiod: IstioAuthorities) -> Finding:
    """ID-03: the chain leads to an authority that Teleport publishes, and to none of istiod's."""
    return _judged(
        "ID-03",
        sidecars,
        lambda p: issuer_problems(p, bundle) + istiod_problems(p, istiod),
        expected="each proxy to hold a certificate of Teleport's SPIFFE authority, and none of istiod",
        held=lambda p: f"issued by {p.leaf.issuer or 'an authority without a name'}" if p.leaf else "",
        evidence=readings(bundle, istiod),
    )


def leaves_are_svids(sidecars: ObservedProxies, lifetime: Lifetime) -> Finding:
    """ID-04: each certificate is an X509-SVID leaf, valid now, and lives no longer than configured."""
    return _judged(
        "ID-04",
        sidecars,
        lambda p: profile_problems(p, lifetime.longest),
        expected=f"valid X509-SVIDs that live at most {lifetime.longest.total_seconds():.0f} s ({lifetime.said})",
        held=lambda p: f"valid {p.leaf.not_before:%T} to {p.leaf.not_after:%F %T} UTC" if p.leaf else "",
        evidence=lifetime.evidence,
    )


def names_are_well_formed(sidecars: ObservedProxies) -> Finding:
    """ID-05: each name follows the grammar of the SPIFFE-ID specification, section 2."""
    return _judged(
        "ID-05",
        sidecars,
        grammar_problems,
        expected="names that follow the SPIFFE-ID specification and have a path",
        held=lambda p: listed(p.spiffe_ids),
    )


def authorities_are_teleports(sidecars: ObservedProxies, bundle: TrustBundle) -> Finding:
    """ID-06: each proxy validates peers with the SPIFFE validator, against exactly Teleport's current authorities."""
    return _judged(
        "ID-06",
        sidecars,
        lambda p: authority_problems(p, bundle),
        expected=f"each proxy to use the SPIFFE validator with exactly Teleport's {len(bundle.authorities)} authorities",
        held=lambda p: f"{len(p.root_authorities.get(bundle.trust_domain, ()))} authorities",
        evidence=bundle.evidence,
    )


def no_request_went_to_istiod(sidecars: ObservedProxies) -> Finding:
    """ID-07: no Istio agent has sent istiod a certificate request since it started, or holds a certificate of its own."""
    return _judged(
        "ID-07",
        sidecars,
        request_problems,
        expected="no Istio agent to have asked istiod for a certificate, by its own count",
        held=lambda _p: "0 certificate requests",
    )


def _judged(
    requirement: str,
    sidecars: ObservedProxies,
    problems: Callable[[ProxyIdentity], Sequence[Problem]],
    *,
    expected: str,
    held: Callable[[ProxyIdentity], str],
    evidence: Sequence[str] = (),
) -> Finding:
    claim = Claim(requirement, expected, f"{len(sidecars.pods)} sidecars", (*sidecars.evidence, *evidence))
    if sidecars.is_empty:
        return claim.not_applicable(NO_SIDECAR)
    return sidecars.judged(claim, [each for proxy in sidecars.fleet.proxies for each in problems(proxy)], held)
