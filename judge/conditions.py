"""Conditions under which a requirement does not apply, in the words of the catalogue, each shown by evidence."""

from __future__ import annotations

from collections.abc import Sequence

from facts.document import Reading
from facts.errors import NotApplicable
from facts.evidence import readings
from facts.istio.gateway_api import GatewayClass, istiods
from facts.istio.gateways import Gateway
from facts.istio.mesh import Mesh
from facts.kubernetes.objects import Node
from facts.teleport.tbot import Tbots
from judge.findings import listed

ONE_NODE = "fewer than two nodes take workloads"
NO_GATEWAY = "the mesh has no ingress gateway"
NO_GATEWAY_API = "the cluster does not have the Gateway API"
NO_CLASS = "istiod serves no GatewayClass"
NO_JWKS = "tbot does not join with a static JWKS"
"""With in_cluster and oidc Teleport asks the cluster itself; there, and by any other method, the user extracts no JWKS."""
OTHER_JOIN_METHOD = "tbot's join method is not kubernetes"


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


def needs_an_ingress_gateway(mesh: Mesh, gateways: Sequence[Gateway], pods: Sequence[str]) -> None:
    """TRF-05, for the mesh's own ingress gateways.

    Args:
        mesh: The mesh.
        gateways: Its ingress gateways.
        pods: The reading of all pods.

    Raises:
        NotApplicable: There is none.
    """
    if not gateways:
        where = "Deployments, DaemonSets and pods of all namespaces"
        raise NotApplicable("TRF-05", NO_GATEWAY, where=where, evidence=(*mesh.evidence, *pods))


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
