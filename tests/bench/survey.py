"""What one survey costs for each pod, against fleets that are made up: it must not grow with the fleet.

A process of its own reads a simulated API server that runs in this one, so that the processor's time is the reader's alone.
The same is timed with what the profile `mtls` adds, in a mesh of as many services as pods. Needs no cluster. What Envoy,
the kubelet and a real API server cost on top, `tests.bench.fleet` measures.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facts.proxies.tls import questions
from facts.proxies.tls.inbound import OF_SIDECAR
from observe.command import must_run
from observe.proxies.envoy import _quoted
from tests.bench.figures import Figure
from tests.bench.timed import PATIENCE, ROOT
from tests.unit.facts import tls_dumps as built
from tests.unit.observe.api_server import CONTEXT, Canned
from tests.unit.observe.simulated_fleet import ACCOUNT, NAMESPACE, TRUST_DOMAIN, SimulatedFleet, simulated

SIZES = (10, 80)
PORT = 8080
ADDED = 3.0
"""Seconds of the reader's processor that the profile `mtls` may add to the survey of the largest fleet."""
STEEP = 1.3
"""Times that a pod of the largest fleet may cost what one of the smallest does. The start of the process does not count."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A simulated fleet of one size, read in several rounds.

    Attributes:
        size: Pods.
        seconds: From the list of pods to the end of the survey.
        processor: Seconds of the reader's processor for that.
        mtls: Seconds of a survey that also reads the TLS of each proxy, and of the prediction of their handshakes.
        mtls_processor: Seconds of the reader's processor for that.
    """

    size: int
    seconds: Figure
    processor: Figure
    mtls: Figure
    mtls_processor: Figure

    @property
    def per_pod(self) -> float:
        """Milliseconds of the processor for one pod; the fastest round counts, which others disturbed least."""
        return self.processor.least * 1000 / self.size

    @property
    def added(self) -> float:
        """Seconds of the processor that the profile `mtls` adds, by the fastest rounds."""
        return self.mtls_processor.least - self.processor.least

    def line(self) -> str:
        """In words."""
        took = f"{self.seconds.least:.2f} s, {self.per_pod:.1f} ms of the processor a pod"
        times = self.mtls.least / self.seconds.least
        with_mtls = f"with mtls {self.mtls.least:.2f} s, {times:.2f} times as long"
        return f"survey of {self.size} simulated pods: {took}; {with_mtls}, {self.added:.2f} s more of the processor"

    def as_document(self) -> dict[str, object]:
        """For JSON."""
        figures = [each.as_document() for each in (self.seconds, self.processor, self.mtls, self.mtls_processor)]
        return {"size": self.size, "figures": figures, "processor_ms_per_pod": round(self.per_pod, 2)}


def surveyed_fleets(rounds: int) -> Iterator[Surveyed]:
    """Reads a simulated fleet of each size."""
    for size in SIZES:
        names = (f"{size} simulated pods{what}" for what in ("", " with mtls"))
        made = Surveyed(size, *(Figure(f"{name}{of}") for name in names for of in ("", ": the processor's time")))
        with simulated(size) as fleet, tempfile.TemporaryDirectory(prefix="bench-") as directory:
            speak_tls(fleet)
            kubeconfig = fleet.server.kubeconfig(Path(directory))
            for _ in range(rounds):
                answer = _read(kubeconfig)
                if answer["unread"] or answer["read"] != size:
                    raise RuntimeError(f"{answer['read']} of {size} simulated pods were read: {answer['unread']}")
                if answer["ways"] != size**2:
                    raise RuntimeError(f"{answer['ways']} of {size**2} ways between {size} simulated pods were predicted")
                made.seconds.seconds.append(answer["survey"])
                made.processor.seconds.append(answer["survey_processor"])
                made.mtls.seconds.append(answer["mtls"])
                made.mtls_processor.seconds.append(answer["mtls_processor"])
        yield made


def speak_tls(fleet: SimulatedFleet) -> None:
    """Makes a mesh of a simulated fleet: each pod is behind a Service of its own, and every proxy knows all of them."""
    account = f"spiffe://{TRUST_DOMAIN}/ns/{NAMESPACE}/sa/{ACCOUNT}"
    hosts = [f"{name}.{NAMESPACE}.svc.cluster.local" for name in fleet.pods]
    endpoints = []
    for number, (host, pod) in enumerate(zip(hosts, fleet.pods.values(), strict=True)):
        address = f"10.1.{number // 250}.{number % 250 + 1}"
        pod.item["status"] |= {"podIP": address, "podIPs": [{"ip": address}]}
        endpoints.append(built.endpoints(host, 80, built.endpoint(address, PORT)))
    said = {
        OF_SIDECAR: built.virtual_inbound(built.strict(), built.strict(PORT)),
        questions.COUNT: built.count(len(hosts)),
        questions.WHOLE.clusters: built.dump(*(built.auto_mutual(host, 80, [account]) for host in hosts)),
        questions.WHOLE.endpoints: built.dump(*endpoints),
    }
    answers = {_quoted(question): Canned(json.dumps(answer)) for question, answer in said.items()}
    for pod in fleet.pods.values():
        pod.answers |= answers


def growth(found: Sequence[Surveyed]) -> float:
    """How often a pod of the largest fleet costs what a pod of the smallest one does."""
    return found[-1].per_pod / found[0].per_pod


def _read(kubeconfig: Path) -> dict[str, Any]:
    words: list[str | Path] = [sys.executable, "-m", "tests.bench.read", kubeconfig, CONTEXT, NAMESPACE, "--mtls"]
    answer: dict[str, Any] = json.loads(must_run(words, timeout=PATIENCE, cwd=ROOT).stdout)
    return answer
