"""The node's kubelet: which pod a container belongs to."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import ssl
from collections.abc import Mapping
from time import monotonic
from typing import Any

from lab.standin.agent.exchange import Request, exchange
from lab.standin.agent.services import Kubelet
from lab.standin.failure import Kind, Refusal, within
from lab.standin.logs import Log

_NODE_NAME = "TELEPORT_NODE_NAME"
_TIMEOUT = 10.0
_WAIT_SECONDS = 30.0
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 2.0

_log = Log("tbot:svc:workload-identity-api")

Pod = Mapping[str, Any]
Container = Mapping[str, Any]


class KubeletClient:
    """Asks one kubelet, the one on the node that ``TELEPORT_NODE_NAME`` names."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    async def find(self, pod_id: str, container_id: str) -> tuple[Pod, Container | None]:
        """The pod with this UID and the status of its container.

        A kubelet may not list a container that just started; after half a minute the pod is returned alone.

        Raises:
            Refusal: the pods cannot be listed, the pod is not there, or the container is an init container that
                ends before the workload begins.
        """
        deadline, pause = monotonic() + _WAIT_SECONDS, _FIRST_PAUSE
        while True:
            with within("listing all pods"):
                pods = await self._pods()
            pod = next((pod for pod in pods if (pod.get("metadata") or {}).get("uid") == pod_id), None)
            if pod is None:
                raise Refusal(Kind.NOT_FOUND, f'pod "{pod_id}" not found')
            container = _container(pod, container_id)
            if container is not None:
                return pod, container
            if monotonic() + pause > deadline:
                _log.warning("Container status not found, continuing without it", container_id=container_id)
                return pod, None
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

    async def _pods(self) -> list[Pod]:
        kubelet = self._kubelet
        with within("creating HTTP client"):
            headers = {} if kubelet.anonymous or not kubelet.secure else {"Authorization": f"Bearer {self._token()}"}
            trust = self._trust() if kubelet.secure else None
        # Nothing but this variable names the node. Unset, Go dials ":10250", which is the local host.
        node = os.environ.get(_NODE_NAME, "")
        request = Request(node or "localhost", kubelet.port, "/pods", trust, headers=headers, timeout=_TIMEOUT)
        try:
            # The HTTP status is not looked at: a refusal shows as text that is not JSON.
            body = (await exchange(request)).body.decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            url = f"{'https' if kubelet.secure else 'http'}://{node}:{kubelet.port}/pods"
            raise Refusal(Kind.CONNECTION_PROBLEM, "performing request", f'Get "{url}": {error}') from error
        return _decoded(body)

    def _token(self) -> str:
        path = self._kubelet.token_path
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Refusal(Kind.NOT_FOUND, "reading token file", f"open {path}: {error.strerror}") from error

    def _trust(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._kubelet.skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        path = self._kubelet.ca_path
        try:
            context.load_verify_locations(cadata=path.read_text(encoding="utf-8"))
        except ssl.SSLError as error:
            raise Refusal(Kind.BAD_PARAMETER, "failed to append CA cert") from error
        except OSError as error:
            raise Refusal(Kind.NOT_FOUND, "reading CA file", f"open {path}: {error.strerror}") from error
        return context


def pod_attributes(pod: Pod, container: Container | None) -> dict[str, Any]:
    """What templates and rules see as ``workload.kubernetes``."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    attributes: dict[str, Any] = {
        "attested": True,
        "namespace": metadata.get("namespace", ""),
        "service_account": spec.get("serviceAccountName", ""),
        "pod_name": metadata.get("name", ""),
        "pod_uid": metadata.get("uid", ""),
        "labels": metadata.get("labels") or {},
    }
    if container is not None:
        image_id = str(container.get("imageID") or "")
        digest = image_id[image_id.index("sha256:") :] if "sha256:" in image_id else ""
        attributes["container"] = {
            "name": container["name"],
            "image": container.get("image", ""),
            "image_digest": digest,
            "type": container["type"],
        }
    return attributes


def _decoded(body: str) -> list[Pod]:
    try:
        document = json.loads(body)
    except ValueError as error:
        text = body.strip()
        reason = f"invalid character '{text[0]}' looking for beginning of value" if text else "EOF"
        raise Refusal(Kind.BAD_PARAMETER, "decoding response", reason) from error
    items = document.get("items") if isinstance(document, dict) else None
    return items if isinstance(items, list) else []


def _container(pod: Pod, container_id: str) -> Container | None:
    """The status of a container and, as ``type``, which list of the pod it is in, in the words of Teleport's messages."""
    status = pod.get("status") or {}
    for entry in status.get("containerStatuses") or []:
        if _is(entry, container_id):
            return {**entry, "type": "TYPE_REGULAR"}
    for entry in status.get("initContainerStatuses") or []:
        if not _is(entry, container_id):
            continue
        declared = (pod.get("spec") or {}).get("initContainers") or []
        own: Mapping[str, Any] = next((item for item in declared if item.get("name") == entry["name"]), {})
        if own.get("restartPolicy") != "Always":
            raise Refusal(Kind.ACCESS_DENIED, f'container "{entry["name"]}" is not a native sidecar')
        return {**entry, "type": "TYPE_INIT"}
    return None


def _is(status: Mapping[str, Any], container_id: str) -> bool:
    return str(status.get("containerID") or "").rpartition("://")[2] == container_id
