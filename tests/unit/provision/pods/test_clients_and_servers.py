"""Test pods: what is made of the manifests, and how they are awaited."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell, ProvisioningFailed
from facts.kubernetes.objects import parse_pod
from facts.recorder import KeptInMemory
from providers.teleport.facts.issuing import TO_ADMIT_THE_SUITE
from provision.pods.clients_and_servers import CONTAINER, PROGRAMS, TEST_PODS, TRAFFIC, MeshNames, Sidecar, TestPod, TestPods

NAMESPACE = "conformance-run-mesh"


def for_canary(namespace: dict[str, Any]) -> None:
    """A namespace of the revision canary."""
    namespace["metadata"]["labels"] = {"istio.io/rev": "canary"}


MESH = MeshNames("teleport.test", lambda _namespace: None, "spire")


class FakeObjects:
    """Keeps what is applied; its pods are as ready as `ready` says, from the first look on."""

    run_id = "Run"

    def __init__(self, *, ready: bool = True, refuses: str = "") -> None:
        self.applied: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.ready = ready
        self.refuses = refuses
        self.lock = threading.Lock()

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        if document["kind"] == "Pod" and document["metadata"]["name"] == self.refuses:
            raise ProvisioningFailed(expected="yes", seen="HTTP 422: invalid", where="Pod", remedy="none")
        with self.lock:
            self.applied.append(document)
        return document

    def apply_all(self, documents: list[dict[str, Any]]) -> None:
        for document in documents:
            self.apply(document)

    def get(self, _api_version: str, kind: str, name: str, *, namespace: str) -> dict[str, Any] | None:
        for document in self.all_of_kind(kind):
            if (document["metadata"]["name"], document["metadata"]["namespace"]) == (name, namespace):
                ready = {"type": "Ready", "status": str(self.ready), "message": "containers with unready status"}
                return {**document, "status": {"conditions": [ready]}}
        return None

    def delete(self, _api_version: str, _kind: str, name: str) -> None:
        self.deleted.append(name)

    def all_of_kind(self, kind: str) -> list[dict[str, Any]]:
        with self.lock:
            return [d for d in self.applied if d["kind"] == kind]


class FakeCluster:
    """Reads pods out of what was applied."""

    def __init__(self, objects: FakeObjects) -> None:
        self.recorder = KeptInMemory()
        self.objects = objects
        self.reads = 0

    def pod(self, namespace: str, name: str) -> Any:
        self.reads += 1
        return parse_pod(self.objects.get("v1", "Pod", name, namespace=namespace))


def made_on(objects: FakeObjects, *nodes: str, mesh: MeshNames = MESH, patience: float = 5) -> TestPods:
    cluster = cast("Any", FakeCluster(objects))
    return TestPods(cast("Any", objects), cluster, image="python:3", mesh=mesh, nodes=nodes, patience=patience)


@pytest.fixture
def objects() -> FakeObjects:
    return FakeObjects()


@pytest.fixture
def test_pods(objects: FakeObjects) -> Iterator[TestPods]:
    made = made_on(objects, "node-1", "node-2")
    yield made
    made.remove()


def pods_of(test_pods: TestPods) -> dict[str, dict[str, Any]]:
    return {name: test_pods.documents_of(test_pods.wanted(name))[-1] for name in test_pods.names()}


def test_everything_starts_at_once_and_each_is_awaited_by_name(test_pods: TestPods, objects: FakeObjects) -> None:
    (alpha, beta) = test_pods.ready("alpha", "beta")
    assert (alpha.namespace, alpha.service_account, alpha.node) == (NAMESPACE, "alpha", "node-1")
    assert beta.service_account == "beta"
    test_pods.ready(*test_pods.names())
    assert {p["metadata"]["name"] for p in objects.all_of_kind("Pod")} == {w.name for w in TEST_PODS}
    assert {n["metadata"]["name"] for n in objects.all_of_kind("Namespace")} == {NAMESPACE, "conformance-run-classic"}
    assert {n["metadata"]["namespace"] for n in objects.all_of_kind("PeerAuthentication")} == {
        NAMESPACE,
        "conformance-run-classic",
    }
    kinds = [d["kind"] for d in objects.applied]
    assert max(i for i, kind in enumerate(kinds) if kind == "AuthorizationPolicy") < kinds.index("Pod")


def test_a_pod_that_was_awaited_is_read_once(test_pods: TestPods) -> None:
    assert test_pods.ready("alpha")[0] is test_pods.ready("alpha")[0]


def test_the_kinds_of_sidecar_are_asked_for_on_the_pod(test_pods: TestPods) -> None:
    pods = pods_of(test_pods)
    kinds = {w.name: w.sidecar for w in TEST_PODS}
    for name, pod in pods.items():
        annotations, labels = pod["metadata"].get("annotations", {}), pod["metadata"]["labels"]
        templates = annotations.get("inject.istio.io/templates")
        match kinds[name]:
            case Sidecar.NONE:
                assert labels["sidecar.istio.io/inject"] == "false"
                assert not annotations
            case Sidecar.WITHOUT_TEMPLATE:
                assert templates == "sidecar"
            case kind:
                assert templates == "sidecar,spire"
                wanted = "false" if kind is Sidecar.CLASSIC else None
                assert annotations.get("sidecar.istio.io/nativeSidecar") == wanted
    assert (
        "upstream_cx_total,upstream_rq_total"
        in pods["alpha"]["metadata"]["annotations"]["sidecar.istio.io/statsInclusionSuffixes"]
    )
    assert " " not in pods["alpha"]["metadata"]["annotations"]["sidecar.istio.io/statsInclusionSuffixes"]


def test_the_same_account_stands_on_both_nodes(test_pods: TestPods) -> None:
    pods = pods_of(test_pods)
    assert [(pods[n]["spec"]["nodeName"], pods[n]["spec"]["serviceAccountName"]) for n in ("beta", "beta-far")] == [
        ("node-1", "beta"),
        ("node-2", "beta"),
    ]


def test_on_one_node_nothing_stands_on_another() -> None:
    alone = made_on(FakeObjects(), "node-1")
    assert not [name for name in alone.names() if name.endswith("-far")]
    assert {pod["spec"]["nodeName"] for pod in pods_of(alone).values()} == {"node-1"}
    with pytest.raises(CouldNotTell, match="second node"):
        alone.ready("beta-far")


def test_without_a_node_that_takes_workloads_nothing_is_made() -> None:
    objects = FakeObjects()
    with pytest.raises(CouldNotTell, match="Ready, schedulable, Linux"):
        made_on(objects).ready("alpha")
    assert objects.applied == []


def test_policies_name_principals_of_the_mesh_that_was_found() -> None:
    objects = FakeObjects()
    test_pods = made_on(objects, "node-1", mesh=MeshNames("other.test", for_canary, "tbot"))
    test_pods.ready("alpha")
    test_pods.remove()
    policies = {p["metadata"]["name"]: p["spec"] for p in objects.all_of_kind("AuthorizationPolicy")}
    sources = policies["paths-of-gamma"]["rules"][0]["from"][0]["source"]
    assert sources == {"principals": [f"other.test/ns/{NAMESPACE}/sa/alpha"]}
    namespace = objects.all_of_kind("Namespace")[0]["metadata"]["labels"]
    assert namespace["istio.io/rev"] == "canary"
    assert "istio-injection" not in namespace
    assert pods_of(test_pods)["alpha"]["metadata"]["annotations"]["inject.istio.io/templates"] == "sidecar,tbot"


def test_what_a_mesh_hides_by_default_is_shown_to_test_pods(test_pods: TestPods, objects: FakeObjects) -> None:
    """A Sidecar of the root namespace with egress to `./*`, and services that are exported to their own namespace alone."""
    test_pods.ready("alpha", "classic")
    sidecars = {sidecar["metadata"]["namespace"]: sidecar["spec"] for sidecar in objects.all_of_kind("Sidecar")}
    assert sidecars == {each: {"egress": [{"hosts": ["*/*"]}]} for each in (NAMESPACE, "conformance-run-classic")}
    services = objects.all_of_kind("Service")
    assert {service["metadata"]["annotations"]["networking.istio.io/exportTo"] for service in services} == {"*"}
    for kind in ("DestinationRule", "VirtualService"):
        assert {name for made in objects.all_of_kind(kind) for name in made["spec"]["exportTo"]} == {"*"}


def test_every_server_allows_only_its_callers(test_pods: TestPods, objects: FakeObjects) -> None:
    test_pods.ready("alpha")
    policies = {p["metadata"]["name"]: p for p in objects.all_of_kind("AuthorizationPolicy")}
    assert policies.pop("vault-of-gamma")["spec"]["action"] == "DENY"
    assert set(policies) == {"paths-of-gamma", *(f"callers-of-{n}" for n in ("alpha", "beta", "beta-far", "classic"))}
    let_in = {name: p["spec"]["rules"][0]["from"][0]["source"]["principals"] for name, p in policies.items()}
    here, classic = f"teleport.test/ns/{NAMESPACE}/sa", "teleport.test/ns/conformance-run-classic/sa"
    assert let_in["callers-of-alpha"] == [f"{here}/beta", f"{here}/gamma", f"{classic}/alpha"]
    assert let_in["callers-of-beta"] == let_in["callers-of-beta-far"] == let_in["callers-of-classic"] == [f"{here}/alpha"]
    assert policies["callers-of-classic"]["metadata"]["namespace"] == "conformance-run-classic"
    assert policies["callers-of-beta-far"]["spec"]["selector"] == {"matchLabels": {"app": "beta-far"}}
    assert all(p["spec"]["action"] == "ALLOW" for p in policies.values())


def test_workloads_of_another_quarter_have_policies_of_their_own() -> None:
    objects = FakeObjects()
    two = (
        TestPod("alpha", "alpha", namespace="q"),
        TestPod("beta", "beta", namespace="q", callers=("alpha", "gone")),
    )
    cluster = cast("Any", FakeCluster(objects))
    made = TestPods(cast("Any", objects), cluster, two, image="python:3", mesh=MESH, nodes=["node-1"], patience=5)
    made.ready("beta")
    made.remove()
    (policy,) = objects.all_of_kind("AuthorizationPolicy")
    principals = policy["spec"]["rules"][0]["from"][0]["source"]["principals"]
    assert principals == ["teleport.test/ns/conformance-run-q/sa/alpha"]


def test_a_refused_pod_is_said_in_the_api_servers_words() -> None:
    test_pods = made_on(FakeObjects(refuses="beta"), "node-1")
    with pytest.raises(CouldNotTell, match="HTTP 422: invalid"):
        test_pods.ready("beta")
    test_pods.ready("alpha")
    test_pods.remove()


def test_a_pod_that_does_not_become_ready_says_what_it_waits_for() -> None:
    test_pods = made_on(FakeObjects(ready=False), "node-1", patience=0.3)
    with pytest.raises(CouldNotTell, match="containers with unready status"):
        test_pods.ready("alpha")
    test_pods.remove()


def test_everything_is_removed_also_when_the_making_was_interrupted() -> None:
    class Interrupted(FakeObjects):
        def apply(self, document: dict[str, Any]) -> dict[str, Any]:
            super().apply(document)
            raise KeyboardInterrupt

    objects = Interrupted()
    test_pods = made_on(objects, "node-1")
    with pytest.raises(KeyboardInterrupt):
        test_pods.ready("alpha")
    test_pods.remove()
    assert objects.deleted == [NAMESPACE]


def test_a_namespace_that_could_not_be_removed_keeps_no_other_and_is_named() -> None:
    class Busy(FakeObjects):
        def delete(self, api_version: str, kind: str, name: str) -> None:
            if name.endswith("-classic") and not self.deleted:
                raise ProvisioningFailed(expected="yes", seen="HTTP 503: busy", where=name, remedy="none")
            super().delete(api_version, kind, name)

    objects = Busy()
    test_pods = made_on(objects, "node-1")
    test_pods.ready("alpha")
    with pytest.raises(ProvisioningFailed, match=r"HTTP 503.*kubectl delete namespace conformance-run-classic"):
        test_pods.remove()
    assert objects.deleted == [NAMESPACE]
    test_pods.remove()
    assert set(objects.deleted) == {NAMESPACE, "conformance-run-classic"}


def test_nothing_is_removed_that_was_not_made(objects: FakeObjects) -> None:
    made_on(objects, "node-1").remove()
    assert objects.deleted == []


def test_the_pod_runs_the_program_that_its_config_map_holds(test_pods: TestPods, objects: FakeObjects) -> None:
    test_pods.ready("alpha")
    (program,) = [c for c in objects.all_of_kind("ConfigMap") if c["metadata"]["namespace"] == NAMESPACE]
    assert program["data"] == {name: (TRAFFIC / name).read_text() for name in PROGRAMS}
    (container,) = pods_of(test_pods)["alpha"]["spec"]["containers"]
    assert container["name"] == CONTAINER
    assert container["command"][2] == "/traffic/traffic.py"


def test_a_test_pod_that_the_owners_rules_refuse_is_not_awaited(objects: FakeObjects) -> None:
    objects.ready = False

    def why(namespace: str, account: str) -> str:
        return f"the rules refuse {account} of {namespace}" if account == "alpha" else ""

    made = made_on(objects, "node-1", "node-2", mesh=replace(MESH, why_refused=why), patience=0.2)
    for name in ("alpha", "classic"):
        with pytest.raises(CouldNotTell) as refused:
            made.ready(name)
        assert refused.value.seen == f"the rules refuse alpha of {made.namespace(name)}"
        assert refused.value.remedy == TO_ADMIT_THE_SUITE
    for name in ("beta", "plain", "fallback"):
        with pytest.raises(CouldNotTell, match="is Ready within"):
            made.ready(name)
    made.remove()
