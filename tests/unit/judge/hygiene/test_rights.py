"""HYG-02 and HYG-03: who can use tbot's service account, and what this account may do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.finding import Finding
from facts.kubernetes.rbac import Grant
from judge.hygiene.rights import may_do_only_what_attestation_needs, only_expected_subjects_use_it
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated

TBOT = "ServiceAccount teleport-system/tbot"
OWN = make.grant(make.rule("get", "nodes/pods"), to=TBOT, role="tbot")
USABLE, FURTHER = ("tbot-account-usable-by-others",), ("tbot-has-further-rights",)


def used(*grants: Grant, expected: tuple[str, ...] = ()) -> Finding:
    return only_expected_subjects_use_it(make.rbac(OWN, *grants), make.tbot(), expected)


def allowed(*grants: Grant) -> Finding:
    return may_do_only_what_attestation_needs(make.rbac(*grants), make.tbot())


# HYG-02


def test_nobody_else_can_use_it() -> None:
    finding = used()
    holds(finding, "HYG-02", "ev-agent", "ev-tbot", "ev-tbot-of")
    assert finding.where == TBOT


@pytest.mark.parametrize(
    ("verbs", "resource", "group"),
    [
        ("create", "pods", ""),
        ("patch", "pods", ""),
        ("update", "pods/ephemeralcontainers", ""),
        ("create", "deployments", "apps"),
        ("patch", "daemonsets", "apps"),
        ("create", "jobs", "batch"),
        ("update", "cronjobs", "batch"),
        ("create", "replicationcontrollers", ""),
        ("get", "pods/exec", ""),
        ("create", "pods/attach", ""),
        ("create", "serviceaccounts/token", ""),
        ("impersonate", "serviceaccounts", ""),
    ],
)
@pytest.mark.parametrize("within", ["", "teleport-system"])
def test_each_way_to_use_it(verbs: str, resource: str, group: str, within: str) -> None:
    named = f"{resource}.{group}" if group else resource
    grant = make.grant(make.rule(verbs, resource, group=group), within=within)
    violated(used(grant), "HYG-02", "Group developers", f"it may {verbs} {named} in teleport-system", causes=USABLE)
    assert used(grant).problems[0].evidence == ("ev-role-of", "ev-role")
    holds(used(grant, expected=("Group developers",)), "HYG-02")
    violated(used(grant, expected=("User developers",)), "HYG-02")


def test_everything_is_every_way() -> None:
    finding = used(make.grant(make.rule("*", "*", group="*")))
    violated(finding, "HYG-02", "create pods", "create serviceaccounts/token", "get and create pods/exec", causes=USABLE)


@pytest.mark.parametrize(
    "grant",
    [
        make.grant(make.rule("create", "pods"), within="other"),
        make.grant(make.rule("get list watch", "pods secrets")),
        make.grant(make.rule("create", "serviceaccounts")),
        make.grant(make.rule("delete", "pods")),
        make.grant(make.rule("create", "pods", group="metrics.k8s.io")),
        make.grant(make.rule("create", "pods", names="tbot-1")),  # a new pod has no name that a rule could allow
        make.grant(make.rule("create", "pods/exec", names="another-pod")),
        make.grant(make.rule("create", "serviceaccounts/token", names="another")),
    ],
)
def test_what_does_not_let_anybody_use_it(grant: Grant) -> None:
    holds(used(grant), "HYG-02")


@pytest.mark.parametrize(
    "grant",
    [
        make.grant(make.rule("create", "serviceaccounts/token", names="tbot")),
        make.grant(make.rule("create", "pods/exec", names="tbot-1")),
        make.grant(make.rule("patch", "daemonsets", group="apps", names="some-workload")),
    ],
)
def test_a_right_by_name(grant: Grant) -> None:
    violated(used(grant), "HYG-02", causes=USABLE)


def test_kubernetes_itself_is_left_out_by_name() -> None:
    rule = make.rule("create", "pods")
    finding = used(
        make.grant(
            rule, to="ServiceAccount kube-system/daemon-set-controller", role="system:controller:daemon-set-controller"
        ),
        make.grant(rule, to="User system:kube-controller-manager", role="system:kube-controller-manager"),
        make.grant(rule, to="Group system:masters", role="cluster-admin"),
    )
    holds(finding, "HYG-02")
    assert [str(each.subject) for each in finding.left_out] == [
        "ServiceAccount kube-system/daemon-set-controller",
        "User system:kube-controller-manager",
        "Group system:masters",
    ]
    assert all("control plane" in each.said for each in finding.left_out)


@pytest.mark.parametrize(
    "grant",
    [
        # The names of Kubernetes' own roles and accounts excuse nobody else.
        make.grant(make.rule("create", "pods"), to="ServiceAccount dev/x", role="system:controller:x"),
        make.grant(make.rule("create", "pods"), to="ServiceAccount kube-system/addon", role="system:controller:x"),
        make.grant(make.rule("create", "pods"), to="User system:kube-x", role="system:kube-x", within="teleport-system"),
        make.grant(make.rule("create", "pods"), to="User eve", role="eve"),
        make.grant(make.rule("create", "pods"), to="Group kubeadm:cluster-admins", role="cluster-admin"),
    ],
)
def test_nobody_else_is_left_out(grant: Grant) -> None:
    violated(used(grant), "HYG-02", causes=USABLE)


def test_the_account_itself_is_no_other() -> None:
    holds(used(make.grant(make.rule("create", "pods"), to=TBOT)), "HYG-02")
    group = "Group system:serviceaccounts:teleport-system"  # others are in it as well
    violated(used(make.grant(make.rule("create", "pods"), to=group)), "HYG-02", group, causes=USABLE)


# HYG-03


def test_the_one_right_that_it_needs() -> None:
    finding = allowed(OWN)
    holds(finding, "HYG-03", "ev-agent", "ev-tbot", "ev-tbot-of")
    assert finding.seen == "it has get nodes/pods (ClusterRoleBinding tbot-of, ClusterRole tbot)"
    assert allowed().seen == "it has no right"


def test_the_right_at_the_kubelet_is_left_to_inst_18() -> None:
    holds(allowed(make.grant(make.rule("get create", "nodes/proxy nodes/pods"), to=TBOT)), "HYG-03")


def test_the_guides_cluster_role_has_two_rights_too_many() -> None:
    finding = allowed(make.grant(make.rule("get", "pods nodes nodes/proxy"), to=TBOT, role="tbot"))
    words = "it may get pods, nodes in the whole cluster (ClusterRoleBinding tbot-of, ClusterRole tbot)"
    violated(finding, "HYG-03", words, evidence=("ev-tbot",), causes=FURTHER)


@pytest.mark.parametrize(
    "to",
    [TBOT, "User system:serviceaccount:teleport-system:tbot", "Group system:serviceaccounts", "Group system:authenticated"],
)
def test_by_whatever_name_it_gets_them(to: str) -> None:
    violated(allowed(make.grant(make.rule("get", "secrets"), to=to)), "HYG-03", "get secrets", causes=FURTHER)


def test_another_account_is_not_judged() -> None:
    holds(allowed(OWN, make.grant(make.rule("*", "*", group="*"), to="ServiceAccount other/tbot")), "HYG-03")


def test_others_in_a_binding_of_the_account_count() -> None:
    own = make.grant(make.rule("create", "pods"), to=TBOT)
    eve = make.grant(make.rule("create", "pods"), to="User eve").binding.subjects
    both = replace(own, binding=replace(own.binding, subjects=(*own.binding.subjects, *eve)))
    violated(used(both), "HYG-02", "User eve", causes=USABLE)


@pytest.mark.parametrize(
    "path",
    [
        *("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version", "/version/", "/healthz", "/livez"),
        *("/readyz", "/.well-known/openid-configuration", "/openid/v1/jwks", "/openid/v1/jwks/"),
    ],
)
def test_each_path_that_every_user_may_read(path: str) -> None:
    holds(allowed(make.grant(make.rule("get", paths=path), to=TBOT)), "HYG-03")


def test_what_every_user_may_do_is_no_further_right() -> None:
    finding = allowed(
        make.grant(make.rule("get", paths="/api /api/* /healthz /version /openid/v1/jwks"), to="Group system:authenticated"),
        make.grant(make.rule("create", "selfsubjectaccessreviews", group="authorization.k8s.io"), to=TBOT),
        make.grant(make.rule("create", "selfsubjectreviews", group="authentication.k8s.io"), to=TBOT),
    )
    holds(finding, "HYG-03")


@pytest.mark.parametrize(
    "grant",
    [
        make.grant(make.rule("get", paths="/metrics"), to=TBOT),
        make.grant(make.rule("*", paths="/healthz"), to=TBOT),
        make.grant(make.rule("get", paths="*"), to=TBOT),
        make.grant(make.rule("create", "subjectaccessreviews", group="authorization.k8s.io"), to=TBOT),
        make.grant(make.rule("create", "selfsubjectaccessreviews", group="other.example"), to=TBOT),
        make.grant(make.rule("*", "selfsubjectaccessreviews", group="authorization.k8s.io"), to=TBOT),
        make.grant(make.rule("get", "nodes/pods", group="other.example"), to=TBOT),
        make.grant(make.rule("get", "nodes/log"), to=TBOT),
        make.grant(make.rule("get", "configmaps"), to=TBOT, within="teleport-system"),
    ],
)
def test_everything_else_is(grant: Grant) -> None:
    violated(allowed(OWN, grant), "HYG-03", causes=FURTHER)


def test_paths_count_only_in_the_whole_cluster() -> None:
    holds(allowed(make.grant(make.rule("get", paths="/metrics"), to=TBOT, within="teleport-system")), "HYG-03")
