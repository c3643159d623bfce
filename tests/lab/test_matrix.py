"""All faults, one after the other on one lab: healthy, broken exactly as predicted, healthy again. Takes about 20 minutes.

Under a fault the suite judges what the fault breaks, its reach and the sample (``provision/faults/reach.py``); after it,
what it had broken. The whole is judged at the beginning and at the end.
"""

from __future__ import annotations

import time

import pytest

from facts.errors import ConformanceError
from provision.faults import Fault
from tests.lab.certified import Certified
from tests.lab.conftest import MATRIX, Lab
from tests.lab.matrix import NOT_EVALUATED, READY, Row, differences

EVERYTHING = ("--profile", "all", "--allow", "disruptive")

QUICK = {"CONFORMANCE_TIMEOUTS__POD_READY": "60"}
"""A probe that is refused waits for a quarter of this; a healthy one has its answer in 3 s."""

GUIDES_OWN = frozenset({"NEG-07", "TRF-07"})
"""What the guide's own values break: found on every install that follows it, this lab included."""


@pytest.fixture(scope="module")
def matrix(pytestconfig: pytest.Config) -> list[Row]:
    """The rows; printed at the end of the run."""
    return pytestconfig.stash.setdefault(MATRIX, [])


@pytest.fixture(scope="module")
def healthy(lab: Lab) -> Certified:
    """The whole catalogue on the healthy lab."""
    return lab.certify(*EVERYTHING)


def test_the_healthy_lab(healthy: Certified) -> None:
    """Before any fault everything holds but what the guide's own values break."""
    wrong = healthy.having("fail", "error", "skipped", "waived") - GUIDES_OWN
    assert wrong == set(), "\n".join(f"{r}: {'; '.join(healthy.reasons.get(r, ()))}" for r in sorted(wrong))
    assert healthy.having("not-evaluated") <= NOT_EVALUATED


@pytest.mark.parametrize("fault", READY, ids=lambda fault: fault.name)
def test_a_fault_breaks_what_it_names_and_is_undone(lab: Lab, healthy: Certified, matrix: list[Row], fault: Fault) -> None:
    """Exactly its requirements fail, what it blinds cannot be told, all else stands; and after it, all stands again."""
    judged = fault.judged - NOT_EVALUATED
    under = {r: "fail" if r in fault.breaks else "error" if r in fault.blinds else healthy.verdicts[r] for r in judged}
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


def test_the_lab_is_whole_again(lab: Lab, healthy: Certified) -> None:
    """After all faults every verdict is the one of the beginning."""
    assert list(differences(healthy.verdicts, lab.certify(*EVERYTHING), "at the end")) == []
