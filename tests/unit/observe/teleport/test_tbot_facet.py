"""Readings of tbot that are made of several others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from facts.kubernetes.access import Right, service_account_user
from facts.teleport.tbot import KUBELET_RIGHTS
from observe.teleport.tbot_facet import TbotFacet
from tests.unit.judge import builders as make


def test_the_api_server_is_asked_what_tbots_service_account_may() -> None:
    asked: list[tuple[Any, ...]] = []

    def may(user: str, groups: tuple[str, ...], verb: str, resource: str) -> Right:
        asked.append((user, groups, (verb, resource)))
        return Right(verb, resource, allowed=False, evidence=("ev",))

    installed = {"tbot": make.tbot()}

    def once(key: Any, read: Any) -> Any:
        return installed.get(key.name) or read()

    cluster: Any = SimpleNamespace(reader=SimpleNamespace(may=may), once=once)
    rights = TbotFacet(cluster).kubelet_rights()
    assert [(right.verb, right.resource) for right in rights] == [*KUBELET_RIGHTS]
    assert asked == [(*service_account_user("teleport-system", "tbot"), right) for right in KUBELET_RIGHTS]
