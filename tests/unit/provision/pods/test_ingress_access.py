"""Gateways in front of a workload: what opens them, and what is waited for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import yaml

from facts.document import Reading, decoded
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.istio.services import Ingress, Service
from facts.kubernetes.objects import Pod
from facts.provider.agents import SocketDirectories
from facts.proxies import policies
from facts.proxies.envoy_traffic import HOSTS, ROUTES
from observe.command import CommandResult
from observe.proxies.envoy import PARSERS
from observe.wait import Pace
from provision.pods import ingress_access as ingress
from provision.pods.ingress_access import IngressSetup
from provision.pods.running import only_on
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW

PLAIN = make.pod("plain", namespace="run", injected=False)
SERVER = replace(make.pod("beta", namespace="run", service_account="beta"), ip="10.0.0.9")
GATEWAY = make.pod("gateway", namespace="istio-system")
SELECTOR = {"app": "gate", "istio": "gate"}


class FakeObjects:
    """Keeps what is applied, and what was waited for."""

    def __init__(self) -> None:
        self.applied: dict[str, dict[str, Any]] = {}
        self.awaited: list[str] = []

    def apply_all(self, documents: list[dict[str, Any]]) -> None:
        self.applied |= {document["kind"]: document for document in documents}

    def await_ready(self, kind: str, name: str, *_pace: Pace, **_more: str) -> None:
        self.awaited.append(f"{kind}/{name}")


class FakeCluster:
    """Knows one pod by any label, and leads to a gateway, or does not yet."""

    def __init__(self, *refuses: str) -> None:
        self.refuses = list(refuses)

    def execute(self, pod: ObjectRef, _container: str, argv: list[str]) -> CommandResult:
        assert pod == PLAIN.ref
        assert argv[-1] in {"80", "8000"}
        words = self.refuses.pop() if self.refuses else ""
        return CommandResult(tuple(argv), 1 if words else 0, "", f"Traceback\n{words}", datetime.now(UTC))

    def pods(self, namespace: str, label_selector: str) -> tuple[Pod, ...]:
        assert (namespace, label_selector) == ("run", "gateway.networking.k8s.io/gateway-name=ingress")
        return (make.pod("ingress", namespace="run"),)


def let_in(*principals: str) -> dict[str, Any]:
    """A listeners dump with a policy for each principal."""
    ids = [{"authenticated": {"principal_name": {"exact": f"spiffe://teleport.test/ns/{each}"}}} for each in principals]
    rules = {"policies": {"ns[run]-policy[gateway]-rule[0]": {"principals": ids}}}
    rbac = {"@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC", "rules": rules}
    chain = {"filters": [{"typed_config": rbac}]}
    return {"configs": [{"active_state": {"listener": {"filter_chains": [chain]}}}]}


def routes(*domains: str) -> dict[str, Any]:
    """A dump of routes with a virtual host for each domain."""
    hosts = [{"name": f"{domain}:80", "domains": [domain], "routes": []} for domain in domains]
    return {"configs": [{"route_config": {"name": "http.8080", "virtual_hosts": hosts}}]}


def kept(pod: Pod, path: str, answer: Any) -> Any:
    return decoded(evidence_of(path, pod.ref, json.dumps(answer), read_at=NOW, parser=PARSERS[path]).body)


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Answers of every proxy by path, with all that the suite waits for."""
    address = {"address": {"socket_address": {"address": "10.0.0.9", "port_value": 8080}}}
    said: dict[str, Any] = {
        ROUTES: routes("run.invalid", "ingress.run.invalid"),
        HOSTS: {"cluster_statuses": [{"host_statuses": [address]}]},
        policies.OF_SIDECAR: let_in("istio-system/sa/gate", "run/sa/ingress-mine"),
    }

    def read(_cluster: object, pod: Pod, paths: list[str]) -> dict[str, Reading]:
        """The answers as the reader returns them: the part that is kept."""
        return {path: Reading(kept(pod, path, said[path]), "ev", NOW) for path in paths}

    monkeypatch.setattr(ingress, "read_admin", read)
    return said


@pytest.fixture
def objects() -> FakeObjects:
    return FakeObjects()


@pytest.fixture
def ingress_setup(objects: FakeObjects) -> IngressSetup:
    return keeper(objects, FakeCluster())


def keeper(objects: FakeObjects, cluster: FakeCluster) -> IngressSetup:
    pace = Pace(0.1, 0.05, sleep=lambda _seconds: None)
    anything: Any = cluster
    return IngressSetup(cast("Any", objects), anything, client=PLAIN, server=SERVER, trust_domain="teleport.test", pace=pace)


