"""Checks of INST-09 to INST-12, and INST-17: Teleport's resources beside what every tbot uses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from facts.document import Absent
from facts.evidence import readings
from facts.finding import Finding
from facts.kubernetes.jwks import Signature
from judge import conditions
from observe.install import Install
from providers.teleport.facts.joining import Joining
from providers.teleport.facts.resources import JoinToken
from providers.teleport.judge import issuing, join_tokens
from providers.teleport.judge import teleport as judge


def tokens_with_a_jwks(install: Install) -> tuple[JoinToken | Absent, ...]:
    """The join tokens that hold extracted keys, which INST-09 judges.

    Raises:
        NotApplicable: No tbot joins by the method kubernetes.
    """
    conditions.needs_the_kubernetes_join("INST-09", install.tbot.all(), conditions.NO_JWKS)
    return tuple(each.known_token for each in install.teleport.joinings_by_kubernetes())


def extracted_jwks_is_complete(install: Install) -> tuple[Finding, ...]:
    """INST-09, second part, of each join token.

    Raises:
        NotApplicable: No tbot joins by the method kubernetes.
    """
    jwks = install.cluster.jwks()
    return tuple(judge.holds_every_key(token, jwks, "INST-09") for token in tokens_with_a_jwks(install))


def fresh_token_verifies(
    install: Install, token: JoinToken | Absent, signature: Signature, evidence: Sequence[str]
) -> Finding:
    """INST-09, first part, of one join token; where a signature does not hold, the cluster's keys may tell why."""
    live = None if signature.ok else install.cluster.jwks()
    return judge.fresh_token_verifies(signature, token, evidence, live)


def methods_are_kubernetes(install: Install) -> tuple[Finding, ...]:
    """INST-10, the join method of each token."""
    return tuple(judge.method_is_kubernetes(each.known_token) for each in _joinings(install))


def only_tbots_are_allowed(install: Install) -> tuple[Finding, ...]:
    """INST-10, the service accounts that each token allows."""
    return tuple(judge.allows_only_tbot(each.known_token, *each.accounts) for each in _joinings(install))


def tokens_hold_every_key(install: Install) -> tuple[Finding, ...]:
    """INST-10, the keys of each token."""
    jwks = install.cluster.jwks()
    return tuple(judge.holds_every_key(each.known_token, jwks) for each in _joinings(install))


def bots_have_the_role(install: Install) -> tuple[Finding, ...]:
    """INST-10, the bot of each token."""
    role_of = install.teleport.role_of
    return tuple(
        judge.bot_has_role(each.known_token, each.known_bot, role_of(each.known_bot)) for each in _joinings(install)
    )


def grants_are_exact(install: Install) -> tuple[Finding, ...]:
    """INST-11, of the roles of each bot."""
    judgments = (issuing.roles_select_what_tbot_issues, issuing.rules_are_minimal, issuing.every_role_grants_an_identity)
    return tuple(judged(each) for judged in judgments for each in install.teleport.grants())


def only_tbots_tokens_let_in(install: Install) -> Finding:
    """INST-17."""
    found = install.teleport.tokens()
    joinings, bots, named = install.teleport.joinings(), install.teleport.bots(), install.teleport.named_tokens()
    return join_tokens.only_tbots_tokens_let_in(found, named, bots, datetime.now(UTC), readings(*joinings))


def _joinings(install: Install) -> tuple[Joining, ...]:
    conditions.needs_the_kubernetes_join("INST-10", install.tbot.all())
    return install.teleport.joinings_by_kubernetes()
