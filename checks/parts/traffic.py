"""Traffic: who can shake hands with whom, by the proxies' own configuration; no request is sent."""

from __future__ import annotations

from checks import diagnosis, mtls
from checks.check import Answer, Case, Check, Part, Reading
from checks.mtls import SweptMesh
from judge.mtls import contexts, gateways, handshakes, plain_text
from judge.mtls.contexts import TrustDomains


def mesh(case: Case) -> SweptMesh:
    """Every proxy of the mesh, with the TLS that its Envoy is configured to speak."""
    return case.sweeps.of(case.install)


def trust_domains(case: Case) -> TrustDomains:
    """The trust domain of the provider, and the aliases that the mesh accepts."""
    return mtls.trust_domains(case.install)


def _secrets(case: Case) -> Answer:
    swept = case.of(mesh)
    return [contexts.secrets_are_the_providers(swept.ends, case.of(trust_domains), swept.meant, swept.without)]


def _handshakes(case: Case) -> Answer:
    swept = case.of(mesh)
    return [handshakes.handshakes_complete(swept.ends, swept.table, swept.meant, swept.without)]


def _settings(case: Case) -> Answer:
    swept = case.of(mesh)
    return [*handshakes.refused_by_setting(swept.ends, swept.table), *diagnosis.unread(case.install)]


def _gateways(case: Case) -> Answer:
    swept, trusted = case.of(mesh), case.of(trust_domains)
    return [gateways.gateways_use_their_identities(swept.ends, swept.table, trusted, swept.meant, swept.without)]


def _taken_in_plain_text(case: Case) -> Answer:
    swept = case.of(mesh)
    return [plain_text.no_port_takes_plain_text(swept.ends, swept.meant, swept.without)]


def _sent_in_plain_text(case: Case) -> Answer:
    swept = case.of(mesh)
    return [plain_text.nothing_is_sent_in_plain_text(swept.ends, swept.table, swept.without)]


PART = Part(
    "traffic",
    (
        Check(
            "mutual TLS uses the secrets of the socket",
            _secrets,
            "MTL-01",
            then="each TLS context for peers of the mesh must use the secrets default and ROOTCA, and demand a certificate",
        ),
        Check(
            "every handshake that Istio leads to completes",
            _handshakes,
            "MTL-04",
            then="no proxy must refuse the identity of another that Istio's configuration leads to it",
            of_effects=True,
        ),
        Check("no setting makes one side refuse how the other speaks", _settings, of_effects=True),
        Check(
            "gateways use their identities",
            _gateways,
            "MTL-06",
            then="each gateway and waypoint must use the same secrets, and no peer must refuse it",
        ),
        Check(
            "no server refuses callers whose identity it knows",
            lambda case: [*diagnosis.refused_by_policy(case.install), *diagnosis.unread(case.install)],
            harms=False,
        ),
        Check(
            "no port takes plain text",
            _taken_in_plain_text,
            "MTL-02",
            then="no port of an injected workload must take plain text",
        ),
        Check(
            "nothing is sent in plain text",
            _sent_in_plain_text,
            "MTL-03",
            then="no proxy must send plain text to a workload of the mesh",
        ),
    ),
    (
        Reading(("every proxy of the mesh, with the TLS that its Envoy is configured to speak",), mesh),
        Reading(("the trust domain of Teleport, and the aliases that the mesh accepts",), trust_domains),
    ),
)
