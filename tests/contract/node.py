"""A node as tbot sees it: processes with their cgroups, a kubelet that lists pods, and service-account tokens."""

from __future__ import annotations

import json
import secrets
import ssl
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

KUBELET_TOKEN = "kubelet-token"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod with one container ``app``, an init container ``setup`` and a native sidecar ``istio-proxy``."""

    namespace: str
    service_account: str
    labels: Mapping[str, str] = field(default_factory=dict)
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    containers: Mapping[str, str] = field(
        default_factory=lambda: {name: secrets.token_hex(32) for name in ("app", "setup", "istio-proxy")}
    )

    def cgroup(self, container: str = "app") -> str:
        """The root of the container's cgroup mount, as cgroupfs in kind shows it."""
        return f"/kubepods/burstable/pod{self.uid}/{self.containers[container]}"

    def manifest(self) -> dict[str, Any]:
        """The pod as the kubelet lists it."""
        return {
            "metadata": {
                "name": f"{self.service_account}-1",
                "namespace": self.namespace,
                "uid": self.uid,
                "labels": dict(self.labels),
            },
            "spec": {
                "serviceAccountName": self.service_account,
                "initContainers": [{"name": "setup"}, {"name": "istio-proxy", "restartPolicy": "Always"}],
                "containers": [{"name": "app"}],
            },
            "status": {
                "containerStatuses": [self._status("app")],
                "initContainerStatuses": [self._status("setup"), self._status("istio-proxy")],
            },
        }

    def _status(self, container: str) -> dict[str, str]:
        return {
            "name": container,
            "containerID": f"containerd://{self.containers[container]}",
            "image": f"registry.example/{container}:1",
            "imageID": f"registry.example/{container}@sha256:{'ab' * 32}",
        }


class Node:
    """Processes and pods; the kubelet's port is its own."""

    def __init__(self, directory: Path) -> None:
        self.procfs = directory / "proc"
        self.token_path = directory / "kubelet-token"
        self.token_path.write_text(KUBELET_TOKEN, encoding="utf-8")
        self._pods: dict[str, Pod] = {}
        self._server = _serve(directory, self)

    @property
    def port(self) -> int:
        """The kubelet's port."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop the kubelet."""
        self._server.shutdown()
        self._server.server_close()

    def run(self, pod: Pod) -> Pod:
        """Let the kubelet list a pod."""
        self._pods[pod.uid] = pod
        return pod

    def forget(self, pod: Pod) -> None:
        """Let the kubelet not know a pod (any more)."""
        self._pods.pop(pod.uid, None)

    def enter(self, pid: int | str, cgroup: str, *, kind: str = "cgroup2") -> None:
        """Make process ``pid`` one whose first cgroup mount has this root (a name instead makes a pattern to copy)."""
        process = self.procfs / str(pid)
        process.mkdir(parents=True, exist_ok=True)
        (process / "status").write_text("Name:\tclient\nUid:\t1337\t1337\t1337\t1337\nGid:\t1338\t1338\t1338\t1338\n")
        (process / "mountinfo").write_text(
            "21 1 0:20 / /proc rw,nosuid - proc proc rw\n"
            f"30 21 0:27 {cgroup} /sys/fs/cgroup rw,nosuid shared:9 - {kind} cgroup rw\n"
            f"31 21 0:28 /elsewhere /sys/fs/cgroup/unified rw - {kind} cgroup rw\n"
        )
        link = process / "exe"
        link.unlink(missing_ok=True)
        link.symlink_to(sys.executable)

    def listing(self) -> dict[str, Any]:
        """What the kubelet answers on ``/pods``."""
        return {"kind": "PodList", "items": [pod.manifest() for pod in list(self._pods.values())]}


def _serve(directory: Path, node: Node) -> ThreadingHTTPServer:
    class Kubelet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != f"Bearer {KUBELET_TOKEN}":
                self._answer(403, b"Forbidden (user=nobody, verb=get, resource=nodes, subresource=proxy)")
            elif self.path != "/pods":
                self._answer(404, b"404 page not found")
            else:
                self._answer(200, json.dumps(node.listing()).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Kubelet)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(directory / "kubelet.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def self_signed(path: Path) -> Path:
    """A file with the key and the certificate of a server at 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubelet")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(minutes=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()) + certificate.public_bytes(encoding))
    return path


class ServiceAccountKeys:
    """What a cluster signs service-account tokens with."""

    def __init__(self, kid: str = "kid-1") -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self.kid = kid

    @property
    def jwks(self) -> str:
        """The public keys, as ``kubectl get --raw /openid/v1/jwks`` prints them."""
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return json.dumps({"keys": [{**key, "kid": self.kid, "use": "sig", "alg": "RS256"}]})

    def token(self, **changes: Any) -> str:
        """A projected token of tbot's service account; ``changes`` replace claims, ``None`` leaves one out."""
        moment = int(time.time())
        claims = {
            "iss": "https://kubernetes.default.svc.cluster.local",
            "sub": "system:serviceaccount:teleport-system:tbot",
            "aud": ["teleport.example.com"],
            "iat": moment,
            "nbf": moment,
            "exp": moment + 600,
            "kubernetes.io": {
                "namespace": "teleport-system",
                "pod": {"name": "tbot-x", "uid": str(uuid.uuid4())},
                "serviceaccount": {"name": "tbot", "uid": str(uuid.uuid4())},
            },
            **changes,
        }
        kept = {key: value for key, value in claims.items() if value is not None}
        return jwt.encode(kept, self._key, algorithm="RS256", headers={"kid": self.kid})
