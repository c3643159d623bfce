"""Labels that make a namespace of the suite one of the mesh: a control plane injects its pods, and watches them."""

from __future__ import annotations

from typing import Any

from facts.istio.control_planes import ControlPlanes
from facts.istio.mesh import Mesh


def join(namespace: dict[str, Any], planes: ControlPlanes, mesh: Mesh) -> None:
    """Label a namespace, before it is created, for a control plane.

    Args:
        namespace: The namespace, with the label of the default revision as the manifests have it.
        planes: All control planes of Istio.
        mesh: The one that is to inject the namespace.

    Raises:
        CouldNotTell: The control plane watches only namespaces with labels that the suite cannot set.
    """
    metadata = namespace["metadata"]
    metadata["labels"] = dict(planes.labels_in(mesh, metadata["labels"]))
