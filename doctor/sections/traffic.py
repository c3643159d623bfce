"""Traffic: who can shake hands with whom, by the proxies' own configuration; no request is sent."""

from __future__ import annotations

from checks import diagnosis, mtls
from doctor.check import Answer, Case, Check, Section
from judge.mtls import contexts, gateways, handshakes, plain_text


def _secrets(case: Case) -> Answer:
    mesh = case.sweeps.of(case.install)
    trusted = mtls.trust_domains(case.install)
    return [contexts.secrets_are_the_providers(mesh.ends, trusted, mesh.meant, mesh.without)]


def _handshakes(case: Case) -> Answer:
    mesh = case.sweeps.of(case.install)
    return [handshakes.handshakes_complete(mesh.ends, mesh.table, mesh.meant, mesh.without)]


def _settings(case: Case) -> Answer:
    mesh = case.sweeps.of(case.install)
    return [*handshakes.refused_by_setting(mesh.ends, mesh.table), *diagnosis.unread(case.install)]


def _gateways(case: Case) -> Answer:
    mesh = case.sweeps.of(case.install)
    trusted = mtls.trust_domains(case.install)
    return [gateways.gateways_use_their_identities(mesh.ends, mesh.table, trusted, mesh.meant, mesh.without)]


def _taken_in_plain_text(case: Case) -> Answer:
    mesh = case.sweeps.of(case.install)
    return [plain_text.no_port_takes_plain_text(mesh.ends, mesh.meant, mesh.without)]


def _sent_in_plain_text(case: Case) -> Answer:
    mesh = case.sweeps.of(case.install)
    return [plain_text.nothing_is_sent_in_plain_text(mesh.ends, mesh.table, mesh.without)]


SECTION = Section(
    "traffic",
    (
        Check("mutual TLS uses the secrets of the socket", _secrets, "MTL-01"),
        Check("every handshake that Istio leads to completes", _handshakes, "MTL-04", of_effects=True),
        Check("no setting makes one side refuse how the other speaks", _settings, of_effects=True),
        Check("gateways use their identities", _gateways, "MTL-06"),
        Check(
            "no server refuses callers whose identity it knows",
            lambda case: [*diagnosis.refused_by_policy(case.install), *diagnosis.unread(case.install)],
            harms=False,
        ),
        Check("no port takes plain text", _taken_in_plain_text, "MTL-02"),
        Check("nothing is sent in plain text", _sent_in_plain_text, "MTL-03"),
    ),
)
