"""INST-09 to INST-12: the join token, its bot, the role and the workload identity as Teleport holds them."""

from __future__ import annotations

from typing import Any

import pytest

from facts.teleport.resources import RoleRule
from judge.install.teleport import (
    allows_only_tbot,
    bot_has_no_other_role,
    bot_has_role,
    fresh_token_verifies,
    holds_every_key,
    id_template_is_istios,
    labels_match_exactly,
    method_is_kubernetes,
    role_problems,
    rules_are_minimal,
    token_problems,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, violated
from tests.unit.judge.builders import ROLE, TBOT

TOKEN = make.absent("token/istio-tbot-k8s-join")
A_ROLE = make.absent(f"role/{ROLE}")
AN_IDENTITY = make.absent("workload_identity/istio-workloads")
A_BOT = make.absent("bot/istio-tbot")


# INST-09


def test_a_fresh_token_verifies_with_the_extracted_keys() -> None:
    holds(fresh_token_verifies(make.signature(), make.token(), ["ev-fresh"]), "INST-09", "ev-token", "ev-fresh")


def test_a_fresh_token_that_another_clusters_keys_do_not_verify() -> None:
    other = make.signature(ok=False, reason="the set has no key live; it has other")
    finding = fresh_token_verifies(other, make.token(), ["ev-fresh"])
    violated(finding, "INST-09", "the set has no key live", evidence=("ev-token", "ev-fresh"))
    assert finding.where == "JWKS in Teleport token/istio-tbot-k8s-join"


def test_without_a_join_token_no_keys_were_extracted() -> None:
    missing = make.signature(ok=False, reason=str(TOKEN))
    violated(fresh_token_verifies(missing, TOKEN, ["ev-fresh"]), "INST-09", "does not exist", evidence=("ev-absent-token",))


# INST-10


def test_the_token_of_the_guide_joins() -> None:
    holds(method_is_kubernetes(make.token()), "INST-10", "ev-token")
    holds(allows_only_tbot(make.token(), TBOT), "INST-10", "ev-token")
    holds(holds_every_key(make.token(), make.jwks()), "INST-10", "ev-token", "ev-jwks")
    holds(bot_has_role(make.token(), make.bot(), ROLE), "INST-10", "ev-token", "ev-bot")
    assert token_problems(make.token(), make.jwks(), TBOT, make.bot(), ROLE) == []


def test_a_token_that_does_not_exist_violates_every_part() -> None:
    findings = (
        method_is_kubernetes(TOKEN),
        allows_only_tbot(TOKEN, TBOT),
        holds_every_key(TOKEN, make.jwks()),
        bot_has_role(TOKEN, make.bot(), ROLE),
    )
    for finding in findings:
        violated(finding, "INST-10", "it does not exist", evidence=("ev-absent-token",))
        assert finding.where == "Teleport token/istio-tbot-k8s-join"
    assert token_problems(TOKEN, make.jwks(), TBOT, make.bot(), ROLE) == [str(TOKEN)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"join_method": "token"}, "its join method is token"),
        ({"kubernetes_type": "remote"}, "its type is remote"),
        ({"kubernetes_type": ""}, "its type is not given"),
        ({"roles": ("Bot", "Node")}, "its roles are Bot, Node"),
        ({"roles": ()}, "its roles are none"),
    ],
)
def test_a_token_of_another_method(changes: dict[str, Any], words: str) -> None:
    token = make.token(**changes)
    violated(method_is_kubernetes(token), "INST-10", words, evidence=("ev-token",))
    assert any(words in p for p in token_problems(token, make.jwks(), TBOT, make.bot(), ROLE))


@pytest.mark.parametrize(
    ("allow", "words"),
    [
        ((), "teleport-system:tbot is not allowed, none is"),
        (("default:tbot",), "teleport-system:tbot is not allowed, default:tbot is"),
        ((TBOT, "default:default"), "it allows default:default too"),
        ((TBOT, ""), "it allows service accounts by other fields than service_account too"),
    ],
)
def test_a_token_that_allows_not_exactly_tbot(allow: tuple[str, ...], words: str) -> None:
    token = make.token(allow=allow)
    violated(allows_only_tbot(token, TBOT), "INST-10", words, evidence=("ev-token",))
    assert any(words in p for p in token_problems(token, make.jwks(), TBOT, make.bot(), ROLE))


def test_what_else_a_token_allows_is_no_matter_where_tbot_is_not_allowed() -> None:
    assert "may join as the bot" not in allows_only_tbot(make.token(allow=("default:tbot",)), TBOT).seen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("PASTE_JWKS_HERE", "is still the literal placeholder"),
        ("", "is still the literal placeholder"),
        ("{}", "is still the literal placeholder"),
        ("{keys:[{use:sig}]}", "does not parse"),
        ('{"keys":[]}', "does not parse"),
    ],
)
def test_a_token_that_was_never_filled_in_or_damaged_on_the_way(text: str, words: str) -> None:
    token = make.token(jwks_text=text)
    violated(holds_every_key(token, make.jwks()), "INST-10", words, evidence=("ev-token", "ev-jwks"))
    assert any(words in p for p in token_problems(token, make.jwks(), TBOT, make.bot(), ROLE))


