"""All faults of some profiles, one after the other on one lab: healthy, broken exactly as predicted, healthy again.

Which faults, and what is judged when, is in ``plan.py``; ``--profile`` chooses, pytest's ``-k`` chooses among these.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from facts.errors import BadInput, ConformanceError
from provision.faults import FAULTS, Fault
from tests.lab.certified import Certified
from tests.lab.conftest import MATRIX, ROOT, Lab
from tests.lab.matrix import Row, Spent, differences, lines_of, misnamed
from tests.lab.plan import BY_DEFAULT, Plan, planned

EVERYTHING = ("--profile", "all", "--allow", "disruptive")
LOOKING = ("--profile", "all", "--allow", "read-only")
"""Who lacks rights can hold no Lease, and without it the suite lets nobody disrupt the cluster."""

QUICK = {"CONFORMANCE_TIMEOUTS__POD_READY": "40"}
"""A probe that nobody answers waits for a quarter of this; a healthy one has its answer in 3 s."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a fault."""
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", whole_plan(metafunc.config).faults, ids=lambda fault: fault.name)


def whole_plan(config: pytest.Config) -> Plan:
    """The plan of the profiles that the command line names."""
    given: str | None = config.getoption("conformance_profiles")
    try:
        return planned(given.split(",") if given else BY_DEFAULT, ROOT / "features", FAULTS.values())
    except BadInput as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="module")
def matrix(pytestconfig: pytest.Config) -> list[Row]:
    """The rows; printed at the end of the run."""
    return pytestconfig.stash.setdefault(MATRIX, [])


@pytest.fixture(scope="module")
def plan(request: pytest.FixtureRequest) -> Plan:
    """The plan for the faults that were chosen."""
    whole = whole_plan(request.config)
    items = [item.name for item in request.session.items]
    return whole.only({f.name for f in whole.faults if any(item.endswith(f"[{f.name}]") for item in items)})


@pytest.fixture(scope="module")
def healthy(lab: Lab, plan: Plan) -> Certified:
    """What is said of the healthy lab."""
    return lab.certify(*EVERYTHING, requirements=plan.before)


def test_the_healthy_lab(healthy: Certified, plan: Plan) -> None:
    """Before any fault everything holds but what faults break that stand here already, because the lab follows the guide."""
    standing = {r for fault in FAULTS.values() if fault.standing for r in fault.breaks}
    assert list(differences(dict.fromkeys(standing & plan.before, "fail"), healthy, "before")) == []
    held = {r: "pass" for r in plan.before - standing if healthy.verdicts.get(r) != "not-applicable"}
    assert list(differences(held, healthy, "before")) == []
    here = [fault for fault in FAULTS.values() if fault.standing and fault.breaks <= plan.before]
    assert [words for fault in here for words in misnamed(fault, healthy)] == []


def test_a_fault_breaks_what_it_names_and_is_undone(
    lab: Lab, plan: Plan, healthy: Certified, matrix: list[Row], fault: Fault
) -> None:
    """Exactly its requirements fail and name its cause, what it blinds cannot be told, all else stands; after it, all does.

    With a fault that stands on the healthy lab it is the other way round: its requirements hold while it is taken away.
    """
    judged = plan.under(fault)
    blind_is = "not-evaluated" if fault.denies else "error"
    broken_is = {r: "pass" if fault.standing else "not-evaluated" if r in healthy.premises else "fail" for r in fault.breaks}
    under = {r: broken_is.get(r) or (blind_is if r in fault.blinds else healthy.verdicts[r]) for r in judged}
    after = {r: healthy.verdicts[r] for r in plan.after(fault)}
    spent = Spent()
    otherwise: list[str] = []
    seen = undone = None
    try:
        with ExitStack() as stack:
            with spent.on("inject"):
                operator = stack.enter_context(fault.inject(lab.scene))
            with spent.on("judge"):
                how = LOOKING if fault.denies else EVERYTHING
                seen = lab.certify(*how, requirements=under, operator=operator, **QUICK)
            with spent.on("undo"):
                stack.close()
        with spent.on("judge again"):
            undone = lab.certify(*EVERYTHING, requirements=after)
    except ConformanceError as error:
        otherwise.append(str(error))
    if seen is not None:
        otherwise += differences(under, seen, "under it")
        otherwise += () if fault.standing else misnamed(fault, seen)
    if undone is not None:
        otherwise += differences(after, undone, "after it")
    broken = frozenset(seen.broken() & judged) if seen else frozenset()
    blind = frozenset(seen.having("error", "not-evaluated") & judged) - broken if seen else frozenset()
    row = Row(fault, broken, blind, tuple(otherwise), len(judged), spent)
    matrix.append(row)
    print("", *lines_of(row), sep="\n")  # with pytest's -s one sees each when it is over
    assert otherwise == []


def test_the_lab_is_whole_again(lab: Lab, plan: Plan, healthy: Certified) -> None:
    """After all faults every verdict is the one of the beginning, what takes minutes to judge holds, and nothing is left."""
    expected = {r: healthy.verdicts[r] if r in plan.before else "pass" for r in plan.at_end}
    assert list(differences(expected, lab.certify(*EVERYTHING, requirements=plan.at_end), "at the end")) == []
    lab.await_departures()
