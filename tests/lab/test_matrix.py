"""All faults, one after the other on one lab: healthy, broken exactly as predicted, healthy again. Takes about 20 minutes.

Under a fault the suite judges what the fault breaks, its reach and the sample (``provision/faults/reach.py``); after it,
what it had broken. The whole is judged at the beginning and at the end.
"""

from __future__ import annotations

import time

import pytest

from facts.errors import ConformanceError
from provision.faults import FAULTS, Fault
from tests.lab.certified import Certified
from tests.lab.conftest import MATRIX, Lab
from tests.lab.matrix import NOT_EVALUATED, READY, Row, differences

EVERYTHING = ("--profile", "all", "--allow", "disruptive")

QUICK = {"CONFORMANCE_TIMEOUTS__POD_READY": "60"}
"""A probe that is refused waits for a quarter of this; a healthy one has its answer in 3 s."""


@pytest.fixture(scope="module")
def matrix(pytestconfig: pytest.Config) -> list[Row]:
    """The rows; printed at the end of the run."""
    return pytestconfig.stash.setdefault(MATRIX, [])


@pytest.fixture(scope="module")
def chosen(request: pytest.FixtureRequest) -> frozenset[str]:
    """The requirements to judge at the beginning and at the end: everything, or what the faults chosen with ``-k`` need."""
    names = [item.name for item in request.session.items]
    faults = [fault for fault in READY if any(name.endswith(f"[{fault.name}]") for name in names)]
    return frozenset() if faults == READY else frozenset(r for f in faults for r in f.judged) - NOT_EVALUATED


@pytest.fixture(scope="module")
def healthy(lab: Lab, chosen: frozenset[str]) -> Certified:
    """What is said of the healthy lab."""
    return lab.certify(*EVERYTHING, requirements=chosen)


def test_the_healthy_lab(healthy: Certified, chosen: frozenset[str]) -> None:
    """Before any fault everything holds but what faults break that stand here already, because the lab follows the guide."""
    standing = {r for fault in FAULTS.values() if fault.standing for r in fault.breaks - NOT_EVALUATED}
    expected = {r: "fail" for r in standing if r in chosen or not chosen}
    assert list(differences(expected, healthy, "before")) == []
    wrong = healthy.having("fail", "error", "skipped", "waived") - standing
    assert wrong == set(), "\n".join(f"{r}: {'; '.join(healthy.reasons.get(r, ()))}" for r in sorted(wrong))
    assert chosen or healthy.having("not-evaluated") <= NOT_EVALUATED


@pytest.mark.parametrize("fault", READY, ids=lambda fault: fault.name)
def test_a_fault_breaks_what_it_names_and_is_undone(lab: Lab, healthy: Certified, matrix: list[Row], fault: Fault) -> None:
    """Exactly its requirements fail, what it blinds cannot be told, all else stands; and after it, all stands again.

    With a fault that stands on the healthy lab it is the other way round: its requirements hold while it is taken away.
    """
    judged = fault.judged - NOT_EVALUATED
    broken_is = "pass" if fault.standing else "fail"
    under = {r: broken_is if r in fault.breaks else "error" if r in fault.blinds else healthy.verdicts[r] for r in judged}
    after = {r: healthy.verdicts[r] for r in (fault.breaks | fault.blinds) - NOT_EVALUATED}
    began = time.monotonic()
    otherwise: list[str] = []
    seen = undone = None
    try:
        with fault.inject(lab.scene) as operator:
            seen = lab.certify(*EVERYTHING, requirements=under, operator=operator, **QUICK)
        undone = lab.certify(*EVERYTHING, requirements=after)
    except ConformanceError as error:
        otherwise.append(str(error))
    if seen is not None:
        otherwise += differences(under, seen, "under it")
    if undone is not None:
        otherwise += differences(after, undone, "after it")
    broken = frozenset(seen.having("fail") & judged) if seen else frozenset()
    blind = frozenset(seen.having("error") & judged) if seen else frozenset()
    matrix.append(Row(fault, broken, blind, tuple(otherwise), len(judged), time.monotonic() - began))
    assert otherwise == []


def test_the_lab_is_whole_again(lab: Lab, healthy: Certified, chosen: frozenset[str]) -> None:
    """After all faults every verdict is the one of the beginning."""
    assert list(differences(healthy.verdicts, lab.certify(*EVERYTHING, requirements=chosen), "at the end")) == []
