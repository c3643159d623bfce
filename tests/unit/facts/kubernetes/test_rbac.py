"""Roles and bindings of RBAC."""

from __future__ import annotations

from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.kubernetes.access import service_account_user
from facts.kubernetes.rbac import Rbac, Rule, parse_binding, parse_rbac_role
from facts.masks import kept_for
from facts.redaction import Hiding

TBOT = service_account_user("teleport-system", "tbot")


def role(name: str, *rules: dict[str, Any], namespace: str = "", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"metadata": metadata, "rules": list(rules) or None, **more}


def binding(name: str, to: str, *subjects: dict[str, Any], kind: str = "ClusterRole", namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"metadata": metadata, "roleRef": {"kind": kind, "name": to}, "subjects": list(subjects) or None}


READS = {"apiGroups": [""], "resources": ["nodes/pods"], "verbs": ["get"]}
ACCOUNT = {"kind": "ServiceAccount", "name": "tbot", "namespace": "teleport-system"}


def test_a_cluster_role_and_a_role() -> None:
    wide = parse_rbac_role(role("edit", READS, aggregationRule={"clusterRoleSelectors": [{}]}), ("ev-1",))
    assert str(wide.ref) == "ClusterRole edit"
    assert wide.is_aggregated
    assert wide.rules == (Rule(("get",), ("",), ("nodes/pods",), (), ()),)
    narrow = parse_rbac_role(role("edit", namespace="a"), ("ev-1",))
    assert str(narrow.ref) == "Role a/edit"
    assert not narrow.is_aggregated
    assert narrow.rules == ()


def test_a_damaged_role_is_not_guessed_at() -> None:
    with pytest.raises(CouldNotTell, match="resources"):
        parse_rbac_role(role("edit", {"verbs": ["get"], "resources": "pods"}))
    with pytest.raises(CouldNotTell, match="roleRef"):
        parse_binding({"metadata": {"name": "x"}})


def test_evidence_keeps_what_is_judged_and_no_annotation() -> None:
    document = role("edit", READS)
    document["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    kept = kept_for(parse_rbac_role).kept(document, Hiding(()))
    assert "annotations" not in kept["metadata"]
    assert parse_rbac_role(kept) == parse_rbac_role(document)


@pytest.mark.parametrize(
    ("rule", "group", "resource", "expected"),
    [
        (Rule(("*",), ("*",), ("*",), (), ()), "apps", "deployments", True),
        (Rule(("create",), ("apps",), ("deployments",), (), ()), "apps", "deployments", True),
        (Rule(("create",), ("apps",), ("deployments",), (), ()), "", "deployments", False),
        (Rule(("get",), ("apps",), ("deployments",), (), ()), "apps", "deployments", False),
        (Rule(("create",), ("",), ("*/exec",), (), ()), "", "pods/exec", True),
        (Rule(("create",), ("",), ("pods/*",), (), ()), "", "pods/exec", False),  # no wildcard of Kubernetes
        (Rule(("create",), ("",), ("pods",), (), ()), "", "pods/exec", False),
        (Rule(("create",), ("",), ("pods/exec",), (), ()), "", "pods", False),
        (Rule(("create",), ("",), ("*/pods",), (), ()), "", "pods", False),
        (Rule(("create",), (), ("pods",), (), ()), "", "pods", False),
    ],
)
def test_what_a_rule_covers(rule: Rule, group: str, resource: str, *, expected: bool) -> None:
    assert rule.allows("create", group, resource) is expected


def test_a_rule_limited_to_names() -> None:
    rule = Rule(("create",), ("",), ("serviceaccounts/token",), ("tbot",), ())
    assert rule.allows("create", "", "serviceaccounts/token", ["tbot", "other"])
    assert not rule.allows("create", "", "serviceaccounts/token", ["other"])
    assert not rule.allows("create", "", "serviceaccounts/token")
    assert str(rule) == "create serviceaccounts/token called tbot"
    assert (
        str(Rule(("get", "list"), ("apps",), ("deployments",), (), ("/metrics",))) == "get, list /metrics, deployments.apps"
    )


def test_grants_of_an_identity_and_of_its_groups() -> None:
    everyone = {"kind": "Group", "name": "system:serviceaccounts:teleport-system"}
    user = {"kind": "User", "name": "system:serviceaccount:teleport-system:tbot"}
    other = {"kind": "ServiceAccount", "name": "tbot", "namespace": "elsewhere"}
    roles = [parse_rbac_role(each) for each in (role("a", READS), role("a", READS, namespace="ns"))]
    bindings = [
        parse_binding(each)
        for each in (
            binding("by-account", "a", ACCOUNT),
            binding("by-group", "a", other, everyone, namespace="teleport-system"),
            binding("by-user", "a", user, kind="Role", namespace="ns"),
            binding("of-another", "a", other, {"kind": "User", "name": "tbot"}),
            binding("dangling", "gone", ACCOUNT),
            binding("of-a-role-elsewhere", "a", ACCOUNT, kind="Role", namespace="elsewhere"),
            binding("of-nobody", "a"),
        )
    ]
    grants = [*Rbac(tuple(roles), tuple(bindings)).grants_to(*TBOT)]
    assert [str(grant) for grant in grants] == [
        "ClusterRoleBinding by-account, ClusterRole a",
        "RoleBinding teleport-system/by-group, ClusterRole a",
        "RoleBinding ns/by-user, Role ns/a",
    ]
    assert [grant.reaches("teleport-system") for grant in grants] == [True, True, False]
