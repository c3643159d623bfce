"""Steps of features/1_install/3_teleport.feature: INST-09 to INST-12."""

from __future__ import annotations

from pytest_bdd import given, parsers, then

from facts.document import Absent
from facts.kubernetes.jwks import Jwks, Signature
from facts.teleport.resources import Bot, JoinToken, Role, WorkloadIdentity
from judge.install import teleport as judge
from observe.install import Install
from provision.pods.probes import Probes
from steps.shared import Conclude


@given("the JWKS that the cluster publishes", target_fixture="jwks")
def jwks(install: Install) -> Jwks:
    return install.cluster.jwks()


@given("the JWKS that was extracted into the join token", target_fixture="token")
def extracted(install: Install) -> JoinToken | Absent:
    return install.teleport.token()


@given("a token that the cluster issues now to one of the suite's service accounts", target_fixture="signature")
def fresh_token(token: JoinToken | Absent, probes: Probes, install: Install) -> tuple[Signature, tuple[str, ...]]:
    return install.teleport.fresh_token(token, probes.namespace(), probes.service_account)


@then("the extracted JWKS must verify the token's signature")
def verifies(token: JoinToken | Absent, signature: tuple[Signature, tuple[str, ...]], conclude: Conclude) -> None:
    answer, evidence = signature
    conclude(judge.fresh_token_verifies(answer, token, evidence))


@then("the extracted JWKS must hold every key that the cluster publishes")
def extracted_keys(token: JoinToken | Absent, jwks: Jwks, conclude: Conclude) -> None:
    conclude(judge.holds_every_key(token, jwks, "INST-09"))


@given("the join token and its bot, as Teleport holds them", target_fixture="joining")
def joining(install: Install) -> tuple[JoinToken | Absent, Bot | Absent]:
    return install.teleport.token(), install.teleport.bot()


@then("the token's join method must be kubernetes")
def method(joining: tuple[JoinToken | Absent, Bot | Absent], conclude: Conclude) -> None:
    conclude(judge.method_is_kubernetes(joining[0]))


@then("the token must allow exactly tbot's service account")
def allow_list(joining: tuple[JoinToken | Absent, Bot | Absent], install: Install, conclude: Conclude) -> None:
    conclude(judge.allows_only_tbot(joining[0], install.tbot.installed().service_account))


@then("the token must hold every key that the cluster publishes")
def keys(joining: tuple[JoinToken | Absent, Bot | Absent], jwks: Jwks, conclude: Conclude) -> None:
    conclude(judge.holds_every_key(joining[0], jwks))


@then("the token's bot must exist and have the role")
def bot(joining: tuple[JoinToken | Absent, Bot | Absent], install: Install, conclude: Conclude) -> None:
    conclude(judge.bot_has_role(*joining, install.teleport.role_name()))


@given("the bot's role and the workload identity, as Teleport holds them", target_fixture="granting")
def granting(install: Install) -> tuple[Role | Absent, WorkloadIdentity | Absent]:
    return install.teleport.role(), install.teleport.workload_identity()


@then("the role must match exactly the labels of the workload identity")
def labels(granting: tuple[Role | Absent, WorkloadIdentity | Absent], conclude: Conclude) -> None:
    conclude(judge.labels_match_exactly(*granting))


@then("the role must allow listing and reading workload identities and nothing else")
def rules(granting: tuple[Role | Absent, WorkloadIdentity | Absent], conclude: Conclude) -> None:
    conclude(judge.rules_are_minimal(granting[0]))


@then("the bot must have no other role")
def no_other_role(install: Install, conclude: Conclude) -> None:
    conclude(judge.bot_has_no_other_role(install.teleport.bot(), install.teleport.role_name()))


@then(parsers.parse('the SPIFFE ID template must be "{template}"'))
def template(template: str, granting: tuple[Role | Absent, WorkloadIdentity | Absent], conclude: Conclude) -> None:
    conclude(judge.id_template_is_istios(granting[1], template))
