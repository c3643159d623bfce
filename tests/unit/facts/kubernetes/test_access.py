"""Answers to access reviews."""

from __future__ import annotations

from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.kubernetes.access import denied_right, parse_review, parse_subject_review, service_account_user


def review(*, allowed: Any = True, **spec: Any) -> dict[str, Any]:
    return {"kind": "SelfSubjectAccessReview", "spec": spec, "status": {"allowed": allowed}}


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"verb": "list", "resource": "pods"}, "list pods"),
        (
            {"verb": "get", "group": "coordination.k8s.io", "resource": "leases", "namespace": "kube-system"},
            "get leases.coordination.k8s.io in kube-system",
        ),
        ({"verb": "get", "resource": "pods", "subresource": "log"}, "get pods/log"),
        ({"verb": "patch", "group": "apps", "resource": "daemonsets"}, "patch daemonsets.apps"),
        ({"verb": "get", "resource": "configmaps", "namespace": "istio-system"}, "get configmaps in istio-system"),
        ({"verb": "get", "group": "apps", "resource": "deployments", "subresource": "scale"}, "get deployments.apps/scale"),
    ],
)
@pytest.mark.parametrize("allowed", [True, False])
def test_a_right_on_a_resource(asked: dict[str, str], shown: str, allowed: bool) -> None:
    right = parse_review(review(allowed=allowed, resourceAttributes=asked), ("ev-1",))
    assert (str(right), right.verb, right.allowed, right.evidence) == (shown, asked["verb"], allowed, ("ev-1",))


def test_a_right_on_a_path() -> None:
    asked = {"verb": "get", "path": "/openid/v1/jwks"}
    right = parse_review(review(allowed=False, nonResourceAttributes=asked), ("ev-1",))
    assert (str(right), right.resource, right.allowed) == ("get /openid/v1/jwks", "/openid/v1/jwks", False)
    assert right.evidence == ("ev-1",)


@pytest.mark.parametrize(
    "answer",
    [
        review(),
        review(allowed=None, resourceAttributes={"verb": "get", "resource": "pods"}),
        review(allowed="yes", resourceAttributes={"verb": "get", "resource": "pods"}),
        review(resourceAttributes={"verb": "get"}),
        {"kind": "Status"},
        "text",
    ],
)
def test_an_answer_that_is_no_review_is_not_guessed_at(answer: Any) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse_review(answer)
    assert caught.value.where == "SelfSubjectAccessReview"
    assert caught.value.seen


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ('pods is forbidden: User "u" cannot list resource "pods" in API group "" at the cluster scope', "list pods"),
        (
            'Error from server (Forbidden): pods "a" is forbidden: User "system:serviceaccount:n:u" cannot get resource'
            ' "pods/log" in API group "" in the namespace "shop"',
            "get pods/log in shop",
        ),
        (
            'deployments.apps "istiod" is forbidden: User "o\\"neil" cannot patch resource "deployments" in API group "apps"'
            ' in the namespace "istio-system"',
            "patch deployments.apps in istio-system",
        ),
        ('forbidden: User "u" cannot get path "/openid/v1/jwks"', "get /openid/v1/jwks"),
    ],
)
def test_a_denied_request_tells_its_right(words: str, right: str) -> None:
    found = denied_right(words)
    assert found is not None
    assert (str(found), found.allowed, found.evidence) == (right, False, ())


@pytest.mark.parametrize(
    "words",
    [
        "",
        "Unauthorized",
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": host namespaces',
        'pods "a" is forbidden: exceeded quota: all, requested: pods=1, used: pods=10, limited: pods=10',
        'admission webhook "policy.example" denied the request: you cannot create resource "pods" here',
    ],
)
def test_other_refusals_are_no_missing_right(words: str) -> None:
    assert denied_right(words) is None


def test_a_right_of_another_identity_has_the_reason() -> None:
    asked = {"verb": "get", "resource": "nodes", "subresource": "proxy"}
    document = review(resourceAttributes=asked, user="system:serviceaccount:teleport-system:tbot")
    reason = 'RBAC: allowed by ClusterRoleBinding "tbot" of ClusterRole "tbot" to ServiceAccount "tbot/teleport-system"'
    right = parse_subject_review({**document, "status": {"allowed": True, "reason": reason}}, ("ev-1",))
    assert (str(right), right.allowed, right.reason, right.evidence) == ("get nodes/proxy", True, reason, ("ev-1",))
    denied = parse_subject_review(review(allowed=False, resourceAttributes=asked))
    assert (denied.allowed, denied.reason) == (False, "")
    with pytest.raises(CouldNotTell):
        parse_subject_review(review(nonResourceAttributes={"verb": "get", "path": "/metrics"}))


def test_the_user_of_a_service_account_is_in_three_groups() -> None:
    user, groups = service_account_user("teleport-system", "tbot")
    assert user == "system:serviceaccount:teleport-system:tbot"
    assert groups == ("system:serviceaccounts", "system:serviceaccounts:teleport-system", "system:authenticated")
