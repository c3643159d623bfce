"""One proxy in both directions, by documents that are built (`tests.unit.facts.tls_dumps`), not captured."""

from __future__ import annotations

from dataclasses import replace

from facts.evidence import ObjectRef
from facts.proxies.identity import PodRef
from facts.proxies.tls.context import Layer
from facts.proxies.tls.inbound import Connection, parse_listeners
from facts.proxies.tls.outbound import joined, parse_clusters
from facts.proxies.tls.proxy import ProxyTls, TlsOfFleet
from tests.unit.facts import tls_dumps as built

POD = PodRef("shop", "cart-1", "uid-1", "cart", "node-1")


def proxy(*listeners: dict[str, object]) -> ProxyTls:
    return ProxyTls(POD, parse_listeners(built.dump(*listeners)), (), ("ev-1", "ev-2"))


def test_a_sidecar_takes_every_port_with_one_listener() -> None:
    sidecar = proxy(built.listener("virtualInbound", 15006, built.strict()), built.listener("0.0.0.0_80", 80, []))
    for port in (80, 8080):
        listener = sidecar.listener_at(port)
        assert listener is not None
        assert listener.name == "virtualInbound"
    chain = sidecar.taking(Connection(8080, encrypted=True, alpn=("istio",)))
    assert chain is not None
    assert chain.socket.layer is Layer.TLS
    assert sidecar.taking(Connection(8080, encrypted=False)) is None


def test_a_gateway_takes_the_ports_that_it_listens_on() -> None:
    gateway = proxy(built.listener("0.0.0.0_8080", 8080, [built.chain("http")]))
    chain = gateway.taking(Connection(8080, encrypted=False))
    assert chain is not None
    assert chain.name == "http"
    assert gateway.taking(Connection(8443, encrypted=False)) is None


def test_what_names_a_secret_of_the_provider_makes_envoy_ask_for_it() -> None:
    inbound = built.listener("virtualInbound", 15006, built.strict())
    plain = built.listener("virtualInbound", 15006, built.disabled())
    assert proxy(inbound).asks_for_secrets
    assert not proxy(plain).asks_for_secrets
    clusters = [built.auto_mutual("cart.shop", 80, []), built.istio_mutual("cart.shop", 80, [])]
    for cluster, asks in (*((each, True) for each in clusters), (built.cluster("cart.shop", 80), False)):
        assert replace(proxy(plain), destinations=joined(parse_clusters(built.dump(cluster)), {})).asks_for_secrets is asks


def test_a_fleet_has_the_evidence_of_its_proxies() -> None:
    assert TlsOfFleet((proxy(), proxy()), ()).evidence == ("ev-1", "ev-2", "ev-1", "ev-2")
    assert proxy().ref == ObjectRef("Pod", "cart-1", "shop", "uid-1")
