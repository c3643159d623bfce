"""Steps of features/1_install/3_teleport.feature: INST-09 to INST-12, and INST-17."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from facts.document import Absent
from facts.kubernetes.jwks import Jwks, Signature
from judge import conditions
from observe.install import Install
from providers.teleport.checks import teleport as checks
from providers.teleport.facts.issuing import Grants, Identities
from providers.teleport.facts.join_tokens import JoinTokens
from providers.teleport.facts.joining import Joining
from providers.teleport.facts.resources import JoinToken
from providers.teleport.judge import issuing
from provision.pods.probes import Probes
from steps.shared import Conclude

Tokens = tuple[JoinToken | Absent, ...]
"""The join tokens of the tbots that join by the method kubernetes, each once."""

FreshTokens = tuple[tuple[Signature, tuple[str, ...]], ...]
"""For each of `Tokens` whether its JWKS verifies a new token, and the readings that show it."""


@given("the JWKS that the cluster publishes", target_fixture="jwks")
def published_jwks(install: Install) -> Jwks:
    return install.cluster.jwks()


@given("the JWKS that was extracted into the join token", target_fixture="tokens")
def extracted_jwks(install: Install) -> Tokens:
    return checks.tokens_with_a_jwks(install)


@given("a token that the cluster issues now to one of the suite's service accounts", target_fixture="signatures")
def fresh_tokens(tokens: Tokens, probes: Probes, install: Install) -> FreshTokens:
    return tuple(install.teleport.fresh_token(each, probes.namespace(), probes.service_account) for each in tokens)


@then("the extracted JWKS must verify the token's signature")
def fresh_token_verifies(tokens: Tokens, signatures: FreshTokens, install: Install, conclude: Conclude) -> None:
    of_each = zip(tokens, signatures, strict=True)
    conclude(*(checks.fresh_token_verifies(install, token, *answer) for token, answer in of_each))


@then("the extracted JWKS must hold every key that the cluster publishes")
def extracted_jwks_is_complete(install: Install, conclude: Conclude) -> None:
    conclude(*checks.extracted_jwks_is_complete(install))


@given("the join token and its bot, as Teleport holds them", target_fixture="joinings")
def token_and_bot(install: Install) -> tuple[Joining, ...]:
    conditions.needs_the_kubernetes_join("INST-10", install.tbot.all())
    return install.teleport.joinings_by_kubernetes()


@then("the token's join method must be kubernetes")
def method_is_kubernetes(install: Install, conclude: Conclude) -> None:
    conclude(*checks.methods_are_kubernetes(install))


@then("the token must allow exactly tbot's service account")
def only_tbot_is_allowed(install: Install, conclude: Conclude) -> None:
    conclude(*checks.only_tbots_are_allowed(install))


@then("the token must hold every key that the cluster publishes")
def token_holds_every_key(install: Install, conclude: Conclude) -> None:
    conclude(*checks.tokens_hold_every_key(install))


@then("the token's bot must exist and have the role")
def bot_has_the_role(install: Install, conclude: Conclude) -> None:
    conclude(*checks.bots_have_the_role(install))


@given("all join tokens of Teleport", target_fixture="join_tokens")
def all_join_tokens(install: Install) -> JoinTokens:
    return install.teleport.tokens()


@then("no other join token must let in as the bot, and tbot's own must not expire soon")
def only_tbots_tokens_let_in(install: Install, conclude: Conclude) -> None:
    conclude(checks.only_tbots_tokens_let_in(install))


@given("the bot's roles and all workload identities, as Teleport holds them", target_fixture="grants")
def grants(install: Install) -> tuple[Grants, ...]:
    return install.teleport.grants()


@then("the roles must select exactly the workload identities that tbot issues")
def roles_select_what_tbot_issues(grants: tuple[Grants, ...], conclude: Conclude) -> None:
    conclude(*(issuing.roles_select_what_tbot_issues(each) for each in grants))


@then("the roles must allow listing and reading workload identities and nothing else")
def rules_are_minimal(grants: tuple[Grants, ...], conclude: Conclude) -> None:
    conclude(*(issuing.rules_are_minimal(each) for each in grants))


@then("the bot must have no role that grants none of these")
def every_role_grants_an_identity(grants: tuple[Grants, ...], conclude: Conclude) -> None:
    conclude(*(issuing.every_role_grants_an_identity(each) for each in grants))


@given("the workload identities that tbot issues to the mesh", target_fixture="identities")
def identities_of_the_mesh(install: Install) -> Identities:
    return install.teleport.identities()


@then(parsers.parse('each SPIFFE ID template must be "{template}"'))
def templates_are_istios(template: str, identities: Identities, conclude: Conclude) -> None:
    conclude(issuing.id_templates_are_istios(identities, template))
