"""A run that is cut short leaves a report, the documented exit code, and nothing else; or says what it had to leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from observe.wait import NotYet, Pace, eventually
from provision.clusters.directory import directory_of
from settings import load
from tests.lab.conftest import ROOT, Lab
from tests.lab.docker_proxy import DockerProxy

NAME = "test-interruptions"
PACE = Pace(timeout=90, interval=0.1)
ENDS_WITHIN = 60.0


@dataclass(frozen=True)
class Run:
    """A run of the suite that is under way."""

    process: subprocess.Popen[bytes]
    output: Path
    reports: Path

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    @property
    def report(self) -> Any:
        return json.loads((self.reports / "latest" / "report.json").read_text(encoding="utf-8"))

    def signal(self, number: signal.Signals) -> None:
        """As a terminal does: to the whole process group."""
        os.killpg(self.process.pid, number)

    def must_end(self, exit_code: int) -> Any:
        """Waits for the end, which must come soon, in order and with a report; returns the report."""
        assert self.process.wait(ENDS_WITHIN) == exit_code, self.said
        assert "Traceback" not in self.said
        assert self.report["result"] == "inconclusive"
        return self.report


@contextmanager
def run_of(directory: Path, *options: str, **environment: str) -> Iterator[Run]:
    """Starts the suite; a run that a test leaves going is ended."""
    output, reports = directory / "output", directory / "reports"
    command = [
        # A shell that starts this in the background lets its children ignore Ctrl-C.
        *("env", "--default-signal=INT", sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider"),
        *("--reports", str(reports), *options),
    ]
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=sink, stderr=sink, env=os.environ | environment, start_new_session=True
        )
    try:
        yield Run(process, output, reports)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(ENDS_WITHIN)


def on_kind(*features: str) -> tuple[str, ...]:
    return (*(features or ("features",)), "--kind-name", NAME, "--nodes", "1")


def containers() -> list[str]:
    listing = ["docker", "ps", "--all", "--filter", f"name=^{NAME}-", "--format", "{{.Names}}"]
    return subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()


def await_container(run: Run, suffix: str) -> None:
    def look() -> None:
        assert run.process.poll() is None, run.said
        if not any(suffix in name for name in containers()):
            raise NotYet(f"there are {containers()}")

    eventually(f"there is a container {NAME}-{suffix}", look, PACE)


def await_words(run: Run, words: str) -> None:
    def look() -> None:
        assert run.process.poll() is None, run.said
        if words not in run.said:
            raise NotYet(run.said[-200:])

    eventually(f"the run says {words!r}", look, PACE)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Before and after each test: no container and no file of the cluster."""
    assert containers() == []
    yield
    left, directory = containers(), directory_of(load(kind_name=NAME))
    subprocess.run([sys.executable, "-m", "cli", "down", "--kind-name", NAME], cwd=ROOT, check=True, capture_output=True)
    assert left == []
    assert not directory.exists()


def test_ctrl_c_while_the_cluster_is_made(tmp_path: Path) -> None:
    with run_of(tmp_path, *on_kind()) as run:
        await_container(run, "control-plane")
        run.signal(signal.SIGINT)
        report = run.must_end(2)

    assert report["run_errors"] == ["interrupted: Ctrl-C"]
    phases = {phase["name"]: phase["message"] for phase in report["timeline"]}
    assert phases["cluster"] == "stopped"


def test_sigterm_in_a_step(tmp_path: Path) -> None:
    with run_of(tmp_path, *on_kind("features/1_install/1_prerequisites.feature")) as run:
        await_words(run, "Every node can run tbot")
        run.signal(signal.SIGTERM)
        report = run.must_end(2)

    assert report["run_errors"] == ["interrupted: terminated by SIGTERM"]
    endings = {scenario["name"]: scenario["ending"] for scenario in report["scenarios"]}
    assert endings["Teleport answers with its cluster name and its SPIFFE bundle"] == "completed"
    assert endings["Every node can run tbot and let it attest pods"] == "broke"


def test_docker_goes_away_in_the_middle(tmp_path: Path) -> None:
    with DockerProxy(tmp_path / "docker") as proxy, run_of(tmp_path, *on_kind(), DOCKER_HOST=proxy.address) as run:
        await_container(run, "control-plane")
        proxy.cut()
        report = run.must_end(6)

    assert any("expected Docker to answer" in error for error in report["run_errors"])
    assert f"then: conformance down --kind-name {NAME}" in report["run_errors"][-1]
    left = containers()
    assert f"{NAME}-control-plane" in left

    # What is left is not the next run's to use or to remove.
    with run_of(tmp_path, *on_kind()) as run:
        report = run.must_end(6)
    assert f"expected no kind cluster called {NAME}; saw there is one" in report["run_errors"][0]
    assert containers() == left

    subprocess.run([sys.executable, "-m", "cli", "down", "--kind-name", NAME], cwd=ROOT, check=True)


def test_ctrl_c_on_somebody_elses_cluster_takes_the_runs_namespace_away(lab: Lab, tmp_path: Path) -> None:
    objects = lab.scene.installation.objects

    def namespaces() -> set[str]:
        every = objects.all_of("v1", "Namespace")
        return {n["metadata"]["name"] for n in every if n["metadata"]["name"].startswith("conformance-")}

    def there() -> None:
        if not namespaces():
            raise NotYet("it has not been made")

    def gone() -> None:
        if namespaces():
            raise NotYet(f"there are {namespaces()}")

    with run_of(tmp_path, "features/1_install/1_prerequisites.feature", *lab.options()) as run:
        eventually("the run's namespace is there", there, PACE)
        run.signal(signal.SIGINT)
        run.must_end(2)
    eventually("the run's namespace is gone", gone, PACE)
