"""Faults of tbot's rights in the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from facts.kubernetes.access import service_account_user
from facts.teleport.tbot import TO_DO_ALL
from observe.wait import NotYet, eventually
from provision.faults import reach
from provision.faults.fault import Fault, Scene
from provision.installing.variant import AS_GUIDE
from provision.names import TBOT, TBOT_NAMESPACE
from provision.render import documents

_RBAC = "rbac.authorization.k8s.io/v1"


@contextmanager
def _guides_cluster_role(scene: Scene) -> Iterator[None]:
    """Give tbot's ClusterRole the guide's rules, and afterwards its own."""
    objects = scene.installation.objects
    former = objects.must_get(_RBAC, "ClusterRole", TBOT)["rules"]
    (guides,) = (each["rules"] for each in documents(AS_GUIDE / "tbot-rbac.yaml", {}) if each["kind"] == "ClusterRole")

    def put(rules: list[dict[str, Any]], *, wide: bool) -> None:
        objects.patch(_RBAC, "ClusterRole", TBOT, {"rules": rules})  # the API server replaces this list as a whole
        _await_authorizer(scene, wide=wide)

    try:
        put(guides, wide=True)
        yield
    finally:
        put(former, wide=False)


def _await_authorizer(scene: Scene, *, wide: bool) -> None:
    """Wait until the API server decides by the present ClusterRole: its authorizer hears of a change a moment later."""
    user, groups = service_account_user(TBOT_NAMESPACE, TBOT)
    with scene.looking() as cluster:

        def look() -> None:
            if (answer := cluster.may(user, groups, *TO_DO_ALL)).allowed != wide:
                raise NotYet(f"{answer}: {answer.allowed}")

        eventually(f"the API server {'allows' if wide else 'denies'} {' '.join(TO_DO_ALL)} to {user}", look, scene.rollout)


FAULTS = (
    Fault(
        name="the-guides-cluster-role",
        description="tbot's ClusterRole has the guide's rules, nodes/proxy among them.",
        cause="tbot-may-use-nodes-proxy",
        touches="ClusterRole tbot",
        undo="The suite restores the rules and waits until the API server decides by them.",
        breaks=frozenset({"INST-18"}),
        reach=reach.TBOT,
        inject=_guides_cluster_role,
    ),
)
