"""A Kubernetes API server that only reviews tokens."""

from __future__ import annotations

import base64
import json
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from tests.contract.node import self_signed

REVIEWER = "reviewer-token"
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"


class ApiServer:
    """Answers every review with what the test put into ``status``, one entry for each request; the last one stays."""

    def __init__(self, directory: Path) -> None:
        self.status: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        pem = self_signed(directory / "api.pem")
        self._server = _serve(self, pem)
        authority = ssl.create_default_context(cafile=str(pem)).get_ca_certs(binary_form=True)[0]
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_text(self._kubeconfig(ssl.DER_cert_to_PEM_cert(authority)), encoding="utf-8")

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def _kubeconfig(self, authority: str) -> str:
        cluster = {
            "server": f"https://127.0.0.1:{self._server.server_address[1]}",
            "certificate-authority-data": base64.b64encode(authority.encode()).decode(),
        }
        return yaml.safe_dump(
            {
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
                "clusters": [{"name": "here", "cluster": cluster}],
                "users": [{"name": "here", "user": {"token": REVIEWER}}],
            }
        )


def _serve(api: ApiServer, pem: Path) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != _PATH or self.headers["Authorization"] != f"Bearer {REVIEWER}":
                self._answer(403, {"kind": "Status", "message": "tokenreviews is forbidden"})
                return
            api.asked.append(request["spec"])
            status = api.status.pop(0) if len(api.status) > 1 else api.status[0]
            self._answer(201, {**request, "status": status})

        def _answer(self, code: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
