"""Istio's ambient mode: workloads without a sidecar, for which the node's ztunnel speaks mutual TLS.

ztunnel gets their certificates from istiod, and has no way to get them from anybody else. Sources: Istio, "Ambient and the
Istio CNI" (label ``istio.io/dataplane-mode``; a pod with a sidecar or in the node's network is left out);
``ambient.istio.io/redirection``, with which Istio's CNI plugin marks the pods that it has enrolled.
"""

from __future__ import annotations

from facts.kubernetes.objects import Labelled, Pod
from facts.kubernetes.pod_spec import REDIRECTION

DATAPLANE_MODE = "istio.io/dataplane-mode"
"""Label of a pod or of its namespace; that of the pod decides where both have it."""
AMBIENT = "ambient"
ENABLED = "enabled"


def is_enrolled(pod: Pod, namespace: Labelled | None) -> bool:
    """Tell whether a pod's traffic goes through ztunnel, which identifies the pod with a certificate of istiod.

    Args:
        namespace: Its namespace; None where it is not known.
    """
    if pod.is_injected or pod.is_ztunnel or pod.spec.host_network:
        return False
    if pod.annotations.get(REDIRECTION) == ENABLED:
        return True
    asked = namespace.labels.get(DATAPLANE_MODE, "") if namespace else ""
    return pod.labels.get(DATAPLANE_MODE, asked) == AMBIENT


def is_plain_waypoint(pod: Pod) -> bool:
    """Tell whether a pod is a waypoint as ambient mode makes it: it mounts no socket, so istiod alone can identify it."""
    return pod.is_waypoint and not pod.socket_on_node and pod.spec.csi_socket is None
