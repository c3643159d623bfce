"""The table of requirements follows the sources: features, steps, judgments and faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_bdd import parsers
from pytest_bdd.parser import Step
from pytest_bdd.steps import StepFunctionContext

from facts.catalogue import parse_catalogue
from facts.finding import Finding
from judge.identity import proxies as judge
from judge.rotation.restarts import nothing_restarts_workloads
from steps import shared
from tests import traceability
from tests.traceability import Function, Trace, judgments_of, main, matching, page, traced

CATALOGUE = parse_catalogue(
    {
        "requirements": [
            {"id": each, "level": "MUST", "about": "install", "profile": "p", "sentence": "w.", "source": "w",
             "really_known_by": "w."}
            for each in ("ID-01", "X-1", "X-2")
        ]
    }
)  # fmt: skip

FEATURE = """\
@requirement:X-1
Feature: One
  Scenario Outline: <n> apples
    Given <n> apples
    Then they must hold

    Examples:
      | n |
      | 2 |

  @requirement:X-2
  Scenario: Pears
    Then they must hold
"""


def of_a_module(recorder: object) -> object:
    return [judge.names_are_well_formed for _ in (recorder,)]


def of_a_name() -> object:
    return lambda: nothing_restarts_workloads


def of_no_finding() -> object:
    return judge.effective_lifetime, shared.conclude, Finding, len


def through_a_helper() -> object:
    return of_a_name()


def given_apples(_n: int) -> None: ...


def context(kind: str, sentence: str, function: Function) -> StepFunctionContext:
    return StepFunctionContext(type=kind, step_func=function, parser=parsers.parse(sentence))  # type: ignore[arg-type]


CONTEXTS = [context("given", "{n:d} apples", given_apples), context("then", "they must hold", of_a_name)]


def test_judgments_are_found_by_module_and_by_name_and_in_code_within() -> None:
    assert judgments_of(of_a_module) == {judge.names_are_well_formed}
    assert judgments_of(of_a_name) == {nothing_restarts_workloads}
    assert judgments_of(of_no_finding) == set()


def test_judgments_are_found_through_helpers_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judgments_of(through_a_helper) == set()
    monkeypatch.setattr(of_a_name, "__module__", "steps.shared")
    assert judgments_of(through_a_helper) == {nothing_restarts_workloads}


def test_a_sentence_belongs_to_the_function_that_matches_it() -> None:
    step = Step(name="3 apples", type="given", indent=0, line_number=1, keyword="Given")
    assert matching(step, CONTEXTS) is given_apples
    step.type = "then"
    with pytest.raises(LookupError, match="no step function for: Given 3 apples"):
        matching(step, CONTEXTS)


def test_requirements_are_traced_through_tags_and_outlines(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "one.feature").write_text(FEATURE)
    traces = traced(tmp_path / "features", CONTEXTS)
    both = Trace({"features/one.feature"}, {given_apples, of_a_name}, {nothing_restarts_workloads})
    assert traces == {"X-1": both, "X-2": Trace(both.features, {of_a_name}, both.judgments)}


def test_a_row_names_files_judgments_and_faults() -> None:
    trace = Trace({"features/1/a.feature"}, {shared.conclude}, {judge.names_are_well_formed})
    rows = page(CATALOGUE, {"ID-01": trace}, {"X-1": "about the suite"}).splitlines()[-3:]
    assert rows[0].startswith(
        "| ID-01 | [1/a.feature](../features/1/a.feature) | [shared.py](../steps/shared.py) |"
        " [identity/proxies.py](../judge/identity/proxies.py): `names_are_well_formed` | [pod-without-spire-template]("
    )
    assert rows[1:] == ["| X-1 | – | – | – | about the suite |", "| X-2 | – | – | – | – |"]


def test_the_repositorys_own_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lint"]) == 0, capsys.readouterr().out
    monkeypatch.setattr(traceability, "PAGE", tmp_path / "requirements.md")
    assert main(["lint"]) == 1
    assert "docs/requirements.md is not current: run make docs" in capsys.readouterr().out
    assert main(["page"]) == 0
    assert main(["lint"]) == 0
    assert main([]) == 4
