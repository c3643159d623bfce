"""Teleport's configuration, and what its ping endpoint says."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from observe.wait import NotYet
from provision.installing.teleport import ExistingTeleport, config, ping


def test_the_cluster_name_is_also_the_public_address() -> None:
    made = config("teleport.test")
    assert made["auth_service"]["cluster_name"] == "teleport.test"
    assert made["proxy_service"]["public_addr"] == "teleport.test:3080"
    assert made["ssh_service"]["enabled"] == "no"


ANSWER = b'{"cluster_name": "teleport.test", "server_version": "18.6.4"}'


@contextmanager
def proxy(tmp_path: Path, body: bytes, status: int = 200) -> Iterator[str]:
    """A self-signed HTTPS server on the loopback address that answers every GET the same."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(minutes=1), now + timedelta(hours=1))
    ).sign(key, hashes.SHA256())
    file = tmp_path / "server.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/webapi/ping" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Says nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_ping_gives_the_cluster_name(tmp_path: Path) -> None:
    with proxy(tmp_path, ANSWER) as address:
        assert ping(address, insecure=True) == "teleport.test"


def test_a_certificate_that_cannot_be_verified_is_refused_unless_asked_otherwise(tmp_path: Path) -> None:
    with proxy(tmp_path, ANSWER) as address, pytest.raises(NotYet, match="self-signed certificate"):
        ping(address, insecure=False)


@pytest.mark.parametrize(
    ("body", "status", "said"), [(b"{}", 200, "cluster_name"), (b"no", 200, "a mapping"), (b"", 503, "503")]
)
def test_what_is_no_answer_yet_says_what_it_was(tmp_path: Path, body: bytes, status: int, said: str) -> None:
    with proxy(tmp_path, body, status) as address, pytest.raises(NotYet, match=said):
        ping(address, insecure=True)


def test_a_port_without_listener_is_not_yet() -> None:
    with pytest.raises(NotYet, match="refused"):
        ping("127.0.0.1:1", insecure=True)


def test_an_existing_teleport_is_asked_with_the_users_own_command() -> None:
    teleport = ExistingTeleport("teleport.test", "teleport.test:443", insecure=False, command=("echo", "-n"), timeout=10)
    assert teleport.tctl(["get", "token/x"]).stdout == "get token/x"
    assert teleport.proxy_for_pods == "teleport.test:443"
