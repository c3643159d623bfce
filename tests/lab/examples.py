"""Makes the example reports in docs/examples: of a healthy lab, and of one whose Istio kept its default trust domain.

Run it as ``python -m tests.lab.examples``. With CONFORMANCE_REUSE=true and CONFORMANCE_KIND_NAME a kept lab is used.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys

from provision.faults import FAULTS, Operator
from tests.lab.conftest import LONGEST, ROOT, healthy_lab

EXAMPLES = ROOT / "docs" / "examples"
WORK = ROOT / "build" / "examples"
KUBECONFIG, CA = "kubeconfig", "teleport-ca.pem"
PASSING, FAILING = "passing", "failing"
FAULT = "trust-domain-cluster-local"
PROFILE = "checklist"
EXPECTED = {PASSING: 0, FAILING: 1}
"""Exit codes of the two runs."""


def main() -> None:
    """Certifies the lab twice and replaces the examples.

    Raises:
        SystemExit: A run ended with another exit code than an example of its kind has.
    """
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(mode=0o700, parents=True)
    try:
        with healthy_lab(WORK) as lab:
            installation = lab.scene.installation
            for given, name in ((installation.kubeconfig, KUBECONFIG), (installation.authority.ca, CA)):
                shutil.copy(str(given), WORK / name)
            _certify(PASSING, installation.authority.proxy, lab.scene.operator)
            with FAULTS[FAULT].inject(lab.scene):
                _certify(FAILING, installation.authority.proxy, lab.scene.operator)
    finally:
        shutil.rmtree(WORK)


def _certify(name: str, proxy: str, operator: Operator) -> None:
    """Runs the suite as its users do, and keeps the report as the example of this name."""
    command = [
        *(
            sys.executable,
            "-m",
            "pytest",
            "features",
            "-p",
            "no:cacheprovider",
            "--profile",
            PROFILE,
            "--allow",
            "namespaced",
        ),
        *("--cluster", "existing", "--context", operator.context, "--kubeconfig", _shown(KUBECONFIG)),
        *("--teleport-proxy", proxy, "--teleport-ca", _shown(CA), "--tctl", shlex.join(operator.tctl)),
        *("--run-id", f"example-{name}", "--reports", _shown(name)),
    ]
    done = subprocess.run(command, cwd=ROOT, timeout=LONGEST, check=False)
    if done.returncode != EXPECTED[name]:
        raise SystemExit(
            f"expected exit code {EXPECTED[name]} of the {name} run, seen {done.returncode}; no example was changed"
        )
    kept = EXAMPLES / name
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree((WORK / name / "latest").resolve(), kept)
    print(f"wrote {kept.relative_to(ROOT)}")


def _shown(name: str) -> str:
    """A file's path as readers see it on the report's command line: relative, so that it tells nothing of the machine."""
    return str((WORK / name).relative_to(ROOT))


if __name__ == "__main__":
    main()
