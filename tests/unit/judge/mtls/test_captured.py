"""What the judgments make of proxies that a real Istio configured: the lab's test application and its ingress gateway.

How their Envoys are configured is captured (`tests.data`), healthy and under a fault; what they hold is made for the test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

import pytest

from facts.document import decoded
from facts.finding import Finding, Holds
from facts.kubernetes.objects import Pod
from facts.masks import kept_for, kept_of
from facts.proxies.identity import PodRef, ProxyIdentity
from facts.proxies.tls.context import Layer
from facts.proxies.tls.inbound import Connection, parse_listeners
from facts.proxies.tls.outbound import Destination, joined, parse_cluster_names, parse_clusters, parse_endpoints
from facts.proxies.tls.proxy import ProxyTls, TlsOfFleet
from facts.proxies.tls.questions import parse_count
from facts.redaction import Hiding
from facts.svid import workload_id
from judge.mtls.contexts import TrustDomains, secrets_are_the_providers
from judge.mtls.ends import Ends, MeshTls
from judge.mtls.gateways import gateways_use_their_identities
from judge.mtls.handshakes import handshakes_complete
from judge.mtls.pairs import table_of
from judge.mtls.plain_text import no_port_takes_plain_text, nothing_is_sent_in_plain_text
from judge.mtls.prediction import Outcome
from tests.data import HERE, document, text
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import authority, svid
from tests.unit.judge.mtls.meshes import PORT, ROUTER

T = TypeVar("T")
LAB = "teleport.conformance.test"
APP = "test-app.test-app.svc.cluster.local"
GATEWAY = "istio-ingressgateway.istio-system.svc.cluster.local"
PARSERS: dict[str, Callable[[Any], object]] = {
    "listeners": parse_listeners,
    "clusters": parse_clusters,
    "endpoints": parse_endpoints,
    "cluster_names": parse_cluster_names,
    "cluster_count": parse_count,
}
FILES = sorted(path.relative_to(HERE).as_posix() for path in (HERE / "tls").glob("*/*.json"))


@pytest.mark.parametrize("file", FILES)
def test_every_parser_reads_what_was_captured_and_evidence_keeps_all_of_it(file: str) -> None:
    parser = PARSERS[file.rpartition("/")[2].removesuffix(".json")]
    hiding = Hiding()
    assert parser(document(file)) is not None
    assert decoded(kept_of(text(file), kept_for(parser), hiding)) == document(file)
    assert hiding.count == 0
    assert (HERE / file).stat().st_size < 100_000


def of(name: str, what: str, parser: Callable[[Any], T], otherwise: str = "strict") -> T:
    """A capture, or that of the healthy lab where the fault does not change it."""
    file = f"tls/{name}/{what}.json"
    return parser(document(file if file in FILES else f"tls/{otherwise}/{what}.json"))


def destinations(name: str, otherwise: str) -> tuple[Destination, ...]:
    return joined(of(name, "clusters", parse_clusters, otherwise), of(name, "endpoints", parse_endpoints, otherwise))


def mesh(app: str = "strict", gateway: str = "gateway") -> Ends:
    """The lab's mesh: two pods of the test application, which are configured alike, and the ingress gateway."""
    addresses = {
        service: [endpoint.address for endpoint in of("strict", "endpoints", parse_endpoints)[f"outbound|80||{service}"]]
        for service in (APP, GATEWAY)
    }
    pods = [
        *(_pod(f"app-{number}", address) for number, address in zip(count(1), addresses[APP], strict=False)),
        _gateway(*addresses[GATEWAY]),
    ]
    tls = [_tls(pod, gateway if pod.is_gateway else app) for pod in pods]
    identities = make.fleet(*map(_identity, pods))
    return Ends(MeshTls(pods, identities, TlsOfFleet(tuple(tls), ()), ("ev-pods",)))


def _pod(name: str, address: str) -> Pod:
    pod = make.pod(name, owner="ReplicaSet/test-app")
    app = make.container("app", tcp_ports=(PORT,))
    containers = tuple(app if each.name == "app" else each for each in pod.containers)
    return replace(pod, ip=address, spec=replace(pod.spec, containers=containers))


def _gateway(address: str) -> Pod:
    account = "istio-ingressgateway-service-account"
    return replace(make.pod("gateway", namespace="istio-system", service_account=account, proxy=ROUTER), ip=address)


