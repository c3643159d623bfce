"""How long it takes to see who every sidecar of a fleet is, against a loop in the shell, one pod after the other."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from observe.command import must_run
from observe.wait import NotYet, Pace, eventually
from provision.clusters.directory import directory_of
from provision.clusters.kind import context_name
from provision.clusters.sources import Sources
from provision.objects import SCRATCH, Objects
from provision.render import documents
from settings import Settings
from tests.bench.figures import Figure, ratio
from tests.bench.timed import PATIENCE, ROOT

NAMESPACE = f"{SCRATCH}bench-fleet"
SIZES = (10, 50, 80)
MANIFEST = Path(__file__).with_name("fleet.yaml")
LOOP = Path(__file__).with_name("loop.sh")


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """A fleet of one size, read by both.

    Attributes:
        size: Sidecars.
        suite: Seconds of the suite, for the list of pods and the reading of every sidecar.
        process: Seconds of its process from start to end, Python's own start included.
        processor: Seconds of the processor that the suite itself took.
        survey: Seconds of one survey, which reads all that the read-only core wants of each pod.
        loop: Seconds of the loop.
        memory: MiB, the most that the suite's process ever held.
        unread: Sidecars that could not be read, with the reason.
    """

    size: int
    suite: Figure
    process: Figure
    processor: Figure
    survey: Figure
    loop: Figure
    memory: list[int] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def fraction(self) -> float:
        """The suite's time as a part of the loop's, by the medians."""
        return ratio(self.suite, self.loop)

    @property
    def per_pod(self) -> float:
        """Milliseconds of the suite for the identity of one sidecar, by the median."""
        return self.suite.median * 1000 / self.size

    @property
    def surveyed_per_pod(self) -> float:
        """Milliseconds of a survey for one sidecar, by the median."""
        return self.survey.median * 1000 / self.size

    def line(self) -> str:
        """In words."""
        survey = f"a survey {self.survey.median:.2f} s, {self.surveyed_per_pod:.0f} ms a pod"
        return (
            f"{self.size} sidecars: {self.suite.median:.2f} s, {self.per_pod:.0f} ms a pod; {self.fraction:.2f} of the"
            f" {self.loop.median:.2f} s of the loop; {survey}; {max(self.memory)} MiB; {len(self.unread)} could not be read"
        )

    def as_document(self) -> dict[str, object]:
        """For JSON."""
        figures = [f.as_document() for f in (self.suite, self.process, self.processor, self.survey, self.loop)]
        return {
            "size": self.size, "figures": figures, "ratio": round(self.fraction, 3), "ms_per_pod": round(self.per_pod, 1),
            "survey_ms_per_pod": round(self.surveyed_per_pod, 1),
            "memory_mib": max(self.memory), "unread": self.unread,
        }  # fmt: skip


def read_fleets(settings: Settings, sources: Sources, rounds: int, tell: Callable[[Figure], None]) -> list[FleetFigures]:
    """Times both on fleets of several sizes on a kept cluster; what was made there is removed again.

    Args:
        settings: Of the kept cluster.
        sources: Of images and binaries.
        rounds: How often each is timed; they take turns.
        tell: Called with each figure as it grows.
    """
    directory = directory_of(settings)
    objects = Objects(
        directory / "kubeconfig", context_name(settings.kind_name), "bench",
        timeout=60, discovery=directory / "discovery-bench.json",
    )  # fmt: skip
    found = []
    try:
        objects.apply_all(documents(MANIFEST, {"NAMESPACE": NAMESPACE, "WORKLOAD_IMAGE": sources.workload_image}))
        for size in SIZES:
            _scale(objects, size)
            found.append(_read(settings, sources, size, rounds, tell))
    finally:
        objects.delete("v1", "Namespace", NAMESPACE)
        objects.await_departures(Pace(PATIENCE))
    return found


def _scale(objects: Objects, size: int) -> None:
    objects.patch("apps/v1", "Deployment", "fleet", {"spec": {"replicas": size}}, namespace=NAMESPACE)

    def look() -> None:
        ready = objects.await_ready("Deployment", "fleet", Pace(PATIENCE), namespace=NAMESPACE)
        if ready["status"].get("readyReplicas") != size:
            raise NotYet(f"{ready['status'].get('readyReplicas', 0)} of {size} ready")

    eventually(f"{size} sidecars are ready", look, Pace(PATIENCE))


def _read(settings: Settings, sources: Sources, size: int, rounds: int, tell: Callable[[Figure], None]) -> FleetFigures:
    figures = FleetFigures(
        size,
        suite=Figure(f"{size} sidecars: the suite reads them"),
        process=Figure(f"{size} sidecars: its process, from start to end"),
        processor=Figure(f"{size} sidecars: the processor's time of it"),
        survey=Figure(f"{size} sidecars: a survey of all that is wanted"),
        loop=Figure(f"{size} sidecars: kubectl in a loop"),
    )
    for turn in range(rounds):
        for one in (_suite, _loop) if turn % 2 == 0 else (_loop, _suite):
            one(settings, sources, figures)
        tell(figures.suite)
        tell(figures.survey)
        tell(figures.loop)
    return figures


def _suite(settings: Settings, _sources: Sources, figures: FleetFigures) -> None:
    kubeconfig = directory_of(settings) / "kubeconfig"
    began = time.monotonic()
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.bench.read",
        kubeconfig,
        context_name(settings.kind_name),
        NAMESPACE,
    ]
    answer: dict[str, Any] = json.loads(must_run(command, timeout=PATIENCE, cwd=ROOT).stdout)
    figures.process.seconds.append(time.monotonic() - began)
    figures.suite.seconds.append(answer["seconds"])
    figures.processor.seconds.append(answer["processor"])
    figures.survey.seconds.append(answer["survey"])
    figures.memory.append(answer["memory"])
    figures.unread.extend(answer["unread"])
    if answer["read"] + len(answer["unread"]) != figures.size:
        raise RuntimeError(f"{answer['read']} sidecars were read and {len(answer['unread'])} not, of {figures.size}")


def _loop(settings: Settings, sources: Sources, figures: FleetFigures) -> None:
    environment = {
        "PATH": os.pathsep.join([str(sources.kubectl.parent), os.environ["PATH"]]),
        "KUBECONFIG": str(directory_of(settings) / "kubeconfig"),
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as answers:
        began = time.monotonic()
        must_run(["bash", LOOP, NAMESPACE, answers], timeout=PATIENCE, env=environment, cwd=ROOT)
        figures.loop.seconds.append(time.monotonic() - began)
        dumps = [path for path in Path(answers).glob("*.dump") if path.stat().st_size > 1000]
        if len(dumps) != figures.size:
            raise RuntimeError(f"the loop got {len(dumps)} dumps of {figures.size}")
