"""The model survives its JSON form, and its schema is the committed one."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from facts.errors import BadInput
from facts.finding import Holds
from judge.mtls.pairs import table_of
from judge.mtls.told import told
from judge.verdict import Authority, Ending, Result
from reporting.model import RunFacts, StepRecord, StepState
from reporting.writing.document import SCHEMA_FILE, from_json, json_schema, to_json, to_plain
from tests.unit.judge import builders as make
from tests.unit.judge.mtls.meshes import Workload, ends
from tests.unit.reporting.sample import CAUSE, ONE, finding, in_report, report, scenario


def test_a_report_comes_back_from_its_json_as_it_was() -> None:
    assert from_json(to_json(report())) == report()


def test_a_scenario_is_cut_short_where_a_step_never_ran() -> None:
    violated = StepRecord("Then", "a", state=StepState.VIOLATED)
    assert scenario("A-1", violated, StepRecord("And", "b"), ending=Ending.VIOLATED).outcome().is_cut_short
    assert not scenario("A-1", violated, ending=Ending.VIOLATED).outcome().is_cut_short


def test_predicted_handshakes_come_back_from_json_as_they_were() -> None:
    mesh = ends(Workload("a"), Workload("b", identity=make.istiod_proxy))
    written = report(handshakes=told(mesh, table_of(mesh)))
    assert from_json(to_json(written)) == written
    (pair, *_) = json.loads(to_json(written))["handshakes"]["pairs"]
    assert (pair["outcome"], pair["refused_by"]) == ("refused", "client")


def test_the_committed_schema_is_that_of_the_model() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema(), (
        "run: python -m reporting.writing.document > reporting/writing/report.schema.json"
    )


def test_the_schema_is_a_schema_and_refuses_what_is_missing_or_unknown() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    plain = json.loads(to_json(report()))

    assert validator.is_valid(plain)
    assert not validator.is_valid({k: v for k, v in plain.items() if k != "run_errors"})
    assert not validator.is_valid({**plain, "extra": 1})
    assert not validator.is_valid({**plain, "result": "passed"})
    plain["scenarios"][0]["steps"][0]["findings"][0].pop("seen")
    assert not validator.is_valid(plain)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "expected JSON"),
        ("[]", "schema version None"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1}', "schema version 1"),
        ('{"schema_version": 2}', "Field required"),
    ],
)
def test_what_is_no_report_is_bad_input(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        from_json(text)


def test_the_document_has_each_findings_sentence_and_does_not_need_it_back() -> None:
    written = report(run_findings=(finding("B-4", Holds.NO, ONE),))
    plain = json.loads(to_json(written))
    (of_step,) = plain["scenarios"][1]["steps"][1]["findings"]

    assert of_step["seen"] == plain["run_findings"][0]["seen"] == "trust domain b"
    assert of_step["problems"][0]["cause"] == CAUSE
    assert from_json(json.dumps(to_plain(written))) == from_json(json.dumps(plain)) == written


def test_the_document_is_complete_without_the_suites_own_list_of_causes() -> None:
    defect = "tbot-pushes-without-renewing"
    written = report(causes=(in_report(CAUSE), in_report(defect)))
    cause, of_releases = json.loads(to_json(written))["causes"]

    assert cause["id"] == CAUSE
    assert set(cause) == {"id", "sentence", "shown_by", "told_from", "remedy", "check", "references", "versions"}
    assert of_releases["versions"]["affected"][0]["fixed"] == "17.7.14"
    assert from_json(to_json(written)) == written


def test_a_finding_that_claims_without_evidence_is_refused_when_read_too() -> None:
    plain = to_plain(report())
    plain["scenarios"][0]["steps"][0]["findings"][0]["evidence"] = []

    with pytest.raises(BadInput, match="needs evidence"):
        from_json(json.dumps(plain))


def test_the_sample_has_one_of_each_verdict() -> None:
    assert {j.requirement.id: j.verdict.value for j in report().judged} == {
        "A-1": "pass",
        "A-2": "fail",
        "A-3": "error",
        "B-1": "skipped",
        "B-2": "waived",
        "B-3": "not-applicable",
        "B-4": "not-evaluated",
    }
    assert (report().headline, report().exit_code) == ("Not conformant (rehearsal)", 1)


def test_a_run_error_takes_a_pass_back() -> None:
    good = report()
    passed = replace(good, judged=good.judged[:1], run_errors=(), facts=RunFacts(authority=Authority.TELEPORT)).decided()

    assert (passed.result, passed.headline, passed.exit_code) == (Result.PASS, "Conformant", 0)
    assert passed.with_run_errors(("a leak",)).result is Result.INCONCLUSIVE
    assert passed.with_run_errors(("a leak",)).exit_code == 6


def test_what_was_concluded_after_the_run_is_judged() -> None:
    after = report(run_findings=(finding("B-4", Holds.NO, ONE),))

    assert {j.requirement.id: j.verdict.value for j in after.judged}["B-4"] == "fail"
    assert after.findings_of("B-4") == after.run_findings
