"""Conditions under which a requirement does not apply, in the words of the catalogue, each shown by evidence."""

from __future__ import annotations

from collections.abc import Sequence

from facts.document import Reading
from facts.errors import NotApplicable
from facts.evidence import readings
from facts.istio.control_planes import ControlPlanes
from facts.istio.gateway_api import GatewayClass, istiods
from facts.istio.gateways import Gateway
from facts.kubernetes.objects import Node
from judge.findings import listed

ONE_NODE = "fewer than two nodes take workloads"
NO_GATEWAY = "the mesh has no ingress gateway"
NO_GATEWAY_API = "the cluster does not have the Gateway API"
NO_CLASS = "istiod serves no GatewayClass"


def needs_two_nodes(requirement: str, nodes: Sequence[Node], taking: Sequence[str]) -> None:
    """ID-09 and TRF-04 compare pods of two nodes.

    Args:
        requirement: Id of the requirement.
        nodes: All nodes.
        taking: Names of those that take workloads.

    Raises:
        NotApplicable: Fewer than two nodes take workloads.
    """
    if len(taking) < 2:
        where = listed(taking, "no node takes workloads")
        raise NotApplicable(requirement, ONE_NODE, where=where, evidence=readings(*nodes))


def needs_an_ingress_gateway(planes: ControlPlanes, gateways: Sequence[Gateway], pods: Sequence[str]) -> None:
    """TRF-05, for the mesh's own ingress gateways.

    Args:
        planes: Istio's control planes.
        gateways: The ingress gateways of the mesh.
        pods: The reading of all pods.

    Raises:
        NotApplicable: There is none.
    """
    if not gateways:
        where = "Deployments, DaemonSets and pods of all namespaces"
        raise NotApplicable("TRF-05", NO_GATEWAY, where=where, evidence=(*planes.evidence, *pods))


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
