"""The Gateway API in a cluster of the suite's own: its kinds of objects, and the class that istiod then serves.

The suite never installs them in an existing cluster: there it certifies such a gateway only where the kinds exist.
"""

from __future__ import annotations

import json
from pathlib import Path

from facts.errors import ProvisioningFailed
from facts.istio.gateway_api import CONTROLLER, parse_gateway_class
from observe.wait import NotYet, Pace, eventually, not_yet
from provision.objects import Objects

DEFINITIONS = "apiextensions.k8s.io/v1"


def introduce(objects: Objects, file: Path) -> None:
    """Apply the definitions, unless the cluster has any of them, in any version.

    Args:
        objects: Changes the cluster.
        file: JSON list of the definitions.

    Raises:
        ProvisioningFailed: The file cannot be read, or the API server refuses the definitions.
    """
    try:
        items = json.loads(file.read_text(encoding="utf-8"))["items"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProvisioningFailed(
            expected="a list of the Gateway API's definitions",
            seen=str(error),
            where=str(file),
            remedy="build the lab again: make lab",
        ) from error
    names = [item["metadata"]["name"] for item in items if item["kind"] == "CustomResourceDefinition"]
    if all(objects.get(DEFINITIONS, "CustomResourceDefinition", name) is None for name in names):
        objects.apply_all(items)


def await_class(objects: Objects, pace: Pace) -> None:
    """Wait until istiod serves a class of gateways, which it does once it is the leader and knows the kinds.

    Raises:
        CouldNotTell: istiod does not serve one in time.
    """

    def look() -> None:
        with not_yet(ProvisioningFailed):  # the API server serves a new kind a moment after it accepts the definition
            found = objects.all_of("gateway.networking.k8s.io/v1", "GatewayClass")
        classes = [parse_gateway_class(document) for document in found]
        if not any(each.controller == CONTROLLER for each in classes):
            raise NotYet(f"classes: {', '.join(each.name for each in classes) or 'none'}")

    eventually("istiod serves a GatewayClass", look, pace, remedy="kubectl logs -n istio-system deployment/istiod")
