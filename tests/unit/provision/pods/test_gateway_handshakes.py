"""The mesh's own ingress gateway between the test pods: what opens it, and what is waited for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from facts.document import Reading, decoded
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.istio.services import Ingress, Service
from facts.kubernetes.objects import Pod
from facts.proxies.envoy_traffic import HOSTS, ROUTES
from facts.proxies.tls.outbound import joined, parse_clusters, parse_endpoints
from facts.traffic.handshakes import OF_THE_GATEWAY
from observe.command import CommandResult
from observe.proxies.envoy import PARSERS
from observe.wait import Pace
from provision.pods import gateway_handshakes as module
from provision.pods.gateway_handshakes import GatewayHandshakes, OpenGateway
from tests.unit.facts import tls_dumps as built
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW

HOST = "gate.istio-system.svc.example.org"
OWN = "handshakes.run-mesh.invalid"
GATEWAY = replace(make.pod("gate-1", namespace="istio-system"), ip="10.0.0.7")
PODS = {
    "alpha": replace(make.pod("alpha", namespace="run-mesh"), ip="10.0.0.1"),
    "classic": replace(make.pod("classic", namespace="run-classic"), ip="10.0.0.2"),
    "plain": replace(make.pod("plain", namespace="run-mesh", injected=False), ip="10.0.0.3"),
}


class TestPods:
    """Pods that are Ready."""

    __test__ = False

    def names(self) -> tuple[str, ...]:
        return tuple(PODS)

    def ready(self, *names: str) -> tuple[Pod, ...]:
        return tuple(PODS[name] for name in names)

    def namespace(self, name: str) -> str:
        return PODS[name].namespace


class FakeObjects:
    """Keeps what is applied."""

    def __init__(self) -> None:
        self.applied: dict[str, dict[str, Any]] = {}

    def apply_all(self, documents: list[dict[str, Any]]) -> None:
        self.applied |= {f"{d['kind']}/{d['metadata']['name']}": d for d in documents}


class FakeCluster:
    """Runs the client's attempts to connect, which succeed unless it refuses."""

    refuses = False

    def execute(self, pod: ObjectRef, _container: str, argv: list[str]) -> CommandResult:
        assert pod == PODS["plain"].ref
        assert argv[-2:] == ["gate.istio-system", "8000"]
        words = "ConnectionRefusedError: [Errno 111]" if self.refuses else ""
        return CommandResult(tuple(argv), 1 if words else 0, "", words, datetime.now(UTC))


def routes(*domains: str) -> dict[str, Any]:
    hosts = [{"name": domain, "domains": [domain], "routes": []} for domain in domains]
    return {"configs": [{"route_config": {"name": "http.8080", "virtual_hosts": hosts}}]}


def hosts(*addresses: str) -> dict[str, Any]:
    each = [{"address": {"socket_address": {"address": address, "port_value": 8080}}} for address in addresses]
    return {"cluster_statuses": [{"host_statuses": each}]}


class Proxies:
    """Answers of the proxies, with all that the suite waits for."""

    def __init__(self) -> None:
        domains, addresses = (f"{name}.{OWN}" for name in PODS), (pod.ip for pod in PODS.values())
        self.of_gateway = {ROUTES: routes(OWN, *domains), HOSTS: hosts(*addresses)}
        self.of_client = {ROUTES: routes(OWN, "other.example.org")}
        self.clusters = [
            built.cluster(HOST, 443),
            built.cluster(HOST, 8000),
            built.cluster("gate.shop.svc.example.org", 8000),
        ]
        self.endpoints = built.endpoints(HOST, 8000, built.endpoint("10.0.0.9", 1), built.endpoint("10.0.0.7", 8080))

    def read(self, _cluster: object, pod: Pod, paths: list[str]) -> dict[str, Reading]:
        said = self.of_gateway if pod is GATEWAY else self.of_client
        bodies = {p: evidence_of(p, pod.ref, json.dumps(said[p]), read_at=NOW, parser=PARSERS[p]).body for p in paths}
        return {path: Reading(decoded(body), "ev", NOW) for path, body in bodies.items()}

    def tls(self, _connection: object, pod: Pod, _shared: object) -> Any:
        assert pod is PODS["alpha"]
        clusters, endpoints = parse_clusters(built.dump(*self.clusters)), parse_endpoints(built.dump(self.endpoints))
        return SimpleNamespace(destinations=joined(clusters, endpoints))


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> Proxies:
    made = Proxies()
    monkeypatch.setattr(module, "read_admin", made.read)
    monkeypatch.setattr(module, "tls_of", made.tls)
    return made


