"""Conditions under which a requirement does not apply, in the words of the catalogue, each shown by evidence."""

from __future__ import annotations

from collections.abc import Sequence

from facts.document import Absent, Reading
from facts.errors import NotApplicable
from facts.evidence import readings
from facts.istio.control_planes import ControlPlanes
from facts.istio.gateway_api import GatewayClass, istiods
from facts.istio.gateways import Gateway
from facts.istio.services import Ingress
from facts.kubernetes.objects import Node, Pod
from facts.kubernetes.pod_spec import SOCKET_VOLUME
from facts.kubernetes.workloads import Deployment
from judge.findings import listed
from providers.teleport.facts.tbot import Tbots

ONE_NODE = "fewer than two nodes take workloads"
NO_GATEWAY = "the mesh has no ingress gateway"
IDLE_GATEWAYS = "every ingress gateway of the mesh is scaled to 0"
NO_WAY_IN = "no ingress gateway of the mesh has a Service that takes plain HTTP"
NO_GATEWAY_API = "the cluster does not have the Gateway API"
NO_CLASS = "istiod serves no GatewayClass"
NO_JWKS = "tbot does not join with a static JWKS"
"""With in_cluster and oidc Teleport asks the cluster itself; there, and by any other method, the user extracts no JWKS."""
OTHER_JOIN_METHOD = "tbot's join method is not kubernetes"
SOCKET_BY_DEFAULT = "Istio's own template mounts the node's socket, so that every sidecar has it"
NO_APPLICATION = "the install is not the suite's, and has no test application"


def needs_two_nodes(requirement: str, nodes: Sequence[Node], taking: Sequence[str]) -> None:
    """ID-09 and TRF-04 compare pods of two nodes.

    Args:
        requirement: Id of the requirement.
        taking: Names of those that take workloads.

    Raises:
        NotApplicable: Fewer than two nodes take workloads.
    """
    if len(taking) < 2:
        where = listed(taking, "no node takes workloads")
        raise NotApplicable(requirement, ONE_NODE, where=where, evidence=readings(*nodes))


def needs_pods_without_the_socket(requirement: str, pods: Sequence[Pod], evidence: Sequence[str]) -> None:
    """NEG-01 and NEG-04 show what becomes of a sidecar without the node's socket.

    Args:
        requirement: Id of the requirement.
        pods: Test pods that ask for Istio's own template alone, with no socket volume or an emptyDir: where they have the
            node's socket all the same, only that template can have given it to them.
        evidence: The readings of the pods.

    Raises:
        NotApplicable: One of them has the node's socket.
    """
    volumes = {str(pod.ref): pod.spec.volume(SOCKET_VOLUME) for pod in pods}
    having = [ref for ref, volume in volumes.items() if volume is not None and volume.source in ("hostPath", "csi")]
    if having:
        raise NotApplicable(requirement, SOCKET_BY_DEFAULT, where=listed(having), evidence=evidence)


def needs_the_application(
    requirement: str,
    pods: Sequence[Pod],
    deployment: Deployment | Absent,
    *,
    silent: Sequence[Pod],
    ours: bool,
    where: str,
    evidence: Sequence[str],
) -> None:
    """INST-15 and CHK-7 to CHK-9 judge the guide's test application, which another install need not have.

    Args:
        requirement: Id of the requirement.
        pods: Pods of the test application.
        silent: Further pods of it, on nodes that are not Ready.
        ours: The suite made the install, and so the test application.
        where: The test application, as people name it.
        evidence: The readings of its pods.

    Raises:
        NotApplicable: Another install has neither its Deployment nor one of its pods.
    """
    if not (ours or pods or silent) and isinstance(deployment, Absent):
        raise NotApplicable(requirement, NO_APPLICATION, where=where, evidence=(*evidence, *deployment.evidence))


def needs_an_ingress_gateway(
    requirement: str, planes: ControlPlanes, gateways: Sequence[Gateway], pods: Sequence[str]
) -> None:
    """TRF-05 and MTL-05, for the mesh's own ingress gateways.

    Args:
        requirement: Id of the requirement.
        planes: Istio's control planes.
        gateways: The ingress gateways of the mesh, without those that are scaled to 0.
        pods: The reading of all pods.

    Raises:
        NotApplicable: There is none.
    """
    if not gateways:
        where = "Deployments, DaemonSets and pods of all namespaces"
        idle = any(isinstance(g, Deployment) and g.is_at_zero for g in planes.gateways)
        condition = IDLE_GATEWAYS if idle else NO_GATEWAY
        raise NotApplicable(requirement, condition, where=where, evidence=(*planes.evidence, *pods))


def needs_a_way_in(requirement: str, ingress: Ingress | None, gateways: Sequence[Gateway]) -> Ingress:
    """MTL-05 sends its requests through an ingress gateway in plain HTTP.

    Args:
        requirement: Id of the requirement.
        ingress: An ingress gateway of the mesh that takes them; None where none does.
        gateways: The ingress gateways of the mesh.

    Raises:
        NotApplicable: None does.
    """
    if ingress is None:
        where = listed(str(gateway.ref) for gateway in gateways)
        raise NotApplicable(requirement, NO_WAY_IN, where=where, evidence=readings(*gateways))
    return ingress


def needs_the_gateway_api(asked: Reading, classes: Sequence[GatewayClass]) -> GatewayClass:
    """TRF-05, for gateways of the Gateway API.

    Args:
        asked: The API server's answer about the Gateway API.
        classes: The cluster's classes of gateways.

    Returns:
        The class that istiod serves.

    Raises:
        NotApplicable: The cluster does not know the Gateway API, or istiod serves no class of it.
    """
    if asked.document is None:
        where = "gateway.networking.k8s.io/v1"
        raise NotApplicable("TRF-05", NO_GATEWAY_API, where=where, evidence=[asked.evidence])
    served = istiods(classes)
    if served is None:
        evidence = (asked.evidence, *readings(*classes))
        where = listed([c.name for c in classes], "GatewayClasses")
        raise NotApplicable("TRF-05", NO_CLASS, where=where, evidence=evidence)
    return served


def needs_the_kubernetes_join(requirement: str, tbots: Tbots, condition: str = OTHER_JOIN_METHOD) -> None:
    """INST-09, INST-10 and CHK-2 are about the join method of the guide; by another one no service account is judged.

    Args:
        requirement: Id of the requirement.
        tbots: Every tbot that serves the mesh.
        condition: The condition of the catalogue for this requirement.

    Raises:
        NotApplicable: No tbot joins by the method kubernetes.
    """
    if not any(tbot.joins_by_kubernetes for tbot in tbots.each):
        methods = (f"{tbot.daemon_set.ref}, join_method {tbot.config.join_method or 'token'}" for tbot in tbots.each)
        raise NotApplicable(requirement, condition, where=listed(methods), evidence=tbots.evidence)
