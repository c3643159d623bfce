"""Teleport: its public endpoints, and with an admin session its resources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from checks.check import PROBES, SESSION, Case, Check, Part, Reading
from facts.document import Absent
from facts.finding import Finding
from facts.kubernetes.jwks import Jwks, Signature
from facts.provider.trust import TrustBundle
from judge import conditions
from judge.install import prerequisites
from providers.teleport.checks import teleport
from providers.teleport.facts.issuing import Grants
from providers.teleport.facts.joining import Joining
from providers.teleport.facts.resources import JoinToken, Ping
from providers.teleport.judge import issuing


def public_endpoints(case: Case) -> tuple[Ping, TrustBundle]:
    """Teleport's public ping and SPIFFE bundle."""
    return case.install.teleport.ping(), case.install.teleport.bundle()


def tokens(case: Case) -> Sequence[JoinToken | Absent]:
    """The join tokens that hold extracted keys."""
    return teleport.tokens_with_a_jwks(case.install)


def signatures(case: Case) -> Sequence[tuple[Signature, tuple[str, ...]]]:
    """For each of `tokens`, whether its JWKS verifies a token that the cluster issues now, and the readings that show it."""
    fresh, probes = case.install.teleport.fresh_token, case.probe_pods
    return [fresh(each, probes.namespace(), probes.service_account) for each in case.of(tokens)]


def jwks(case: Case) -> Jwks:
    """The JWKS that the cluster publishes."""
    return case.install.cluster.jwks()


def joinings(case: Case) -> Sequence[Joining]:
    """The join tokens and their bots."""
    conditions.needs_the_kubernetes_join("INST-10", case.install.tbot.all())
    return case.install.teleport.joinings_by_kubernetes()


def grants(case: Case) -> Sequence[Grants]:
    """The bots' roles and all workload identities."""
    return case.install.teleport.grants()


def _verified(case: Case) -> Iterator[Finding]:
    for token, answer in zip(case.of(tokens), case.of(signatures), strict=True):
        yield teleport.fresh_token_verifies(case.install, token, *answer)


PART = Part(
    "Teleport",
    (
        Check(
            "Teleport answers with its name and a valid SPIFFE bundle",
            lambda case: [prerequisites.teleport_names_itself(*case.of(public_endpoints), datetime.now(UTC))],
            "INST-03",
            then="the SPIFFE bundle must belong to Teleport's cluster name and hold an authority that is valid now",
        ),
        Check(
            "the admin session works",
            lambda case: [prerequisites.admin_session_works(case.install.teleport.status(), case.install.teleport.ping())],
            "INST-03",
            SESSION,
            then="the admin session must work",
        ),
        Check(
            "the join token holds every key of the cluster",
            lambda case: teleport.extracted_jwks_is_complete(case.install),
            "INST-09",
            SESSION,
            then="the extracted JWKS must hold every key that the cluster publishes",
        ),
        Check(
            "the join token verifies a token that the cluster issues now",
            _verified,
            "INST-09",
            SESSION | PROBES,
            then="the extracted JWKS must verify the token's signature",
        ),
        Check.of_parts(
            "the join token lets tbot in, and its bot has the role",
            "INST-10",
            ("the token's join method must be kubernetes", lambda case: teleport.methods_are_kubernetes(case.install)),
            (
                "the token must allow exactly tbot's service account",
                lambda case: teleport.only_tbots_are_allowed(case.install),
            ),
            (
                "the token must hold every key that the cluster publishes",
                lambda case: teleport.tokens_hold_every_key(case.install),
            ),
            ("the token's bot must exist and have the role", lambda case: teleport.bots_have_the_role(case.install)),
            needs=SESSION,
        ),
        Check.of_parts(
            "the bot's roles grant what tbot issues, and no more",
            "INST-11",
            (
                "the roles must select exactly the workload identities that tbot issues",
                lambda case: [issuing.roles_select_what_tbot_issues(each) for each in case.of(grants)],
            ),
            (
                "the roles must allow listing and reading workload identities and nothing else",
                lambda case: [issuing.rules_are_minimal(each) for each in case.of(grants)],
            ),
            (
                "the bot must have no role that grants none of these",
                lambda case: [issuing.every_role_grants_an_identity(each) for each in case.of(grants)],
            ),
            needs=SESSION,
        ),
        # The scenario names the template: its step is in steps/install/teleport.py.
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
            then="no other join token must let in as the bot, and tbot's own must not expire soon",
        ),
    ),
    (
        Reading(("the suite reads Teleport's public ping and SPIFFE bundle",), public_endpoints),
        Reading(("the JWKS that the cluster publishes",), jwks),
        Reading(("the JWKS that was extracted into the join token",), tokens),
        Reading(("a token that the cluster issues now to one of the suite's service accounts",), signatures, PROBES),
        Reading(("the join token and its bot, as Teleport holds them",), joinings),
        Reading(("all join tokens of Teleport",), lambda case: case.install.teleport.tokens()),
        Reading(("the bot's roles and all workload identities, as Teleport holds them",), grants),
    ),
)
