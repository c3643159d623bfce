"""Gateways of a mesh, whatever runs them: an Envoy of Istio that is a router and stands beside no application.

A gateway runs as a Deployment or a DaemonSet of Istio's charts, as one written by hand that the injector fills in, or as a
workload of another kind, which only its pods show. An application with an ``istio-proxy`` in its template, as ``istioctl
kube-inject`` makes it, is none.

Sources: Istio's gateway charts and injection template ``gateway``; the arguments of its proxy (``proxy router``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from facts.evidence import ObjectRef, readings
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import selects
from facts.kubernetes.workloads import DaemonSet, Deployment
from facts.redaction import hides_a_value

NOT_INGRESS = ("egress", "eastwest")
"""Prefixes of the label ``istio`` on gateways that take no traffic from outside."""

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""Label of what istiod deploys for a Gateway of the Gateway API, waypoints among it."""

_OF_ONE_ROLLOUT = ("pod-template-hash", "controller-revision-hash", "pod-template-generation", "rollouts-pod-template-hash")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway.

    Attributes:
        ref: Its controller: a Deployment, a DaemonSet or another one; a Pod without a controller stands for itself.
        labels: Of its pods.
        selector: Labels that select its pods among those of the namespace.
        service_account: Of its pods.
        evidence: Ids of the readings.
    """

    ref: ObjectRef
    labels: Mapping[str, str]
    selector: Mapping[str, str]
    service_account: str
    evidence: tuple[str, ...]

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.ref.namespace

    @property
    def is_ingress(self) -> bool:
        """It takes traffic from outside, and the installation made it: no waypoint, and none of the Gateway API."""
        return not self.labels.get("istio", "").startswith(NOT_INGRESS) and GATEWAY_NAME not in self.labels

    def has(self, pod: Pod) -> bool:
        """Tell whether a pod is one of its pods."""
        return pod.namespace == self.namespace and selects(self.selector, pod.labels)


def gateways_of(workloads: Iterable[Deployment | DaemonSet], pods: Iterable[Pod]) -> tuple[Gateway, ...]:
    """The gateways among workloads, and those that only their pods show.

    Args:
        workloads: All Deployments and DaemonSets that are gateways by their template.
        pods: All pods of the mesh.
    """
    found = [
        Gateway(w.ref, w.template.labels, w.selector, w.template.spec.service_account or "default", w.evidence)
        for w in workloads
    ]
    others: dict[tuple[str, str], list[Pod]] = {}
    for pod in pods:
        if pod.is_gateway and not any(gateway.has(pod) for gateway in found):
            others.setdefault((pod.namespace, _controller(pod)), []).append(pod)
    return (*found, *(_told_by(owner, its) for (_namespace, owner), its in others.items()))


def _controller(pod: Pod) -> str:
    """The controller of a pod, as ``Kind/name``; the Deployment, where a ReplicaSet runs the pod."""
    kind, _, name = (pod.owner or f"Pod/{pod.name}").partition("/")
    suffix = f"-{pod.labels.get('pod-template-hash', '')}"
    if kind == "ReplicaSet" and name.endswith(suffix):
        return f"Deployment/{name.removesuffix(suffix)}"
    return f"{kind}/{name}"


def _told_by(controller: str, pods: Sequence[Pod]) -> Gateway:
    kind, _, name = controller.partition("/")
    pod = pods[0]
    labels = {key: value for key, value in pod.labels.items() if key not in _OF_ONE_ROLLOUT}
    shared = {k: v for k, v in labels.items() if all(p.labels.get(k) == v for p in pods) and not hides_a_value(v)}
    return Gateway(ObjectRef(kind, name, pod.namespace), labels, shared, pod.service_account, readings(*pods))
