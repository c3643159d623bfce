"""Conditions under which a requirement does not apply, each of which the catalogue must list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from facts.document import Absent, Reading
from facts.errors import NotApplicable
from facts.evidence import ObjectRef
from facts.istio.gateway_api import CONTROLLER, GatewayClass
from facts.istio.services import Ingress, Service
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Volume
from facts.kubernetes.workloads import Deployment
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


@pytest.mark.parametrize("requirement", ["ID-09", "TRF-04"])
def test_two_nodes_must_take_workloads(requirement: str) -> None:
    conditions.needs_two_nodes(requirement, (), ("a", "b"))
    nodes = make.node("a"), make.node("b")
    evidence = ["ev-a", "ev-b"]
    inapplicable(lambda: conditions.needs_two_nodes(requirement, nodes, ("a",)), requirement, evidence, "a")
    none = "no node takes workloads"
    inapplicable(lambda: conditions.needs_two_nodes(requirement, nodes, ()), requirement, evidence, none)


@pytest.mark.parametrize("requirement", ["NEG-01", "NEG-04"])
def test_a_pod_without_the_nodes_socket_must_be_possible(requirement: str) -> None:
    without = make.pod(socket=make.EMPTY_DIR), make.pod(socket=None)
    conditions.needs_pods_without_the_socket(requirement, without, ["ev-pod"])
    driver = make.pod(socket=Volume("workload-socket", "csi", driver="csi.spiffe.io"))
    for having in (make.pod(), driver):
        pods = [*without, having]
        needs = partial(conditions.needs_pods_without_the_socket, requirement, pods, ["ev-pod"])
        inapplicable(needs, requirement, ["ev-pod"], "Pod test-app/app")


@pytest.mark.parametrize("requirement", ["INST-15", "CHK-7", "CHK-8", "CHK-9"])
def test_only_anothers_install_may_be_without_the_test_application(requirement: str) -> None:
    where, absent = (
        "pods with app=test-app in test-app",
        Absent(ObjectRef("Deployment", "test-app", "test-app"), ("ev-app",)),
    )

    def needs(pods: Sequence[Pod], deployment: Deployment | Absent, *, ours: bool, silent: Sequence[Pod] = ()) -> None:
        evidence = ["ev-pods"]
        conditions.needs_the_application(
            requirement, pods, deployment, silent=silent, ours=ours, where=where, evidence=evidence
        )

    needs([make.pod()], absent, ours=False)
    needs([], make.deployment("test-app"), ours=False)
    needs([], absent, ours=True)
    needs([], absent, ours=False, silent=[make.pod(node="down")])
    inapplicable(lambda: needs([], absent, ours=False), requirement, ["ev-pods", "ev-app"], where)


def test_an_ingress_gateway_must_be_there() -> None:
    conditions.needs_an_ingress_gateway("TRF-05", make.planes(), [make.ingress_gateway()], ["ev-pods"])
    planes = make.planes(make.mesh(gateways=()))
    inapplicable(
        lambda: conditions.needs_an_ingress_gateway("TRF-05", planes, [], ["ev-pods"]),
        "TRF-05",
        [*planes.evidence, "ev-pods"],
        "Deployments, DaemonSets and pods of all namespaces",
    )


def test_an_ingress_gateway_that_is_scaled_to_0_is_told_as_that() -> None:
    mesh = make.mesh(gateways=(make.gateway(desired=0, updated=0, available=0),))
    with pytest.raises(NotApplicable) as caught:
        conditions.needs_an_ingress_gateway("TRF-05", make.planes(mesh), [], ["ev-pods"])
    assert caught.value.condition == conditions.IDLE_GATEWAYS
    assert conditions.IDLE_GATEWAYS in catalogue()["TRF-05"].not_applicable_when


def test_an_ingress_gateway_must_take_plain_http() -> None:
    gateway = make.ingress_gateway()
    inapplicable(lambda: conditions.needs_a_way_in("MTL-05", None, [gateway]), "MTL-05", gateway.evidence, str(gateway.ref))
    ingress = Ingress(gateway, Service("istio-system", "gate", {}, {"http": 80}, ()), 80)
    assert conditions.needs_a_way_in("MTL-05", ingress, [gateway]) is ingress


@pytest.mark.parametrize("requirement", ["TRF-05", "MTL-05"])
def test_the_catalogue_knows_a_mesh_without_ingress_gateways(requirement: str) -> None:
    assert {conditions.NO_GATEWAY, conditions.IDLE_GATEWAYS} <= {*catalogue()[requirement].not_applicable_when}


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
