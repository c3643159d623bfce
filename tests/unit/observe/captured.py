"""The captured install: paths at which it is served, questions to a proxy as they are encoded, and further DaemonSets."""

from __future__ import annotations

from typing import Any

from facts.proxies import envoy
from tests.data import document

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
