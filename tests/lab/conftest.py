"""One lab for all tests of this folder: a kept installation, and the suite run against it as against somebody else's."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from facts.evidence import KeptInMemory
from provision.faults import Scene
from provision.install import Installer
from provision.teleport import OwnTeleport
from settings import load

ROOT = Path(__file__).parents[2]
NAME = "test-lab"


@dataclass(frozen=True, slots=True)
class Certified:
    """What one run of the suite said.

    Attributes:
        exit_code: Of pytest.
        result: Of the run.
        verdicts: By requirement.
        reasons: By requirement, for those that do not pass.
        said: The run's terminal output.
    """

    exit_code: int
    result: str
    verdicts: dict[str, str]
    reasons: dict[str, list[str]]
    said: str

    def having(self, *verdicts: str) -> set[str]:
        """Requirements with one of these verdicts."""
        return {requirement for requirement, verdict in self.verdicts.items() if verdict in verdicts}


class Lab:
    """A kept installation, and how to certify it."""

    def __init__(self, scene: Scene, reports: Path) -> None:
        self.scene = scene
        self._reports = reports

    def options(self) -> tuple[str, ...]:
        """What tells the suite to look at it as at a cluster that is already there."""
        installation = self.scene.installation
        authority = installation.authority
        assert isinstance(authority, OwnTeleport)
        return (
            *("--cluster", "existing", "--kubeconfig", str(installation.kubeconfig), "--context", installation.context),
            *("--teleport-proxy", authority.proxy, "--teleport-insecure", "--allow", "namespaced"),
            *("--tctl", shlex.join(["docker", "exec", "-i", authority.container.name, "tctl"])),
        )

    def certify(self, *options: str) -> Certified:
        """Runs the suite on it in a process of its own."""
        command = [
            *(sys.executable, "-m", "pytest", "features", "-p", "no:cacheprovider", "--reports", str(self._reports)),
            *(*self.options(), *options),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        said = done.stdout + done.stderr
        file = self._reports / "latest" / "report.json"
        assert file.is_file(), f"no report was written: {said}"
        report = json.loads(file.read_text(encoding="utf-8"))
        judged = {j["requirement"]["id"]: j for j in report["judged"]}
        return Certified(
            exit_code=done.returncode,
            result=report["result"],
            verdicts={requirement: j["verdict"] for requirement, j in judged.items()},
            reasons={requirement: j["reasons"] for requirement, j in judged.items() if j["reasons"]},
            said=said,
        )


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab, healthy, and removed at the end."""
    settings = load(kind_name=NAME)
    recorder = KeptInMemory()
    with Installer(settings, recorder, "test-lab") as installer:
        scene = Scene(installer.installation(), settings.patience, recorder)
        yield Lab(scene, tmp_path_factory.mktemp("reports"))
