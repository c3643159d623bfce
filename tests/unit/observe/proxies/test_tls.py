"""The TLS of proxies, read from a cluster whose proxies answer with built dumps (`tests.unit.facts.tls_dumps`)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from facts.kubernetes.objects import Pod
from facts.proxies.tls import questions
from facts.proxies.tls.inbound import OF_ROUTER, OF_SIDECAR, parse_listeners
from facts.proxies.tls.outbound import parse_clusters, parse_endpoints
from facts.proxies.tls.proxy import ProxyTls, TlsOfFleet
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import ProxyConnection, _quoted
from observe.proxies.survey import survey
from observe.proxies.tls import Shared, tls_of, tls_part
from tests.data import document as captured
from tests.data.capture import capture
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.observe.api_server import ApiServer, Canned
from tests.unit.observe.doubles import install

HOST = "cart.shop.svc.cluster.local"
CART = "spiffe://teleport.example.com/ns/shop/sa/cart"
CLUSTERS = built.dump(built.auto_mutual(HOST, 80, [CART]), built.passthrough())
ENDPOINTS = built.dump(built.endpoints(HOST, 80, built.endpoint("10.0.0.1", 8080)))


def read_tls(cluster: Cluster, pod: Pod) -> ProxyTls:
    with ProxyConnection(cluster, pod) as connection:
        return tls_of(connection, pod, Shared())


def read_tls_of_fleet(cluster: Cluster, pods: Iterable[Pod]) -> TlsOfFleet:
    part = tls_part()
    return TlsOfFleet.of(survey(cluster, pods, [part]).of(part))


def answer(server: ApiServer, question: str, document: Any) -> None:
    assert server.http is not None
    server.http[_quoted(question)] = Canned(document)


@pytest.fixture
def proxies(healthy: ApiServer) -> ApiServer:
    """Proxies that have few clusters."""
    answer(healthy, OF_SIDECAR, built.virtual_inbound(built.strict(), built.strict(8080)))
    answer(healthy, questions.COUNT, built.count(12))
    answer(healthy, questions.WHOLE.clusters, CLUSTERS)
    answer(healthy, questions.WHOLE.endpoints, ENDPOINTS)
    return healthy


def forwarded(server: ApiServer) -> list[str]:
    return [path for kind, path, _ in server.asked if kind == "FORWARDED"]


def test_a_proxy_with_few_clusters_is_asked_for_all_at_once(
    cluster: Cluster, pods: tuple[Pod, ...], proxies: ApiServer, recorder: KeptInMemory
) -> None:
    found = read_tls(cluster, pods[0])
    assert [each.name for each in found.listeners] == ["virtualInbound"]
    assert [d.cluster.name for d in found.destinations] == ["PassthroughCluster", f"outbound|80||{HOST}"]
    assert [e.address for e in found.destinations[1].endpoints] == ["10.0.0.1"]
    assert forwarded(proxies) == [
        _quoted(question) for question in (OF_SIDECAR, questions.COUNT, questions.WHOLE.clusters, questions.WHOLE.endpoints)
    ]
    assert [recorder.evidence[i].parser.rpartition(".")[2] for i in found.evidence if i not in pods[0].evidence] == [
        "parse_listeners",
        "parse_count",
        "parse_clusters",
        "parse_endpoints",
    ]


def test_a_proxy_with_many_clusters_is_asked_in_parts(
    cluster: Cluster, pods: tuple[Pod, ...], proxies: ApiServer, recorder: KeptInMemory
) -> None:
    services = [f"s{number:03}.shop.svc.cluster.local" for number in range(questions.SLICE + 50)]
    hosts = {f"outbound|80||{host}": host for host in services}
    answer(proxies, questions.COUNT, built.count(len(hosts)))
    answer(proxies, questions.NAMES, built.dump(*(built.cluster(host, 80) for host in hosts.values())))
    for part in questions.parts(hosts):
        some = [host for name, host in hosts.items() if built.pattern(part.clusters).fullmatch(name)]
        answer(proxies, part.clusters, built.dump(*(built.auto_mutual(host, 80, [CART]) for host in some)))
        each = [built.endpoints(host, 80, built.endpoint("10.0.0.1", 8080)) for host in some]
        answer(proxies, part.endpoints, built.dump(*each))
    found = read_tls(cluster, pods[0])
    assert [d.cluster.host for d in found.destinations] == services
    assert all(len(d.endpoints) == 1 for d in found.destinations)
    assert {recorder.evidence[i].parser.rpartition(".")[2] for i in found.evidence} >= {"parse_cluster_names"}


def test_a_gateway_is_asked_for_all_its_listeners(cluster: Cluster, pods: tuple[Pod, ...], proxies: ApiServer) -> None:
    router = make.istio_proxy(is_init=False, args=("proxy", "router"))
    gateway = replace(pods[0], spec=replace(pods[0].spec, containers=(router,)))
    answer(proxies, OF_ROUTER, built.dump(built.listener("a", 80, []), built.listener("b", 443, [])))
    assert [each.port for each in read_tls(cluster, gateway).listeners] == [80, 443]


def test_a_fleet_keeps_every_pod_and_shares_what_is_equal(
    cluster: Cluster, pods: tuple[Pod, ...], proxies: ApiServer
) -> None:
    first, second = read_tls_of_fleet(cluster, pods[:2]).proxies
    assert first.pod.uid != second.pod.uid
    assert first.destinations is second.destinations
    assert first.listeners is second.listeners
    for stream in ("portforward", "exec"):
        path = f"WS /api/v1/namespaces/test-app/pods/{pods[1].name}/{stream}"
        proxies.answers[path] = Canned({"message": "no"}, 403)
    fleet = read_tls_of_fleet(cluster, pods[:2])
    assert [proxy.pod.name for proxy in fleet.proxies] == [pods[0].name]
    assert [unread.pod.name for unread in fleet.unread] == [pods[1].name]


def test_a_damaged_answer_leaves_its_proxy_unread(cluster: Cluster, pods: tuple[Pod, ...], proxies: ApiServer) -> None:
    answer(proxies, questions.WHOLE.clusters, {"configs": [{}]})
    (unread,) = read_tls_of_fleet(cluster, pods[:1]).unread
    assert unread.why.expected == "the field cluster"


def test_the_facet_reads_the_proxies_once(cluster: Cluster, proxies: ApiServer) -> None:
    proxies.answer("GET /api/v1/namespaces", {"items": []})
    proxies.answer("GET /api/v1/nodes", {"items": []})
    read = install(cast("Any", cluster)).proxies
    fleet = read.tls()
    asked_for = {pod.name for pod in read.pods()}
    assert {proxy.pod.name for proxy in fleet.proxies} | {unread.pod.name for unread in fleet.unread} == asked_for
    assert fleet.proxies
    asked = len(forwarded(proxies))
    assert read.tls() is fleet
    assert len(forwarded(proxies)) == asked


def test_a_proxy_is_captured_as_the_suite_asks_it(
    cluster: Cluster, pods: tuple[Pod, ...], proxies: ApiServer, recorder: KeptInMemory, tmp_path: Path
) -> None:
    answer(proxies, questions.NAMES, built.dump(built.cluster(HOST, 80)))
    (document,) = [d for d in captured("cluster/pods.json")["items"] if d["metadata"]["name"] == pods[0].name]
    document["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    proxies.answer(f"GET /api/v1/namespaces/test-app/pods/{pods[0].name}", document)
    lines = capture(cluster, recorder, pods[0], tmp_path / "strict")
    assert [line.partition(":")[0] for line in lines] == [
        "listeners.json",
        "cluster_count.json",
        "cluster_names.json",
        "1 outbound clusters",
        "clusters.json",
        "endpoints.json",
    ]
    kept = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "strict").iterdir()}
    assert parse_listeners(kept["listeners.json"])[0].name == "virtualInbound"
    assert parse_clusters(kept["clusters.json"]) == parse_clusters(CLUSTERS)
    assert parse_endpoints(kept["endpoints.json"]) == parse_endpoints(ENDPOINTS)
    assert "managedFields" not in kept["pod.json"]["metadata"]
