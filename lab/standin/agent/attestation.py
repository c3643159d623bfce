"""Who is calling: from the process id behind the socket to the pod it runs in."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.standin.agent.kubelet import KubeletClient, pod_attributes
from lab.standin.agent.services import WorkloadIdentityApi
from lab.standin.failure import Kind, Refusal, within
from lab.standin.logs import Log

_CONTAINER_ID = re.compile(r"([0-9a-f]{64})")
_POD_ID = re.compile(r"pod([0-9a-fA-F]{8}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{12})")

_log = Log("tbot:svc:workload-identity-api")


class Attestor:
    """Finds out what can be known of a caller."""

    def __init__(self, service: WorkloadIdentityApi) -> None:
        self._hash_limit = service.hash_limit
        self._kubelet = KubeletClient(service.kubelet) if service.kubelet else None
        self._hashes: dict[tuple[int, int, int], str] = {}

    async def attest(self, pid: int | None) -> dict[str, Any]:
        """The attributes of process ``pid``, by attestor.

        Args:
            pid: as this process sees it; 0 if the caller is in a foreign process namespace, none over TCP.

        Raises:
            Refusal: the process cannot be looked at. That it is in no known pod is only logged.
        """
        if pid is None:
            return {}
        if pid == 0:
            _log.debug(
                "Failed to determine the PID of the calling workload. TBot may be running in a different process "
                "namespace to the workload. Workload attestation will not be completed."
            )
            return {}
        try:
            attributes: dict[str, Any] = {"unix": await self._unix(pid)}
        except Refusal as refusal:
            _log.error("Workload attestation failed", error=str(refusal), pid=pid)
            raise
        if self._kubelet is not None:
            try:
                attributes["kubernetes"] = await self._kubernetes(pid, self._kubelet)
            except Refusal as refusal:
                _log.warning("Failed to perform Kubernetes workload attestation", error=str(refusal), pid=pid)
        return attributes

    async def _unix(self, pid: int) -> dict[str, Any]:
        process = _procfs() / str(pid)
        try:
            status = (process / "status").read_text(encoding="utf-8")
        except OSError as error:
            raise Refusal(
                Kind.NOT_FOUND, "attesting unix workload", f"reading {process}/status: {error.strerror}"
            ) from error
        attributes: dict[str, Any] = {
            "attested": True,
            "pid": pid,
            "uid": _first_id(status, "Uid"),
            "gid": _first_id(status, "Gid"),
        }
        try:
            attributes["binary_path"] = str((process / "exe").readlink())
            attributes["binary_hash"] = await asyncio.to_thread(self._hash, process / "exe")
        except OSError as error:
            _log.debug("The program of the workload cannot be read", error=str(error), pid=pid)
        return {key: value for key, value in attributes.items() if value != ""}

    def _hash(self, program: Path) -> str:
        """SHA-256 of the program, remembered by inode so that a hundred sidecars cost one reading of Envoy."""
        with program.open("rb") as file:
            found = os.fstat(file.fileno())
            if 0 <= self._hash_limit < found.st_size:
                return ""
            key = (found.st_dev, found.st_ino, found.st_mtime_ns)
            if key not in self._hashes:
                self._hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
            return self._hashes[key]

    async def _kubernetes(self, pid: int, kubelet: KubeletClient) -> Mapping[str, Any]:
        with within("determining pod and container ID"):
            pod_id, container_id = read_ids(_procfs() / str(pid) / "mountinfo")
        with within("finding pod by ID"):
            pod, container = await kubelet.find(pod_id, container_id)
        return pod_attributes(pod, container)


def read_ids(mountinfo: Path) -> tuple[str, str]:
    """The pod's UID and the container's id of the process that a mountinfo file belongs to.

    Raises:
        Refusal: it cannot be read, or its first cgroup mount names no pod.
    """
    try:
        text = mountinfo.read_text(encoding="utf-8")
    except OSError as error:
        raise Refusal(Kind.NOT_FOUND, "parsing mountinfo", f"open {mountinfo}: {error.strerror}") from error
    root = _cgroup_root(text)
    if root is None:
        raise Refusal(Kind.NOT_FOUND, "parsing mountinfo", "no cgroup mount found in mountinfo")
    with within(f"parsing cgroup mount (root: {root})"):
        container = _CONTAINER_ID.search(root)
        if container is None:
            raise Refusal(Kind.BAD_PARAMETER, "expected 2 matches searching for container ID but found 0")
        pod = _POD_ID.search(root)
        if pod is None:
            raise Refusal(Kind.BAD_PARAMETER, "expected 2 matches searching for pod ID but found 0")
    return pod.group(1).replace("_", "-"), container.group(1)


def _cgroup_root(mountinfo: str) -> str | None:
    for line in mountinfo.splitlines():
        fixed, separator, rest = line.partition(" - ")
        if separator and rest.split(" ")[0] in ("cgroup", "cgroup2"):
            return fixed.split(" ")[3]
    return None


def _first_id(status: str, key: str) -> int:
    match = re.search(rf"^{key}:\s+(\d+)", status, re.MULTILINE)
    if match is None:
        raise Refusal(Kind.NOT_FOUND, "attesting unix workload", f"no {key} line in the process status")
    return int(match.group(1))


def _procfs() -> Path:
    return Path(os.environ.get("HOST_PROC") or "/proc")
