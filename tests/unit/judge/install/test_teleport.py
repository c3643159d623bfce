"""INST-09 to INST-12: the join token, its bot, the role and the workload identity as Teleport holds them."""

from __future__ import annotations

from typing import Any

import pytest

from facts.finding import Problem
from facts.teleport.resources import RoleRule
from judge.causes import CAUSES
from judge.install.teleport import (
    ISTIO_ID,
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
    template_problems,
    token_problems,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, violated
from tests.unit.judge.builders import ROLE, TBOT

TOKEN = make.absent("token/istio-tbot-k8s-join")
A_ROLE = make.absent(f"role/{ROLE}")
AN_IDENTITY = make.absent("workload_identity/istio-workloads")
A_BOT = make.absent("bot/istio-tbot")


def token_problem_of(**changes: Any) -> Problem:
    """The only problem of a token with those changes."""
    (found,) = token_problems(make.token(**changes), make.jwks(), TBOT, make.bot(), ROLE)
    return found


def remedy(cause: str) -> str:
    return " ".join(CAUSES[cause].remedy)


# INST-09


def test_a_fresh_token_verifies_with_the_extracted_keys() -> None:
    holds(fresh_token_verifies(make.signature(), make.token(), ["ev-fresh"]), "INST-09", "ev-token", "ev-fresh")


def test_a_fresh_token_that_another_clusters_keys_do_not_verify() -> None:
    other = make.signature(ok=False, reason="the set has no key live; it has other")
    finding = fresh_token_verifies(other, make.token(), ["ev-fresh"])
    violated(finding, "INST-09", evidence=("ev-token", "ev-fresh"), causes=("jwks-of-other-keys",))
    words = "it does not verify a fresh service-account token: the set has no key live; it has other"
    assert finding.seen == f"Teleport token/istio-tbot-k8s-join: {words}"
    assert finding.where == "JWKS in Teleport token/istio-tbot-k8s-join"
    assert "kubectl get --raw /openid/v1/jwks" in remedy("jwks-of-other-keys")


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("PASTE_JWKS_HERE", ("jwks-placeholder",)),
        ("{}", ("jwks-placeholder",)),
        ("{keys:[{use:sig}]}", ()),
        ('{"keys":[]}', ()),
    ],
    ids=["placeholder", "a failed xargs", "quotes lost", "no key"],
)
def test_a_placeholder_and_a_damaged_key_set_are_no_keys_of_another_cluster(text: str, causes: tuple[str, ...]) -> None:
    no_keys = make.signature(ok=False, reason="no key to verify it with")
    finding = fresh_token_verifies(no_keys, make.token(jwks_text=text), ["ev-fresh"])
    violated(finding, "INST-09", "it does not verify a fresh service-account token: no key", causes=causes)


def test_without_a_join_token_no_keys_were_extracted() -> None:
    missing = make.signature(ok=False, reason=str(TOKEN))
    finding = fresh_token_verifies(missing, TOKEN, ["ev-fresh"])
    violated(finding, "INST-09", evidence=("ev-absent-token",), causes=("token-missing",))
    assert finding.seen == "Teleport token/istio-tbot-k8s-join: it does not exist"


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
        violated(finding, "INST-10", evidence=("ev-absent-token",), causes=("token-missing",))
        assert finding.seen == "it does not exist"
        assert finding.where == "Teleport token/istio-tbot-k8s-join"
    (only,) = token_problems(TOKEN, make.jwks(), TBOT, make.bot(), ROLE)
    assert (str(only.subject), only.said) == ("Teleport token/istio-tbot-k8s-join", "it does not exist")
    assert "istio-tbot-token.yaml.template" in remedy("token-missing")


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
    finding = method_is_kubernetes(make.token(**changes))
    violated(finding, "INST-10", evidence=("ev-token",), causes=("token-method-wrong",))
    assert finding.seen == words
    assert token_problem_of(**changes) == finding.problems[0]


@pytest.mark.parametrize(
    ("allow", "words", "cause"),
    [
        ((), "it allows none, and not teleport-system:tbot", "token-other-service-account"),
        (("default:tbot",), "it allows default:tbot, and not teleport-system:tbot", "token-other-service-account"),
        ((TBOT, "default:default"), "it also allows default:default, which may join as the bot too", "token-too-wide"),
        (
            (TBOT, ""),
            "it also allows service accounts by other fields than service_account, which may join as the bot too",
            "token-too-wide",
        ),
    ],
)
def test_a_token_that_allows_not_exactly_tbot(allow: tuple[str, ...], words: str, cause: str) -> None:
    finding = allows_only_tbot(make.token(allow=allow), TBOT)
    violated(finding, "INST-10", evidence=("ev-token",), causes=(cause,))
    assert finding.seen == words
    assert token_problem_of(allow=allow) == finding.problems[0]
    assert "service_account: teleport-system:tbot" in remedy(cause)


