"""HYG-02 and HYG-03: who can use tbot's service account, and what this account may do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.finding import Finding
from facts.kubernetes.rbac import Grant, Rule
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


_MAKERS = ("daemonsets", "deployments", "replicasets", "statefulsets")
"""Kinds of the group apps that make pods."""


@pytest.mark.parametrize(
    ("verbs", "resource", "group"),
    [
        *(("create", each, "") for each in ("pods", "replicationcontrollers", "serviceaccounts/token")),
        *(("create", each, "batch") for each in ("cronjobs", "jobs")),
        *((verb, each, "apps") for verb in ("create", "update", "patch") for each in _MAKERS),
        *((verb, each, "") for verb in ("update", "patch") for each in ("pods", "pods/ephemeralcontainers")),
        *((verb, "replicationcontrollers", "") for verb in ("update", "patch")),
        *((verb, "cronjobs", "batch") for verb in ("update", "patch")),
        *((verb, each, "") for verb in ("get", "create") for each in ("pods/exec", "pods/attach")),
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


def test_an_expected_subject_is_shown_with_its_right_and_nobody_as_nobody() -> None:
    finding = used(make.grant(make.rule("create", "pods")), expected=("Group developers",))
    assert finding.seen == (
        "Group developers: it may create pods in teleport-system (ClusterRoleBinding role-of, ClusterRole role)"
    )
    assert used().seen == "RBAC lets nobody use it besides Kubernetes itself"


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
        make.grant(make.rule("patch", "pods", names="another-pod")),
        make.grant(make.rule("impersonate", "serviceaccounts", names="another")),
        make.grant(make.rule("create", "serviceaccounts/token", names="another")),
    ],
)
def test_what_does_not_let_anybody_use_it(grant: Grant) -> None:
    holds(used(grant), "HYG-02")


@pytest.mark.parametrize(
    "grant",
    [
        make.grant(make.rule("create", "serviceaccounts/token", names="tbot")),
        make.grant(make.rule("impersonate", "serviceaccounts", names="tbot")),
        make.grant(make.rule("create", "pods/exec", names="tbot-1")),
        make.grant(make.rule("patch", "pods", names="tbot-1")),
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
        make.grant(make.rule("create", "pods"), to="Group system:kube-x", role="system:kube-x"),
        make.grant(make.rule("create", "pods"), to="User system:masters", role="cluster-admin"),
        make.grant(make.rule("create", "pods"), to="User system:kube-x", role="another"),
    ],
)
def test_nobody_else_is_left_out(grant: Grant) -> None:
    violated(used(grant), "HYG-02", causes=USABLE)


def test_the_account_itself_is_no_other() -> None:
    holds(used(make.grant(make.rule("create", "pods"), to=TBOT)), "HYG-02")
    group = "Group system:serviceaccounts:teleport-system"  # others are in it as well
    violated(used(make.grant(make.rule("create", "pods"), to=group)), "HYG-02", group, causes=USABLE)


SECRET = "it may create secrets and read them in teleport-system, and so get a token in one"


@pytest.mark.parametrize("reading", ["get", "list", "watch"])
@pytest.mark.parametrize("within", ["", "teleport-system"])
def test_a_token_that_kubernetes_writes_into_a_secret(reading: str, within: str) -> None:
    create, read = make.rule("create", "secrets"), make.rule(reading, "secrets")
    violated(used(make.grant(create, read, within=within)), "HYG-02", f"Group developers: {SECRET}", causes=USABLE)
    by_two = (make.grant(create, role="one", within=within), make.grant(read, role="two", within=within))
    finding = used(*by_two)
    violated(finding, "HYG-02", f"{SECRET} (", "one-of", "two-of", causes=USABLE)
    assert finding.problems[0].evidence == ("ev-one-of", "ev-one", "ev-two-of", "ev-two")
    named = make.rule(reading, "secrets", names="any")  # who creates it chooses its name
    violated(used(make.grant(create, named, within=within)), "HYG-02", SECRET)
    holds(used(*by_two, expected=("Group developers",)), "HYG-02")


@pytest.mark.parametrize(
    "grants",
    [
        (make.grant(make.rule("create", "secrets")),),
        (make.grant(make.rule("create", "secrets", names="any"), make.rule("get", "secrets")),),
        (make.grant(make.rule("create get", "secrets"), within="other"),),
        (make.grant(make.rule("create", "secrets"), role="one"), make.grant(make.rule("get", "secrets"), to="User eve")),
    ],
)
def test_a_secret_that_nobody_can_both_create_and_read(grants: tuple[Grant, ...]) -> None:
    holds(used(*grants), "HYG-02")


def test_a_further_grant_of_a_controller_is_not_excused() -> None:
    controller = "ServiceAccount kube-system/x"
    own = make.grant(make.rule("create get", "secrets"), to=controller, role="system:controller:x")
    holds(used(own), "HYG-02")
    for grants in ((own, more := make.grant(make.rule("create", "secrets"), to=controller, role="more")), (more, own)):
        violated(used(*grants), "HYG-02", controller, causes=USABLE)


def test_every_kubelet_leads_into_its_pods() -> None:
    violated(used(make.grant(make.rule("create", "nodes/proxy"))), "HYG-02", "create nodes/proxy", causes=USABLE)
    violated(used(make.grant(make.rule("create", "nodes/proxy", names="node-1"))), "HYG-02", causes=USABLE)
    holds(used(make.grant(make.rule("create", "nodes/proxy"), within="teleport-system")), "HYG-02")


def test_what_is_not_followed_is_said() -> None:
    rule = make.rule("bind escalate create", "clusterroles rolebindings", group="rbac.authorization.k8s.io")
    finding = used(make.grant(rule))
    holds(finding, "HYG-02")
    assert "not counting who may first give themselves a right (bind, escalate, create rolebindings)" in finding.expected


# HYG-03


@pytest.mark.parametrize("group", ["system:authenticated", "system:serviceaccounts"])
def test_what_a_platform_gives_to_everybody_is_a_note(group: str) -> None:
    rule = make.rule("create", "projectrequests", group="project.openshift.io")
    finding = allowed(OWN, make.grant(rule, to=f"Group {group}", role="self-provisioner"))
    holds(finding, "HYG-03")
    assert finding.seen == "it has get nodes/pods (ClusterRoleBinding tbot-of, ClusterRole tbot)"
    (note,) = finding.notes
    assert "as everybody, it may create projectrequests.project.openshift.io" in note.said
    assert "(ClusterRoleBinding self-provisioner-of, ClusterRole self-provisioner)" in note.said
    assert note.evidence == ("ev-self-provisioner-of", "ev-self-provisioner")
    own = make.grant(rule, to="Group system:serviceaccounts:teleport-system")
    violated(allowed(own), "HYG-03", causes=FURTHER)
    violated(allowed(_also_to(TBOT, make.grant(rule, to=f"Group {group}"))), "HYG-03", causes=FURTHER)
    holds(allowed(_also_to("User eve", make.grant(rule, to=f"Group {group}"))), "HYG-03")


def _also_to(holder: str, grant: Grant) -> Grant:
    more = make.grant(to=holder).binding.subjects
    return replace(grant, binding=replace(grant.binding, subjects=(*grant.binding.subjects, *more)))


_WRITES = ("create", "update", "patch", "delete", "deletecollection")
_PODS = ("pods", "pods/ephemeralcontainers", "replicationcontrollers", "serviceaccounts/token")
_RBAC = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")


@pytest.mark.parametrize(
    "rule",
    [
        *(make.rule(verb, "secrets") for verb in ("get", "list", "watch", *_WRITES)),
        make.rule("get", "secrets", names="one"),
        *(make.rule(v, r) for v in ("get", "create") for r in ("pods/exec", "pods/attach", "pods/portforward")),
        *(make.rule(verb, each) for verb in _WRITES for each in _PODS),
        *(make.rule(verb, each, group="apps") for verb in _WRITES for each in _MAKERS),
        *(make.rule(verb, each, group="batch") for verb in _WRITES for each in ("cronjobs", "jobs")),
        *(
            make.rule(verb, each, group="rbac.authorization.k8s.io")
            for verb in (*_WRITES, "bind", "escalate")
            for each in _RBAC
        ),
        *(make.rule("impersonate", each) for each in ("users", "groups", "serviceaccounts")),
        make.rule("*", "*", group="*"),
    ],
    ids=str,
)
def test_what_nobody_should_have_breaks_it_also_where_everybody_has_it(rule: Rule) -> None:
    violated(allowed(make.grant(rule, to="Group system:authenticated")), "HYG-03", causes=FURTHER)


@pytest.mark.parametrize(
    "rule",
    [
        make.rule("get list watch", "pods"),
        make.rule("list", "deployments", group="apps"),
        make.rule("watch", "jobs", group="batch"),
        make.rule("get list watch", "clusterroles rolebindings", group="rbac.authorization.k8s.io"),
        make.rule("create", "secrets", group="of.an.extension"),
        make.rule("create", "serviceaccounts"),
    ],
    ids=str,
)
def test_other_rights_of_everybody_are_notes(rule: Rule) -> None:
    finding = allowed(make.grant(rule, to="Group system:authenticated"))
    holds(finding, "HYG-03")
    assert [str(rule) in note.said for note in finding.notes] == [True]


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


def test_a_right_of_one_namespace_is_told_with_it() -> None:
    finding = allowed(make.grant(make.rule("get", "configmaps"), to=TBOT, within="teleport-system"))
    words = "it may get configmaps in teleport-system (RoleBinding teleport-system/role-of, ClusterRole role)"
    violated(finding, "HYG-03", words, causes=FURTHER)


def test_another_account_is_not_judged() -> None:
    holds(allowed(OWN, make.grant(make.rule("*", "*", group="*"), to="ServiceAccount other/tbot")), "HYG-03")


def test_others_in_a_binding_of_the_account_count() -> None:
    both = _also_to("User eve", make.grant(make.rule("create", "pods"), to=TBOT))
    violated(used(both), "HYG-02", "User eve", causes=USABLE)


@pytest.mark.parametrize(
    "path",
    [
        *("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version", "/version/", "/healthz", "/livez"),
        *("/readyz", "/.well-known/openid-configuration", "/.well-known/openid-configuration/"),
        *("/openid/v1/jwks", "/openid/v1/jwks/"),
    ],
)
@pytest.mark.parametrize("verbs", ["get", "head", "get head"])
def test_each_path_that_every_user_may_read(path: str, verbs: str) -> None:
    holds(allowed(make.grant(make.rule(verbs, paths=path), to=TBOT)), "HYG-03")


def test_what_every_user_may_do_is_no_further_right() -> None:
    finding = allowed(
        make.grant(
            make.rule("get", paths="/api /api/* /healthz /version /openid/v1/jwks"),
            to="Group system:authenticated",
            role="discovery",
        ),
        make.grant(
            make.rule("create", "selfsubjectaccessreviews selfsubjectrulesreviews", group="authorization.k8s.io"),
            make.rule("create", "selfsubjectreviews", group="authentication.k8s.io"),
            to=TBOT,
        ),
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
