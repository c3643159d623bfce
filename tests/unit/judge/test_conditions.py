"""Conditions under which a requirement does not apply, each of which the catalogue must list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from facts.document import Reading
from facts.errors import NotApplicable
from facts.istio.gateway_api import CONTROLLER, GatewayClass
from facts.kubernetes.objects import Node
from judge import conditions
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import catalogue
from tests.unit.judge.certificates import NOW

KNOWN = Reading({"kind": "APIResourceList"}, "ev-group", NOW)
WAYPOINTS = GatewayClass("istio-waypoint", "istio.io/mesh-controller", ("ev-classes",))
ISTIODS = GatewayClass("istio", CONTROLLER, ("ev-classes",))


def inapplicable(needs: Callable[[], object], requirement: str, evidence: Sequence[str], where: str) -> None:
    with pytest.raises(NotApplicable) as caught:
        needs()
    met = caught.value
    assert (met.requirement, met.evidence, met.where) == (requirement, tuple(evidence), where)
    assert met.condition in catalogue()[requirement].not_applicable_when
    assert str(met) == f"{requirement} does not apply: {met.condition} ({where})"


def node(name: str) -> Node:
    return Node(name, {}, "v1.34.4", (), unschedulable=False, evidence=(f"ev-{name}",))


@pytest.mark.parametrize("requirement", ["ID-09", "TRF-04"])
def test_two_nodes_must_take_workloads(requirement: str) -> None:
    conditions.needs_two_nodes(requirement, (), ("a", "b"))
    nodes = node("a"), node("b")
    evidence = ["ev-a", "ev-b"]
    inapplicable(lambda: conditions.needs_two_nodes(requirement, nodes, ("a",)), requirement, evidence, "a")
    none = "no node takes workloads"
    inapplicable(lambda: conditions.needs_two_nodes(requirement, nodes, ()), requirement, evidence, none)


def test_an_ingress_gateway_must_be_there() -> None:
    conditions.needs_an_ingress_gateway(make.mesh(), [make.ingress_gateway()], ["ev-pods"])
    mesh = make.mesh(gateways=())
    inapplicable(
        lambda: conditions.needs_an_ingress_gateway(mesh, [], ["ev-pods"]),
        "TRF-05",
        [*mesh.evidence, "ev-pods"],
        "Deployments, DaemonSets and pods of all namespaces",
    )


def test_the_cluster_must_know_the_gateway_api() -> None:
    unknown = Reading(None, "ev-group", NOW)
    inapplicable(
        lambda: conditions.needs_the_gateway_api(unknown, []), "TRF-05", ["ev-group"], "gateway.networking.k8s.io/v1"
    )


def test_istiod_must_serve_a_class_of_gateways() -> None:
    evidence = ["ev-group", "ev-classes"]
    inapplicable(lambda: conditions.needs_the_gateway_api(KNOWN, [WAYPOINTS]), "TRF-05", evidence, "istio-waypoint")
    inapplicable(lambda: conditions.needs_the_gateway_api(KNOWN, []), "TRF-05", ["ev-group"], "GatewayClasses")
    assert conditions.needs_the_gateway_api(KNOWN, [WAYPOINTS, ISTIODS]) is ISTIODS


@pytest.mark.parametrize(
    ("requirement", "condition"),
    [
        ("INST-09", conditions.NO_JWKS),
        ("INST-10", conditions.OTHER_JOIN_METHOD),
        ("CHK-2", conditions.OTHER_JOIN_METHOD),
    ],
)
@pytest.mark.parametrize(("method", "said"), [("iam", "iam"), ("", "token")])
def test_by_another_method_than_kubernetes_no_service_account_is_judged(
    requirement: str, condition: str, method: str, said: str
) -> None:
    conditions.needs_the_kubernetes_join(requirement, make.tbots(), condition)
    other = make.tbot(config=make.tbot_config(join_method=method))
    where = f"DaemonSet teleport-system/tbot, join_method {said}"
    needs = partial(conditions.needs_the_kubernetes_join, requirement, make.tbots(other, other), condition)
    inapplicable(needs, requirement, ["ev-agent"], where)
    # One of several by the method kubernetes is judged.
    conditions.needs_the_kubernetes_join(requirement, make.tbots(other, make.tbot()), condition)
