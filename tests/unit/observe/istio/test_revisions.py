"""Steps and readings in a cluster with two revisions of Istio, over an API server of captures."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest

from checks import identity
from checks import istio as checks
from checks.realms import realms_of
from facts.errors import CouldNotTell
from facts.istio.istio_ca import CONFIG_MAP
from judge.findings import listed
from observe.install import Install
from observe.istio.facet import DRY_RUN
from observe.kubernetes.cluster import Cluster
from providers.teleport.observe.facet import PING
from tests.data import document
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated
from tests.unit.judge.certificates import authority
from tests.unit.observe import doubles
from tests.unit.observe.api_server import ApiServer, Canned
from tests.unit.observe.captured import APPS, WEBHOOKS
from tests.unit.observe.istio.revisions import SYSTEM, istiods, webhook

APP = "test-app"
STATUS = "sidecar.istio.io/status"
NORMALIZES = {"pathNormalization": {"normalization": "DECODE_AND_MERGE_SLASHES"}}


def namespaces(server: ApiServer, **labels: dict[str, str]) -> None:
    items = [{"metadata": {"name": name.replace("_", "-"), "labels": each}} for name, each in labels.items()]
    server.answer("GET /api/v1/namespaces", {"items": items})


def of_revision(server: ApiServer, revision: str) -> list[str]:
    """Turns the first of the captured pods with a sidecar into one that a revision injected; returns the names of all."""
    pods = copy.deepcopy(document("cluster/pods.json"))
    living = [p for p in pods["items"] if "deletionTimestamp" not in p["metadata"]]
    of_app = [p for p in living if STATUS in p["metadata"].get("annotations", {})]
    of_app[0]["metadata"]["annotations"] |= {STATUS: f'{{"revision": "{revision}"}}', "istio.io/rev": revision}
    server.answer("GET /api/v1/pods", pods)
    return [p["metadata"]["name"] for p in of_app]


@pytest.fixture
def install(cluster: Cluster, healthy: ApiServer) -> Install:
    namespaces(healthy, test_app={"istio-injection": "enabled"})
    no_host = {"/config_dump?resource=dynamic_listeners": Canned({"configs": []})}
    healthy.http = {**(healthy.http or {}), **no_host}
    return doubles.install(cast("Any", cluster))


def test_a_canary_that_is_down_fails_under_its_own_name(install: Install, healthy: ApiServer) -> None:
    istiods(healthy, (SYSTEM, "default"), (SYSTEM, "canary"), canary={"trustDomain": "cluster.local"})
    deployments = healthy.answers[f"GET {APPS}/deployments"].body
    (canary,) = (d for d in deployments["items"] if d["metadata"]["name"] == "istiod-canary")
    canary["status"] = {"observedGeneration": canary["metadata"]["generation"]}
    fine, down = checks.control_planes_are_available(install)
    holds(fine, "INST-05")
    assert fine.seen == "istio-ingressgateway 1/1, istiod 1/1"
    violated(down, "INST-05", "0 of 1 replicas are available")
    assert down.where == "Deployment istio-system/istiod-canary"
    install.cluster.readings.renew(PING, make.ping(cluster_name="teleport.conformance.test"))
    fine, other = checks.trust_domain_is_teleports(install)
    holds(fine, "INST-06")
    violated(other, "INST-06", "Istio's trust domain is cluster.local")
    assert other.where == "ConfigMap istio-system/istio-canary"


def test_the_captured_install_has_one_finding_each(install: Install) -> None:
    """The words of an install without revisions, which other tests do not hold to the captured objects."""
    (available,) = checks.control_planes_are_available(install)
    assert (available.where, available.seen) == (
        "Deployment istio-system/istio-ingressgateway, Deployment istio-system/istiod",
        "istio-ingressgateway 1/1, istiod 1/1",
    )
    (images,) = checks.images_have_istiods_version(install)
    count = 2 + len(install.proxies.pods())
    assert (images.where, images.seen) == (
        "Istio in istio-system",
        f"all {count} images have the version 1.31.0-lab",
    )
    (normalized,) = checks.paths_are_normalized(install)
    assert normalized.seen == "all proxies do as NONE demands"


def test_a_pod_is_held_against_the_configuration_of_its_revision(install: Install, healthy: ApiServer) -> None:
    """The captured Envoy normalizes nothing, as the default revision says."""
    istiods(healthy, (SYSTEM, "default"), (SYSTEM, "canary"), canary=NORMALIZES)
    first, *_others = of_revision(healthy, "canary")
    default, canary = checks.paths_are_normalized(install)
    holds(default, "INST-08")
    violated(canary, "INST-08", "it has normalize_path False", causes=("proxy-older-than-mesh-config",))
    assert [problem.subject.name for problem in canary.problems] == [first]


def test_a_right_canary_pod_with_another_normalization(install: Install, healthy: ApiServer) -> None:
    istiods(healthy, (SYSTEM, "default"), (SYSTEM, "canary"), default=NORMALIZES)
    first, *others = of_revision(healthy, "canary")
    default, canary = checks.paths_are_normalized(install)
    holds(canary, "INST-08")
    violated(default, "INST-08")
    named = {problem.subject.name for problem in default.problems}
    assert set(others) <= named
    assert first not in named


def test_two_revisions_behind_tags(install: Install, healthy: ApiServer) -> None:
    istiods(healthy, (SYSTEM, "a"), (SYSTEM, "b"), gateway="a")
    healthy.answer(f"GET {WEBHOOKS}", {"items": [webhook("t", tag="prod", rev="b")]})
    namespaces(healthy, test_app={"istio.io/rev": "prod"})
    pods = copy.deepcopy(document("cluster/pods.json"))
    for pod in pods["items"]:
        annotations = pod["metadata"].get("annotations", {})
        if STATUS in annotations:
            annotations |= {STATUS: '{"revision": "b"}', "istio.io/rev": "b"}
        elif pod["metadata"]["labels"].get("istio") == "ingressgateway":
            pod["metadata"]["labels"]["istio.io/rev"] = annotations["istio.io/rev"] = "a"
    healthy.answer("GET /api/v1/pods", pods)
    assert install.istio.mesh().revision == "b"
    findings = checks.images_have_istiods_version(install)
    assert [finding.where for finding in findings] == [
        "Istio in istio-system, revision a",
        "Istio in istio-system, revision b",
    ]
    for finding in findings:
        holds(finding, "INST-05")
    assert install.istio.proxy_image().endswith("proxyv2:1.31.0-lab")
    labels = install.istio.planes().labels_in(install.istio.mesh(), {"istio-injection": "enabled"})
    assert labels == {"istio.io/rev": "b"}


def test_a_pod_of_a_revision_that_is_gone_fails(install: Install, healthy: ApiServer) -> None:
    first, *_others = of_revision(healthy, "1-29")
    fine, gone = checks.images_have_istiods_version(install)
    holds(fine, "INST-05")
    violated(gone, "INST-05", "it belongs to the revision 1-29, and there is istiod only of default")
    assert [problem.subject.name for problem in gone.problems] == [first]


@pytest.mark.parametrize(
    ("app", "tags", "revision"),
    [
        ({"istio.io/rev": "b"}, {}, "b"),
        ({"istio.io/rev": "stable"}, {"stable": "a"}, "a"),
        ({"istio-injection": "enabled"}, {"default": "b"}, "b"),
        ({}, {"default": "a"}, "a"),
        ({"istio-injection": "disabled", "istio.io/rev": "b"}, {"default": "a"}, "a"),
    ],
)
def test_the_suites_own_pods_follow_the_applications_namespace(
    install: Install, healthy: ApiServer, app: dict[str, str], tags: dict[str, str], revision: str
) -> None:
    istiods(healthy, (SYSTEM, "a"), (SYSTEM, "b"))
    healthy.answer(f"GET {WEBHOOKS}", {"items": [webhook(tag, tag=tag, rev=of) for tag, of in tags.items()]})
    namespaces(healthy, other={"istio.io/rev": "a"}, test_app=app)
    assert install.istio.mesh().revision == revision


def test_where_nothing_says_which_revision_the_suites_pods_are_to_have(install: Install, healthy: ApiServer) -> None:
    istiods(healthy, (SYSTEM, "a"), (SYSTEM, "b"))
    namespaces(healthy, test_app={})
    assert [mesh.revision for mesh in install.istio.planes()] == ["a", "b"]
    assert install.istio.mesh_of_the_application() is None
    with pytest.raises(CouldNotTell, match=r"injects the namespace test-app.*neither, and the revisions a, b"):
        install.istio.mesh()
    install.cluster.once(DRY_RUN.narrowed(""), make.dry_run)
    assert realms_of(install).injections == {}, "a dry run of before must not keep the report from its facts"


def test_authorities_and_rights_of_every_namespace_of_istio(install: Install, healthy: ApiServer) -> None:
    istiods(healthy, (SYSTEM, "default"), ("canary", "canary"))
    for number, namespace in enumerate((SYSTEM, "canary")):
        metadata = {"name": CONFIG_MAP, "namespace": namespace}
        body = {"metadata": metadata, "data": {"root-cert.pem": authority(f"istiod {number}").pem}}
        healthy.answer(f"GET /api/v1/namespaces/{namespace}/configmaps/{CONFIG_MAP}", body)
    found = install.istio.authorities()
    assert listed(a.subject for a in found.authorities) == "CN=istiod 0, CN=istiod 1"
    assert len(found.evidence) == 2
    assert (install.istio.namespaces(), install.istio.namespace()) == ((SYSTEM, "canary"), SYSTEM)


def test_an_ingress_gateway_at_zero_is_none(install: Install, healthy: ApiServer) -> None:
    assert [gateway.ref.name for gateway in install.istio.ingress_gateways()] == ["istio-ingressgateway"]
    deployments = copy.deepcopy(document("cluster/deployments.json"))
    (gate,) = (d for d in deployments["items"] if d["metadata"]["name"] == "istio-ingressgateway")
    gate["spec"]["replicas"] = 0
    gate["status"] = {"observedGeneration": gate["metadata"]["generation"]}
    healthy.answer(f"GET {APPS}/deployments", deployments)
    pods = document("cluster/pods.json")
    of_others = [p for p in pods["items"] if p["metadata"]["labels"].get("istio") != "ingressgateway"]
    healthy.answer("GET /api/v1/pods", {"items": of_others})
    at_zero = doubles.install(cast("Any", install.cluster.reader))
    assert at_zero.istio.ingress_gateways() == ()
    (finding,) = checks.control_planes_are_available(at_zero)
    holds(finding, "INST-05")
    assert [(str(each.subject), each.said) for each in finding.left_out] == [
        ("Deployment istio-system/istio-ingressgateway", "it is scaled to 0")
    ]


def test_namespaces_that_no_istiod_watches_are_named(install: Install, healthy: ApiServer) -> None:
    selectors = {"discoverySelectors": [{"matchLabels": {"istio-discovery": "enabled"}}]}
    istiods(healthy, (SYSTEM, "default"), default=selectors)
    watched = {"istio-injection": "enabled", "istio-discovery": "enabled"}
    namespaces(healthy, test_app=watched, istio_system={}, kube_system={})
    outside = identity.outside_of_teleport(install)
    of_namespaces = [each for each in outside.left_out if each.subject.kind == "Namespace"]
    assert [(str(each.subject), each.said) for each in of_namespaces] == [
        (
            "Namespace kube-system",
            "no istiod watches it: its labels fit no discovery selector of the mesh configuration",
        )
    ]
    assert [(str(each.subject), each.said) for each in outside.unwatched] == [
        (
            "Namespace istio-system",
            "no istiod watches it: its labels fit no discovery selector of the mesh configuration, and 1 proxies run there",
        )
    ]
    assert outside.lacking == ()
