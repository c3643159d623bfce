"""Values that a run hides may be words of the suite itself: the report then still finds its parts by them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem
from judge.explain.cause import CAUSES
from judge.guide_defects import Presence
from judge.verdict import Authority, Ending, Result, Verdict
from reporting.assemble import RunPlan, assemble
from reporting.collecting.store import Store
from reporting.features.gherkin_files import feature_paths, read_feature
from reporting.features.reading import read_catalogue
from reporting.model import Report, RunFacts, ScenarioRecord, Scope, StepState
from reporting.writing.publish import publish

FEATURES = Path("features")
CAUSE = "template-without-node-socket"
SCENARIOS = {
    f"{os.path.relpath(path)}::{s.name}": (os.path.relpath(path), s)
    for path in feature_paths(FEATURES)
    for s in read_feature(path)
}
ENUMS = (Authority, Ending, Holds, Presence, Result, StepState, Verdict)


def of_a_run(hide: Collection[str], directory: Path) -> Report:
    plan = RunPlan(
        catalogue=read_catalogue(FEATURES),
        profiles=("core",),
        allowed_safety=frozenset({"read-only"}),
        reports_dir=directory,
        suite_version="0",
        scope=Scope(cluster="existing", context="c"),
        command_line=(),
        strict=False,
        allow_partial=False,
        waivers={},
        features=FEATURES,
        run_id="r",
    )
    store = Store()
    for scenario_id, (file, s) in SCENARIOS.items():
        safety = ", ".join(s.values("safety"))
        tags = (s.values("requirement"), next(iter(s.values("profile")), ""), safety)
        store.plan(ScenarioRecord(scenario_id, s.name, s.feature, s.rule, file, s.line, *tags, Ending.COMPLETED))
    store.note_facts(RunFacts(authority=Authority.TELEPORT))
    store.begin_scenario(next(key for key, (_file, s) in SCENARIOS.items() if "ID-01" in s.values("requirement")))
    store.conclude(Finding("ID-01", Holds.NO, "e", "w", (Problem(ObjectRef("Pod", "p", "n"), "bad", CAUSE),)))
    store.leave_scenario()
    store.hide(*hide)
    report, _place = publish(assemble(plan, store), {}, directory, store.hidden)
    return report


def skeleton(report: Report) -> object:
    """The parts of a report that hold it together."""
    return (
        report.result,
        report.exit_code,
        report.headline,
        report.authority,
        report.run_errors,
        [cause.id for cause in report.causes],
        [replace(scenario, reason="", started=None, findings=()) for scenario in report.scenarios],
        [(j.requirement, j.verdict, j.causes) for j in report.judged],
        [(t.defect, t.presence) for t in report.guide_defects],
    )


@pytest.mark.parametrize(
    "hide",
    [
        {str(each.value) for enum in ENUMS for each in enum},
        {word for key in SCENARIOS for word in re.split(r"[\W_]+", key)},
        {*CAUSES, *(word for cause in CAUSES for word in cause.split("-"))},
    ],
    ids=["values of enums", "words of ids of scenarios", "ids of causes"],
)
def test_no_word_that_a_run_hides_changes_what_the_report_is_made_of(hide: set[str], tmp_path: Path) -> None:
    plain, hidden = (of_a_run(each, tmp_path / name) for name, each in (("plain", ()), ("hidden", hide)))
    assert skeleton(hidden) == skeleton(plain)
    assert json.loads((tmp_path / "hidden" / "r" / "report.json").read_text())["result"] == plain.result
