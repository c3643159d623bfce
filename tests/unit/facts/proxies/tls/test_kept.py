"""What evidence keeps of a proxy's TLS: parsers read the same from it as from the whole answer; nothing else is in it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from facts.document import decoded
from facts.errors import CouldNotTell
from facts.masks import kept_for, kept_of
from facts.proxies.tls.context import NameMatch, Socket
from facts.proxies.tls.inbound import parse_listeners
from facts.proxies.tls.outbound import parse_cluster_names, parse_clusters, parse_endpoints
from facts.proxies.tls.questions import parse_count
from facts.redaction import Hiding
from tests.unit.facts import tls_dumps as built
from tests.unit.facts.authorities import Authority, inline

Parse = Callable[[Any], Any]

HOST, OTHER = "cart.shop.svc.cluster.local", "bank.shop.svc.cluster.local"
CART = "spiffe://teleport.example.com/ns/shop/sa/cart"
PEM = Authority("istiod").pem
OWN = {
    "name": "envoy.transport_sockets.tls",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_certificates": [{"certificate_chain": inline(PEM), "private_key": {"inline_string": "PRIVATE"}}],
            "validation_context": {
                "trusted_ca": inline(PEM),
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": {"exact": CART, "ignore_case": True}},
                    {"san_type": "DNS", "matcher": {"safe_regex": {"google_re2": {}, "regex": "spiffe://.*"}}},
                ],
            },
        },
    },
}
SPIFFE = {
    "name": "envoy.transport_sockets.tls",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [{"name": "kubernetes://shop", "sds_config": {"ads": {}}}],
            "combined_validation_context": {
                "default_validation_context": {
                    "custom_validator_config": {
                        "name": "envoy.tls.cert_validator.spiffe",
                        "typed_config": {"trust_domains": [{"name": "teleport.example.com", "trust_bundle": inline(PEM)}]},
                    },
                    "match_subject_alt_names": [{"suffix": "/sa/cart"}, {"contains": "/ns/"}, {"prefix": "spiffe://a/"}],
                },
                "validation_context_sds_secret_config": built.secret("ROOTCA"),
            },
        },
        "sni": "outbound_.80_._.cart.shop.svc.cluster.local",
    },
}
LISTENERS = built.dump(
    built.listener(
        "virtualInbound",
        15006,
        [
            *built.permissive(8080),
            *built.strict(),
            built.chain("own", socket=OWN, prefix_ranges=[{"address_prefix": "10.0.0.0", "prefix_len": 8}]),
            built.chain("named", server_names=["*.example.com"], socket=SPIFFE),
        ],
        default_filter_chain={"filters": [{"name": "envoy.filters.network.tcp_proxy"}]},
        traffic_direction="INBOUND",
    )
)
CLUSTERS = built.dump(
    built.auto_mutual(HOST, 80, [CART]),
    built.istio_mutual(OTHER, 443, [CART], sni="x"),
    built.cluster("dns.example.com", 443, subset="v1", kind="STRICT_DNS", transport_socket=SPIFFE, connect_timeout="10s"),
    built.cluster("static.example.com", 443, kind="STATIC", transport_socket=built.RAW_BUFFER),
    built.passthrough(),
)
ENDPOINTS = built.dump(
    built.endpoints(HOST, 80, built.endpoint("10.0.0.1", 8080), built.endpoint("fd00::1", 8080, tls=False)),
    built.endpoints(OTHER, 443),
)
ANSWERS: tuple[tuple[Parse, Any], ...] = (
    (parse_listeners, LISTENERS),
    (parse_clusters, CLUSTERS),
    (parse_cluster_names, CLUSTERS),
    (parse_endpoints, ENDPOINTS),
    (parse_count, built.count(12)),
)
each_answer = pytest.mark.parametrize(("parse", "whole"), ANSWERS, ids=lambda value: getattr(value, "__name__", ""))


def stored(parse: Parse, whole: Any) -> Any:
    return decoded(kept_of(json.dumps(whole), kept_for(parse), Hiding()))


@each_answer
def test_what_is_kept_gives_the_same_facts(parse: Parse, whole: Any) -> None:
    once = stored(parse, whole)
    assert parse(once) == parse(whole)
    assert parse(once)
    assert stored(parse, once) == once


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a document."""
    entries = (
        document.items() if isinstance(document, Mapping) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def damaged(document: Any, path: tuple[Any, ...], instead: Any) -> Any:
    """A document with another value in one place; without that place where the value is an Ellipsis. All else is shared."""
    made = holder = copy.copy(document)
    for key in path[:-1]:
        holder[key] = copy.copy(holder[key])
        holder = holder[key]
    if instead is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = instead
    return made


def outcome(parse: Parse, document: Any) -> Any:
    try:
        return parse(document)
    except CouldNotTell as error:
        return error.expected


@pytest.mark.parametrize("instead", [..., None, {}, [], "", "x", 7, True, {"x": 1}, ["x"]], ids=repr)
@each_answer
def test_a_damaged_answer_gives_the_same_facts_or_the_same_error(parse: Parse, whole: Any, instead: Any) -> None:
    for path in places(whole):
        document = damaged(whole, path, instead)
        assert outcome(parse, stored(parse, document)) == outcome(parse, document), path


def words(document: Any) -> set[str]:
    """All keys and texts of a document."""
    if isinstance(document, Mapping):
        return {str(key) for key in document} | {word for value in document.values() for word in words(value)}
    if isinstance(document, list):
        return {word for value in document for word in words(value)}
    return {str(document)}


def test_nothing_else_is_kept() -> None:
    of_listeners, of_clusters, of_endpoints = (words(stored(p, d)) for p, d in (ANSWERS[0], ANSWERS[1], ANSWERS[3]))
    assert not of_listeners & {"PRIVATE", "private_key", "envoy.filters.network.tcp_proxy", "tls_params", "INBOUND"}
    assert not of_clusters & {"tls_params", "connect_timeout", "resource_api_version", "initial_fetch_timeout", "PRIVATE"}
    assert not of_endpoints & {"health_status", "HEALTHY", "load_balancing_weight", "locality", "health_check_config"}
    assert words(stored(parse_cluster_names, built.dump(built.istio_mutual(HOST, 80, [CART])))) == {
        *("configs", "cluster", "name", f"outbound|80||{HOST}")
    }


LIKE_SECRETS = ("abcdef.0123456789abcdef", "xoxb-123456789012-abcdefabcdef", "glpat-abcdefghijklmnopqrst")
"""Names that Kubernetes takes, and that look like tokens."""


@pytest.mark.parametrize("name", LIKE_SECRETS)
def test_names_stay_whatever_they_look_like(name: str) -> None:
    """A tenant who chooses such a name hides no destination, and is not refused where its peers expect it."""
    host, account = f"{name}.shop.svc.cluster.local", f"spiffe://teleport.example.com/ns/shop/sa/{name}"
    clusters = built.dump(built.auto_mutual(host, 80, [account]), built.cluster(name, 80))
    assert parse_clusters(stored(parse_clusters, clusters)) == parse_clusters(clusters)
    assert parse_cluster_names(stored(parse_cluster_names, clusters)) == parse_cluster_names(clusters)
    endpoint = built.endpoint("10.0.0.1", 8080, workload=f"{name};shop;{name};latest;Kubernetes")
    endpoints = built.dump(built.endpoints(host, 80, endpoint))
    assert parse_endpoints(stored(parse_endpoints, endpoints)) == parse_endpoints(endpoints)
    listeners = built.dump(
        built.listener("a", 443, [built.chain("a", server_names=[host], socket=built.downstream([account]))])
    )
    assert parse_listeners(stored(parse_listeners, listeners)) == parse_listeners(listeners)


def test_a_secret_among_names_is_hidden() -> None:
    clusters = built.dump(
        built.istio_mutual(HOST, 80, ["password: of-somebody", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln/x"])
    )
    (cluster,) = parse_clusters(stored(parse_clusters, clusters))
    assert [name_of(cluster.socket, at).text for at in (0, 1)] == ["password: [redacted]", "[redacted]/x"]


def name_of(socket: Socket, at: int) -> NameMatch:
    assert socket.tls is not None
    return socket.tls.names[at]
