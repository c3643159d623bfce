"""A small project in a temporary directory, run by a pytest of its own that knows nothing but the collector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_bdd.feature import features

import reporting.collecting.collector  # noqa: F401  imported once here, not anew by every run below
from reporting.model import Report, ScenarioRecord, StepState
from reporting.writing.document import from_json

INI = """
[pytest]
addopts = -p no:pytest-kind -p no:hypothesispytest --strict-markers
filterwarnings = error
bdd_features_base_dir = features
"""

CATALOGUE = """
profiles: {core: [install], all: [install, checklist]}
requirements:
  - &r
    {id: A-1, sentence: The first holds., level: MUST, about: install, profile: install, source: the guide,
     really_known_by: looking}
  - {<<: *r, id: A-2, sentence: The second holds.}
  - {<<: *r, id: A-3, sentence: The third should hold., level: SHOULD, not_applicable_when: [there is no gateway]}
  - {<<: *r, id: A-4, sentence: The suite recognises a broken pod., about: suite, profile: identity}
  - {<<: *r, id: A-5, sentence: The tool is recent., profile: tools, premise: true}
  - {<<: *r, id: C-1, sentence: The guide's item holds., profile: checklist}
"""

CONFTEST = """
from pathlib import Path
import pytest, yaml
from facts.catalogue import parse_catalogue
from judge.waivers import Waiver
from facts.errors import BadInput
from reporting.assemble import RunPlan
from reporting.collecting.collector import Collector
from pytest_bdd.feature import features

from reporting.model import Scope

def pytest_addoption(parser):
    parser.addoption("--profiles", default="core")
    parser.addoption("--allow", default="read-only,namespaced,disruptive")
    parser.addoption("--strict-findings", action="store_true")
    parser.addoption("--allow-partial", action="store_true")
    parser.addoption("--reports", default="reports")
    parser.addoption("--refusal", default="")
    parser.addoption("--existing", action="store_true")
    parser.addoption("--waive", default="")

def pytest_configure(config):
    option = config.getoption
    try:
        config.collector = collector(option, config.invocation_params.args)
    except BadInput as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(config.collector)

def collector(option, arguments):
    return Collector(RunPlan(
        catalogue=parse_catalogue(yaml.safe_load(Path("catalogue.yaml").read_text())).for_readers({"A-1"}),
        profiles=tuple(option("--profiles").split(",")),
        allowed_safety=frozenset(option("--allow").split(",")),
        reports_dir=Path(option("--reports")),
        suite_version="0.0.1",
        scope=Scope(cluster="existing" if option("--existing") else "kind"),
        waivers={r: (Waiver(r, "owner", "known"),) for r in option("--waive").split(",") if r},
        command_line=("pytest", *arguments),
        strict=option("--strict-findings"),
        allow_partial=option("--allow-partial"),
        features=Path("features"),
        refusal=option("--refusal"),
    ))

@pytest.fixture(scope="session")
def recorder(pytestconfig):
    return pytestconfig.collector.recorder
"""

STEPS = """
from datetime import UTC, datetime
import pytest
from pytest_bdd import given, when, then, parsers
from facts.errors import CouldNotTell, ProvisioningFailed
from facts.evidence import ObjectRef, evidence_of
from facts.finding import Finding, Holds, Problem, Remark, Violated

def reading(recorder, name, body="body"):
    return recorder.record(evidence_of(f"get {name}", ObjectRef("Thing", name), body, read_at=datetime.now(UTC)))

def finding(requirement, holds, *evidence, cause="", settle="", condition=""):
    said = (Problem(ObjectRef("Thing", "t"), "x is 2", cause, evidence),)
    return Finding(
        requirement,
        holds,
        expected="x is 1",
        where="Thing t",
        problems=said if holds is Holds.NO else (),
        unclear=said if holds is Holds.UNKNOWN else (),
        held=(Remark(ObjectRef("Thing", "t"), "x is 1"),) if holds is Holds.YES else (),
        evidence=evidence,
        settle=settle,
        condition=condition,
    )

@given(parsers.parse("a reading {name}"), target_fixture="read")
def _(recorder, name):
    return reading(recorder, name)

@then(parsers.parse("{requirement} holds by it"))
def _(recorder, read, requirement):
    recorder.conclude(finding(requirement, Holds.YES, read))

@then(parsers.parse("{requirement} holds"))
def _(recorder, requirement):
    recorder.conclude(finding(requirement, Holds.YES, reading(recorder, requirement)))

@then(parsers.parse("{requirement} is violated"))
def _(recorder, requirement):
    found = finding(requirement, Holds.NO, reading(recorder, requirement), cause="trust-domain-differs")
    recorder.conclude(found)
    raise Violated(found)

@when("nothing is done")
def _():
    pass
"""


@dataclass(frozen=True)
class Ran:
    """The files and output of a run."""

    result: pytest.RunResult
    directory: Path

    @property
    def report(self) -> Report:
        return from_json((self.directory / "reports/latest/report.json").read_text())

    @property
    def verdicts(self) -> dict[str, str]:
        return {j.requirement.id: j.verdict.value for j in self.report.judged}

    @property
    def scenario(self) -> ScenarioRecord:
        (one,) = [s for s in self.report.scenarios if s.ending.value != "not-run"]
        return one

    @property
    def states(self) -> list[StepState]:
        return [step.state for step in self.scenario.steps]

    @property
    def text(self) -> str:
        return f"{self.result.stdout.str()}\n{self.result.stderr.str()}"


class Project:
    """The small project: feature files, further steps, and a way to run them."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        self.path = pytester.path
        pytester.makeini(INI)
        (self.path / "catalogue.yaml").write_text(CATALOGUE)
        (self.path / "conftest.py").write_text(CONFTEST + STEPS)
        (self.path / "features").mkdir()

    def steps(self, source: str) -> None:
        with (self.path / "conftest.py").open("a") as conftest:
            conftest.write(source)

    def feature(self, text: str, name: str = "a.feature") -> None:
        (self.path / "features" / name).write_text(text)

    def scenario(self, *steps: str, tags: str = "@requirement:A-1", name: str = "a.feature") -> None:
        """One scenario of profile install in a file of its own, with the given steps."""
        lines = "\n    ".join(steps)
        self.feature(
            f"@profile:install @safety:read-only\nFeature: F\n  {tags}\n  Scenario: S of {name}\n    {lines}\n", name
        )

    def run(self, *arguments: str, apart: bool = False) -> Ran:
        """Runs pytest on the features; `apart` in a process of its own, for what would end this one too."""
        features.clear()  # pytest-bdd keeps parsed files for the life of a process
        runner = self._pytester.runpytest_subprocess if apart else self._pytester.runpytest_inprocess
        return Ran(runner(*(arguments or ("features",))), self.path)
