"""Readings of tbot that are made of several others."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from facts.kubernetes.access import Right, service_account_user
from facts.teleport.tbot import KUBELET_RIGHTS
from observe.kubernetes.cluster import Cluster
from observe.teleport.tbot_facet import TbotFacet
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.observe.api_server import ApiServer


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


def of(cluster: Cluster, *directories: str) -> TbotFacet:
    """Tbot of a cluster of captures, with proxies that mount these directories of their node."""
    pods = [make.pod(path, socket=replace(make.NODES_SOCKET, path=path)) for path in directories]
    cluster_facet = SimpleNamespace(
        reader=cluster, names=Names(), once=lambda _key, read: read(), living_pods=lambda: (*pods, make.pod(injected=False))
    )
    return TbotFacet(cast("Any", cluster_facet))


def test_the_sockets_that_proxies_look_for_are_read_with_tbot(cluster: Cluster, healthy: ApiServer) -> None:
    del healthy
    assert of(cluster, "/run/a", "/run/b/").installed().looked_for == {"/run/a/socket", "/run/b/socket"}
    assert of(cluster).installed().looked_for == frozenset()


@pytest.mark.parametrize("directory", ["/run/spire/sockets", "/elsewhere"])
def test_the_sockets_in_reach_begin_with_the_meshs_own(cluster: Cluster, healthy: ApiServer, directory: str) -> None:
    del healthy
    assert of(cluster, directory).sockets_in_reach() == ("/run/spire/sockets/socket",)
