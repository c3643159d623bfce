"""A cluster whose API server is the test's own, empty or with the captured install."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from facts.kubernetes.objects import Pod
from facts.proxies import envoy
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from settings import Timeouts
from tests.data import document, text
from tests.unit.observe.api_server import CONTEXT, ApiServer, Canned, running
from tests.unit.observe.captured import ENCODED, serve_components


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
    server.answer("GET /api/v1/nodes", document("cluster/nodes.json"))
    server.answer("GET /api/v1/pods", document("cluster/pods.json"))
    for item in document("cluster/pods.json")["items"]:
        # One of them was being deleted when it was captured; here all of them stay.
        metadata = {key: value for key, value in item["metadata"].items() if key != "deletionTimestamp"}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        server.answer(f"GET {path}", {**item, "metadata": metadata})
    serve_components(server)
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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, ::1 and localhost, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [*(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1")), x509.DNSName("localhost")]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "proxy.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path
