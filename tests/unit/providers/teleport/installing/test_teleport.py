"""Teleport's configuration, and what its ping endpoint says."""

from __future__ import annotations

import http.server
import io
import ssl
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import docker
import docker.errors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from facts.errors import CouldNotTell
from observe.wait import NotYet, Pace
from providers.teleport.installing.teleport import (
    ContainerEvents,
    ExistingTeleport,
    OwnTeleport,
    config,
    find,
    note_existing,
    noted_existing,
    ping,
)


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
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
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


class Container:
    """A container of Docker's client, with files and a published port."""

    def __init__(self, port: int, files: dict[str, bytes]) -> None:
        self.name, self.status = "teleport", "running"
        self.files = files
        self.attrs = {"NetworkSettings": {"Ports": {"3080/tcp": [{"HostPort": str(port)}]}}}

    def reload(self) -> None:
        """Has nothing new."""

    def get_archive(self, path: str) -> tuple[list[bytes], dict[str, object]]:
        found = {name: content for name, content in self.files.items() if name == path or name.startswith(f"{path}/")}
        if not found:
            raise docker.errors.NotFound(f"no {path}")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content in found.items():
                entry = tarfile.TarInfo(name.removeprefix("/var/lib/teleport/"))
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return [archive.getvalue()], {}


NAMED = b'{"cluster_name": "teleport.test", "server_version": "18.6.4"}'
KEPT = "/var/lib/teleport/webproxy_cert.pem"


def awaited(container: Container, directory: Path, monkeypatch: pytest.MonkeyPatch, seconds: float = 5) -> OwnTeleport:
    """The Teleport of that container, found as a kept one."""
    client = SimpleNamespace(containers=SimpleNamespace(list=lambda **_: [container]))
    monkeypatch.setattr(docker, "from_env", lambda: client)
    found = find("a", cluster_name="teleport.test", pace=Pace(seconds, 0.05), command_timeout=1, directory=directory)
    assert found is not None
    return found


def test_a_teleport_of_our_own_is_verified_by_the_certificate_out_of_its_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(tmp_path, NAMED) as address:
        certificate = (tmp_path / "server.pem").read_bytes()
        made = awaited(Container(int(address.split(":")[1]), {KEPT: certificate}), tmp_path, monkeypatch)
        assert made.insecure is False
        assert made.ca == tmp_path / "teleport-ca.pem"
        assert made.proxy == f"localhost:{address.split(':')[1]}"
        assert ping(made.proxy, ca=made.ca) == "teleport.test"


def test_whoever_answers_at_the_port_of_the_container_without_its_certificate_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    with proxy(tmp_path / "other", NAMED):
        other = (tmp_path / "other" / "server.pem").read_bytes()
    with proxy(tmp_path, NAMED) as address:
        container = Container(int(address.split(":")[1]), {KEPT: other})
        with pytest.raises(CouldNotTell) as caught:
            awaited(container, tmp_path, monkeypatch, seconds=0.3)
    assert "saw self-signed certificate" in caught.value.seen


def test_a_teleport_that_has_no_certificate_yet_is_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CouldNotTell) as caught:
        awaited(Container(1, {}), tmp_path, monkeypatch, seconds=0.1)
    assert "it has no certificate yet" in caught.value.seen


def test_audit_events_come_out_of_the_container_oldest_file_first() -> None:
    files = {
        "/var/lib/teleport/log/2.log": b"b\n",
        "/var/lib/teleport/log/1.log": b"a\n",
        "/var/lib/teleport/log/x.txt": b"c\n",
    }
    assert [*ContainerEvents(Container(1, files)).lines()] == ["a\n", "b\n"]


def test_the_note_of_an_existing_teleport_keeps_its_ca(tmp_path: Path) -> None:
    for ca in (None, tmp_path / "ca.pem"):
        teleport = ExistingTeleport("teleport.test", "teleport.test:443", False, ("tctl",), 10, ca)
        note_existing(tmp_path, teleport)
        assert noted_existing(tmp_path, command_timeout=10) == teleport
