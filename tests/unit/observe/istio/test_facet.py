"""Gateways of the mesh, and of the Gateway API."""

from __future__ import annotations

import pytest

from observe.istio import facet
from provision.objects import RUN_LABEL
from tests.unit.judge import builders as make
from tests.unit.observe.doubles import Cluster, WithGatewayApi, install

RUN = {RUN_LABEL: "20260301T120000Z-1a2b"}


def test_a_gateway_that_a_run_had_deployed_for_itself_is_none_of_the_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be on its way out while the next run looks; and the list that pods are held against is read after them."""
    own = make.gateway(namespace="conformance-20260301t120000z-1a2b-mesh")
    monkeypatch.setattr(facet, "read_mesh", lambda *_: make.mesh(gateways=(own, make.gateway())))
    cluster = Cluster(namespaces=(make.namespace(), make.namespace(own.namespace, labels=RUN)))
    read = install(cluster)
    assert [g.namespace for g in read.istio.mesh().gateways] == ["istio-system"]
    read.cluster.living_pods()
    assert cluster.asked == ["namespaces", "pods", "namespaces"]


@pytest.mark.parametrize("known", [True, False])
def test_classes_of_gateways_are_asked_for_only_where_there_can_be_some(known: bool) -> None:
    cluster = WithGatewayApi(known=known)
    assert [c.name for c in install(cluster).istio.gateway_classes()] == ["istio"] * known
    assert cluster.asked == ["gateway api"] + ["classes"] * known


@pytest.mark.parametrize(("replicas", "there"), [(1, True), (0, False)])
def test_an_ingress_gateway_that_is_scaled_to_0_is_none(
    replicas: int, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    monkeypatch.setattr(facet, "read_mesh", lambda *_: make.mesh(gateways=(make.gateway(desired=replicas),)))
    read = install(Cluster(namespaces=(make.namespace(),)))
    assert [str(g.ref) for g in read.istio.ingress_gateways()] == ["Deployment istio-system/istio-ingressgateway"] * there
