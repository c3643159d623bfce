"""Causes for which the API server refuses pods, by its own words in the answer to a dry run or in a Deployment's status."""

from __future__ import annotations

import re

from facts.finding import Problem
from facts.kubernetes.workloads import Deployment
from judge.findings import problem

SECOND_PROXY = 'Duplicate value: "istio-proxy"'
"""The API server's words where the pod that injection has built has two containers of the name."""

NO_TEMPLATE = re.compile(r"requested template .{0,253} not found")
"""The injector's words where a pod asks for a template that the injector does not have."""

UNCALLED = re.compile(r"failed calling webhook .{0,64}sidecar-injector\.istio\.io")
"""The API server's words where it gets no answer of the injector."""

INJECTOR = "sidecar-injector.istio.io"
"""End of the names of the injector's webhooks."""

BY_POLICY = re.compile(
    r"violates PodSecurity|admission webhook .{0,253} denied the request|ValidatingAdmissionPolicy .{0,253} denied request"
)
"""The API server's words where a policy of the cluster refuses a pod. Sources: Kubernetes, Pod Security admission, admission
webhooks, and ValidatingAdmissionPolicy."""

BY_QUOTA = re.compile(r"(?:exceeded|failed) quota: ")
"""The API server's words where a ResourceQuota of the namespace has no room for a pod, or demands requests that it lacks."""

OF_INJECTION = ("template-builds-invalid-pod", "template-missing")
"""Causes of a refusal that come before any policy of the cluster, whatever else the API server says."""


def cause_of_refusal(message: str) -> str:
    """Cause for which the API server refused a pod; empty where its words do not tell it.

    Args:
        message: The API server's words.
    """
    signs = {
        "template-builds-invalid-pod": SECOND_PROXY in message,
        "template-missing": NO_TEMPLATE.search(message),
        "injector-unreachable": UNCALLED.search(message),
        "pod-refused-by-policy": BY_POLICY.search(message) and INJECTOR not in message,
    }
    return next((cause for cause, is_so in signs.items() if is_so), "")


def refused_pods(deployment: Deployment) -> list[Problem]:
    """A problem if the API server refuses the pods that a Deployment wants, as its condition ReplicaFailure says."""
    return [
        problem(
            deployment,
            f"the API server refuses its pods{_for_quota(c.message)}: {c.message or c.reason}",
            cause_of_refusal(c.message),
        )
        for c in deployment.conditions
        if c.type == "ReplicaFailure" and c.status == "True"
    ]


def _for_quota(message: str) -> str:
    return " for a ResourceQuota, which counts Istio's proxy as well" if BY_QUOTA.search(message) else ""
