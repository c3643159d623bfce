"""Gateways are found whatever runs them; an application with a sidecar in its template is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from facts.evidence import ObjectRef
from facts.istio.gateways import GATEWAY_NAME, Gateway, gateways_of
from facts.kubernetes.objects import Pod
from facts.kubernetes.workloads import PodTemplate, parse_daemon_set, parse_deployment
from tests.unit.judge import builders as make

ROUTER = ["proxy", "router", "--domain", "$(POD_NAMESPACE).svc.cluster.local"]
SIDECAR = ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"]
FILLED_IN = {"inject.istio.io/templates": "gateway"}


def template(args: list[str] | None = None, annotations: dict[str, str] | None = None, *, proxy: bool = True) -> PodTemplate:
    """The template of a Deployment that has or will have a proxy."""
    containers: list[dict[str, Any]] = [{"name": "app", "image": "app:1"}]
    if proxy:
        containers.append({"name": "istio-proxy", "image": "auto", **({"args": args} if args else {})})
    document = {
        "metadata": {"name": "x", "namespace": "y", "generation": 1},
        "spec": {"template": {"metadata": {"annotations": annotations or {}}, "spec": {"containers": containers}}},
    }
    return parse_deployment(document).template


@pytest.mark.parametrize(
    ("made", "is_gateway"),
    [
        (template(ROUTER), True),
        (template(None, FILLED_IN), True),
        (template(None, {"inject.istio.io/templates": "gateway, spire"}), True),
        (template(None, FILLED_IN, proxy=False), True),
        (template(SIDECAR), False),
        (template(SIDECAR, FILLED_IN), False),
        (template(), False),
        (template(None, {"inject.istio.io/templates": "sidecar,spire"}), False),
        (template(proxy=False), False),
    ],
    ids=["chart", "filled in", "with another", "without a container", "kube-inject", "said to be", "own settings", "sidecar",
         "no proxy"],
)  # fmt: skip
def test_a_template_tells_a_gateway_from_an_application(made: PodTemplate, is_gateway: bool) -> None:
    assert made.is_gateway is is_gateway


def router(name: str, **changes: Any) -> Pod:
    """A pod of a gateway."""
    proxy = make.container("istio-proxy", args=make.ROUTER)
    return make.pod(name, namespace="edge", service_account="gate", proxy=proxy, **changes)


def test_a_daemon_set_is_a_gateway_as_a_deployment_is() -> None:
    document = {
        "metadata": {"name": "gate", "namespace": "edge", "generation": 1},
        "spec": {
            "selector": {"matchLabels": {"app": "gate"}},
            "template": {
                "metadata": {"labels": {"app": "gate", "istio": "ingress"}},
                "spec": {
                    "serviceAccountName": "gate",
                    "containers": [{"name": "istio-proxy", "image": "a", "args": ROUTER}],
                },
            },
        },
    }
    found = gateways_of(
        [make.gateway(), parse_daemon_set(document, ("ev-set",))], [router("gate-1", labels={"app": "gate"})]
    )
    assert [str(g.ref) for g in found] == [str(make.gateway().ref), "DaemonSet edge/gate"]
    (_, gateway) = found
    assert (gateway.selector, gateway.service_account, gateway.evidence) == ({"app": "gate"}, "gate", ("ev-set",))
    assert gateway.is_ingress
    assert gateway.has(router("gate-1", labels={"app": "gate", "pod-template-hash": "x"}))
    assert not gateway.has(router("other", labels={"app": "other"}))
    assert not gateway.has(make.pod("gate", labels={"app": "gate"}))


def test_what_no_template_tells_its_pods_do() -> None:
    hashed = {"app": "gate", "pod-template-hash": "5d4"}
    found = gateways_of(
        [],
        [
            router("gate-5d4-a", labels=hashed, owner="ReplicaSet/gate-5d4"),
            router("gate-5d4-b", labels=hashed, owner="ReplicaSet/gate-5d4"),
            router("set-0", labels={"app": "set", "statefulset.kubernetes.io/pod-name": "set-0"}, owner="StatefulSet/set"),
            router("set-1", labels={"app": "set", "statefulset.kubernetes.io/pod-name": "set-1"}, owner="StatefulSet/set"),
            router("alone", labels={"app": "alone"}, owner=""),
            make.pod("app"),
        ],
    )
    assert [(g.ref.kind, g.ref.name, dict(g.selector)) for g in found] == [
        ("Deployment", "gate", {"app": "gate"}),
        ("StatefulSet", "set", {"app": "set"}),
        ("Pod", "alone", {"app": "alone"}),
    ]
    assert {g.service_account for g in found} == {"gate"}
    assert found[0].evidence == ("ev-pod-gate-5d4-a", "ev-pod-gate-5d4-b")


@pytest.mark.parametrize(
    ("labels", "is_ingress"),
    [
        ({"istio": "ingressgateway"}, True),
        ({"app": "gate"}, True),
        ({"istio": "egressgateway"}, False),
        ({"istio": "egress"}, False),
        ({"istio": "eastwestgateway"}, False),
        ({GATEWAY_NAME: "door"}, False),
    ],
)
def test_not_every_gateway_is_for_what_comes_from_outside(labels: dict[str, str], is_ingress: bool) -> None:
    gateway = Gateway(ObjectRef("Deployment", "gate", "edge"), labels, labels, "gate", ())
    assert gateway.is_ingress is is_ingress
    assert not replace(gateway, selector={}).has(router("gate", labels=labels))


@pytest.mark.parametrize(
    ("owner", "hashed", "named"),
    [
        ("ReplicaSet/gate-5d4", "5d4", "Deployment/gate"),
        ("ReplicaSet/gate-5d4", "6e5", "ReplicaSet/gate-5d4"),
        ("ReplicaSet/gate-5d4", "", "ReplicaSet/gate-5d4"),
        ("Rollout/gate-5d4", "5d4", "Rollout/gate-5d4"),
        ("", "5d4", "Pod/gate-5d4"),
    ],
)
def test_a_replica_set_stands_for_its_deployment(owner: str, hashed: str, named: str) -> None:
    labels = {"pod-template-hash": hashed} if hashed else {}
    (found,) = gateways_of([], [router("gate-5d4", labels=labels, owner=owner)])
    assert f"{found.ref.kind}/{found.ref.name}" == named
    assert found.ref.namespace == "edge"


def test_labels_of_one_rollout_select_no_pods() -> None:
    own = dict.fromkeys(
        ("pod-template-hash", "controller-revision-hash", "pod-template-generation", "rollouts-pod-template-hash"), "x"
    )
    (found,) = gateways_of([], [router("gate", labels={"app": "gate", **own})])
    assert found.labels == found.selector == {"app": "gate"}


def test_gateways_of_the_gateway_api_carry_istios_label() -> None:
    assert GATEWAY_NAME == "gateway.networking.k8s.io/gateway-name"


def test_a_template_without_a_service_account_runs_as_the_default_one() -> None:
    gateway = make.gateway()
    bare = replace(gateway, template=replace(gateway.template, spec=replace(gateway.template.spec, service_account="")))
    assert [g.service_account for g in gateways_of([bare], [])] == ["default"]


def test_gateways_of_two_namespaces_are_two() -> None:
    labels = {"app": "gate"}
    other = replace(router("gate-2", labels=labels, owner="StatefulSet/gate"), namespace="other")
    found = gateways_of([], [router("gate-1", labels=labels, owner="StatefulSet/gate"), other])
    assert [g.namespace for g in found] == ["edge", "other"]
