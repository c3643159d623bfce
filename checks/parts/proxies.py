"""Proxies: what every Envoy holds, who issued it, and whether it is renewed."""

from __future__ import annotations

from collections.abc import Callable

from checks import diagnosis, identity, rotation
from checks.check import SESSION, Answer, Case, Check, Needs, Part, Reading
from facts.finding import Problem
from facts.provider.trust import TrustBundle
from facts.proxies.identity import Fleet
from judge.identity import proxies as judge
from judge.identity import sweep
from judge.identity.proxies import Lifetime, ObservedProxies
from judge.identity.sweep import Expectation, Outside
from judge.rotation import age
from observe.install import Install
from providers.teleport.facts.audit import AuditTrail
from providers.teleport.judge import audited


def sidecars(case: Case) -> ObservedProxies:
    """Every sidecar of the mesh, as its own Envoy reports it."""
    return identity.sidecars(case.install)


def proxies(case: Case) -> ObservedProxies:
    """Every proxy of the mesh, gateways included; those that need no certificate are left out by name."""
    return identity.proxies(case.install, case.sweeps)


def bundle(case: Case) -> TrustBundle:
    """The SPIFFE bundle that the provider publishes."""
    return case.install.teleport.bundle()


def lifetime(case: Case) -> Lifetime:
    """The longest lifetime that the provider's settings allow."""
    return identity.lifetime(case.install)


def expectation(case: Case) -> Expectation:
    """The expected issuer, trust bundle and maximum lifetime of every proxy."""
    return identity.expectation(case.install)


def outside(case: Case) -> Outside:
    """The workloads that should use the socket but lack the injection template, and the proxies that cannot be asked."""
    return identity.outside_of_teleport(case.install)


def audit_trail(case: Case) -> AuditTrail:
    """The audit events that issued the serials of all sidecars."""
    return case.install.teleport.audit_trail(case.install.proxies.sidecar_serials())


def to_renew(case: Case) -> ObservedProxies:
    """Every proxy on the provider's sockets, but for gateways that need no certificate."""
    return rotation.proxies_to_renew(case.install, case.sweeps)


def second_reading(case: Case) -> Fleet | None:
    """A second reading of the same proxies, after as many seconds as ``--observe`` says; None without it."""
    seconds = case.settings.observe
    return case.install.proxies.fleet_on_sockets_after(seconds) if seconds else None


def _of_every(rule: Callable[[Install], list[Problem]]) -> Callable[[Case], Answer]:
    """A rule about every proxy; those that could not be read stay open."""
    return lambda case: [*rule(case.install), *diagnosis.unread(case.install)]


def _renewal(case: Case) -> Answer:
    second = case.asked_for(second_reading)
    return [age.renewed_before_expiry(case.of(to_renew), case.install.tbot.all(), second)]


def _expiry(case: Case) -> Answer:
    settings = case.settings
    thresholds = settings.expiry_warning, settings.authority_expiry_warning
    return [age.nothing_expires_soon(case.of(to_renew), case.install.tbot.all(), *thresholds)]


