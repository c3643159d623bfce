"""Who refused a pod, by the words of the cluster and of the node."""

from __future__ import annotations

import pytest

from facts.kubernetes.admission import refused_by


@pytest.mark.parametrize(
    ("words", "who"),
    [
        (
            'HTTP 403: pods "outside-a" is forbidden: violates PodSecurity "restricted:latest": host namespaces',
            "Pod Security admission",
        ),
        (
            'HTTP 400: admission webhook "validate.kyverno.svc-fail" denied the request: policy Pod/outside-a for violation',
            "admission webhook validate.kyverno.svc-fail",
        ),
        (
            "HTTP 422: pods \"a\" is forbidden: ValidatingAdmissionPolicy 'no-host' with binding 'all' denied request: no",
            "ValidatingAdmissionPolicy no-host",
        ),
        (
            'HTTP 403: pods "a" is forbidden: unable to validate against any security context constraint: []',
            "SecurityContextConstraints",
        ),
        (
            'HTTP 422: Pod "a" is invalid: spec.securityContext.privileged: Forbidden: disallowed by cluster policy',
            "the API server, which allows no privileged container",
        ),
        (
            "not there after 60 s: Pending; FailedMount: hostPath type check failed: /run/spire/sockets is not a directory",
            "the kubelet, for what lies at a hostPath",
        ),
    ],
)
def test_a_refusal_has_an_author(words: str, who: str) -> None:
    assert refused_by(words) == who


@pytest.mark.parametrize(
    "words",
    [
        'HTTP 403: pods is forbidden: User "x" cannot create resource "pods" in API group "" in the namespace "y"',
        'HTTP 403: pods "a" is forbidden: exceeded quota: all, requested: pods=1, used: pods=10, limited: pods=10',
        'HTTP 403: pods "a" is forbidden: error looking up service account run/probe: serviceaccount "probe" not found',
        'HTTP 403: pods "a" is forbidden: unable to create new content in namespace run because it is being terminated',
        'HTTP 500: failed calling webhook "validate.kyverno.svc-fail": context deadline exceeded',
        'HTTP 400: admission webhook "namespace.sidecar-injector.istio.io" denied the request: template "spire" not found',
        'HTTP 422: Pod "a" is invalid: spec.containers[1].image: Required value',
        "not there after 60 s: ContainerCreating; FailedScheduling: 0/2 nodes are available",
        "not there after 60 s: Pending; FailedMount: MountVolume.SetUp failed for volume: configmap not found",
        "Evicted The node was low on resource: memory",
        'StartError exec: "python3": executable file not found in $PATH',
        "Error",
        "OOMKilled",
        "ImagePullBackOff",
        "",
    ],
)
def test_an_obstacle_is_no_refusal(words: str) -> None:
    assert refused_by(words) == ""
