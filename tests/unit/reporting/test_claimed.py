"""A Teleport that only tbot's own configuration names: what rests on it is marked, and the authority stays unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from facts.catalogue import Catalogue
from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.finding import Holds
from judge.verdict import Authority, Ending, Result
from reporting.assemble import RunPlan, assemble
from reporting.collecting.store import Store
from reporting.model import Report, RunFacts, Scope, StepState
from reporting.writing.document import from_json, to_json
from reporting.writing.html import to_html
from reporting.writing.terminal import summary
from tests.unit.reporting.sample import NOW, finding, reading, requirement, scenario, step

PROXY = "teleport.test:443"
ASKED = evidence_of(f"GET https://{PROXY}/webapi/ping", ObjectRef("Teleport", PROXY), "{}", read_at=NOW)
BODIES = {"A-1": ASKED, "A-2": reading("pod"), "A-3": reading("token")}
WORDS = f"asked the Teleport that tbot's configuration claims ({PROXY})"


def run(named: Authority, claimed: str) -> Report:
    """A run on an existing cluster in which all holds, A-1 by an answer of Teleport's proxy."""
    store = Store()
    for identifier, evidence in BODIES.items():
        _passed(store, identifier, evidence)
    store.note_facts(RunFacts(authority=named))
    store.note_claimed(claimed)
    plan = RunPlan(
        catalogue=Catalogue({each: requirement(each) for each in BODIES}, {"a": ("a",)}),
        profiles=("a",),
        allowed_safety=frozenset({"read-only"}),
        reports_dir=Path("reports"),
        suite_version="1",
        scope=Scope(cluster="existing", context="staging", profiles=("a",)),
        command_line=(),
    )
    return assemble(plan, store).decided()


def _passed(store: Store, identifier: str, evidence: Evidence) -> None:
    planned = scenario(identifier, step(StepState.NOT_RUN), ending=Ending.NOT_RUN)
    store.plan(planned)
    store.begin_scenario(planned.id)
    store.begin_step(0)
    store.record(evidence)
    store.conclude(finding(identifier, Holds.YES, evidence))
    store.end_step(StepState.PASSED)
    store.lower(planned.id, Ending.COMPLETED)
    store.leave_scenario()


def terminal(report: Report) -> list[str]:
    return [line for line, _ in summary(report, Path("r"))]


def page(report: Report) -> str:
    return to_html(report, {e.id: e.body for e in BODIES.values()})


def test_a_teleport_that_the_user_named_is_not_claimed() -> None:
    report = run(Authority.TELEPORT, "")
    assert [j.claimed for j in report.judged] == [False, False, False]
    assert (report.result, report.authority, report.headline) == (Result.PASS, Authority.TELEPORT, "Conformant")
    assert "claim" not in "".join(terminal(report))
    assert "This run was not told" not in page(report)


def test_what_rests_on_a_claimed_teleport_is_marked_and_the_run_is_never_conformant() -> None:
    report = run(Authority.TELEPORT, PROXY)
    assert [j.claimed for j in report.judged] == [True, False, False]
    assert (report.result, report.authority) == (Result.PASS, Authority.UNKNOWN)
    assert report.headline == "Passed, authority unknown"
    lines = terminal(report)
    assert [line.endswith("[claimed]") for line in lines if line.startswith("✓ A-")] == [True, False, False]
    for said in ("\n".join(lines), page(report).replace("&#39;", "'")):
        assert WORDS in said
    assert any(f"claims {PROXY}; give the Teleport that you expect with --teleport-proxy" in line for line in lines)
    assert "This run was not told which Teleport to expect." in page(report)
    assert from_json(to_json(report)) == report


@pytest.mark.parametrize("named", Authority)
def test_no_claim_is_conformant(named: Authority) -> None:
    report = run(named, PROXY)
    # The stand-in says of itself that it is one, which is the worse word.
    assert report.authority is (named if named is Authority.STAND_IN else Authority.UNKNOWN)
    assert report.headline in ("Rehearsal passed", "Passed, authority unknown")