PART = Part(
    "proxies",
    (
        Check("nothing keeps a proxy from starting", lambda case: diagnosis.held_up(case.install)),
        Check("every proxy has its configuration from istiod", _of_every(diagnosis.without_istiod)),
        Check("no pod serves its own identity to others", _of_every(diagnosis.takers)),
        Check("one authority certifies all proxies", _of_every(diagnosis.of_two_authorities)),
        Check("no certificate has ended", _of_every(diagnosis.past_their_end)),
        Check(
            "every proxy can connect to its socket again",
            lambda case: [*diagnosis.cut_off(case.install, case.probes), *diagnosis.unread(case.install)],
        ),
        Check("the identity's rules refuse no proxy", _of_every(diagnosis.refused_by_rules), needs=SESSION),
        Check(
            "no workload is in ambient mode, where istiod certifies it",
            lambda case: diagnosis.in_ambient_mode(case.install),
            harms=False,
        ),
        Check(
            "secrets come from the external SDS socket",
            # Without tbot, which would name one of the causes for which a stream is dead; a line above tells them apart.
            lambda case: [judge.secrets_come_from_the_socket(identity.sidecars(case.install))],
            "ID-01",
        ),
        Check(
            "secrets come from the external SDS socket, and a dead stream has its cause",
            lambda case: [identity.supply_of(case.install, case.of(sidecars))],
            "ID-01",
            then="each sidecar must take certificate and trust bundle from the external SDS socket over live streams, none"
            " from istiod",
            left_out="the doctor tells the causes of dead streams apart in a line of its own",
        ),
        Check(
            "no Istio agent asked istiod for a certificate",
            lambda case: [judge.no_request_went_to_istiod(case.of(sidecars))],
            "ID-07",
            then="the metrics of each sidecar's Istio agent must show that it sent no signing request",
        ),
        Check(
            "Teleport issued every certificate",
            lambda case: [judge.teleport_issued(case.of(sidecars), case.of(bundle), case.install.istio.authorities())],
            "ID-03",
            then="each certificate must verify against the bundle, and must not descend from any of istiod's authorities",
        ),
        Check("no template has made a wrong SPIFFE ID", _of_every(diagnosis.misnamed)),
        Check(
            "every SPIFFE ID is what the template yields now",
            lambda case: [rotation.identity_is_in_force(case.install)],
            "HYG-06",
            SESSION,
            then="each proxy must carry the SPIFFE ID that the workload identity's template yields for its pod now",
        ),
        Check(
            "every SPIFFE ID is its pod's own",
            lambda case: [judge.names_are_the_pods_own(case.of(sidecars), case.of(bundle))],
            "ID-02",
            then="the only name in each certificate must be the SPIFFE ID of the pod's namespace and service account",
        ),
        Check(
            "every SPIFFE ID follows the grammar",
            lambda case: [judge.names_are_well_formed(case.of(sidecars))],
            "ID-05",
            then="the SPIFFE ID in each certificate must follow the grammar of the specification",
        ),
        Check(
            "every certificate is an SVID that is valid now",
            lambda case: [judge.leaves_are_svids(case.of(sidecars), case.of(lifetime))],
            "ID-04",
            then="each certificate must be an X509-SVID leaf that is valid now and within that lifetime",
        ),
        Check(
            "peers are validated against exactly Teleport's authorities",
            lambda case: [judge.authorities_are_teleports(case.of(sidecars), case.of(bundle))],
            "ID-06",
            then="each sidecar must validate its peers with the SPIFFE validator, against exactly the authorities of the"
            " bundle",
        ),
        Check(
            "gateways likewise, and no workload lacks the template",
            lambda case: [sweep.mesh_is_teleports(case.of(proxies), case.of(expectation), case.of(outside))],
            "ID-11",
            then="every proxy must meet ID-01 to ID-06, and no workload must lack the template",
        ),
        Check(
            "certificates are renewed well before they expire",
            _renewal,
            "ROT-01",
            then="each certificate must be due for renewal well before it expires, and none must be overdue",
        ),
        Check(
            "no certificate is overdue for renewal",
            lambda case: [rotation.none_is_overdue(case.install, case.of(to_renew))],
            "ROT-07",
            then="no certificate must be older than tbot's renewal interval and a margin",
        ),
        Check(
            "nothing expires soon",
            _expiry,
            "ROT-06",
            then="no certificate and no trusted authority must expire within its warning threshold",
        ),
        Check(
            "Teleport audited every certificate",
            lambda case: [audited.certificates_are_audited(case.of(sidecars), case.of(audit_trail))],
            "ID-10",
            frozenset({Needs.AUDIT_EVENTS}),
            then="Teleport must have audited each certificate as issued to the pod that uses it",
        ),
    ),
    (
        Reading(("every sidecar of the mesh, as its own Envoy reports it",), sidecars),
        Reading(("every proxy of the mesh, gateways included, as its own Envoy reports it",), proxies),
        Reading(("the SPIFFE bundle that Teleport publishes",), bundle),
        Reading(("the longest lifetime that tbot and the workload identity allow",), lifetime),
        Reading(("the workloads that should use the socket but lack the injection template",), outside),
        Reading(("Teleport's audit events",), audit_trail),
        Reading(("every proxy on tbot's sockets, as its own Envoy reports it",), to_renew),
        Reading(("a second reading of the same proxies, if --observe asks for it",), second_reading),
        Reading(
            ("tbot's version, as its image and its bot instances report it",),
            lambda case: rotation.versions_of_tbot(case.install),
        ),
    ),
)
