"""Teleport: its public endpoints, and with an admin session its resources."""

from __future__ import annotations

from datetime import UTC, datetime

from doctor.check import Answer, Case, Check, Needs, Section, probes_of
from judge.install import prerequisites
from providers.teleport.checks import teleport
from providers.teleport.judge import issuing

SESSION = frozenset({Needs.SESSION})


def _names_itself(case: Case) -> Answer:
    found = case.install.teleport
    return [prerequisites.teleport_names_itself(found.ping(), found.bundle(), datetime.now(UTC))]


def _session(case: Case) -> Answer:
    return [prerequisites.admin_session_works(case.install.teleport.status(), case.install.teleport.ping())]


def _fresh_token(case: Case) -> Answer:
    install, probes = case.install, probes_of(case)
    for token in teleport.tokens_with_a_jwks(install):
        answer, evidence = install.teleport.fresh_token(token, probes.namespace(), probes.service_account)
        yield teleport.fresh_token_verifies(install, token, answer, evidence)


SECTION = Section(
    "Teleport",
    (
        Check("Teleport answers with its name and a valid SPIFFE bundle", _names_itself, "INST-03"),
        Check("the admin session works", _session, "INST-03", SESSION),
        Check(
            "the join token holds every key of the cluster",
            lambda case: teleport.extracted_jwks_is_complete(case.install),
            "INST-09",
            SESSION,
        ),
        Check(
            "the join token verifies a token that the cluster issues now",
            _fresh_token,
            "INST-09",
            frozenset({Needs.SESSION, Needs.PROBES}),
        ),
        Check(
            "the join token lets tbot in, and its bot has the role",
            lambda case: teleport.tokens_let_tbot_join(case.install),
            "INST-10",
            SESSION,
        ),
        Check(
            "the bot's roles grant what tbot issues, and no more",
            lambda case: teleport.grants_are_exact(case.install),
            "INST-11",
            SESSION,
        ),
        Check(
            "the SPIFFE ID templates are Istio's",
            lambda case: [issuing.id_templates_are_istios(case.install.teleport.identities())],
            "INST-12",
            SESSION,
        ),
        Check(
            "no other join token lets in as the bot",
            lambda case: [teleport.only_tbots_tokens_let_in(case.install)],
            "INST-17",
            SESSION,
        ),
    ),
)
