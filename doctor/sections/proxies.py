"""Proxies: what every Envoy holds, who issued it, and whether it is renewed."""

from __future__ import annotations

from collections.abc import Callable

from checks import diagnosis, identity, rotation
from doctor.check import Answer, Case, Check, Needs, Section
from facts.finding import Problem
from judge.identity import proxies as judge
from judge.identity import sweep
from judge.identity.proxies import ObservedProxies
from judge.rotation import age
from observe.install import Install
from providers.teleport.judge import audited


def _mesh(case: Case) -> Answer:
    install = case.install
    observed, expectation = identity.proxies(install, case.sweeps), identity.expectation(install)
    return [sweep.mesh_is_teleports(observed, expectation, identity.outside_of_teleport(install))]


def _of_every(rule: Callable[[Install], list[Problem]]) -> Callable[[Case], Answer]:
    """A rule about every proxy; those that could not be read stay open."""
    return lambda case: [*rule(case.install), *diagnosis.unread(case.install)]


def _supplied(case: Case) -> Answer:
    # Without tbot, which would name one of the causes for which a stream is dead; a line above tells them apart.
    return [judge.secrets_come_from_the_socket(identity.sidecars(case.install))]


def _issuer(case: Case) -> Answer:
    install = case.install
    return [judge.teleport_issued(identity.sidecars(install), install.teleport.bundle(), install.istio.authorities())]


def _audited(case: Case) -> Answer:
    install = case.install
    trail = install.teleport.audit_trail(install.proxies.sidecar_serials())
    return [audited.certificates_are_audited(identity.sidecars(install), trail)]


def _to_renew(case: Case) -> ObservedProxies:
    return rotation.proxies_to_renew(case.install, case.sweeps)


def _overdue(case: Case) -> Answer:
    return [rotation.none_is_overdue(case.install, _to_renew(case))]


def _renewal(case: Case) -> Answer:
    return [age.renewed_before_expiry(_to_renew(case), case.install.tbot.all())]


def _expiry(case: Case) -> Answer:
    settings, install = case.settings, case.install
    thresholds = settings.expiry_warning, settings.authority_expiry_warning
    return [age.nothing_expires_soon(_to_renew(case), install.tbot.all(), *thresholds)]


SESSION = frozenset({Needs.SESSION})

SECTION = Section(
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
            _supplied,
            "ID-01",
        ),
        Check(
            "no Istio agent asked istiod for a certificate",
            lambda case: [judge.no_request_went_to_istiod(identity.sidecars(case.install))],
            "ID-07",
        ),
        Check("Teleport issued every certificate", _issuer, "ID-03"),
        Check("no template has made a wrong SPIFFE ID", _of_every(diagnosis.misnamed)),
        Check(
            "every SPIFFE ID is what the template yields now",
            lambda case: [rotation.identity_is_in_force(case.install)],
            "HYG-06",
            SESSION,
        ),
        Check(
            "every SPIFFE ID is its pod's own",
            lambda case: [judge.names_are_the_pods_own(identity.sidecars(case.install), case.install.teleport.bundle())],
            "ID-02",
        ),
        Check(
            "every SPIFFE ID follows the grammar",
            lambda case: [judge.names_are_well_formed(identity.sidecars(case.install))],
            "ID-05",
        ),
        Check(
            "every certificate is an SVID that is valid now",
            lambda case: [judge.leaves_are_svids(identity.sidecars(case.install), identity.lifetime(case.install))],
            "ID-04",
        ),
        Check(
            "peers are validated against exactly Teleport's authorities",
            lambda case: [judge.authorities_are_teleports(identity.sidecars(case.install), case.install.teleport.bundle())],
            "ID-06",
        ),
        Check("gateways likewise, and no workload lacks the template", _mesh, "ID-11"),
        Check("certificates are renewed well before they expire", _renewal, "ROT-01"),
        Check("no certificate is overdue for renewal", _overdue, "ROT-07"),
        Check("nothing expires soon", _expiry, "ROT-06"),
        Check("Teleport audited every certificate", _audited, "ID-10", frozenset({Needs.AUDIT_EVENTS})),
    ),
)
