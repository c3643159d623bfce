"""Refusals of a pod: the words by which a cluster or a node rejects a pod of this kind.

A closed list. Any other cause (an image that cannot be pulled, a quota that is used up, a webhook that does not answer, a
missing right, a program that failed) kept the pod from running, and says nothing about which pods the cluster admits.

Sources: Kubernetes' admission of pods (Pod Security, webhooks, ValidatingAdmissionPolicy, ``--allow-privileged``) and the
kubelet's check of the type of a hostPath; OpenShift's security context constraints.
"""

from __future__ import annotations

import re

_REFUSALS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"violates PodSecurity"), "Pod Security admission"),
    (
        re.compile(r"ValidatingAdmissionPolicy '([^']{1,253})'.{0,600} denied request", re.DOTALL),
        "ValidatingAdmissionPolicy",
    ),
    # The injector denies what it cannot inject: that is a broken template, and no policy.
    (re.compile(r'admission webhook "(?!\S*sidecar-injector\.istio\.io")([^"]+)" denied the request'), "admission webhook"),
    (re.compile(r"unable to validate against any security context constraint"), "SecurityContextConstraints"),
    (
        re.compile(r"privileged: Forbidden: disallowed by cluster policy"),
        "the API server, which allows no privileged container",
    ),
    (re.compile(r"hostPath type check failed"), "the kubelet, for what lies at a hostPath"),
)


def refused_by(words: str) -> str:
    """Name the policy that refused the pod; empty where no policy did.

    Args:
        words: Of the API server, of the pod, or of its events.
    """
    for pattern, who in _REFUSALS:
        if found := pattern.search(words):
            return " ".join([who, *found.groups()])
    return ""