def meshs_own() -> Ingress:
    ref = ObjectRef("DaemonSet", "gate", "istio-system")
    gateway = make.ingress_gateway(ref=ref, selector=SELECTOR, service_account="gate")
    return Ingress(gateway, Service("istio-system", "gate", SELECTOR, {"http": 8000}, ()), 8000)


def test_the_meshs_gateway_is_opened_for_its_own_pods_port_and_identity(
    ingress_setup: IngressSetup, objects: FakeObjects, proxies: dict[str, Any]
) -> None:
    access = ingress_setup.open(meshs_own(), [GATEWAY])
    assert (access.url, access.host, access.pods) == ("http://gate.istio-system:8000/", "run.invalid", (GATEWAY,))
    assert access.identity == "spiffe://teleport.test/ns/istio-system/sa/gate"
    assert {d["metadata"]["namespace"] for d in objects.applied.values()} == {"run"}
    gateway = objects.applied["Gateway"]["spec"]
    assert gateway["selector"] == SELECTOR
    assert gateway["servers"][0]["port"]["number"] == 8000
    source = objects.applied["AuthorizationPolicy"]["spec"]["rules"][0]["from"][0]["source"]
    assert source == {"principals": ["teleport.test/ns/istio-system/sa/gate"]}


@pytest.mark.parametrize("revision", ["default", "canary"])
def test_a_gateway_of_the_runs_own_is_on_the_nodes_socket(
    ingress_setup: IngressSetup, objects: FakeObjects, proxies: dict[str, Any], revision: str
) -> None:
    access = ingress_setup.build("mine", revision, SocketDirectories(frozenset({"/run/other"})))
    assert access.identity == "spiffe://teleport.test/ns/run/sa/ingress-mine"
    assert [pod.name for pod in access.pods] == ["ingress"]
    assert objects.applied["Gateway"]["spec"]["gatewayClassName"] == "mine"
    assert objects.awaited == ["Deployment/ingress-mine"]
    assert "path: /run/other\n" in objects.applied["ConfigMap"]["data"]["deployment"]
    labels = objects.applied["Gateway"]["metadata"].get("labels")
    assert labels == (None if revision == "default" else {"istio.io/rev": "canary"})


def test_where_nodes_have_directories_of_their_own_the_gateway_runs_on_a_node_of_its_directory(
    ingress_setup: IngressSetup, objects: FakeObjects, proxies: dict[str, Any]
) -> None:
    ingress_setup.build("mine", "default", make.OF_POOLS)
    template = yaml.safe_load(objects.applied["ConfigMap"]["data"]["deployment"])["spec"]["template"]["spec"]
    assert SERVER.node == "node-1"
    assert template["affinity"] == only_on("node-1")
    (volume,) = template["volumes"]
    assert volume["hostPath"]["path"] == make.SOCKETS
    assert (volume["name"], volume["emptyDir"]) == ("workload-socket", None)


@pytest.mark.parametrize(
    ("path", "words"),
    [(ROUTES, "has no route for run.invalid"), (HOSTS, "does not know"), (policies.OF_SIDECAR, "has no policy for")],
)
def test_a_proxy_that_does_not_know_yet_is_waited_for(
    ingress_setup: IngressSetup, proxies: dict[str, Any], path: str, words: str
) -> None:
    proxies[path] = {}
    with pytest.raises(CouldNotTell, match=words):
        ingress_setup.open(meshs_own(), [GATEWAY])


def test_a_host_in_another_teams_route_is_no_route_for_it(ingress_setup: IngressSetup, proxies: dict[str, Any]) -> None:
    proxies[ROUTES] = routes("run.invalid.example.com", "other.run.invalid")
    with pytest.raises(CouldNotTell, match="has no route for"):
        ingress_setup.open(meshs_own(), [GATEWAY])


def test_a_gateway_that_the_clients_node_does_not_lead_to_yet_is_waited_for(
    objects: FakeObjects, proxies: dict[str, Any]
) -> None:
    refused = "ConnectionRefusedError: [Errno 111] Connection refused"
    cluster = FakeCluster(refused)
    assert keeper(objects, cluster).open(meshs_own(), [GATEWAY]).pods == (GATEWAY,)
    assert cluster.refuses == []
    with pytest.raises(CouldNotTell, match="Errno 111"):
        keeper(objects, FakeCluster(*[refused] * 1_000_000)).open(meshs_own(), [GATEWAY])