def _tls(pod: Pod, name: str) -> ProxyTls:
    otherwise = "gateway" if pod.is_gateway else "strict"
    listeners = of(name, "listeners", parse_listeners, otherwise)
    return ProxyTls(PodRef.of(pod), listeners, destinations(name, otherwise), (f"ev-tls-{pod.name}",))


def _identity(pod: Pod) -> ProxyIdentity:
    leaf = svid(uri=workload_id(LAB, pod.namespace, pod.service_account))
    return make.proxy(pod, chain=(leaf,), root_authorities={LAB: (authority(),)})


def judged(of: Ends) -> dict[str, Finding]:
    domains, table = TrustDomains((LAB,), ("ev-ping",)), table_of(of)
    return {
        "MTL-01": secrets_are_the_providers(of, domains),
        "MTL-02": no_port_takes_plain_text(of),
        "MTL-03": nothing_is_sent_in_plain_text(of, table),
        "MTL-04": handshakes_complete(of, table),
        "MTL-06": gateways_use_their_identities(of, table, domains),
    }


def broken(of: Ends) -> dict[str, set[str]]:
    """The causes of each requirement that does not hold."""
    found = judged(of)
    assert {finding.holds for finding in found.values()} <= {Holds.YES, Holds.NO}
    return {requirement: {*finding.causes} for requirement, finding in found.items() if finding.holds is Holds.NO}


def test_the_healthy_lab_breaks_nothing() -> None:
    lab = mesh()
    assert broken(lab) == {}
    assert {row.prediction.outcome for row in table_of(lab).rows if not row.server.is_gateway} == {Outcome.COMPLETED}
    assert sum(row.ways for row in table_of(lab).rows if not row.server.is_gateway) == 6


def test_how_the_healthy_lab_is_configured() -> None:
    (app, _, gateway) = mesh().mesh.tls.proxies
    assert of("strict", "cluster_count", parse_count) >= len(of("strict", "cluster_names", parse_cluster_names)) == 15
    encrypted = app.taking(Connection(PORT, encrypted=True, alpn=("istio",)))
    assert encrypted is not None
    assert encrypted.socket.tls is not None
    assert (encrypted.socket.tls.certificate, encrypted.socket.tls.validation) == ("default", "ROOTCA")
    assert [str(name) for name in encrypted.socket.tls.names] == [f"prefix spiffe://{LAB}/"]
    assert app.taking(Connection(PORT, encrypted=False)) is None
    for proxy in (app, gateway):
        (to_app,) = (each for each in proxy.destinations if each.cluster.service == f"{APP}:80")
        sockets = {to_app.socket_to(endpoint) for endpoint in to_app.endpoints}
        assert {socket.layer for socket in sockets} == {Layer.TLS}
        expected = {str(name) for socket in sockets if socket.tls for name in socket.tls.names}
        assert expected == {workload_id(LAB, "test-app", "test-app")}
        assert proxy.asks_for_secrets


@pytest.mark.parametrize(
    ("app", "gateway", "breaks"),
    [
        (
            "off",
            "off_gateway",
            {
                "MTL-01": {"mutual-tls-disabled"},
                "MTL-02": {"mutual-tls-disabled"},
                "MTL-03": {"mutual-tls-disabled"},
                "MTL-06": {"no-certificate-asked-for"},
            },
        ),
        ("rule_disabled", "gateway", {"MTL-03": {"client-sends-plain-text"}}),
        (
            "client_presents_nothing",
            "gateway",
            {"MTL-01": {"tls-context-replaced"}, "MTL-04": {"tls-context-replaced"}},
        ),
        ("client_expects_nobody", "gateway", {"MTL-01": {"server-not-verified"}}),
        (
            "one_client",
            "gateway",
            {
                "MTL-01": {"clients-restricted-by-name"},
                "MTL-04": {"clients-restricted-by-name"},
                "MTL-06": {"clients-restricted-by-name"},
            },
        ),
        ("certificate_not_required", "gateway", {"MTL-01": {"client-certificate-not-required"}}),
    ],
)
def test_a_fault_as_real_envoys_show_it(app: str, gateway: str, breaks: dict[str, set[str]]) -> None:
    assert broken(mesh(app, gateway)) == breaks


def test_proxies_in_a_mesh_without_mutual_tls_ask_for_nothing() -> None:
    assert not any(proxy.asks_for_secrets for proxy in mesh("off", "off_gateway").mesh.tls.proxies)