def test_a_token_that_lacks_the_key_after_a_rotation() -> None:
    rotated = make.jwks(make.public_key("live"), make.public_key("new"))
    finding = holds_every_key(make.token(), rotated)
    violated(finding, "INST-10", "it lacks the cluster's keys new; it holds live", evidence=("ev-token", "ev-jwks"))


def test_another_clusters_key_of_the_same_id_is_another_key() -> None:
    rebuilt = make.jwks(make.public_key("live", modulus="another"))
    violated(holds_every_key(make.token(), rebuilt), "INST-10", "it lacks the cluster's keys live")


@pytest.mark.parametrize("kind", ["in_cluster", "oidc"])
def test_where_teleport_asks_the_cluster_no_keys_were_extracted(kind: str) -> None:
    token = make.token(kubernetes_type=kind, jwks_text="")
    holds(method_is_kubernetes(token), "INST-10", "ev-token")
    inapplicable(holds_every_key(token, make.jwks()), "INST-10", "ev-token")
    inapplicable(holds_every_key(token, make.jwks(), "INST-09"), "INST-09", "ev-token")
    inapplicable(
        fresh_token_verifies(make.signature(ok=False, reason="no keys"), token, ["ev-fresh"]), "INST-09", "ev-token"
    )
    assert token_problems(token, make.jwks(), TBOT, make.bot(), ROLE) == []


def test_a_bot_that_was_never_created() -> None:
    finding = bot_has_role(make.token(), A_BOT, ROLE)
    violated(finding, "INST-10", "for the bot istio-tbot, which does not exist", evidence=("ev-token", "ev-absent-bot"))
    assert "tctl create" in finding.remedy


def test_a_bot_without_the_role() -> None:
    finding = bot_has_role(make.token(), make.bot(roles=("other",)), ROLE)
    violated(finding, "INST-10", "the bot istio-tbot has the roles other", evidence=("ev-token", "ev-bot"))
    assert finding.remedy == f"tctl bots update istio-tbot --add-roles {ROLE}"


@pytest.mark.parametrize(("named", "words"), [("", "(none)"), ("other", "for the bot other, not for istio-tbot")])
def test_a_token_that_does_not_name_the_bot_that_was_found(named: str, words: str) -> None:
    violated(bot_has_role(make.token(bot_name=named), make.bot(), ROLE), "INST-10", words, evidence=("ev-token", "ev-bot"))


def test_everything_that_is_wrong_with_a_token_is_told_at_once() -> None:
    token = make.token(join_method="token", allow=("default:tbot",), jwks_text="PASTE_JWKS_HERE")
    assert len(token_problems(token, make.jwks(), TBOT, A_BOT, ROLE)) == 4


# INST-11


def test_a_role_for_the_identitys_labels_with_list_and_read() -> None:
    holds(labels_match_exactly(make.role(), make.identity()), "INST-11", "ev-role", "ev-identity")
    holds(rules_are_minimal(make.role()), "INST-11", "ev-role")
    assert role_problems(make.role(), make.identity()) == []


def test_a_role_may_leave_out_labels_that_others_put_on_the_identity() -> None:
    holds(labels_match_exactly(make.role(), make.identity(labels={"env": "dev", "managed-by": "x"})), "INST-11")


def test_the_role_is_said_to_select_what_it_selects() -> None:
    finding = labels_match_exactly(make.role(), make.identity(labels={"env": "dev", "team": "pay"}))
    assert finding.seen == "it selects by env: dev"


def test_a_second_role_of_the_bot_grants_more() -> None:
    holds(bot_has_no_other_role(make.bot(), ROLE), "INST-11", "ev-bot")
    wide = bot_has_no_other_role(make.bot(roles=(ROLE, "editor")), ROLE)
    violated(wide, "INST-11", "it has editor as well", evidence=("ev-bot",))
    holds(bot_has_no_other_role(A_BOT, ROLE), "INST-11", "ev-absent-bot")


def test_a_missing_role_or_identity() -> None:
    violated(labels_match_exactly(A_ROLE, make.identity()), "INST-11", "does not exist", evidence=("ev-absent-role",))
    without = labels_match_exactly(make.role(), AN_IDENTITY)
    violated(without, "INST-11", "does not exist", evidence=("ev-absent-workload_identity",))
    violated(rules_are_minimal(A_ROLE), "INST-11", "does not exist", evidence=("ev-absent-role",))
    assert role_problems(A_ROLE, make.identity()) == [str(A_ROLE)]
    assert role_problems(make.role(), AN_IDENTITY) == [str(AN_IDENTITY)]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({}, "the role matches no labels"),
        ({"env": ("prod",)}, "env: prod; the identity has env: dev, so nothing is issued"),
        ({"env": ("dev",), "team": ("a",)}, "so nothing is issued"),
        ({"*": ("*",)}, "matches more than the identity: *: *"),
        ({"*": ("dev",)}, "matches more than the identity: *: dev"),
        ({"env": ("*",)}, "matches more than the identity: env: *"),
        ({"env": ("dev", "prod")}, "matches more than the identity: env: dev, prod"),
        ({"env": ("dev",), "*": ("*",)}, "matches more than the identity: *: *"),
        ({"env": ("d*",)}, "matches more than the identity: env: d*"),
        ({"env": ("^de.$",)}, "matches more than the identity: env: ^de.$"),
        ({"env": ("prod", "stage")}, "so nothing is issued"),
    ],
)
def test_a_role_with_other_or_wider_labels(labels: dict[str, tuple[str, ...]], words: str) -> None:
    role = make.role(labels=labels)
    violated(labels_match_exactly(role, make.identity()), "INST-11", words, evidence=("ev-role", "ev-identity"))
    assert any(words in p for p in role_problems(role, make.identity()))


