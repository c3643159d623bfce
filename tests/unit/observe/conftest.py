"""A cluster whose API server is the test's own, empty or with the captured install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facts.kubernetes.objects import Pod
from facts.proxies import envoy
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from settings import Timeouts
from tests.data import document, text
from tests.unit.observe.api_server import CONTEXT, ApiServer, Canned, running
from tests.unit.observe.captured import APPS, ENCODED


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with running() as started:
        yield started


@pytest.fixture
def recorder() -> KeptInMemory:
    return KeptInMemory()


@pytest.fixture
def cluster(server: ApiServer, recorder: KeptInMemory, tmp_path: Path) -> Iterator[Cluster]:
    patience = Timeouts(api=1, admin=1, command=1)
    opened = Cluster(server.kubeconfig(tmp_path), CONTEXT, recorder, patience)
    yield opened
    opened.close()


@pytest.fixture
def healthy(server: ApiServer) -> ApiServer:
    """An API server of the captured install, whose forwarded ports all lead to the captured proxy."""
    server.answer("GET /api/v1/pods", document("cluster/pods.json"))
    server.answer(f"GET {APPS}/deployments", document("cluster/deployments.json"))
    tbot = document("cluster/daemon_set.json")
    server.answer(f"GET {APPS}/namespaces/teleport-system/daemonsets/tbot", tbot)
    server.answer(f"GET {APPS}/daemonsets", {"items": [tbot]})
    maps = "/api/v1/namespaces/{}/configmaps/{}"
    server.answer("GET " + maps.format("istio-system", "istio"), document("cluster/config_map_istio.json"))
    server.answer(
        "GET " + maps.format("istio-system", "istio-sidecar-injector"), document("cluster/config_map_injector.json")
    )
    server.answer("GET " + maps.format("teleport-system", "tbot-config"), document("cluster/config_map_tbot.json"))
    pods = [p for p in document("cluster/pods.json")["items"] if p["metadata"]["namespace"] == "teleport-system"]
    server.answer("GET /api/v1/namespaces/teleport-system/pods", {"items": pods})
    server.http = {
        ENCODED[envoy.ACTIVE_SECRETS]: Canned(document("healthy/active_secrets.json")),
        ENCODED[envoy.WARMING_SECRETS]: Canned({}),
        ENCODED[envoy.BOOTSTRAP]: Canned(document("healthy/bootstrap.json")),
        ENCODED[envoy.SDS_HOSTS]: Canned(document("healthy/sds_hosts.json")),
        ENCODED[envoy.SERVER]: Canned(document("healthy/server.json")),
        ENCODED[envoy.AGENT_METRICS]: Canned(text("healthy/agent_metrics.txt") + "envoy_cluster_x 1\napp_metric 2\n"),
        ENCODED[envoy.INBOUND_LISTENERS]: Canned(document("healthy/inbound_listeners.json")),
    }
    return server


@pytest.fixture
def pods(cluster: Cluster, healthy: ApiServer) -> tuple[Pod, ...]:
    return tuple(p for p in cluster.pods("") if p.name.startswith("test-app-7564b6f44"))
