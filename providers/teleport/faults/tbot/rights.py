"""Faults of tbot's rights in the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from facts.kubernetes.access import service_account_user
from observe.wait import NotYet, eventually
from providers.teleport.facts.tbot import TO_DO_ALL, TO_READ_PODS
from provision.faults.fault import Scene
from provision.installing.variant import AS_GUIDE
from provision.names import TBOT, TBOT_NAMESPACE
from provision.render import documents

_RBAC = "rbac.authorization.k8s.io/v1"


@contextmanager
def _with_rules(scene: Scene, rules: list[dict[str, Any]], asked: tuple[str, str], *, may: bool) -> Iterator[None]:
    """Give tbot's ClusterRole other rules, and afterwards its own.

    Args:
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


def guides_cluster_role(scene: Scene) -> AbstractContextManager[None]:
    """Give tbot's ClusterRole the guide's rules."""
    (guides,) = (each["rules"] for each in documents(AS_GUIDE / "tbot-rbac.yaml", {}) if each["kind"] == "ClusterRole")
    return _with_rules(scene, guides, TO_DO_ALL, may=True)


def no_rule(scene: Scene) -> AbstractContextManager[None]:
    """Give tbot's ClusterRole no rule."""
    return _with_rules(scene, [], TO_READ_PODS, may=False)


def _await_authorizer(scene: Scene, asked: tuple[str, str], *, may: bool) -> None:
    """Wait until the API server decides by the present ClusterRole: its authorizer hears of a change a moment later."""
    user, groups = service_account_user(TBOT_NAMESPACE, TBOT)
    with scene.looking() as cluster:

        def look() -> None:
            if (answer := cluster.may(user, groups, *asked)).allowed != may:
                raise NotYet(f"{answer}: {answer.allowed}")

        eventually(f"the API server {'allows' if may else 'denies'} {' '.join(asked)} to {user}", look, scene.rollout)
