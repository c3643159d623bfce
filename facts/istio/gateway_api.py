"""Classes of gateways of the Gateway API: who makes what a Gateway asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from facts.document import need

CONTROLLER = "istio.io/gateway-controller"
"""How istiod is called in the classes whose gateways it deploys. Source: Istio, Kubernetes Gateway API."""


@dataclass(frozen=True, slots=True)
class GatewayClass:
    """A class of gateways.

    Attributes:
        name: Its name.
        controller: Who makes the gateways of this class.
        evidence: Ids of the readings it was made from.
    """

    name: str
    controller: str
    evidence: tuple[str, ...] = ()


def parse_gateway_class(document: Any, evidence: tuple[str, ...] = ()) -> GatewayClass:
    """Reads a gateway.networking.k8s.io/v1 GatewayClass.

    Raises:
        CouldNotTell: It is none.
    """
    name = need(document, "metadata.name", str, "GatewayClass")
    return GatewayClass(name, need(document, "spec.controllerName", str, f"GatewayClass {name}"), evidence)


def istiods(classes: Iterable[GatewayClass]) -> GatewayClass | None:
    """The class whose gateways istiod deploys; of several the one that it makes by itself, else the first by name."""
    own = sorted((c for c in classes if c.controller == CONTROLLER), key=lambda c: (c.name != "istio", c.name))
    return own[0] if own else None