def test_what_else_a_token_allows_is_no_matter_where_tbot_is_not_allowed() -> None:
    assert "may join as the bot" not in allows_only_tbot(make.token(allow=("default:tbot",)), TBOT).seen


@pytest.mark.parametrize(
    ("text", "words", "causes"),
    [
        ("PASTE_JWKS_HERE", "its JWKS is still the placeholder text of the template", ("jwks-placeholder",)),
        ("", "its JWKS is still the placeholder text of the template", ("jwks-placeholder",)),
        ("{}", "its JWKS is still the placeholder text of the template", ("jwks-placeholder",)),
        ("{keys:[{use:sig}]}", "its JWKS does not parse: ", ()),
        ('{"keys":[]}', "its JWKS does not parse: ", ()),
    ],
)
def test_a_token_that_was_never_filled_in_or_damaged_on_the_way(text: str, words: str, causes: tuple[str, ...]) -> None:
    finding = holds_every_key(make.token(jwks_text=text), make.jwks())
    violated(finding, "INST-10", evidence=("ev-token", "ev-jwks"), causes=causes)
    assert finding.seen.startswith(words)
    assert token_problem_of(jwks_text=text) == finding.problems[0]


def test_a_token_that_lacks_the_key_after_a_rotation() -> None:
    rotated = make.jwks(make.public_key("live"), make.public_key("new"))
    finding = holds_every_key(make.token(), rotated)
    violated(finding, "INST-10", evidence=("ev-token", "ev-jwks"), causes=("jwks-of-other-keys",))
    assert finding.seen == "it lacks the cluster's keys new; it holds live"


def test_another_clusters_key_of_the_same_id_is_another_key() -> None:
    rebuilt = make.jwks(make.public_key("live", modulus="another"))
    finding = holds_every_key(make.token(), rebuilt)
    violated(finding, "INST-10", "it lacks the cluster's keys live", causes=("jwks-of-other-keys",))


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
    violated(finding, "INST-10", evidence=("ev-token", "ev-absent-bot"), causes=("bot-missing",))
    assert finding.seen == "it is for the bot istio-tbot, which does not exist"
    assert finding.where == "Teleport token/istio-tbot-k8s-join"
    assert finding.showing("bot-missing") == finding.problems
    assert "tctl create -f manifests/teleport-bot.yaml" in remedy("bot-missing")
    for bot in (make.bot(), make.bot(roles=()), make.bot(name="other")):
        assert bot_has_role(make.token(), bot, ROLE).showing("bot-missing") == ()


def test_a_bot_without_the_role() -> None:
    finding = bot_has_role(make.token(), make.bot(roles=("other",)), ROLE)
    violated(finding, "INST-10", evidence=("ev-token", "ev-bot"), causes=("bot-without-role",))
    assert finding.seen == f"Teleport bot/istio-tbot: it has the roles other, not {ROLE}"
    assert f"tctl bots update istio-tbot --add-roles {ROLE}" in remedy("bot-without-role")


@pytest.mark.parametrize(("named", "words"), [("", "(none)"), ("other", "other")])
def test_a_token_that_does_not_name_the_bot_that_was_found(named: str, words: str) -> None:
    finding = bot_has_role(make.token(bot_name=named), make.bot(), ROLE)
    violated(finding, "INST-10", evidence=("ev-token", "ev-bot"), causes=())
    assert finding.seen == f"it is for the bot {words}, not for istio-tbot"


def test_everything_that_is_wrong_with_a_token_is_told_at_once() -> None:
    token = make.token(join_method="token", allow=("default:tbot",), jwks_text="PASTE_JWKS_HERE")
    causes = [found.cause for found in token_problems(token, make.jwks(), TBOT, A_BOT, ROLE)]
    assert causes == ["token-method-wrong", "token-other-service-account", "bot-missing", "jwks-placeholder"]


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
    violated(wide, "INST-11", evidence=("ev-bot",), causes=("bot-has-other-roles",))
    assert wide.seen == "it also has the roles editor"
    assert "Give the bot that role alone" in remedy("bot-has-other-roles")
    holds(bot_has_no_other_role(A_BOT, ROLE), "INST-11", "ev-absent-bot")


