"""Classes of gateways of the Gateway API: each names the controller that makes its gateways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from facts.declared import At, Declared, read
from facts.kubernetes.objects import named, object_with
from facts.masks import keeps

CONTROLLER = "istio.io/gateway-controller"
"""The name of istiod in the classes whose gateways it deploys. Source: Istio, Kubernetes Gateway API."""


@dataclass(frozen=True, slots=True)
class GatewayClass(Declared):
    """A class of gateways.

    Attributes:
        controller: The controller that makes the gateways of this class.
        evidence: Ids of the readings it was made from.
    """

    name: Annotated[str, At("metadata.name")]
    controller: Annotated[str, At("spec.controllerName")]
    evidence: tuple[str, ...] = ()


@keeps(object_with(GatewayClass))
def parse_gateway_class(document: Any, evidence: tuple[str, ...] = ()) -> GatewayClass:
    """Reads a gateway.networking.k8s.io/v1 GatewayClass.

    Raises:
        CouldNotTell: It is none.
    """
    return read(GatewayClass, document, named("GatewayClass", document), evidence=evidence)


def istiods(classes: Iterable[GatewayClass]) -> GatewayClass | None:
    """The class whose gateways istiod deploys; of several the one that it makes by itself, else the first by name."""
    own = sorted((c for c in classes if c.controller == CONTROLLER), key=lambda c: (c.name != "istio", c.name))
    return own[0] if own else None