@pytest.fixture
def objects() -> FakeObjects:
    return FakeObjects()


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


def opened(objects: FakeObjects, cluster: FakeCluster) -> OpenGateway:
    pace = Pace(0.1, 0.05, sleep=lambda _seconds: None)
    gateway = make.ingress_gateway(
        ref=ObjectRef("DaemonSet", "gate", "istio-system"), selector={"app": "gate"}, service_account="gate"
    )
    ingress = Ingress(gateway, Service("istio-system", "gate", {"app": "gate"}, {"http": 8000}, ()), 8000)
    setup = GatewayHandshakes(cast("Any", objects), cast("Any", cluster), cast("Any", TestPods()), pace)
    return setup.open(ingress, [GATEWAY])


def test_the_gateway_is_opened_for_itself_and_for_each_test_pod(
    proxies: Proxies, objects: FakeObjects, cluster: FakeCluster
) -> None:
    found = opened(objects, cluster)
    assert (found.url, found.own_host, found.pods) == ("http://gate.istio-system:8000/", OWN, (GATEWAY,))
    assert found.hosts == {name: f"{name}.{OWN}" for name in PODS}
    assert found.port == 8080
    gateway = objects.applied["Gateway/handshakes"]["spec"]
    assert (gateway["selector"], gateway["servers"][0]["port"]["number"]) == ({"app": "gate"}, 8000)
    to_it = objects.applied["VirtualService/to-the-gateway"]["spec"]["http"][0]["route"][0]["destination"]
    assert to_it == {"host": HOST, "port": {"number": 8000}}
    behind = objects.applied["VirtualService/classic-behind-the-gateway"]
    assert behind["metadata"]["namespace"] == "run-classic"
    assert behind["spec"]["hosts"] == [f"classic.{OWN}"]
    assert behind["spec"]["gateways"] == ["run-mesh/handshakes"]
    own = objects.applied["VirtualService/handshakes-with-the-gateway"]["spec"]
    assert own["http"] == [{"directResponse": {"status": OF_THE_GATEWAY}}]


def test_it_is_waited_until_every_proxy_knows_the_gateway(
    proxies: Proxies, objects: FakeObjects, cluster: FakeCluster
) -> None:
    for waiting, words in (
        ({"of_gateway": {**proxies.of_gateway, ROUTES: routes(OWN)}}, rf"has no route for alpha\.{OWN}, classic"),
        ({"of_gateway": {**proxies.of_gateway, HOSTS: hosts("10.0.0.1")}}, r"does not know 10\.0\.0\.2, 10\.0\.0\.3"),
        ({"of_client": {ROUTES: routes(f"{OWN}.example")}}, rf"alpha has no route for {OWN}"),
        (
            {"endpoints": built.endpoints(HOST, 8000, built.endpoint("10.0.0.9", 1))},
            "none of its clusters leads to port 8000",
        ),
        ({"clusters": proxies.clusters[::2]}, "none of its clusters leads to port 8000 of gate.istio-system"),
    ):
        former = {name: getattr(proxies, name) for name in waiting}
        for name, value in waiting.items():
            setattr(proxies, name, value)
        with pytest.raises(CouldNotTell, match=words):
            opened(objects, cluster)
        for name, value in former.items():
            setattr(proxies, name, value)
    cluster.refuses = True
    with pytest.raises(CouldNotTell, match="Errno 111"):
        opened(objects, cluster)
