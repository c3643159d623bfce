"""INST-11 and INST-12: the bot's roles, and the workload identities that tbot issues, as Teleport holds them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.document import Absent
from facts.finding import Finding, Problem
from judge.explain.cause import CAUSES
from providers.teleport.facts.issuing import Grants
from providers.teleport.facts.resources import Role, RoleRule, WorkloadIdentity
from providers.teleport.judge.issuing import (
    ISTIO_ID,
    every_role_grants_an_identity,
    grant_problems,
    id_templates_are_istios,
    roles_select_what_tbot_issues,
    rules_are_minimal,
    template_problems,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated
from tests.unit.judge.builders import ROLE

A_ROLE = make.absent(f"role/{ROLE}")
AN_IDENTITY = make.absent("workload_identity/istio-workloads")


def remedy(cause: str) -> str:
    return " ".join(CAUSES[cause].remedy)


def selects(role: Role | Absent, identity: WorkloadIdentity | Absent) -> Finding:
    return roles_select_what_tbot_issues(make.grants(role, identity))


def allows(role: Role | Absent) -> Finding:
    return rules_are_minimal(make.grants(role, make.identity()))


def problems_of(role: Role | Absent, identity: WorkloadIdentity | Absent) -> list[Problem]:
    return grant_problems(make.grants(role, identity))


def builds(identity: WorkloadIdentity | Absent, template: str = ISTIO_ID) -> Finding:
    return id_templates_are_istios([identity], template)


# INST-11


def test_a_role_for_the_identitys_labels_with_list_and_read() -> None:
    holds(selects(make.role(), make.identity()), "INST-11", "ev-role", "ev-identity")
    holds(allows(make.role()), "INST-11", "ev-role")
    assert problems_of(make.role(), make.identity()) == []


def test_a_role_may_leave_out_labels_that_others_put_on_the_identity() -> None:
    holds(selects(make.role(), make.identity(labels={"env": "dev", "managed-by": "x"})), "INST-11")


def test_the_role_is_said_to_select_what_it_selects() -> None:
    finding = selects(make.role(), make.identity(labels={"env": "dev", "team": "pay"}))
    assert finding.seen == "it selects by env: dev"


def test_a_missing_role_or_identity() -> None:
    for finding in (selects(A_ROLE, make.identity()), allows(A_ROLE)):
        violated(finding, "INST-11", evidence=("ev-absent-role",), causes=("role-missing",))
        assert (finding.where, finding.seen) == (f"Teleport role/{ROLE}", "it does not exist")
    without = selects(make.role(), AN_IDENTITY)
    violated(without, "INST-11", evidence=("ev-absent-workload_identity",), causes=("identity-missing",))
    assert (without.where, without.seen) == ("Teleport workload_identity/istio-workloads", "it does not exist")
    assert [found.cause for found in problems_of(A_ROLE, make.identity())] == ["role-missing"]
    assert [found.cause for found in problems_of(make.role(), AN_IDENTITY)] == ["identity-missing"]


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
    finding = selects(role, make.identity())
    violated(finding, "INST-11", evidence=("ev-role", "ev-identity"), causes=causes)
    assert finding.seen == f"Teleport role/{ROLE}: {words}"
    assert tuple(problems_of(role, make.identity())) == finding.problems


def test_a_pattern_is_not_said_to_issue_nothing() -> None:
    assert "nothing is issued" not in selects(make.role(labels={"env": ("d*",)}), make.identity()).seen


def test_a_role_with_an_expression_beside_its_labels() -> None:
    wider = make.role(labels_expression='labels["env"] != ""')
    violated(selects(wider, make.identity()), "INST-11", "also selects by the expression", causes=(WIDE,))
    hidden = make.role(labels_expression='labels["env"] != "[redacted]"')
    violated(selects(hidden, make.identity()), "INST-11", '"[redacted words]"', causes=(WIDE,))


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
    finding = allows(role)
    violated(finding, "INST-11", words, evidence=("ev-role",), causes=("role-rules-wrong",))
    assert tuple(problems_of(role, make.identity())) == finding.problems
    assert "list and read and nothing else" in remedy("role-rules-wrong")


def test_all_verbs_are_too_many_and_none_is_missing() -> None:
    every = make.role(rules=(RoleRule(("workload_identity",), ("*",)),))
    assert allows(every).seen == "it allows * on workload_identity"


def test_the_two_verbs_may_stand_in_two_rules() -> None:
    apart = make.role(rules=(RoleRule(("workload_identity",), ("list",)), RoleRule(("workload_identity",), ("read",))))
    holds(allows(apart), "INST-11")


# INST-12


@pytest.mark.parametrize(
    "template",
    [
        "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}",
        "/ns/{{workload.kubernetes.namespace}}/sa/{{  workload.kubernetes.service_account }}",
    ],
)
def test_istios_form_with_any_blanks_inside_the_braces(template: str) -> None:
    holds(builds(make.identity(spiffe_id=template)), "INST-12", "ev-identity")


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
    finding = builds(make.identity(spiffe_id=template))
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
    finding = builds(identity)
    violated(finding, "INST-12", evidence=("ev-identity",), causes=(cause,))
    assert finding.seen == words.format(template)
    assert tuple(template_problems(identity)) == finding.problems
    assert "tctl create -f manifests/teleport-workload-identity.yaml" in remedy(cause)


def test_the_template_that_is_promised_decides() -> None:
    other = make.identity(spiffe_id="/w/{{ workload.kubernetes.service_account }}")
    holds(builds(other, other.spiffe_id), "INST-12")
    violated(builds(make.identity(spiffe_id=ISTIO_ID), other.spiffe_id), "INST-12", causes=())


@pytest.mark.parametrize("template", [ISTIO_ID, "/staging/_/ns/{{ workload.kubernetes.namespace }}/sa/x/"])
def test_an_identity_of_a_scope_never_has_istios_ids(template: str) -> None:
    identity = make.identity(scope="/staging", spiffe_id=template)
    finding = builds(identity)
    violated(finding, "INST-12", evidence=("ev-identity",), causes=("identity-scoped",))
    assert finding.seen == "it belongs to the scope /staging: its IDs begin with /staging/_/ whatever its template"
    assert "without a scope" in remedy("identity-scoped")


def test_the_form_that_teleports_helm_chart_shows_is_not_istios() -> None:
    chart = "/k8s/{{ workload.kubernetes.namespace }}/{{ workload.kubernetes.service_account }}"
    violated(builds(make.identity(spiffe_id=chart)), "INST-12", causes=("identity-template-without-sa",))


def test_a_workload_identity_that_does_not_exist() -> None:
    finding = builds(AN_IDENTITY)
    violated(finding, "INST-12", evidence=("ev-absent-workload_identity",), causes=("identity-missing",))
    assert finding.seen == "it does not exist"
    assert "tctl create -f manifests/teleport-workload-identity.yaml" in remedy("identity-missing")


def test_a_role_that_denies_what_it_allows_issues_nothing() -> None:
    role = make.role(denials=("workload_identity_labels",))
    finding = allows(role)
    violated(finding, "INST-11", evidence=("ev-role",), causes=("role-rules-wrong",))
    assert finding.seen == "it denies workload_identity_labels, which overrides what it allows"
    assert tuple(problems_of(role, make.identity())) == finding.problems


def test_a_role_that_allows_only_sometimes() -> None:
    rule = RoleRule(("workload_identity",), ("list", "read"), 'contains(user.spec.traits["x"], "y")')
    violated(allows(make.role(rules=(rule,))), "INST-11", "it allows only under the condition contains(")


def test_a_role_that_opens_nodes_as_well() -> None:
    finding = selects(make.role(other_access=("node_labels",)), make.identity())
    violated(finding, "INST-11", "it also grants access by node_labels", causes=(WIDE,))


# INST-11, of several


PROD = make.identity(name="prod", labels={"env": "prod"})
BATCH = make.identity(name="batch")
SECOND = make.role(name="second", labels={"env": ("prod",)}, evidence=("ev-second",))


def both(first: Role, second: Role, *selected: WorkloadIdentity) -> Grants:
    return replace(make.grants(first, *selected), roles=(first, second))


def test_an_identity_with_the_same_label_that_tbot_does_not_issue() -> None:
    finding = roles_select_what_tbot_issues(make.grants(make.role(), make.identity(), beside=[BATCH, PROD]))
    violated(finding, "INST-11", evidence=("ev-role", "ev-identity"), causes=(WIDE,))
    assert finding.seen == f"Teleport role/{ROLE}: it also selects batch, which no service of tbot does"


def test_identities_that_the_role_does_not_select_are_of_no_matter() -> None:
    holds(roles_select_what_tbot_issues(make.grants(make.role(), make.identity(), beside=[PROD])), "INST-11")


def test_several_identities_that_tbot_tells_apart_by_their_rules() -> None:
    grants = make.grants(make.role(), make.identity(), BATCH)
    holds(roles_select_what_tbot_issues(grants), "INST-11")
    assert grant_problems(grants) == []


def test_several_values_that_tbot_issues_are_not_too_many() -> None:
    role = make.role(labels={"env": ("dev", "prod")})
    holds(roles_select_what_tbot_issues(make.grants(role, make.identity(), PROD)), "INST-11")
    without = roles_select_what_tbot_issues(make.grants(role, make.identity()))
    violated(without, "INST-11", "matches more than the identity: env: dev, prod", causes=(WIDE,))


def test_one_of_several_that_no_role_selects() -> None:
    finding = roles_select_what_tbot_issues(make.grants(make.role(), make.identity(), PROD))
    violated(finding, "INST-11", "the identity prod has env: prod, so nothing is issued", causes=(NOTHING,))


def test_roles_may_share_what_tbot_issues() -> None:
    grants = both(make.role(), SECOND, make.identity(), PROD)
    holds(roles_select_what_tbot_issues(grants), "INST-11", "ev-role", "ev-second", "ev-identity")
    holds(rules_are_minimal(grants), "INST-11", "ev-role", "ev-second")
    holds(every_role_grants_an_identity(grants), "INST-11")
    apart = both(
        make.role(rules=(RoleRule(("workload_identity",), ("list",)),)),
        replace(SECOND, rules=(RoleRule(("workload_identity",), ("read",)),)),
        make.identity(),
        PROD,
    )
    holds(rules_are_minimal(apart), "INST-11")


def test_a_pattern_of_one_role_may_select_what_another_does_not() -> None:
    pattern = make.role(labels={"env": ("pro*",)}, evidence=("ev-second",))
    finding = roles_select_what_tbot_issues(both(make.role(), pattern, make.identity(), PROD))
    violated(finding, "INST-11", "matches more than the identity: env: pro*", causes=(WIDE,))


def test_a_further_role_is_judged_by_what_it_grants() -> None:
    wide = replace(SECOND, rules=(RoleRule(("node",), ("list",)),), other_access=("node_labels",))
    grants = both(make.role(), wide, make.identity(), PROD)
    violated(
        rules_are_minimal(grants), "INST-11", "Teleport role/second: it has rules on node", causes=("role-rules-wrong",)
    )
    violated(roles_select_what_tbot_issues(grants), "INST-11", "role/second: it also grants access by node", causes=(WIDE,))


def test_a_role_that_grants_nothing_that_tbot_issues() -> None:
    finding = every_role_grants_an_identity(both(make.role(), SECOND, make.identity()))
    words = "Teleport role/second: the bot has it as well, and it grants none of the identities that tbot issues"
    violated(finding, "INST-11", words, evidence=("ev-second",), causes=("bot-has-other-roles",))
    assert "Give the bot that role alone" in remedy("bot-has-other-roles")


def test_a_single_role_is_not_a_further_one() -> None:
    holds(every_role_grants_an_identity(make.grants(SECOND, make.identity())), "INST-11", "ev-second")
    holds(every_role_grants_an_identity(make.grants(A_ROLE, make.identity())), "INST-11", "ev-absent-role")


@pytest.mark.parametrize("way", ["spiffe", "impersonate"])
def test_other_ways_to_issue_count_as_wider(way: str) -> None:
    finding = selects(make.role(other_access=(way,)), make.identity())
    violated(finding, "INST-11", f"it also grants access by {way}", causes=(WIDE,))


# INST-12, of several


def test_each_template_is_judged() -> None:
    wrong = make.identity(name="wrong", spiffe_id="/mesh", evidence=("ev-wrong",))
    holds(id_templates_are_istios([make.identity(), BATCH]), "INST-12", "ev-identity")
    finding = id_templates_are_istios([make.identity(), wrong])
    violated(finding, "INST-12", "Teleport workload_identity/wrong: its template is /mesh", evidence=("ev-wrong",))
    hidden = RoleRule(("workload_identity",), ("list", "read"), 'equals(user.name, "[redacted]")')
    violated(allows(make.role(rules=(hidden,))), "INST-11", 'equals(user.name, "[redacted words]")')
