"""Names of the objects that the manifests make, each in one place."""

from __future__ import annotations

ISTIO_NAMESPACE = "istio-system"
ISTIOD = "istiod"
"""The Deployment, and the value of its pods' label ``app``."""
GATEWAY = "istio-ingressgateway"
"""The ingress gateway's Deployment."""

TBOT_NAMESPACE = "teleport-system"
TBOT = "tbot"
"""The DaemonSet, its container, its service account, and the value of its pods' label ``app``."""
TBOT_CONFIG = "tbot-config"
"""The ConfigMap."""
TBOT_FILE = "tbot.yaml"
"""The key in it."""

APP = "test-app"
"""The test application's namespace and Deployment, and the value of its pods' label ``app``."""

WORKLOAD_SOCKET = "workload-socket"
"""The volume of an injected pod with the socket of its SDS server."""
SOCKET_MOUNT = "/var/run/secrets/workload-spiffe-uds"
"""Where Istio mounts it."""

HTTP, TCP = 8080, 9090
"""Ports of the test pods."""
