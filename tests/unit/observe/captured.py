"""The captured install: paths at which it is served, questions to a proxy as they are encoded, and further DaemonSets."""

from __future__ import annotations

from typing import Any

from facts.proxies import envoy
from tests.data import document
from tests.unit.observe.api_server import ApiServer

APPS = "/apis/apps/v1"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
ENCODED = {
    envoy.ACTIVE_SECRETS: "/config_dump?resource=dynamic_active_secrets",
    envoy.WARMING_SECRETS: "/config_dump?resource=dynamic_warming_secrets",
    envoy.BOOTSTRAP: envoy.BOOTSTRAP,
    envoy.SDS_HOSTS: "/clusters?format=json&filter=%5Esds-grpc$",
    envoy.SERVER: "/stats?format=json&filter=%5Eserver%5C.%28state%7Cuptime%29$",
    envoy.AGENT_METRICS: "/stats/prometheus",
    envoy.INBOUND_LISTENERS: "/config_dump?resource=dynamic_listeners&name_regex=%5EvirtualInbound$",
}

INJECTOR = {"metadata": {"name": "istio-sidecar-injector", "labels": {"istio.io/rev": "default"}}, "webhooks": []}
"""The webhook of the captured istiod, which was not captured itself."""


def serve_components(server: ApiServer) -> None:
    """Let an API server have the captured Istio and tbot, without the cluster's other pods."""
    server.answer(f"GET {APPS}/deployments", document("cluster/deployments.json"))
    tbot = document("cluster/daemon_set.json")
    server.answer(f"GET {APPS}/namespaces/teleport-system/daemonsets/tbot", tbot)
    server.answer(f"GET {APPS}/daemonsets", {"items": [tbot]})
    server.answer(f"GET {WEBHOOKS}", {"items": [INJECTOR]})
    maps = "/api/v1/namespaces/{}/configmaps/{}"
    server.answer("GET " + maps.format("istio-system", "istio"), document("cluster/config_map_istio.json"))
    server.answer(
        "GET " + maps.format("istio-system", "istio-sidecar-injector"), document("cluster/config_map_injector.json")
    )
    server.answer("GET " + maps.format("teleport-system", "tbot-config"), document("cluster/config_map_tbot.json"))
    pods = [p for p in document("cluster/pods.json")["items"] if p["metadata"]["namespace"] == "teleport-system"]
    server.answer("GET /api/v1/namespaces/teleport-system/pods", {"items": pods})


def pools(*directories: str) -> list[Any]:
    """DaemonSets of tbot beside the guide's, each with a directory of the node."""
    made = []
    for number, directory in enumerate(directories):
        taken = document("cluster/daemon_set.json")
        taken["metadata"] |= {"name": f"pool-{number}", "uid": f"uid-{number}"}
        for volume in taken["spec"]["template"]["spec"]["volumes"]:
            if "hostPath" in volume:
                volume["hostPath"]["path"] = directory
        made.append(taken)
    return made
