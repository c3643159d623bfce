"""A disruptive run that is killed at a random moment leaves nothing that `undo` and `down` do not mend.

`make kill-test` runs it: it takes hours. KILL_SEED chooses the moments, KILLS their number. What has passed is noted in
build/kills.json and skipped the next time, so an interrupted test goes on where it was; delete the file to begin anew.
With CONFORMANCE_REUSE=true and CONFORMANCE_KIND_NAME a kept lab is used.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facts.errors import CouldNotTell
from observe.command import CommandResult, must_run, run
from observe.wait import NotYet, Pace, eventually
from providers.teleport.installing.teleport import OwnTeleport
from reporting.writing.publish import UNFINISHED
from settings import Names
from tests.lab.conftest import LONGEST, ROOT, Lab
from tests.lab.inventory import PASSING, Differences, Entry, Inventory, differences, of_cluster, of_teleport
from tests.lab.kills import PROFILES, Kill, Progress, planned

SEED = int(os.environ.get("KILL_SEED", "1"))
KILLS = int(os.environ.get("KILLS", "20"))
PROGRESS = Progress(ROOT / "build" / "kills.json", SEED)

MENDS = Pace(timeout=900, interval=10)
"""Patience with `conformance undo` while the API server of a restarted node is not back."""
SETTLES = Pace(timeout=600, interval=5)
"""Patience with pods that return and namespaces that go."""
COMMAND = 120.0
"""Seconds for one command that reads."""


# The lab, before and after.


def inventory(lab: Lab) -> Inventory:
    """All objects of the cluster, Teleport's resources, and the machines."""
    installation, teleport = lab.scene.installation, _container(lab)
    there = ("--kubeconfig", str(installation.kubeconfig), "--context", installation.context)
    kubectl = (str(installation.sources.kubectl), *there)
    known = must_run([*kubectl, "api-resources", "--verbs=list", "-o", "name"], timeout=COMMAND).stdout.split()
    kinds = ",".join(kind for kind in known if kind not in PASSING)
    listing = must_run([*kubectl, "get", kinds, "-A", "-o", "json", "--show-managed-fields"], timeout=COMMAND)
    resources = must_run([*_tctl(lab), "get", "role,bot,workload_identity,token", "--format=json"], timeout=COMMAND)
    status = must_run([*_tctl(lab), "status"], timeout=COMMAND).stdout
    rotation = "\n".join(line for line in status.splitlines() if "rotat" in line.lower())
    items = json.loads(listing.stdout)["items"]
    nodes = [item["metadata"]["name"] for item in items if item["kind"] == "Node"]
    machines = {name: Entry(_machine(name, of_node=name in nodes), touched=True) for name in (teleport, *nodes)}
    return of_cluster(items) | of_teleport(json.loads(resources.stdout), rotation) | machines


def _machine(name: str, *, of_node: bool) -> str:
    """The state of a container, and on a node the socket's directory with whatever lies beside it under its name."""
    state = must_run(["docker", "inspect", "--format", "{{.State.Status}}", name], timeout=COMMAND).stdout.strip()
    if not of_node or state != "running":
        return state
    directories = f"stat --format '%n %a' {Names().socket_directory}*"
    return f"{state}, {run(['docker', 'exec', name, 'sh', '-c', directories], timeout=COMMAND).stdout.strip()}"


def _container(lab: Lab) -> str:
    authority = lab.scene.installation.authority
    assert isinstance(authority, OwnTeleport)
    return str(authority.container.name)


def _tctl(lab: Lab) -> tuple[str, ...]:
    return lab.scene.operator.tctl


def await_the_same(lab: Lab, before: Inventory) -> Differences:
    """Waits until nothing that the suite has touched differs from before; returns what else differs."""

    def look() -> Differences:
        try:
            found = differences(before, inventory(lab))
        except CouldNotTell as error:  # a node that was restarted
            raise NotYet(error.seen) from error
        if found.ours:
            raise NotYet("\n".join(found.ours))
        return found

    return eventually("the lab is as it was before the run", look, SETTLES)


# The suite and the command, each in a process of its own.


