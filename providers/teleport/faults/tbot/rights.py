"""Faults of tbot's rights in the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from facts.kubernetes.access import service_account_user
from observe.wait import NotYet, eventually
from providers.teleport.facts.tbot import TO_DO_ALL, TO_READ_PODS
from provision.faults import reach
from provision.faults.changes import Document, applied
from provision.faults.fault import Fault, Scene
from provision.installing.variant import AS_GUIDE
from provision.names import TBOT, TBOT_NAMESPACE
from provision.render import documents

_RBAC = "rbac.authorization.k8s.io/v1"


@contextmanager
def _with_rules(scene: Scene, rules: list[dict[str, Any]], asked: tuple[str, str], *, may: bool) -> Iterator[None]:
    """Give tbot's ClusterRole other rules, and afterwards its own.

    Args:
        scene: The scene.
        rules: The rules.
        asked: Verb and resource that the rules decide about.
        may: The decision; its own rules decide otherwise.
    """
    objects = scene.installation.objects
    former = objects.must_get(_RBAC, "ClusterRole", TBOT)["rules"]

    def put(rules: list[dict[str, Any]], *, may: bool) -> None:
        objects.patch(_RBAC, "ClusterRole", TBOT, {"rules": rules})  # the API server replaces this list as a whole
        _await_authorizer(scene, asked, may=may)

    try:
        put(rules, may=may)
        yield
    finally:
        put(former, may=not may)


def _guides_cluster_role(scene: Scene) -> AbstractContextManager[None]:
    (guides,) = (each["rules"] for each in documents(AS_GUIDE / "tbot-rbac.yaml", {}) if each["kind"] == "ClusterRole")
    return _with_rules(scene, guides, TO_DO_ALL, may=True)


def _no_rule(scene: Scene) -> AbstractContextManager[None]:
    return _with_rules(scene, [], TO_READ_PODS, may=False)


def _await_authorizer(scene: Scene, asked: tuple[str, str], *, may: bool) -> None:
    """Wait until the API server decides by the present ClusterRole: its authorizer hears of a change a moment later."""
    user, groups = service_account_user(TBOT_NAMESPACE, TBOT)
    with scene.looking() as cluster:

        def look() -> None:
            if (answer := cluster.may(user, groups, *asked)).allowed != may:
                raise NotYet(f"{answer}: {answer.allowed}")

        eventually(f"the API server {'allows' if may else 'denies'} {' '.join(asked)} to {user}", look, scene.rollout)


def _binding(name: str, role: str, subject: Document, namespace: str = "") -> Document:
    """Return a binding of a ClusterRole, in a namespace or in the whole cluster."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return {"apiVersion": _RBAC, "kind": kind, "metadata": metadata, "roleRef": role_ref, "subjects": [subject]}


_ACCOUNT = {"kind": "ServiceAccount", "name": TBOT, "namespace": TBOT_NAMESPACE}
_DEVELOPERS = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "developers"}
_DELETED = "The suite deletes the binding."

FAULTS = (
    Fault(
        name="the-guides-cluster-role",
        description="tbot's ClusterRole has the guide's rules, nodes/proxy among them.",
        cause="tbot-may-use-nodes-proxy",
        touches="ClusterRole tbot",
        undo="The suite restores the rules and waits until the API server decides by them.",
        breaks=frozenset({"INST-18", "HYG-03"}),
        further_causes=frozenset({"tbot-has-further-rights"}),  # the guide's rules are for pods and nodes as well
        reach=reach.TBOT | reach.HYGIENE,
        inject=_guides_cluster_role,
    ),
    Fault(
        name="tbot-may-edit-everything",
        description="A ClusterRoleBinding gives tbot's service account the ClusterRole edit, which Kubernetes aggregates.",
        cause="tbot-has-further-rights",
        touches="ClusterRoleBinding tbot-edit",
        undo=_DELETED,
        breaks=frozenset({"HYG-03"}),
        reach=reach.TBOT | reach.HYGIENE,
        inject=lambda scene: applied(scene, _binding("tbot-edit", "edit", _ACCOUNT)),
    ),
    Fault(
        name="developers-in-tbots-namespace",
        description="A RoleBinding lets the group developers edit tbot's namespace, so its members can run pods as tbot's"
        " service account.",
        cause="tbot-account-usable-by-others",
        touches="RoleBinding teleport-system/developers",
        undo=_DELETED,
        breaks=frozenset({"HYG-02"}),
        reach=reach.HYGIENE,
        inject=lambda scene: applied(scene, _binding("developers", "edit", _DEVELOPERS, TBOT_NAMESPACE)),
    ),
    Fault(
        name="cluster-role-without-rules",
        description="tbot's ClusterRole has no rule, so the kubelets tell tbot nothing as soon as they ask the API server"
        " again.",
        cause="kubelet-unreachable",
        touches="ClusterRole tbot",
        undo="The suite restores the rules and waits until the API server decides by them.",
        breaks=frozenset({"INST-18"}),
        # A kubelet remembers for minutes what it has allowed: until then tbot can attest a probe pod.
        reach=reach.TBOT - {"INST-14"},
        inject=_no_rule,
    ),
)
