"""Steps of features/1_install/3_teleport.feature: INST-09 to INST-12, and INST-17."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import given, parsers, then

from facts.document import Absent
from facts.kubernetes.jwks import Jwks, Signature
from facts.teleport.join_tokens import JoinTokens
from facts.teleport.resources import Bot, JoinToken, Role, WorkloadIdentity
from judge.install import join_tokens as judge_tokens
from judge.install import teleport as judge
from observe.install import Install
from provision.pods.probes import Probes
from steps.shared import Conclude

FreshToken = tuple[Signature, tuple[str, ...]]
"""Whether the JWKS verifies a new token, and the readings that show it."""

TokenAndBot = tuple[JoinToken | Absent, Bot | Absent]
RoleAndIdentity = tuple[Role | Absent, WorkloadIdentity | Absent]


@given("the JWKS that the cluster publishes", target_fixture="jwks")
def published_jwks(install: Install) -> Jwks:
    return install.cluster.jwks()


@given("the JWKS that was extracted into the join token", target_fixture="token")
def extracted_jwks(install: Install) -> JoinToken | Absent:
    return install.teleport.token()


@given("a token that the cluster issues now to one of the suite's service accounts", target_fixture="signature")
def fresh_token(token: JoinToken | Absent, probes: Probes, install: Install) -> FreshToken:
    return install.teleport.fresh_token(token, probes.namespace(), probes.service_account)


@then("the extracted JWKS must verify the token's signature")
def fresh_token_verifies(token: JoinToken | Absent, signature: FreshToken, conclude: Conclude) -> None:
    answer, evidence = signature
    conclude(judge.fresh_token_verifies(answer, token, evidence))


@then("the extracted JWKS must hold every key that the cluster publishes")
def extracted_jwks_is_complete(token: JoinToken | Absent, jwks: Jwks, conclude: Conclude) -> None:
    conclude(judge.holds_every_key(token, jwks, "INST-09"))


@given("the join token and its bot, as Teleport holds them", target_fixture="token_and_bot")
def token_and_bot(install: Install) -> TokenAndBot:
    return install.teleport.token(), install.teleport.bot()


@then("the token's join method must be kubernetes")
def method_is_kubernetes(token_and_bot: TokenAndBot, conclude: Conclude) -> None:
    conclude(judge.method_is_kubernetes(token_and_bot[0]))


@then("the token must allow exactly tbot's service account")
def only_tbot_is_allowed(token_and_bot: TokenAndBot, install: Install, conclude: Conclude) -> None:
    conclude(judge.allows_only_tbot(token_and_bot[0], install.tbot.installed().service_account))


@then("the token must hold every key that the cluster publishes")
def token_holds_every_key(token_and_bot: TokenAndBot, jwks: Jwks, conclude: Conclude) -> None:
    conclude(judge.holds_every_key(token_and_bot[0], jwks))


@then("the token's bot must exist and have the role")
def bot_has_the_role(token_and_bot: TokenAndBot, install: Install, conclude: Conclude) -> None:
    conclude(judge.bot_has_role(*token_and_bot, install.teleport.role_name()))


@given("all join tokens of Teleport", target_fixture="join_tokens")
def all_join_tokens(install: Install) -> JoinTokens:
    return install.teleport.tokens()


@then("no other join token must let in as the bot, and tbot's own must not expire soon")
def only_tbots_tokens_let_in(join_tokens: JoinTokens, install: Install, conclude: Conclude) -> None:
    named, bots = (install.tbot.installed().config.token,), (install.teleport.bot_name(),)
    evidence = (*install.tbot.installed().evidence, *install.teleport.token().evidence)
    conclude(judge_tokens.only_tbots_tokens_let_in(join_tokens, named, bots, datetime.now(UTC), evidence))


@given("the bot's role and the workload identity, as Teleport holds them", target_fixture="role_and_identity")
def role_and_identity(install: Install) -> RoleAndIdentity:
    return install.teleport.role(), install.teleport.workload_identity()


@then("the role must match exactly the labels of the workload identity")
def labels_match(role_and_identity: RoleAndIdentity, conclude: Conclude) -> None:
    conclude(judge.labels_match_exactly(*role_and_identity))


@then("the role must allow listing and reading workload identities and nothing else")
def rules_are_minimal(role_and_identity: RoleAndIdentity, conclude: Conclude) -> None:
    conclude(judge.rules_are_minimal(role_and_identity[0]))


@then("the bot must have no other role")
def no_other_role(install: Install, conclude: Conclude) -> None:
    conclude(judge.bot_has_no_other_role(install.teleport.bot(), install.teleport.role_name()))


@then(parsers.parse('the SPIFFE ID template must be "{template}"'))
def template_is_istios(template: str, role_and_identity: RoleAndIdentity, conclude: Conclude) -> None:
    conclude(judge.id_template_is_istios(role_and_identity[1], template))
