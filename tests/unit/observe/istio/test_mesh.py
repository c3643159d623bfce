"""The mesh, read from a cluster of captures."""

from __future__ import annotations

import copy

import pytest

from facts.errors import CouldNotTell
from facts.recorder import KeptInMemory
from observe.istio.mesh import read_mesh
from observe.kubernetes.cluster import Cluster
from settings import Names
from tests.data import document
from tests.unit.observe.api_server import ApiServer
from tests.unit.observe.captured import APPS


def test_the_mesh_as_installed(cluster: Cluster, healthy: ApiServer, recorder: KeptInMemory) -> None:
    mesh = read_mesh(cluster, Names())
    assert (mesh.revision, mesh.trust_domain, mesh.normalization) == ("default", "teleport.conformance.test", "NONE")
    assert [d.name for d in mesh.istiod] == ["istiod"]
    assert [d.name for d in mesh.gateways] == ["istio-ingressgateway"]
    assert dict(mesh.image_tags) == {"istiod": "1.31.0-lab"}
    assert "spire" in mesh.templates
    assert len(mesh.evidence) == 4  # Deployments, DaemonSets and two ConfigMaps
    assert set(mesh.evidence) <= set(recorder.evidence)


def _revisions(server: ApiServer, *revisions: str) -> None:
    deployments = document("cluster/deployments.json")
    istiod = next(d for d in deployments["items"] if d["metadata"]["name"] == "istiod")
    others = [d for d in deployments["items"] if d is not istiod]
    made = []
    for revision in revisions:
        one = copy.deepcopy(istiod)
        one["metadata"]["labels"]["istio.io/rev"] = revision
        one["metadata"]["name"] = f"istiod-{revision}"
        made.append(one)
    server.answer(f"GET {APPS}/deployments", {"items": others + made})


def test_a_revision_has_config_maps_of_its_own(cluster: Cluster, healthy: ApiServer) -> None:
    _revisions(healthy, "canary")
    with pytest.raises(CouldNotTell) as caught:
        read_mesh(cluster, Names())
    assert "istio-system/istio-canary" in caught.value.where
    _revisions(healthy, "default", "canary")
    assert [d.name for d in read_mesh(cluster, Names()).istiod] == ["istiod-default"]
    _revisions(healthy, "a", "b")
    with pytest.raises(CouldNotTell) as caught:
        read_mesh(cluster, Names())
    assert "revisions a, b" in caught.value.seen


def _istiod_in(server: ApiServer, *namespaces: str) -> None:
    deployments = document("cluster/deployments.json")
    istiod = next(d for d in deployments["items"] if d["metadata"]["name"] == "istiod")
    moved = [copy.deepcopy(istiod) for _ in namespaces]
    for one, namespace in zip(moved, namespaces, strict=True):
        one["metadata"]["namespace"] = namespace
        for name, file in (("istio", "config_map_istio"), ("istio-sidecar-injector", "config_map_injector")):
            server.answer(f"GET /api/v1/namespaces/{namespace}/configmaps/{name}", document(f"cluster/{file}.json"))
    others = [d for d in deployments["items"] if d is not istiod]
    server.answer(f"GET {APPS}/deployments", {"items": others + moved})


def test_istio_in_another_namespace_is_found_by_istiods_label(cluster: Cluster, healthy: ApiServer) -> None:
    _istiod_in(healthy, "mesh")
    mesh = read_mesh(cluster, Names())
    assert (mesh.namespace, [d.namespace for d in mesh.istiod]) == ("mesh", ["mesh"])
    _istiod_in(healthy, "mesh", "istio-system")
    assert read_mesh(cluster, Names()).namespace == "istio-system", "what is named goes first"
    _istiod_in(healthy, "a", "b")
    with pytest.raises(CouldNotTell, match=r"app=istiod in a, b .*names\.istio_namespace"):
        read_mesh(cluster, Names())