@contextmanager
def run_of(lab: Lab, profile: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the suite on the lab as on a cluster that is already there."""
    command = [
        *(sys.executable, "-m", "pytest", "features", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"),
        *(*lab.options(), "--allow", "disruptive", "--profile", profile, "--reports", str(directory / "reports")),
    ]
    with (directory / "output").open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=sink, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills the suite with all that it has started in its own process group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)


def conformance(lab: Lab, *words: str) -> CommandResult:
    """Runs the command on the lab, as a person would after a run that was killed."""
    operator = lab.scene.operator
    there = ("--kubeconfig", str(operator.kubeconfig), "--context", operator.context, "--tctl", shlex.join(operator.tctl))
    return run([sys.executable, "-m", "cli", *words, *there], timeout=LONGEST, cwd=ROOT)


def must_mend(lab: Lab) -> str:
    """Undoes and removes what a run left, and checks that a second time there is nothing; returns what was said."""

    def look() -> CommandResult:
        done = conformance(lab, "undo", "--yes")
        if done.exit_code == 6:  # only this: what could not be determined yet
            raise NotYet(done.stdout + done.stderr)
        return done

    undone = eventually("conformance undo has restored everything", look, MENDS)
    assert undone.exit_code == 0, undone.stdout + undone.stderr
    removed = conformance(lab, "down", "--all-runs", "--yes")
    assert removed.exit_code == 0, removed.stdout + removed.stderr
    must_be_nothing_left(lab)
    return undone.stdout + removed.stdout


def must_be_nothing_left(lab: Lab) -> None:
    """Checks that the command finds nothing to undo and nothing to remove."""
    for words in (("undo",), ("down", "--all-runs")):
        looked = conformance(lab, *words)
        assert (looked.exit_code, looked.stdout) == (0, "nothing is left\n"), looked.stdout + looked.stderr


@pytest.fixture(scope="module")
def before(lab: Lab) -> Inventory:
    """The healthy lab, on which no earlier run has left anything."""
    must_be_nothing_left(lab)
    return inventory(lab)


@pytest.mark.parametrize("profile", PROFILES)
def test_an_uninterrupted_run_leaves_nothing(lab: Lab, before: Inventory, profile: str, tmp_path: Path) -> None:
    """Its time is the measure for the moments below."""
    if PROGRESS.duration(profile) is not None:
        pytest.skip("measured in an earlier run of this test: build/kills.json")
    began = time.monotonic()
    with run_of(lab, profile, tmp_path) as process:
        process.wait(LONGEST)
    took = time.monotonic() - began
    said = (tmp_path / "output").read_text(encoding="utf-8", errors="replace")
    assert process.returncode in (0, 6, 7), said  # inconclusive and partial: the lab cannot show everything
    must_be_nothing_left(lab)
    report_others(await_the_same(lab, before))
    PROGRESS.note_duration(profile, took)


@pytest.mark.parametrize("kill_at", planned(SEED, KILLS), ids=lambda k: f"{k.number}-{k.profile}-{k.fraction:.3f}")
def test_after_a_kill_the_lab_is_mended(lab: Lab, before: Inventory, kill_at: Kill, tmp_path: Path) -> None:
    if PROGRESS.has_passed(kill_at):
        pytest.skip("passed in an earlier run of this test: build/kills.json")
    duration = PROGRESS.duration(kill_at.profile)
    assert duration is not None, "no uninterrupted run of this profile has been measured"
    with run_of(lab, kill_at.profile, tmp_path) as process:
        try:
            process.wait(kill_at.fraction * duration)
        except subprocess.TimeoutExpired:
            kill(process)
            must_say_that_it_was_killed(tmp_path / "reports" / "latest")
    mended = must_mend(lab)
    print(mended)  # with pytest's -s one sees each when it is over
    report_others(await_the_same(lab, before))
    PROGRESS.note_passed(kill_at, mended)


def must_say_that_it_was_killed(latest: Path) -> None:
    """Checks the report of a killed run; one that was killed before its first scenario has none."""
    if not latest.exists():
        return
    assert (latest / UNFINISHED).is_file()
    report = json.loads((latest / "report.json").read_text(encoding="utf-8")) if (latest / "report.json").exists() else None
    assert report is None or "had not ended at" in report["run_errors"][0]


def report_others(found: Differences) -> None:
    """Lists what others have changed meanwhile: it is no failure, and no secret."""
    for line in found.others:
        print(f"changed by others: {line}")
