"""What pytest itself prints of a run has no control and no invisible character of a reading, however a step ends."""

from __future__ import annotations

import pytest

from tests.plugin.small_project import Project

pytest_plugins = ["pytester"]

HOSTILE = r"evil\x1b[2J\x00\u202e\u200b\rname"
SAID = r"evil\x1b[2J\x00\u202e\u200b\x0dname"
FORBIDDEN = set("\x1b\x00\u202e\u200b\r")


@pytest.mark.parametrize(
    "ending",
    [
        f"raise RuntimeError('{HOSTILE}')",
        f"raise CouldNotTell(expected='a name', seen='{HOSTILE}', where='here', remedy='look')",
        f"assert '{HOSTILE}' == 'x'",
        f"pytest.skip('{HOSTILE}')",
        f"print('{HOSTILE}'); import sys; print('{HOSTILE}', file=sys.stderr); raise RuntimeError()",
        f"finding_on('{HOSTILE}', recorder)",
    ],
)
def test_a_step(ending: str, project: Project) -> None:
    project.steps(f"""
def finding_on(name, recorder):
    kept = reading(recorder, name)
    found = Problem(ObjectRef("Pod", name), "its name is " + name, "token-too-wide", (kept,))
    raise Violated(Finding("A-1", Holds.NO, "another name", name, problems=(found,), evidence=(kept,)))
@then("it ends")
def _(recorder):
    {ending}
""")
    project.scenario("Then it ends")

    ran = project.run("features", "-ra", "-vv")

    assert SAID.partition("\\x0d")[0] in ran.text
    assert not FORBIDDEN & {*ran.text}


def test_a_file_that_cannot_be_collected(project: Project) -> None:
    project.feature("Feature: F\n  Scenario: S\n    Given x\n    evil\x1b[2J\u202e\n")

    ran = project.run()

    assert r"\x1b[2J\u202e" in ran.text
    assert not FORBIDDEN & {*ran.text}


def test_a_refusal(project: Project) -> None:
    project.scenario("Then A-1 holds")

    ran = project.run("features", "--refusal", "expected a name; saw evil\x1b[2J\u202e")

    assert r"saw evil\x1b[2J\u202e" in ran.text
    assert not FORBIDDEN & {*ran.text}


def test_an_internal_error(passing: Project) -> None:
    passing.steps(f'\ndef pytest_runtest_logfinish():\n    raise RuntimeError("{HOSTILE}")\n')

    ran = passing.run(apart=True)

    assert f"RuntimeError: {SAID}" in ran.text
    assert not FORBIDDEN & {*ran.text}
