"""Control planes, read from a cluster of captures."""

from __future__ import annotations

import pytest

from facts.errors import CouldNotTell
from facts.istio.control_planes import named_by
from facts.istio.mesh import Mesh
from facts.recorder import KeptInMemory
from observe.istio.mesh import read_control_planes
from observe.kubernetes.cluster import Cluster
from settings import Names
from tests.unit.observe.api_server import ApiServer
from tests.unit.observe.captured import WEBHOOKS
from tests.unit.observe.istio.revisions import SYSTEM, istiods, webhook


def only(cluster: Cluster) -> Mesh:
    (mesh,) = read_control_planes(cluster, Names())
    return mesh


def test_the_mesh_as_installed(cluster: Cluster, healthy: ApiServer, recorder: KeptInMemory) -> None:
    planes = read_control_planes(cluster, Names())
    (mesh,) = planes
    assert (mesh.revision, mesh.trust_domain, mesh.normalization) == ("default", "teleport.conformance.test", "NONE")
    assert [d.name for d in mesh.istiod] == ["istiod"]
    assert [d.name for d in mesh.gateways] == ["istio-ingressgateway"]
    assert dict(mesh.image_tags) == {"istiod": "1.31.0-lab"}
    assert "spire" in mesh.templates
    assert (mesh.injector.never_inject, mesh.injector.always_inject, mesh.injector.policy) == ((), (), "enabled")
    assert mesh.config.discovery_selectors == ()
    assert len(mesh.evidence) == 4  # Deployments, DaemonSets and two ConfigMaps
    assert len(planes.evidence) == 5  # and webhooks
    assert set(planes.evidence) <= set(recorder.evidence)
    pods = [pod for pod in cluster.pods() if pod.is_injected]
    (of_mesh,) = planes.sorted_out(pods, ()).of_each
    assert of_mesh == (mesh, tuple(pods))


def test_every_revision_has_its_own_configuration(cluster: Cluster, healthy: ApiServer) -> None:
    canary = {"trustDomain": "cluster.local", "discoverySelectors": [{"matchLabels": {"istio-discovery": "enabled"}}]}
    istiods(healthy, (SYSTEM, "canary"), (SYSTEM, "default"), canary=canary)
    first, second = read_control_planes(cluster, Names())
    assert (first.revision, first.trust_domain, first.config.discovery_selectors) == (
        "default",
        "teleport.conformance.test",
        (),
    )
    assert (second.revision, second.trust_domain) == ("canary", "cluster.local")
    assert [str(selector) for selector in second.config.discovery_selectors] == ["istio-discovery=enabled"]
    assert ([d.name for d in first.istiod], [d.name for d in second.istiod]) == (["istiod"], ["istiod-canary"])
    assert str(second.config_map) == "ConfigMap istio-system/istio-canary"
    assert ([g.name for g in first.gateways], second.gateways) == (["istio-ingressgateway"], ())


def test_two_revisions_behind_tags(cluster: Cluster, healthy: ApiServer, recorder: KeptInMemory) -> None:
    istiods(healthy, (SYSTEM, "a"), (SYSTEM, "b"))
    tags = [
        webhook("istio-revision-tag-prod", tag="prod", rev="a"),
        webhook("istio-revision-tag-default", tag="default", rev="b"),
        webhook("istio-sidecar-injector-a", rev="a"),
        {"metadata": {"name": "cert-manager"}, "webhooks": []},
    ]
    healthy.answer(f"GET {WEBHOOKS}", {"items": tags})
    planes = read_control_planes(cluster, Names())
    assert [plane.revision for plane in planes] == ["a", "b"]
    assert dict(planes.tags) == {"prod": "a", "default": "b"}
    assert planes.called("prod") is planes.planes[0]
    # The chart's gateway has the label istio.io/rev=default, and so follows what is behind that tag.
    assert [[g.name for g in plane.gateways] for plane in planes] == [[], ["istio-ingressgateway"]]
    (kept,) = (e for e in recorder.evidence.values() if e.question.startswith(f"GET {WEBHOOKS}"))
    assert "caBundle" not in kept.body
    assert "webhooks" not in kept.body


def test_a_gateway_of_a_removed_revision_belongs_to_none(cluster: Cluster, healthy: ApiServer) -> None:
    istiods(healthy, (SYSTEM, "b"), (SYSTEM, "a"))
    planes = read_control_planes(cluster, Names())
    assert [(plane.revision, len(plane.gateways)) for plane in planes] == [("a", 0), ("b", 0)]
    assert [(gateway.name, named_by(gateway)) for gateway in planes.lost_gateways] == [("istio-ingressgateway", "default")]


def test_a_revision_without_its_config_map(cluster: Cluster, healthy: ApiServer) -> None:
    istiods(healthy, (SYSTEM, "canary"))
    healthy.answer("GET /api/v1/namespaces/istio-system/configmaps/istio-canary", {"kind": "Status"}, status=404)
    with pytest.raises(CouldNotTell) as caught:
        read_control_planes(cluster, Names())
    assert "istio-system/istio-canary" in caught.value.where


def test_a_revision_that_cannot_be_read_hides_no_other(cluster: Cluster, healthy: ApiServer) -> None:
    istiods(healthy, (SYSTEM, "a"), (SYSTEM, "default"))
    healthy.answer("GET /api/v1/namespaces/istio-system/configmaps/istio-sidecar-injector", {"kind": "Status"}, status=404)
    planes = read_control_planes(cluster, Names())
    assert [plane.revision for plane in planes] == ["a"]
    assert [(plane.namespace, plane.revision) for plane in planes.unread] == [(SYSTEM, "default")]
    assert "ConfigMap istio-system/istio-sidecar-injector" in planes.unread[0].why.where
    # The gateway is of the default revision, and is not taken for one of the other.
    assert planes.gateways == ()


def test_without_istiod_the_settings_say_where_to_look(cluster: Cluster, healthy: ApiServer) -> None:
    istiods(healthy)
    mesh = only(cluster)
    assert (mesh.namespace, mesh.revision, mesh.istiod) == (SYSTEM, "default", ())


def test_istio_in_another_namespace_is_found_by_istiods_label(cluster: Cluster, healthy: ApiServer) -> None:
    istiods(healthy, ("mesh", "default"))
    mesh = only(cluster)
    assert (mesh.namespace, [d.namespace for d in mesh.istiod]) == ("mesh", ["mesh"])
    istiods(healthy, ("mesh", "default"), (SYSTEM, "default"))
    assert [plane.namespace for plane in read_control_planes(cluster, Names())] == [SYSTEM, "mesh"]
    istiods(healthy, ("mesh", "canary"), ("a", "default"))
    found = [(plane.namespace, plane.revision) for plane in read_control_planes(cluster, Names())]
    assert found == [("a", "default"), ("mesh", "canary")]


def test_one_revision_in_several_namespaces_needs_a_name(cluster: Cluster, healthy: ApiServer) -> None:
    istiods(healthy, ("b", "default"), ("a", "default"))
    with pytest.raises(CouldNotTell, match=r"app=istiod in a, b, all of the revision default.*names\.istio_namespace"):
        read_control_planes(cluster, Names())
