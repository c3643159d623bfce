"""Readings of tbot that are made of several others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from facts.document import Reading
from facts.errors import CouldNotTell
from facts.kubernetes.access import Right, service_account_user
from facts.kubernetes.pod_spec import SOCKET_VOLUME, Volume
from observe.kubernetes.cluster import Cluster
from providers.teleport.facts.tbot import KUBELET_RIGHTS
from providers.teleport.facts.tbot_log import Obstacle
from providers.teleport.observe.tbot_facet import LINES, TbotFacet
from settings import Names
from tests.unit.judge import builders as make
from tests.unit.observe.api_server import ApiServer
from tests.unit.observe.captured import APPS, pools


def test_the_api_server_is_asked_what_tbots_service_account_may() -> None:
    asked: list[tuple[Any, ...]] = []

    def may(user: str, groups: tuple[str, ...], verb: str, resource: str) -> Right:
        asked.append((user, groups, (verb, resource)))
        return Right(verb, resource, allowed=False, evidence=("ev",))

    cluster: Any = SimpleNamespace(reader=SimpleNamespace(may=may), once=lambda _key, read: read())
    rights = TbotFacet(cluster).kubelet_rights(make.tbot())
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


def test_proxies_with_a_csi_driver_count_every_tbot_that_listens_on_the_node(cluster: Cluster, healthy: ApiServer) -> None:
    healthy.answer(f"GET {APPS}/daemonsets", {"items": pools("/run/driver")})
    facet = of(cluster)
    assert [tbot.daemon_set.name for tbot in facet.all().each] == ["tbot"]
    csi = make.pod("by-driver", socket=Volume(SOCKET_VOLUME, "csi", driver="csi.spiffe.io"))
    facet.cluster.living_pods = lambda: (csi,)  # type: ignore[method-assign]
    assert [tbot.daemon_set.name for tbot in facet.all().each] == ["tbot", "pool-0"]


@pytest.mark.parametrize("directory", ["/run/spire/sockets", "/elsewhere"])
def test_the_sockets_in_reach_begin_with_the_meshs_own(cluster: Cluster, healthy: ApiServer, directory: str) -> None:
    del healthy
    assert of(cluster, directory).sockets_in_reach("dev5-worker") == ("/run/spire/sockets/socket",)


def test_without_the_list_of_pods_tbot_is_read_by_its_own_file(cluster: Cluster, healthy: ApiServer) -> None:
    del healthy

    def denied() -> Any:
        raise CouldNotTell(expected="pods", seen="none", where="", remedy="")

    facet = of(cluster, "/run/a")
    facet.cluster.living_pods = denied  # type: ignore[method-assign]
    assert facet.installed().looked_for == frozenset()


def joining(*tokens: str) -> TbotFacet:
    each = [make.tbot(config=make.tbot_config(token=token)) for token in tokens]
    return TbotFacet(cast("Any", SimpleNamespace(once=lambda _key, _read: make.tbots(*each))))


def test_one_tbot_stands_for_all_that_join_with_the_same_token() -> None:
    alike = joining("a", "a")
    assert alike.joining_alike() is alike.all().first
    with pytest.raises(CouldNotTell, match="2 of them"):
        joining("a", "b").joining_alike()
    with pytest.raises(CouldNotTell, match="2 of them"):
        joining("a", "a").installed()


def test_each_nodes_sockets_are_those_of_its_own_tbots() -> None:
    a, b = make.pool("a", "/run/a", "node-1", "node-3"), make.pool("b", "/run/b", "node-2", "node-3", socket="b.sock")
    further = make.workload_api(listen="unix:///run/b/further.sock")
    b = replace(b, config=replace(b.config, services=(*b.config.services, further)))
    facet = TbotFacet(cast("Any", SimpleNamespace(once=lambda _key, _read: make.tbots(a, b), names=Names())))
    assert facet.sockets_on("node-1") == ("/run/a/socket",)
    assert facet.sockets_on("node-2") == ("/run/b/b.sock",)
    assert facet.sockets_on("node-3") == ("/run/a/socket", "/run/b/b.sock")
    assert facet.sockets_on("node-without-tbot") == ("/run/a/socket",)
    assert facet.sockets_in_reach("node-2") == ("/run/b/b.sock", "/run/b/further.sock")
    assert facet.sockets_in_reach("node-3") == ("/run/a/socket", "/run/b/b.sock", "/run/b/further.sock")
    nowhere = make.tbots(make.tbot(volumes=make.tbot_volumes(sockets="emptyDir")))
    facet = TbotFacet(cast("Any", SimpleNamespace(once=lambda _key, _read: nowhere, names=Names())))
    assert facet.sockets_on("node-1") == ("/run/spire/sockets/socket",)


UNTRUSTED = "Initializing tbot\nERROR: joining: x509: certificate signed by unknown authority"
EXPORTER = "Initializing tbot\nERROR exporter: dial tcp 10.1.1.1:4317: i/o timeout"


@pytest.mark.parametrize(
    ("now", "restarts", "asked", "obstacle", "opened"),
    [
        (UNTRUSTED, 1, [False], Obstacle.CERTIFICATE, False),
        ("Initializing tbot", 1, [False, True], Obstacle.CERTIFICATE, False),
        ("", 1, [False, True], Obstacle.CERTIFICATE, None),
        (EXPORTER, 1, [False, True], Obstacle.CERTIFICATE, False),
        (EXPORTER, 0, [False], Obstacle.ELSEWHERE, False),
        ("Initializing tbot", 0, [False], None, False),
        ("Initializing tbot\nFetched new bot identity", 1, [False], None, True),
        ("INFO a busy node", 1, [False], None, None),
        ("Fetched new bot identity\nWARN of teleport.example.com: x509: unknown", 1, [False], Obstacle.CERTIFICATE, True),
    ],
)
def test_the_log_before_a_restart_is_read_where_the_present_one_decides_nothing(
    now: str, restarts: int, asked: list[bool], obstacle: Obstacle | None, opened: bool | None
) -> None:
    made: list[bool] = []

    def logs(namespace: str, pod: str, container: str, *, tail: int, timestamps: bool, previous: bool = False) -> Reading:
        assert (namespace, pod, container, tail, timestamps) == ("teleport-system", "tbot-1", "tbot", LINES, True)
        made.append(previous)
        before = f"Fetched new bot identity\n{UNTRUSTED}"
        return Reading(before if previous else now, f"ev-{previous}", datetime.now(UTC))

    pod = make.tbot_pod(ready=False)
    runs = replace(make.tbot_container(), state="running", restarts=restarts)
    pod = replace(pod, spec=replace(pod.spec, containers=(runs,)))
    cluster: Any = SimpleNamespace(reader=SimpleNamespace(logs=logs), once=lambda _key, read: read())
    last = TbotFacet(cluster).last_attempt(make.tbot(pod), pod)
    assert (made, last.obstacle, last.opened) == (asked, obstacle, opened)
    assert last.evidence == tuple(f"ev-{each}" for each in reversed(asked))


def test_a_connection_to_somebody_else_counts_where_the_log_before_the_restart_says_nothing() -> None:
    def logs(*_pod: str, tail: int, timestamps: bool, previous: bool = False) -> Reading:
        assert (tail, timestamps) == (LINES, True)
        return Reading("Initializing tbot" if previous else EXPORTER, f"ev-{previous}", datetime.now(UTC))

    pod = make.tbot_pod(ready=False)
    pod = replace(pod, spec=replace(pod.spec, containers=(replace(make.tbot_container(), restarts=2),)))
    cluster: Any = SimpleNamespace(reader=SimpleNamespace(logs=logs), once=lambda _key, read: read())
    last = TbotFacet(cluster).last_attempt(make.tbot(pod), pod)
    assert (last.obstacle, last.opened, last.evidence) == (Obstacle.ELSEWHERE, False, ("ev-False",))
