"""The API server's own words where it refuses a pod, as the status of a Deployment keeps them."""

from __future__ import annotations

import pytest

from facts.kubernetes.objects import Condition
from facts.kubernetes.workloads import Deployment
from judge.install.admission import refused_pods
from tests.unit.judge import builders as make
from tests.unit.judge.diagnosis.told import named


def refusing(message: str, status: str = "True", kind: str = "ReplicaFailure") -> Deployment:
    conditions = (Condition("Available", "False"), Condition(kind, status, "FailedCreate", message))
    return make.deployment("shop", namespace="shop", conditions=conditions)


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ('pods "shop-1" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes', "pod-refused-by-policy"),
        ('admission webhook "validate.kyverno.svc-fail" denied the request: no hostPath', "pod-refused-by-policy"),
        ("ValidatingAdmissionPolicy 'no-host-path' with binding 'all' denied request: no", "pod-refused-by-policy"),
        (
            'Internal error occurred: failed calling webhook "rev.namespace.sidecar-injector.istio.io": failed to call'
            ' webhook: Post "https://istiod.istio-system.svc:443/inject": dial tcp: connection refused',
            "injector-unreachable",
        ),
        (
            'admission webhook "namespace.sidecar-injector.istio.io" denied the request: requested template "x" not found',
            "template-missing",
        ),
        (
            'Pod "shop-1" is invalid: spec.initContainers[1].name: Duplicate value: "istio-proxy"',
            "template-builds-invalid-pod",
        ),
    ],
)
def test_pods_that_the_api_server_refuses(message: str, cause: str) -> None:
    found = refused_pods(refusing(message))
    assert named(found) == [("Deployment shop/shop", cause)]
    assert message in found[0].said


@pytest.mark.parametrize(
    "message",
    [
        'pods "shop-1" is forbidden: exceeded quota: small',
        'failed calling webhook "validate.kyverno.svc-fail": context deadline exceeded',
        'admission webhook "namespace.sidecar-injector.istio.io" denied the request: unexpected EOF',
    ],
)
def test_a_refusal_of_another_kind_has_no_cause(message: str) -> None:
    (found,) = refused_pods(refusing(message))
    assert found.cause == ""


def test_a_refusal_without_words_keeps_its_reason() -> None:
    (found,) = refused_pods(refusing(""))
    assert found.said == "the API server refuses its pods: FailedCreate"


def test_what_is_over_or_another_condition_is_no_refusal() -> None:
    assert refused_pods(refusing("violates PodSecurity", status="False")) == []
    assert refused_pods(refusing("violates PodSecurity", kind="Progressing")) == []