def test_a_pattern_is_not_said_to_issue_nothing() -> None:
    assert "nothing is issued" not in labels_match_exactly(make.role(labels={"env": ("d*",)}), make.identity()).seen


def test_a_role_with_an_expression_beside_its_labels() -> None:
    wider = make.role(labels_expression='labels["env"] != ""')
    violated(labels_match_exactly(wider, make.identity()), "INST-11", "also matches by the expression")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ((), "it lacks list, read on workload_identity"),
        ((RoleRule(("workload_identity",), ("read",)),), "it lacks list on workload_identity"),
        ((RoleRule(("workload_identity",), ("list", "read", "update")),), "it allows update on workload_identity"),
        ((RoleRule(("workload_identity",), ("*",)),), "it allows * on workload_identity"),
        ((RoleRule(("*",), ("list", "read")),), "it has rules on *"),
        ((RoleRule(("workload_identity", "token"), ("list", "read")),), "it has rules on token"),
    ],
)
def test_a_role_with_missing_or_further_rules(rules: tuple[RoleRule, ...], words: str) -> None:
    role = make.role(rules=rules)
    violated(rules_are_minimal(role), "INST-11", words, evidence=("ev-role",))
    assert any(words in p for p in role_problems(role, make.identity()))


def test_all_verbs_are_too_many_and_none_is_missing() -> None:
    every = make.role(rules=(RoleRule(("workload_identity",), ("*",)),))
    assert rules_are_minimal(every).seen == "it allows * on workload_identity"


def test_the_two_verbs_may_stand_in_two_rules() -> None:
    apart = make.role(rules=(RoleRule(("workload_identity",), ("list",)), RoleRule(("workload_identity",), ("read",))))
    holds(rules_are_minimal(apart), "INST-11")


# INST-12


@pytest.mark.parametrize(
    "template",
    [
        "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}",
        "/ns/{{workload.kubernetes.namespace}}/sa/{{  workload.kubernetes.service_account }}",
    ],
)
def test_istios_form_with_any_blanks_inside_the_braces(template: str) -> None:
    holds(id_template_is_istios(make.identity(spiffe_id=template)), "INST-12", "ev-identity")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("/ns/{{ workload.kubernetes.namespace }}/{{ workload.kubernetes.service_account }}", "lacks /sa/"),
        ("/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}/", "ends with a slash"),
        ("/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.pod_name }}", "it is /ns/"),
        ("/ns/default/sa/{{ workload.kubernetes.service_account }}", "it is /ns/default"),
        ("/ns/{{ workload.kubernetes.service_account }}/sa/{{ workload.kubernetes.namespace }}", "it is /ns/"),
        ("/ns/{{ workload.kubernetes.namespace }} /sa/{{ workload.kubernetes.service_account }}", "it is /ns/"),
        ("/n s/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}", "it is /n s/"),
        ("/ns/{{ workload.kubernetes. namespace }}/sa/{{ workload.kubernetes.service_account }}", "it is /ns/"),
        ("//ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}", "it is //ns/"),
        ("", "lacks /sa/"),
    ],
)
def test_any_other_template_is_a_violation(template: str, words: str) -> None:
    finding = id_template_is_istios(make.identity(spiffe_id=template))
    violated(finding, "INST-12", words, evidence=("ev-identity",))
    assert finding.where == "Teleport workload_identity/istio-workloads"


def test_a_workload_identity_that_does_not_exist() -> None:
    finding = id_template_is_istios(AN_IDENTITY)
    violated(finding, "INST-12", "does not exist", evidence=("ev-absent-workload_identity",))


def test_a_role_that_denies_what_it_allows_issues_nothing() -> None:
    role = make.role(denials=("workload_identity_labels",))
    violated(rules_are_minimal(role), "INST-11", "its deny half has workload_identity_labels", evidence=("ev-role",))
    assert role_problems(role, make.identity())


def test_a_role_that_allows_only_sometimes() -> None:
    rule = RoleRule(("workload_identity",), ("list", "read"), 'contains(user.spec.traits["x"], "y")')
    violated(rules_are_minimal(make.role(rules=(rule,))), "INST-11", "it allows only where contains(")


def test_a_role_that_opens_nodes_as_well() -> None:
    violated(labels_match_exactly(make.role(other_access=("node_labels",)), make.identity()), "INST-11", "node_labels")
