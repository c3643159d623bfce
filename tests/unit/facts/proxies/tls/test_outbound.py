"""Destinations, by documents that are built (`tests.unit.facts.tls_dumps`), not captured."""

from __future__ import annotations

from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.proxies.tls.context import PLAIN, Layer
from facts.proxies.tls.outbound import (
    Destination,
    Discovery,
    Endpoint,
    joined,
    parse_cluster_names,
    parse_clusters,
    parse_endpoints,
)
from tests.unit.facts import tls_dumps as built

HOST = "cart.shop.svc.cluster.local"
CART = "spiffe://teleport.example.com/ns/shop/sa/cart"
WITH, WITHOUT = built.endpoint("10.0.0.1", 8080), built.endpoint("10.0.0.2", 8080, tls=False)


def layers(cluster: dict[str, Any]) -> tuple[Layer, Layer]:
    """The transport to an endpoint that Istio marks for mutual TLS, and to one that it does not."""
    (destination,) = joined(
        parse_clusters(built.dump(cluster)), parse_endpoints(built.dump(built.endpoints(HOST, 80, WITH, WITHOUT)))
    )
    with_tls, without = destination.endpoints
    return destination.socket_to(with_tls).layer, destination.socket_to(without).layer


def test_automatic_mutual_tls_goes_by_the_endpoint() -> None:
    assert layers(built.auto_mutual(HOST, 80, [CART])) == (Layer.TLS, Layer.PLAIN)


def test_istio_mutual_is_for_every_endpoint() -> None:
    assert layers(built.istio_mutual(HOST, 80, [CART])) == (Layer.TLS, Layer.TLS)


def test_disabled_is_plain_text_to_every_endpoint() -> None:
    assert layers(built.cluster(HOST, 80)) == (Layer.PLAIN, Layer.PLAIN)


def test_the_first_match_wins_and_the_clusters_own_socket_comes_last() -> None:
    tls = built.upstream(HOST, 80, [CART])
    tunnel = {"name": "envoy.transport_sockets.internal_upstream"}
    matches = [
        {"name": "hbone", "match": {"tunnel": "http"}, "transport_socket": tunnel},
        {"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transport_socket": tls},
    ]
    other = {"name": "other", "typed_config": {}}
    cluster = built.cluster(HOST, 80, transport_socket_matches=matches, transport_socket=other)
    assert layers(cluster) == (Layer.TLS, Layer.OTHER)
    both = frozenset({("tunnel", "http"), ("tlsMode", "istio")})
    (parsed,) = parse_clusters(built.dump(cluster))
    assert Destination(parsed, ()).socket_to(Endpoint("", 15008, both, "")).layer is Layer.TUNNEL
    assert [s.layer for s in parsed.sockets] == [Layer.TUNNEL, Layer.TLS, Layer.OTHER]
    assert [m.name for m in parsed.matches] == ["hbone", "tlsMode-istio"]


@pytest.mark.parametrize(
    ("kind", "discovery"),
    [
        ("EDS", Discovery.EDS),
        ("STRICT_DNS", Discovery.DNS),
        ("LOGICAL_DNS", Discovery.DNS),
        ("ORIGINAL_DST", Discovery.ORIGINAL_DST),
        ("STATIC", Discovery.OTHER),
    ],
)
def test_where_endpoints_come_from(kind: str, discovery: Discovery) -> None:
    (cluster,) = parse_clusters(built.dump(built.cluster(HOST, 80, kind=kind)))
    assert cluster.discovery is discovery
    assert cluster.socket == PLAIN


def test_a_cluster_of_another_type() -> None:
    custom = built.cluster(HOST, 80, kind="STATIC", cluster_type={"name": "envoy.clusters.dynamic_forward_proxy"})
    assert parse_clusters(built.dump(custom))[0].discovery is Discovery.OTHER


def test_a_name_is_taken_apart() -> None:
    named, through = parse_clusters(built.dump(built.cluster("*.example.com", 443, subset="v1"), built.passthrough()))
    assert (named.port, named.subset, named.host, named.service) == (443, "v1", "*.example.com", "*.example.com:443")
    assert (through.port, through.host, through.discovery) == (0, "", Discovery.ORIGINAL_DST)


def test_endpoints_are_sorted_and_each_is_there_once() -> None:
    tunnel = {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "connect_originate"}}}}
    found = parse_endpoints(built.dump(built.endpoints(HOST, 80, WITHOUT, WITH, WITH, tunnel)))
    assert found == {
        f"outbound|80||{HOST}": (
            Endpoint("", 0, frozenset(), ""),
            Endpoint("10.0.0.1", 8080, frozenset({("tlsMode", "istio")}), "shop/cart"),
            Endpoint("10.0.0.2", 8080, frozenset(), "shop/cart"),
        )
    }


@pytest.mark.parametrize(("workload", "name"), [("", ""), ("cart", ""), (";shop", ""), ("cart;shop", "shop/cart")])
def test_the_workload_of_an_endpoint(workload: str, name: str) -> None:
    found = parse_endpoints(built.dump(built.endpoints(HOST, 80, built.endpoint("10.0.0.1", 1, workload=workload))))
    assert found[f"outbound|80||{HOST}"][0].workload == name


def test_a_cluster_without_endpoints_and_endpoints_without_a_cluster() -> None:
    clusters = parse_clusters(built.dump(built.cluster("b", 2), built.cluster("a", 1)))
    found = joined(clusters, parse_endpoints(built.dump(built.endpoints("c", 3, WITH))))
    assert [(d.cluster.host, d.endpoints) for d in found] == [("a", ()), ("b", ())]


def test_equal_destinations_become_one_object() -> None:
    kept: dict[Any, Any] = {}

    def shared(value: Any) -> Any:
        return kept.setdefault(value, value)

    def read() -> tuple[Destination, ...]:
        return joined(parse_clusters(built.dump(built.auto_mutual(HOST, 80, [CART]))), {}, shared)

    first, second = read(), read()
    assert first is second
    assert joined(parse_clusters(built.dump(built.cluster(HOST, 80))), {}, shared) is not first


def test_names_alone() -> None:
    both = built.dump(built.cluster("a", 1), built.cluster("b", 2))
    assert parse_cluster_names(both) == ("outbound|1||a", "outbound|2||b")
    assert parse_cluster_names({}) == ()


@pytest.mark.parametrize(
    ("parse", "answer", "said"),
    [
        (parse_clusters, "no JSON", "a dump in JSON"),
        (parse_clusters, {"configs": [{}]}, "the field cluster"),
        (parse_clusters, {"configs": [{"cluster": {"name": "outbound|x||a"}}]}, "outbound|PORT|SUBSET|HOST"),
        (parse_clusters, {"configs": [{"cluster": {"name": "outbound|80|a"}}]}, "outbound|PORT|SUBSET|HOST"),
        (parse_clusters, built.dump(built.cluster(HOST, 80, transport_socket_matches=[{"match": {"a": 1}}])), "the field a"),
        (parse_cluster_names, {"configs": [{}]}, "the field cluster.name"),
        (parse_endpoints, {"configs": [{}]}, "the field endpoint_config"),
        (parse_endpoints, {"configs": [{"endpoint_config": {"a": 1}}]}, "the field cluster_name"),
    ],
)
def test_a_damaged_dump_is_said_to_be_damaged(parse: Any, answer: Any, said: str) -> None:
    with pytest.raises(CouldNotTell) as caught:
        parse(answer)
    assert said in caught.value.expected
