"""What `conformance doctor` costs on a large mesh that is made up: seconds, memory, requests, and milliseconds for each pod.

A process of its own reads a simulated API server that runs in this one. The server has the captured Istio and tbot, and pods
whose Envoys are configured with services. There is no Teleport behind it: what needs one is not determined.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.timed import ROOT
from tests.unit.observe.api_server import CONTEXT
from tests.unit.observe.simulated_fleet import NAMESPACE, simulated

SIZE = 500
SERVICES = 50
SLOW, LARGE = 60.0, 300.0
"""Seconds and MiB that an examination of `SIZE` proxies may take."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One examination of a simulated fleet.

    Attributes:
        size: Pods.
        seconds: From the start of the process to its end.
        processor: Seconds of its processor.
        memory: MiB of resident memory, at most.
        requests: Requests that it made, as it says.
    """

    size: int
    seconds: float
    processor: float
    memory: float
    requests: int

    @property
    def is_too_much(self) -> bool:
        """It takes more time or memory than it may."""
        return self.seconds > SLOW or self.memory > LARGE

    def as_document(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    def line(self) -> str:
        """In words."""
        took = f"{self.seconds:.1f} s, {self.memory:.0f} MiB, {self.requests} requests"
        each = f"{self.processor * 1000 / self.size:.1f} ms of the processor a pod"
        return f"doctor on {self.size} simulated pods: {took}, {each}{': TOO MUCH' if self.is_too_much else ''}"


def examined_fleet(size: int = SIZE) -> Examined:
    """Examine a simulated fleet.

    Raises:
        RuntimeError: The doctor did not read every proxy, or its answer is no document.
    """
    with simulated(size) as fleet, tempfile.TemporaryDirectory(prefix="bench-") as directory:
        fleet.has_a_mesh(SERVICES)
        kubeconfig = fleet.server.kubeconfig(Path(directory))
        words = [sys.executable, "-m", "cli", "doctor", "--context", CONTEXT, "--kubeconfig", str(kubeconfig), "--json"]
        return _run(words, size, Path(directory) / "diagnosis.json")


def _run(words: list[str], size: int, file: Path) -> Examined:
    """Runs the doctor and waits for it, for what it used: ``wait4`` tells that of one process."""
    with file.open("wb") as output:
        started = os.times().elapsed
        process = os.posix_spawn(
            words[0], words, dict(os.environ, PYTHONPATH=str(ROOT)), file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)]
        )
        _, status, used = os.wait4(process, 0)
        seconds = os.times().elapsed - started
    if os.waitstatus_to_exitcode(status) not in (0, 1, 6):
        raise RuntimeError(f"the doctor ended with exit code {os.waitstatus_to_exitcode(status)}")
    diagnosis: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    unread = [each["said"] for each in diagnosis["undetermined"] if f"Pod {NAMESPACE}/" in each["said"]]
    if unread:
        raise RuntimeError(f"proxies were not read: {unread[0]}")
    return Examined(size, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, diagnosis["requests"])
