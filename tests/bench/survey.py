"""What one survey costs for each pod, against fleets that are made up: it must not grow with the fleet.

A process of its own reads a simulated API server that runs in this one, so that the processor's time is the reader's alone.
Needs no cluster. What Envoy, the kubelet and a real API server cost on top, `tests.bench.fleet` measures.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observe.command import must_run
from tests.bench.figures import Figure
from tests.bench.timed import PATIENCE, ROOT
from tests.unit.observe.api_server import CONTEXT
from tests.unit.observe.simulated_fleet import NAMESPACE, simulated

SIZES = (10, 80)
STEEP = 1.3
"""Times that a pod of the largest fleet may cost what one of the smallest does. The start of the process does not count."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A simulated fleet of one size, read in several rounds.

    Attributes:
        size: Pods.
        seconds: From the list of pods to the end of the survey.
        processor: Seconds of the reader's processor for that.
    """

    size: int
    seconds: Figure
    processor: Figure

    @property
    def per_pod(self) -> float:
        """Milliseconds of the processor for one pod; the fastest round counts, which others disturbed least."""
        return self.processor.least * 1000 / self.size

    def line(self) -> str:
        """In words."""
        took = f"{self.seconds.least:.2f} s, {self.per_pod:.1f} ms of the processor a pod"
        return f"survey of {self.size} simulated pods: {took}"

    def as_document(self) -> dict[str, object]:
        """For JSON."""
        figures = [self.seconds.as_document(), self.processor.as_document()]
        return {"size": self.size, "figures": figures, "processor_ms_per_pod": round(self.per_pod, 2)}


def surveyed_fleets(rounds: int) -> Iterator[Surveyed]:
    """Reads a simulated fleet of each size."""
    for size in SIZES:
        made = Surveyed(size, Figure(f"{size} simulated pods"), Figure(f"{size} simulated pods: the processor's time"))
        with simulated(size) as fleet, tempfile.TemporaryDirectory(prefix="bench-") as directory:
            kubeconfig = fleet.server.kubeconfig(Path(directory))
            for _ in range(rounds):
                answer = _read(kubeconfig)
                if answer["unread"] or answer["read"] != size:
                    raise RuntimeError(f"{answer['read']} of {size} simulated pods were read: {answer['unread']}")
                made.seconds.seconds.append(answer["survey"])
                made.processor.seconds.append(answer["survey_processor"])
        yield made


def growth(found: Sequence[Surveyed]) -> float:
    """How often a pod of the largest fleet costs what a pod of the smallest one does."""
    return found[-1].per_pod / found[0].per_pod


def _read(kubeconfig: Path) -> dict[str, Any]:
    words: list[str | Path] = [sys.executable, "-m", "tests.bench.read", kubeconfig, CONTEXT, NAMESPACE]
    answer: dict[str, Any] = json.loads(must_run(words, timeout=PATIENCE, cwd=ROOT).stdout)
    return answer
