"""One lab for all tests of this folder: a kept installation, and the suite run against it as against somebody else's."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from facts.recorder import KeptInMemory
from observe.wait import NotYet, Pace, eventually
from providers.teleport.installing.teleport import OwnTeleport
from provision.faults import Operator, Scene
from provision.faults.surroundings.repository import make_repository
from provision.installing.install import Installer
from provision.objects import RUN_LABEL, SCRATCH
from reporting.writing.publish import UNFINISHED
from settings import load
from tests.lab.certified import Certified
from tests.lab.matrix import Row, printed

ROOT = Path(__file__).parents[2]
NAME = "test-lab"
AT_ONCE = {"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 1}}}}
"""How the test application is rolled out, of whose two pods nobody needs one: both are replaced at the same time."""
LONGEST = 3600
"""Seconds after which a run of the suite hangs; what takes minutes to judge takes them one after the other."""
USES_TBOTS_ACCOUNT = (
    "Group kubeadm:cluster-admins",
    "ServiceAccount istio-system/istiod",  # it deploys gateways of the Gateway API, in any namespace
    "ServiceAccount conformance/certifier",  # with the role for --allow namespaced
)
"""Who may use tbot's service account on the lab."""
MATRIX = pytest.StashKey[list[Row]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the matrix, when faults were taken one by one."""
    if rows := config.stash.get(MATRIX, []):
        terminalreporter.section("faults: what failed, of how many that were judged, and how long it took")
        for line in printed(rows):
            terminalreporter.write_line(line)


class Lab:
    """A kept installation, and how to certify it."""

    def __init__(self, scene: Scene, reports: Path) -> None:
        self.scene = scene
        self._reports = reports

    @property
    def latest(self) -> Path:
        """The report of the last run."""
        return (self._reports / "latest").resolve()

    def options(self, operator: Operator | None = None) -> tuple[str, ...]:
        """What tells the suite to look at it as at a cluster that is already there, with what an operator has in hand."""
        operator = operator or self.scene.operator
        return (
            *("--cluster", "existing", "--kubeconfig", str(operator.kubeconfig), "--context", operator.context),
            *("--teleport-proxy", self.scene.installation.authority.proxy),
            *("--teleport-ca", str(self.scene.installation.authority.ca)),
            *("--tctl", shlex.join(operator.tctl), "--allow", "namespaced"),
            *("--audit-events", str(operator.audit_events or self._copy_of_audit_log())),
            *(("--run-id", operator.run_id) if operator.run_id else ()),
            # kubectl and istioctl are taken from the PATH where images come from public registries.
            *(("--source", "upstream", "--istio", "default") if operator.tools else ()),
        )

    def _copy_of_audit_log(self) -> Path:
        """What Teleport has logged until now, out of its container."""
        authority = self.scene.installation.authority
        assert isinstance(authority, OwnTeleport)
        copy = Path(tempfile.mkdtemp(dir=self._reports, prefix="events-"))
        source = f"{authority.container.name}:/var/lib/teleport/log/."
        subprocess.run(["docker", "cp", "--quiet", source, str(copy)], check=True, capture_output=True)
        return copy

    def _repository_of(self, operator: Operator | None) -> Path:
        """The operator's repository with the template of the join token; a sound one where they name none."""
        if operator is not None and operator.repository is not None:
            return operator.repository
        sound = self._reports / "repository"
        if not sound.exists():
            make_repository(sound)
        return sound

    def certify(
        self, *options: str, requirements: Collection[str] = (), operator: Operator | None = None, **environment: str
    ) -> Certified:
        """Runs the suite on it in a process of its own.

        Args:
            options: Besides those that say where the lab is.
            requirements: To judge these alone; none means all of the profile.
            operator: Who looks; the scene's own where None is given.
            environment: Variables for the run.
        """
        chosen = " or ".join(f'requirement(id="{requirement}")' for requirement in sorted(requirements))
        command = [
            *(sys.executable, "-m", "pytest", "features", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"),
            *("--reports", str(self._reports)),
            *(*self.options(operator), *options, *(("-m", chosen) if chosen else ())),
        ]
        # Pods on their way out are nobody's any more, and the next run need not wait for their namespaces.
        variables = {
            **os.environ,
            "CONFORMANCE_TIMEOUTS__TEARDOWN": "0",
            "CONFORMANCE_HYGIENE__EXPECTED_SUBJECTS": json.dumps(USES_TBOTS_ACCOUNT),
            "CONFORMANCE_HYGIENE__REPOSITORY": str(self._repository_of(operator)),
            **environment,
        }
        variables.pop("PYTHONDONTWRITEBYTECODE", None)  # a hundred runs would compile the same modules a hundred times
        if operator is not None and operator.tools is not None:
            variables["PATH"] = f"{operator.tools}{os.pathsep}{variables['PATH']}"
        latest = self._reports / "latest"
        latest.unlink(missing_ok=True)  # a run without a report must not be taken for the one before it
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST, check=False, env=variables)
        said = done.stdout + done.stderr
        file = latest / "report.json"
        assert file.is_file(), f"no report was written: {said}"
        assert not (latest / UNFINISHED).exists(), f"the run did not come to its end: {said}"
        report = json.loads(file.read_text(encoding="utf-8"))
        return Certified.told_by(report, exit_code=done.returncode, said=said)

    def await_departures(self) -> None:
        """Waits until nothing is left of the namespaces that the runs had made for themselves.

        Raises:
            CouldNotTell: One is still there.
        """
        objects = self.scene.installation.objects

        def look() -> None:
            names = [n["metadata"]["name"] for n in objects.all_of("v1", "Namespace", label_selector=RUN_LABEL)]
            if left := [name for name in names if name.startswith(SCRATCH)]:
                raise NotYet(", ".join(left))

        eventually("no namespace of a run is left", look, Pace(self.scene.patience.teardown))


@contextmanager
def healthy_lab(reports: Path, **installed: Any) -> Iterator[Lab]:
    """The lab, healthy, and removed on the way out.

    Args:
        reports: Where what the suite says of it goes.
        installed: Settings of the installation, where it is another than the recommended one.
    """
    # With CONFORMANCE_REUSE and CONFORMANCE_KIND_NAME set, a kept cluster of one's own serves as the lab.
    # Faults of mutual TLS need a mesh that takes nothing else: in the default mode, MTL-02 fails from the beginning.
    usual = {"kind_name": os.environ.get("CONFORMANCE_KIND_NAME", NAME), "repairs": "strict-mtls"}
    settings = load(**{**usual, **installed})
    recorder = KeptInMemory()
    with Installer(settings, recorder, "test-lab") as installer:
        installation = installer.installation()
        assert isinstance(installation.authority, OwnTeleport)
        operator = Operator(installation.kubeconfig, installation.context, installation.authority.command)
        installation.objects.patch("apps/v1", "Deployment", "test-app", AT_ONCE, namespace="test-app")
        scene = Scene(installation, operator, settings.patience, recorder)
        if settings.reuse:
            # The run's label on tbot's ConfigMap is new, and the API server's record does not tell it from a new text.
            scene.restart_tbot()
        yield Lab(scene, reports)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab of all tests."""
    with healthy_lab(tmp_path_factory.mktemp("reports")) as made:
        yield made