def test_a_missing_role_or_identity() -> None:
    for finding in (labels_match_exactly(A_ROLE, make.identity()), rules_are_minimal(A_ROLE)):
        violated(finding, "INST-11", evidence=("ev-absent-role",), causes=("role-missing",))
        assert (finding.where, finding.seen) == (f"Teleport role/{ROLE}", "it does not exist")
    without = labels_match_exactly(make.role(), AN_IDENTITY)
    violated(without, "INST-11", evidence=("ev-absent-workload_identity",), causes=("identity-missing",))
    assert (without.where, without.seen) == ("Teleport workload_identity/istio-workloads", "it does not exist")
    assert [found.cause for found in role_problems(A_ROLE, make.identity())] == ["role-missing"]
    assert [found.cause for found in role_problems(make.role(), AN_IDENTITY)] == ["identity-missing"]


NOTHING, WIDE = "role-matches-nothing", "role-too-wide"


@pytest.mark.parametrize(
    ("labels", "words", "causes"),
    [
        ({}, "it matches no labels; the identity has env: dev, so nothing is issued", (NOTHING,)),
        ({"env": ("prod",)}, "it matches env: prod; the identity has env: dev, so nothing is issued", (NOTHING,)),
        (
            {"env": ("dev",), "team": ("a",)},
            "it matches env: dev, team: a; the identity has env: dev, so nothing is issued",
            (NOTHING,),
        ),
        ({"*": ("*",)}, "it matches more than the identity: *: *", (WIDE,)),
        (
            {"*": ("dev",)},
            "it matches *: dev; the identity has env: dev, so nothing is issued; it matches more than the identity: *: dev",
            (NOTHING, WIDE),
        ),
        ({"env": ("*",)}, "it matches more than the identity: env: *", (WIDE,)),
        ({"env": ("dev", "prod")}, "it matches more than the identity: env: dev, prod", (WIDE,)),
        ({"env": ("dev",), "*": ("*",)}, "it matches more than the identity: *: *", (WIDE,)),
        ({"env": ("d*",)}, "it matches more than the identity: env: d*", (WIDE,)),
        ({"env": ("^de.$",)}, "it matches more than the identity: env: ^de.$", (WIDE,)),
        (
            {"env": ("prod", "stage")},
            "it matches env: prod, stage; the identity has env: dev, so nothing is issued;"
            " it matches more than the identity: env: prod, stage",
            (NOTHING, WIDE),
        ),
    ],
)
def test_a_role_with_other_or_wider_labels(labels: dict[str, tuple[str, ...]], words: str, causes: tuple[str, ...]) -> None:
    role = make.role(labels=labels)
    finding = labels_match_exactly(role, make.identity())
    violated(finding, "INST-11", evidence=("ev-role", "ev-identity"), causes=causes)
    assert finding.seen == f"Teleport role/{ROLE}: {words}"
    assert tuple(role_problems(role, make.identity())) == finding.problems


def test_a_pattern_is_not_said_to_issue_nothing() -> None:
    assert "nothing is issued" not in labels_match_exactly(make.role(labels={"env": ("d*",)}), make.identity()).seen


def test_a_role_with_an_expression_beside_its_labels() -> None:
    wider = make.role(labels_expression='labels["env"] != ""')
    violated(labels_match_exactly(wider, make.identity()), "INST-11", "also selects by the expression", causes=(WIDE,))


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
    finding = rules_are_minimal(role)
    violated(finding, "INST-11", words, evidence=("ev-role",), causes=("role-rules-wrong",))
    assert tuple(role_problems(role, make.identity())) == finding.problems
    assert "list and read and nothing else" in remedy("role-rules-wrong")


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
    "template",
    [
        "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.pod_name }}",
        "/ns/default/sa/{{ workload.kubernetes.service_account }}",
        "/ns/{{ workload.kubernetes.service_account }}/sa/{{ workload.kubernetes.namespace }}",
        "/ns/{{ workload.kubernetes.namespace }} /sa/{{ workload.kubernetes.service_account }}",
        "/n s/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}",
        "/ns/{{ workload.kubernetes. namespace }}/sa/{{ workload.kubernetes.service_account }}",
        "//ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}",
    ],
)
def test_any_other_template_is_a_violation(template: str) -> None:
    finding = id_template_is_istios(make.identity(spiffe_id=template))
    violated(finding, "INST-12", evidence=("ev-identity",), causes=())
    assert finding.seen == f"its template is {template}"
    assert finding.where == "Teleport workload_identity/istio-workloads"


