"""A step may conclude when the run has cleaned up: the verdict, the report and the exit code follow."""

from __future__ import annotations

import pytest

from tests.plugin.small_project import Project

pytest_plugins = ["pytester"]

LATE = """
LATER = []

@pytest.fixture(scope="session")
def cleaned(recorder):
    yield
    for bookmark, look in LATER:
        recorder.conclude_later(bookmark, look)
    LATER.clear()

@then(parsers.parse("{requirement} is looked at in the end: {holds}"))
def _(cleaned, recorder, requirement, holds):
    def look():
        if holds == "nothing":
            raise CouldNotTell(expected="an answer", seen="none", where="there", remedy="look again")
        return finding(requirement, Holds(holds), reading(recorder, "late"), cause="trust-domain-differs")
    LATER.append((recorder.bookmark(), look))
"""


@pytest.mark.parametrize(
    ("holds", "verdict", "exit_code"),
    [("yes", "pass", 0), ("no", "fail", 1), ("unknown", "error", 6), ("nothing", "error", 6)],
)
def test_what_a_last_look_finds_is_the_verdict(passing: Project, holds: str, verdict: str, exit_code: int) -> None:
    passing.steps(LATE)
    passing.scenario(f"Then A-2 is looked at in the end: {holds}", tags="@requirement:A-2", name="a2.feature")
    ran = passing.run()
    assert ran.verdicts == {"A-1": "pass", "A-2": verdict, "A-3": "not-evaluated"}, ran.text
    assert ran.result.ret == exit_code


def test_a_look_that_is_never_taken_proves_nothing(passing: Project) -> None:
    passing.steps(LATE.replace("recorder.conclude_later(bookmark, look)", "pass"))
    passing.scenario("Then A-2 is looked at in the end: yes", tags="@requirement:A-2", name="a2.feature")
    ran = passing.run()
    assert ran.verdicts["A-2"] == "error", ran.text
    assert ran.result.ret == 6


def test_the_outputs_of_a_run_are_those_that_it_would_write(passing: Project) -> None:
    passing.steps("""
@then("every output is there")
def _(pytestconfig):
    outputs = pytestconfig.collector.outputs()
    assert {"report.json", "report.html", "junit.xml", "SHA256SUMS", "terminal"} <= outputs.keys()
    assert any(name.startswith("evidence/") for name in outputs)
    assert "A-1" in outputs["report.json"]
""")
    passing.scenario("Then A-2 holds", "And every output is there", tags="@requirement:A-2", name="a2.feature")
    ran = passing.run()
    assert ran.verdicts["A-2"] == "pass", ran.text
