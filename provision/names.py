"""Names of the objects in the manifests."""

from __future__ import annotations

ISTIO_NAMESPACE = "istio-system"
ISTIOD = "istiod"
"""Name of the Deployment, and the value of its pods' label ``app``."""
GATEWAY = "istio-ingressgateway"
"""Name of the ingress gateway's Deployment."""
GATEWAY_LABEL = "istio=ingressgateway"
"""Label of its pods."""

TBOT_NAMESPACE = "teleport-system"
TBOT = "tbot"
"""Name of the DaemonSet, its container and its service account, and the value of its pods' label ``app``."""
TBOT_CONFIG = "tbot-config"
"""Name of tbot's ConfigMap."""
TBOT_FILE = "tbot.yaml"
"""Key of the configuration in that ConfigMap."""
CA_FILE = "teleport-ca.pem"
"""Key of the certificates that verify Teleport in that ConfigMap, and their file in the directory of a kind cluster."""

APP = "test-app"
"""Name of the test application's namespace and Deployment, and the value of its pods' label ``app``."""

HTTP, TCP = 8080, 9090
"""Ports of the test pods."""
