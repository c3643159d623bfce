"""The faults that CI injects: each breaks exactly the requirements it names, and the install is whole again after them.

Under each, all of the installation and the checklist is judged, which takes seconds. All faults, and what they break of
identities and traffic, are ``test_matrix.py``: ``make test-faults``.
"""

from __future__ import annotations

import pytest

from provision.faults import FAULTS, Fault
from tests.lab.certified import Certified
from tests.lab.conftest import Lab
from tests.lab.matrix import misnamed

SECONDS = ("--profile", "install,checklist")
SHORT = [fault for fault in FAULTS.values() if fault.short]
BAD = ("fail", "error", "not-evaluated", "skipped", "waived")


def told(run: Certified) -> str:
    """What a person needs when the verdicts are not the expected ones."""
    return (
        "\n".join(f"{requirement}: {'; '.join(reasons)}" for requirement, reasons in run.reasons.items()) or run.said[-3000:]
    )


def test_the_healthy_lab_passes(lab: Lab) -> None:
    """Before any fault: every requirement holds, and the exit code says so."""
    run = lab.certify(*SECONDS)
    assert run.having(*BAD) == set(), told(run)
    assert (run.result, run.exit_code) == ("pass", 0)


@pytest.mark.parametrize("fault", SHORT, ids=lambda fault: fault.name)
def test_a_fault_breaks_exactly_what_it_names(lab: Lab, fault: Fault) -> None:
    """While the fault lasts, its requirements fail and name its cause; none is a mere error, and no other is touched."""
    with fault.inject(lab.scene):
        run = lab.certify(*SECONDS)
    assert run.having("fail") == fault.breaks & run.verdicts.keys(), told(run)
    assert list(misnamed(fault, run)) == []
    assert run.having("error", "not-evaluated", "skipped", "waived") == set(), told(run)
    assert (run.result, run.exit_code) == ("fail", 1)


def test_the_lab_is_whole_again(lab: Lab) -> None:
    """After all faults were undone: as healthy as before."""
    run = lab.certify(*SECONDS)
    assert run.having(*BAD) == set(), told(run)
    assert (run.result, run.exit_code) == ("pass", 0)