@pytest.mark.parametrize(
    ("template", "words", "cause"),
    [
        (
            "/ns/{{ workload.kubernetes.namespace }}/{{ workload.kubernetes.service_account }}",
            "its template {} lacks /sa/, so that peers and policies do not recognise the IDs",
            "identity-template-without-sa",
        ),
        (
            "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}/",
            "its template {} ends with a slash, which SPIFFE IDs must not",
            "identity-template-trailing-slash",
        ),
        (
            "/ns/{{ workload.kubernetes.namespace }}/",
            "its template {} ends with a slash, which SPIFFE IDs must not",
            "identity-template-trailing-slash",
        ),
        (
            "/ns/test-app/sa/test-app",
            "its template is {}: every workload gets the same SPIFFE ID",
            "identity-template-fixed",
        ),
        ("/mesh", "its template is {}: every workload gets the same SPIFFE ID", "identity-template-fixed"),
        ("", "its template is empty: every workload gets the same SPIFFE ID", "identity-template-fixed"),
    ],
)
def test_a_template_with_a_known_defect_names_it(template: str, words: str, cause: str) -> None:
    identity = make.identity(spiffe_id=template)
    finding = id_template_is_istios(identity)
    violated(finding, "INST-12", evidence=("ev-identity",), causes=(cause,))
    assert finding.seen == words.format(template)
    assert tuple(template_problems(identity)) == finding.problems
    assert "tctl create -f manifests/teleport-workload-identity.yaml" in remedy(cause)


def test_the_template_that_is_promised_decides() -> None:
    other = make.identity(spiffe_id="/w/{{ workload.kubernetes.service_account }}")
    holds(id_template_is_istios(other, other.spiffe_id), "INST-12")
    violated(id_template_is_istios(make.identity(spiffe_id=ISTIO_ID), other.spiffe_id), "INST-12", causes=())


@pytest.mark.parametrize("template", [ISTIO_ID, "/staging/_/ns/{{ workload.kubernetes.namespace }}/sa/x/"])
def test_an_identity_of_a_scope_never_has_istios_ids(template: str) -> None:
    identity = make.identity(scope="/staging", spiffe_id=template)
    finding = id_template_is_istios(identity)
    violated(finding, "INST-12", evidence=("ev-identity",), causes=("identity-scoped",))
    assert finding.seen == "it belongs to the scope /staging: its IDs begin with /staging/_/ whatever its template"
    assert "without a scope" in remedy("identity-scoped")


def test_the_form_that_teleports_helm_chart_shows_is_not_istios() -> None:
    chart = "/k8s/{{ workload.kubernetes.namespace }}/{{ workload.kubernetes.service_account }}"
    violated(id_template_is_istios(make.identity(spiffe_id=chart)), "INST-12", causes=("identity-template-without-sa",))


def test_a_bot_of_a_scope_cannot_have_the_role() -> None:
    finding = bot_has_role(make.token(), make.bot(scope="/staging", roles=()), make.ROLE)
    violated(finding, "INST-10", "belongs to the scope /staging", evidence=("ev-bot",), causes=("bot-scoped",))
    assert "spec.roles" in remedy("bot-scoped")


def test_a_workload_identity_that_does_not_exist() -> None:
    finding = id_template_is_istios(AN_IDENTITY)
    violated(finding, "INST-12", evidence=("ev-absent-workload_identity",), causes=("identity-missing",))
    assert finding.seen == "it does not exist"
    assert "tctl create -f manifests/teleport-workload-identity.yaml" in remedy("identity-missing")


def test_a_role_that_denies_what_it_allows_issues_nothing() -> None:
    role = make.role(denials=("workload_identity_labels",))
    finding = rules_are_minimal(role)
    violated(finding, "INST-11", evidence=("ev-role",), causes=("role-rules-wrong",))
    assert finding.seen == "it denies workload_identity_labels, which overrides what it allows"
    assert tuple(role_problems(role, make.identity())) == finding.problems


def test_a_role_that_allows_only_sometimes() -> None:
    rule = RoleRule(("workload_identity",), ("list", "read"), 'contains(user.spec.traits["x"], "y")')
    violated(rules_are_minimal(make.role(rules=(rule,))), "INST-11", "it allows only under the condition contains(")


def test_a_role_that_opens_nodes_as_well() -> None:
    finding = labels_match_exactly(make.role(other_access=("node_labels",)), make.identity())
    violated(finding, "INST-11", "it also grants access by node_labels", causes=(WIDE,))
