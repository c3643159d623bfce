"""Ask the cluster whether a service-account token is valid (join type ``in_cluster``)."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from lab.standin.failure import Kind, Refusal

_MOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_POD_NAME = "authentication.kubernetes.io/pod-name"
_TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class _Cluster:
    url: str
    headers: Mapping[str, str]
    trust: ssl.SSLContext


async def review(token: str, cluster_name: str) -> tuple[str, str]:
    """The subject and the pod of a valid token.

    The audience may be the Teleport cluster's name or, as older installs have it, one of the API server's own.

    Raises:
        Refusal: the cluster cannot be asked, or says no.
    """
    cluster = _cluster()
    status = await _review(cluster, token, [cluster_name])
    if not status.get("authenticated") and "audience" in str(status.get("error")):
        status = await _review(cluster, token, [])
    if not status.get("authenticated"):
        raise Refusal(
            Kind.ACCESS_DENIED, f"kubernetes failed to validate token: {status.get('error') or 'not authenticated'}"
        )
    user = status.get("user") or {}
    pods = (user.get("extra") or {}).get(_POD_NAME) or []
    if not pods:
        raise Refusal(Kind.BAD_PARAMETER, "legacy SA tokens are not accepted as kubernetes version supports bound tokens")
    return str(user.get("username")), str(pods[0])


async def _review(cluster: _Cluster, token: str, audiences: list[str]) -> dict[str, Any]:
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": audiences},
    }
    url = f"{cluster.url}/apis/authentication.k8s.io/v1/tokenreviews"
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.post(url, json=request, headers=cluster.headers, ssl=cluster.trust) as response,
        ):
            document = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Refusal(
            Kind.CONNECTION_PROBLEM, "error during the Kubernetes TokenReview", str(error) or type(error).__name__
        ) from error
    if response.status >= 400 or not isinstance(document, dict):
        message = document.get("message") if isinstance(document, dict) else None
        raise Refusal(
            Kind.ACCESS_DENIED, "error during the Kubernetes TokenReview", str(message or f"HTTP {response.status}")
        )
    return document.get("status") or {}


def _cluster() -> _Cluster:
    try:
        return _from_kubeconfig(Path(path)) if (path := os.environ.get("KUBECONFIG")) else _in_cluster()
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError, StopIteration) as error:
        raise Refusal(
            Kind.BAD_PARAMETER,
            "failed to initialize in-cluster Kubernetes config",
            f"{type(error).__name__}: {error}",
        ) from error


def _in_cluster() -> _Cluster:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    bearer = (_MOUNT / "token").read_text(encoding="utf-8").strip()
    trust = ssl.create_default_context(cafile=str(_MOUNT / "ca.crt"))
    address = f"[{host}]" if ":" in host else host
    return _Cluster(f"https://{address}:{port}", {"Authorization": f"Bearer {bearer}"}, trust)


def _from_kubeconfig(path: Path) -> _Cluster:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    trust = ssl.create_default_context(cadata=_material(cluster, "certificate-authority").decode())
    if "client-certificate" in user or "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile(prefix="standin-") as pair:
            pair.write(_material(user, "client-certificate") + b"\n" + _material(user, "client-key"))
            pair.flush()
            trust.load_cert_chain(pair.name)
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return _Cluster(str(cluster["server"]).rstrip("/"), headers, trust)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _material(entry: Mapping[str, Any], key: str) -> bytes:
    inline = entry.get(f"{key}-data")
    return base64.b64decode(inline) if inline else Path(str(entry[key])).read_bytes()
