"""Paths at which the captured install is served: its API groups, and the questions to a proxy as they are encoded."""

from __future__ import annotations

from facts.proxies import envoy

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
