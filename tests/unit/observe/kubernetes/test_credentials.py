"""Keys of a kubeconfig reach the API server and leave nothing on the disk, however the process ends."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.errors import BadInput
from facts.recorder import KeptInMemory
from observe.kubernetes.api import connect
from observe.kubernetes.cluster import Cluster
from settings import Timeouts

ROOT = Path(__file__).parents[4]


@contextmanager
def api_server(certificate: Path) -> Iterator[int]:
    """An API server that wants a client certificate, signed by its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"gitVersion": "v1.36.2"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def written(directory: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    file = directory / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of temporary files, empty."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


def encoded(certificate: Path) -> dict[str, str]:
    return dict.fromkeys(("client-certificate-data", "client-key-data"), base64.b64encode(certificate.read_bytes()).decode())


@pytest.mark.parametrize("token", [{}, {"token": "a-token-that-the-client-refreshes"}])
def test_keys_in_a_kubeconfig_open_the_line_and_are_in_no_file(
    certificate: Path, tmp_path: Path, temporary: Path, token: dict[str, str]
) -> None:
    ca = base64.b64encode(certificate.read_bytes()).decode()
    with api_server(certificate) as port:
        cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": ca}
        kubeconfig = written(tmp_path, cluster, {**encoded(certificate), **token})
        before = kubeconfig.read_bytes()
        for _ in range(2):
            opened = Cluster(kubeconfig, "test", KeptInMemory(), Timeouts(api=5))
            for _ in range(2):  # the client sets its files anew for a second request
                assert str(opened.version()[0]) == "1.36.2"
            assert opened._streams._context().cert_store_stats()["x509"] == 1, "streams read the same files"
            opened.close()
    assert [*temporary.iterdir()] == []
    assert kubeconfig.read_bytes() == before


def test_keys_in_files_are_used_where_they_are_also_relative_to_the_kubeconfig(
    certificate: Path, tmp_path: Path, temporary: Path
) -> None:
    (tmp_path / "key.pem").write_bytes(certificate.read_bytes())
    with api_server(certificate) as port:
        cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": "key.pem"}
        user = {"client-certificate": "key.pem", "client-key": "key.pem"}
        opened = Cluster(written(tmp_path, cluster, user), "test", KeptInMemory(), Timeouts(api=5))
        assert str(opened.version()[0]) == "1.36.2"
        opened.close()
    assert [*temporary.iterdir()] == []


def test_a_key_that_is_no_base64_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        connect(written(tmp_path, {"server": "https://api.test"}, {"client-key-data": "x"}), "test")


PROGRAM = """
import os, signal, sys, tempfile
from pathlib import Path
from observe.kubernetes.api import connect
held = connect(Path(sys.argv[1]), "test").configuration
place = Path(held.key_file)
if sys.argv[2] == "plug-in":
    assert place.parent.stat().st_mode & 0o777 == 0o700 and place.stat().st_mode & 0o777 == 0o600
assert "KEY" in place.read_text()
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("end", ["killed", "plug-in"])
def test_nothing_is_left_of_keys_in_memory_by_a_kill_and_of_those_of_a_plug_in_at_the_end(
    end: str, certificate: Path, tmp_path: Path, temporary: Path
) -> None:
    status = {"clientCertificateData": "CERTIFICATE", "clientKeyData": "KEY"}
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    plug_in = {
        "apiVersion": answer["apiVersion"],
        "command": "echo",
        "args": [json.dumps(answer)],
        "interactiveMode": "Never",
    }
    user: dict[str, Any] = {"exec": plug_in} if end == "plug-in" else encoded(certificate)
    kubeconfig = written(tmp_path, {"server": "https://api.test"}, user)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kubeconfig, end],
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)},
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (-9 if end == "killed" else 0, "")
    assert [*temporary.iterdir()] == []
