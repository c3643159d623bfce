"""The control plane of the suite's pods, gateways of the mesh, and of the Gateway API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.istio.control_planes import UnreadPlane
from facts.kubernetes.objects import Labelled
from observe.istio import facet
from provision.objects import RUN_LABEL
from tests.unit import restricted
from tests.unit.judge import builders as make
from tests.unit.observe.doubles import Cluster, WithGatewayApi, install

RUN = {RUN_LABEL: "20260301T120000Z-1a2b"}


def test_a_gateway_that_a_run_had_deployed_for_itself_is_none_of_the_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be on its way out while the next run looks; and the list that pods are held against is read after them."""
    own = make.gateway(namespace="conformance-20260301t120000z-1a2b-mesh")
    monkeypatch.setattr(facet, "read_control_planes", lambda *_: make.planes(make.mesh(gateways=(own, make.gateway()))))
    cluster = Cluster(namespaces=(make.namespace(), make.namespace(own.namespace, labels=RUN)))
    read = install(cluster)
    assert [g.namespace for g in read.istio.mesh().gateways] == ["istio-system"]
    read.cluster.living_pods()
    assert cluster.asked == ["namespaces", "pods", "namespaces", "nodes"]


UNREAD = UnreadPlane("istio-system", "canary", CouldNotTell(expected="a", seen="its configuration", where="c", remedy="d"))


@pytest.mark.parametrize(
    ("app", "unread", "revision"),
    [
        ({"istio.io/rev": "canary"}, UNREAD, ""),
        ({"istio.io/rev": "stable"}, UNREAD, ""),  # a tag of it
        ({"istio.io/rev": "default"}, UNREAD, "default"),
        ({}, UNREAD, "default"),
        ({"istio.io/rev": "default"}, replace(UNREAD, revision="other"), "default"),
    ],
)
def test_no_control_plane_answers_for_one_that_could_not_be_read(
    monkeypatch: pytest.MonkeyPatch, app: dict[str, str], unread: UnreadPlane, revision: str
) -> None:
    planes = replace(make.planes(stable="canary"), unread=(unread,))
    monkeypatch.setattr(facet, "read_control_planes", lambda *_: planes)
    istio = install(Cluster(namespaces=(make.namespace(labels=app),))).istio
    if revision:
        assert istio.mesh().revision == revision
    else:
        with pytest.raises(CouldNotTell, match="its configuration"):
            istio.mesh()


def test_an_unread_default_control_plane_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = replace(make.planes(make.canary()), unread=(replace(UNREAD, revision="default"),))
    monkeypatch.setattr(facet, "read_control_planes", lambda *_: planes)
    with pytest.raises(CouldNotTell, match="its configuration"):
        install(Cluster(namespaces=(make.namespace(labels={}),))).istio.mesh()


REFUSED = make.dry_run(accepted=False, pod=None, message="no")


class Admission(Cluster):
    """A cluster that answers dry runs and keeps the pods."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[Any] = []

    def dry_run_pod(self, namespace: str, document: Any) -> Any:
        self.submitted.append((namespace, document))
        return REFUSED


@pytest.mark.parametrize(
    ("namespaces", "used"),
    [
        ((make.namespace("shop", labels={"istio-injection": "enabled"}), make.namespace("test-app")), "test-app"),
        ((make.namespace("bare", labels={}), make.namespace("shop", labels={"istio-injection": "enabled"})), "shop"),
        ((make.namespace("shop", labels={"istio.io/rev": "another"}),), ""),
    ],
)
def test_a_dry_run_is_made_in_a_namespace_that_is_there_and_injected(
    namespaces: tuple[Labelled, ...], used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facet, "read_control_planes", lambda *_: make.planes())
    assert install(Cluster(namespaces=namespaces)).istio.dry_run_namespace() == used


def test_the_control_of_a_dry_run_is_the_same_pod_without_injection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facet, "read_control_planes", lambda *_: make.planes())
    cluster = Admission()
    istio = install(cluster).istio
    for sidecar in ("", "true", "false"):
        assert istio.control_of(istio.dry_run(sidecar)) is REFUSED
    assert istio.control_of(make.dry_run()) is None
    assert {namespace for namespace, _ in cluster.submitted} == {"test-app"}
    injected, plain, *others = (pod for _, pod in cluster.submitted)
    assert [pod["metadata"].get("annotations", {}).get("sidecar.istio.io/nativeSidecar") for pod in (injected, *others)] == [
        None, "true", "false",
    ]  # fmt: skip
    assert injected["metadata"]["annotations"]["inject.istio.io/templates"] == "sidecar,spire"
    assert plain["metadata"] == {"generateName": "conformance-dry-run-", "labels": {"sidecar.istio.io/inject": "false"}}
    assert {json.dumps(pod["spec"]) for _, pod in cluster.submitted} == {json.dumps(plain["spec"])}
    assert restricted.violations(plain["spec"]) == ()
    assert plain["spec"]["containers"][0]["image"] == "registry.example/istio/proxyv2:1.31.0"


@pytest.mark.parametrize("known", [True, False])
def test_classes_of_gateways_are_asked_for_only_where_there_can_be_some(known: bool) -> None:
    cluster = WithGatewayApi(known=known)
    assert [c.name for c in install(cluster).istio.gateway_classes()] == ["istio"] * known
    assert cluster.asked == ["gateway api"] + ["classes"] * known


@pytest.mark.parametrize(("replicas", "there"), [(1, True), (0, False)])
def test_an_ingress_gateway_that_is_scaled_to_0_is_none(
    replicas: int, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    planes = make.planes(make.mesh(gateways=(make.gateway(desired=replicas),)))
    monkeypatch.setattr(facet, "read_control_planes", lambda *_: planes)
    read = install(Cluster(namespaces=(make.namespace(),)))
    assert [str(g.ref) for g in read.istio.ingress_gateways()] == ["Deployment istio-system/istio-ingressgateway"] * there
