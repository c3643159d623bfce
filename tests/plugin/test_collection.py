"""Feature files are collected by themselves; what is left out stays visible."""

from __future__ import annotations

import pytest

from judge.verdict import Ending, Result
from reporting.writing.words import scope_in_words
from tests.plugin.small_project import Project

pytest_plugins = ["pytester"]

OUTLINE = """@profile:install @safety:read-only
Feature: F
  @requirement:A-1
  Scenario Outline: Colour <colour>
    Given a reading <colour>
    Then <requirement> holds by it

    Examples:
      | colour | requirement |
      | red    | A-1         |
      | blue   | A-1         |
"""

RULES = """@profile:install
Feature: F
  Background:
    Given a reading one

  @requirement:A-1 @safety:read-only
  Rule: Always
    Background:
      When nothing is done

    Scenario: Under the rule
      Then A-1 holds by it

  @requirement:A-2 @safety:read-only
  Rule: Also
    Scenario: Under the other rule
      Then A-2 holds by it
"""


def test_an_outline_is_one_scenario_per_example_with_its_values(project: Project) -> None:
    project.feature(OUTLINE)

    ran = project.run()

    assert [s.name for s in ran.report.scenarios] == ["Colour red", "Colour blue"]
    assert [s.id for s in ran.report.scenarios] == [
        "features/a.feature::Colour <colour>[red-A-1]",
        "features/a.feature::Colour <colour>[blue-A-1]",
    ]
    assert [s.steps[0].text for s in ran.report.scenarios] == ["a reading red", "a reading blue"]
    assert ran.verdicts["A-1"] == "pass"


def test_rules_give_their_tags_and_backgrounds(project: Project) -> None:
    project.feature(RULES)

    ran = project.run()

    first, second = ran.report.scenarios
    assert (first.rule, first.requirements, first.safety) == ("Always", ("A-1",), "read-only")
    assert [f"{s.keyword} {s.text}" for s in first.steps] == [
        "Given a reading one",
        "When nothing is done",
        "Then A-1 holds by it",
    ]
    assert second.rule == "Also"
    assert (ran.verdicts["A-1"], ran.verdicts["A-2"]) == ("pass", "pass")
    assert ran.result.ret == 0


def test_docstrings_and_tables_are_part_of_the_step(project: Project) -> None:
    project.feature(
        "@profile:install @safety:read-only\nFeature: F\n  @requirement:A-1\n  Scenario: S\n    Given nothing is done\n"
        '      """\n      kind: Pod\n      """\n    And nothing is done\n      | a | long |\n      | b | c    |\n'
    )
    project.steps('\n@given("nothing is done")\ndef _():\n    pass\n')

    steps = project.run().scenario.steps

    assert steps[0].argument == "kind: Pod"
    assert steps[1].argument == "| a | long |\n| b | c    |"


@pytest.mark.parametrize(
    "arguments",
    [
        ("features/sub/",),
        ("features/sub/b.feature",),
        ("features/sub/b.feature::S of sub/b.feature",),
        ("features", "-k", "A-2"),
        ("features", "-m", 'requirement(id="A-2")'),
    ],
)
def test_one_requirement_can_be_run_alone_and_the_rest_is_not_evaluated(
    passing: Project, arguments: tuple[str, ...]
) -> None:
    (passing.path / "features/a2.feature").unlink()
    (passing.path / "features/sub").mkdir()
    passing.scenario("Then A-2 holds", tags="@requirement:A-2", name="sub/b.feature")

    ran = passing.run(*arguments)

    assert ran.verdicts == {"A-1": "not-evaluated", "A-2": "pass", "A-3": "not-evaluated"}
    assert [s.ending for s in ran.report.scenarios_of("A-1")] == [Ending.NOT_RUN]
    assert ran.report.result is Result.INCONCLUSIVE
    assert ran.result.ret == 6


@pytest.mark.parametrize("arguments", [("features", "-k", "a1"), ("features/a1.feature",)])
def test_a_requirement_does_not_pass_by_one_of_its_two_scenarios(passing: Project, arguments: tuple[str, ...]) -> None:
    passing.scenario("Then A-1 holds", name="b.feature")

    assert passing.run(*arguments).verdicts["A-1"] == "not-evaluated"


@pytest.mark.parametrize(
    "arguments",
    [("features/a.feature::Colour <colour>[red-A-1]",), ("features/a.feature", "-k", "red")],
    ids=["by node id", "by keyword"],
)
def test_examples_that_were_left_out_are_told_and_their_requirement_does_not_pass(
    project: Project, arguments: tuple[str, ...]
) -> None:
    project.feature(OUTLINE)
    project.scenario("Then A-2 holds", tags="@requirement:A-2", name="a2.feature")

    ran = project.run(*arguments, "features/a2.feature", "--allow-partial")

    assert {s.name: s.ending for s in ran.report.scenarios_of("A-1")} == {
        "Colour red": Ending.COMPLETED,
        "Colour blue": Ending.NOT_RUN,
    }
    assert ran.verdicts["A-1"] == "not-evaluated"
    left_out = "features/a.feature::Colour <colour>[blue-A-1]: not selected for this run"
    assert ran.report.judged[0].reasons == (left_out,)
    assert ran.report.result is Result.INCONCLUSIVE
    assert ran.result.ret == 6


@pytest.mark.parametrize(
    "tags", ["@requirement:NO-1", "@requirement:C-1", "@safety:read-only", "@requirement:A-3 @requirement:NO-1"]
)
def test_a_violated_scenario_counts_whatever_its_tags(passing: Project, tags: str) -> None:
    of = tags.rpartition(":")[2] if "requirement" in tags else "C-1"
    passing.scenario(f"Then {of} is violated", tags=tags, name="stray.feature")

    ran = passing.run("features", "--allow-partial")

    assert any("S of stray.feature" in error and "no verdict of this run takes" in error for error in ran.report.run_errors)
    assert ran.report.result is Result.INCONCLUSIVE
    assert ran.result.ret == 6


def test_a_violated_scenario_of_another_profile_counts_where_it_is_run(passing: Project) -> None:
    passing.feature(
        "@profile:checklist @safety:read-only\nFeature: F\n  @requirement:A-1\n  Scenario: S\n    Then C-1 is violated\n",
        "other.feature",
    )

    left_out = passing.run()
    assert (left_out.verdicts["A-1"], left_out.result.ret) == ("not-evaluated", 6)

    run = passing.run("features", "--profiles", "all")
    assert (run.verdicts["A-1"], run.result.ret) == ("error", 6)


def test_the_profile_mesh_takes_what_needs_reading_alone_and_says_what_it_leaves_out(passing: Project) -> None:
    ran = passing.run("features", "--profiles", "mesh")

    assert ran.verdicts == {"A-1": "pass"}
    assert [s.name for s in ran.report.scenarios] == ["S of a1.feature"]
    assert ran.report.scope.left_out == ("A-2, A-3 (pods of the suite's own, or changes)",)
    assert "left out of core: A-2, A-3 (pods of the suite's own, or changes)" in scope_in_words(ran.report.scope)
    assert (ran.report.result, ran.result.ret) == (Result.PASS, 0)
    ran.result.assert_outcomes(passed=1, deselected=1)


def test_the_selection_is_part_of_the_scope(passing: Project) -> None:
    scope = passing.run("features", "-k", "A-1", "-m", "requirement").report.scope

    assert (scope.keyword, scope.markers, scope.paths) == ("A-1", "requirement", ())
    assert scope.profiles == ("core",)
    assert scope.safety == ("read-only", "namespaced", "disruptive")


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        (("features/",), ()),
        ((".",), ()),
        (("features/a1.feature", "features"), ()),
        (("features/a1.feature",), ("features/a1.feature",)),
        (("features/a1.feature::S of a1.feature",), ("features/a1.feature::S of a1.feature",)),
    ],
)
def test_paths_are_part_of_the_scope_where_they_leave_something_out(
    passing: Project, arguments: tuple[str, ...], paths: tuple[str, ...]
) -> None:
    scope = passing.run(*arguments).report.scope

    assert scope.paths == paths
    assert ("only features/a1.feature" in scope_in_words(scope)) is bool(paths)


@pytest.mark.parametrize(("option", "rerun"), [("--ff", False), ("--lf", True)])
def test_failures_first_runs_everything_and_failures_alone_is_a_rerun(passing: Project, option: str, *, rerun: bool) -> None:
    ran = passing.run("features", option)

    assert ran.report.scope.rerun_of_failures is rerun
    assert ran.result.ret == (6 if rerun else 0)


def test_a_selection_that_leaves_nothing_keeps_pytests_exit_code(passing: Project) -> None:
    ran = passing.run("features", "-k", "nothing_like_this")

    assert ran.result.ret == 5
    assert set(ran.verdicts.values()) == {"not-evaluated"}


def test_scenarios_of_other_profiles_are_deselected_and_not_judged(passing: Project) -> None:
    passing.feature(
        "@profile:checklist @safety:read-only\nFeature: C\n  @requirement:C-1\n  Scenario: Item\n    Then C-1 holds\n",
        "c.feature",
    )

    core = passing.run()
    assert "C-1" not in core.verdicts
    assert core.result.ret == 0

    everything = passing.run("features", "--profiles", "all")
    assert everything.verdicts["C-1"] == "pass"
    core.result.assert_outcomes(passed=2, deselected=1)
    everything.result.assert_outcomes(passed=3)


def test_collect_only_lists_scenarios_and_writes_nothing(passing: Project) -> None:
    ran = passing.run("features", "--collect-only", "-q")

    ran.result.stdout.fnmatch_lines(["features/a1.feature::S of a1.feature"])
    assert not (passing.path / "reports").exists()
    assert ran.result.ret == 0
    assert "authority" not in ran.text


def test_a_run_without_features_is_left_alone(project: Project) -> None:
    (project.path / "test_unit.py").write_text("def test_one(): assert False\n")

    ran = project.run("test_unit.py")

    assert ran.result.ret == 1
    assert not (project.path / "reports").exists()


def test_a_failing_test_beside_the_features_lowers_the_run(passing: Project) -> None:
    (passing.path / "test_unit.py").write_text("def test_one(): assert False\n")

    ran = passing.run("features", "test_unit.py")

    assert "test_unit.py::test_one" in ran.report.run_errors[0]
    assert ran.result.ret == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Feature: F\n  Scenario: S\n    Given a\n    Nonsense\n", "expected a feature file in Gherkin"),
        ("Feature: F\n  Scenario: S\n    Given a\n  Scenario: S\n    Given b\n", "more than once"),
        ("Feature: F\n  Scenario: S\n    And a\n", "must start with"),
        ("Feature: F\n  @requirment:A-1\n  Scenario: S\n    Given a\n", "requirment:A-1"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_of_the_run(passing: Project, text: str, said: str) -> None:
    passing.feature(text, "bad.feature")

    ran = passing.run()

    assert ran.result.ret == 2
    assert any(said in error for error in ran.report.run_errors)
    assert ran.report.result is Result.INCONCLUSIVE
    assert "Traceback" not in ran.text


def test_a_scenario_that_is_not_allowed_is_skipped_by_policy_before_any_fixture_runs(passing: Project) -> None:
    passing.steps("""
@pytest.fixture(autouse=True)
def touches_the_cluster(request):
    assert [mark.kwargs["kind"] for mark in request.node.iter_markers("safety")] == ["read-only"]
""")
    passing.feature(
        "@profile:install @safety:disruptive\nFeature: F\n  @requirement:A-2\n  Scenario: D\n    Then A-2 holds\n",
        "a2.feature",
    )

    ran = passing.run("features", "--allow", "read-only")

    assert ran.verdicts == {"A-1": "pass", "A-2": "skipped", "A-3": "not-evaluated"}
    assert "needs --allow disruptive; this run allows read-only" in ran.report.scenarios_of("A-2")[0].reason
    assert ran.report.result is Result.PARTIAL
    assert ran.result.ret == 7
    assert passing.run("features", "--allow", "read-only", "--allow-partial").result.ret == 0


def test_a_scenario_without_safety_tag_counts_as_disruptive(project: Project) -> None:
    project.feature("@profile:install\nFeature: F\n  @requirement:A-1\n  Scenario: S\n    Then A-1 holds\n")

    assert project.run("features", "--allow", "read-only,namespaced").verdicts["A-1"] == "skipped"


def test_a_broken_scenario_without_requirement_lowers_the_run(passing: Project) -> None:
    passing.steps('\n@then("it breaks")\ndef _():\n    raise KeyError("x")\n')
    passing.feature("@profile:install @safety:read-only\nFeature: F\n  Scenario: S\n    Then it breaks\n", "c.feature")

    ran = passing.run()

    assert "(tagged with no requirement) ended broke, which no verdict of this run takes up" in ran.report.run_errors[0]
    assert ran.result.ret == 6


def test_an_unknown_profile_is_bad_input(project: Project) -> None:
    ran = project.run("features", "--profiles", "none")

    assert "expected one of the profiles all, checklist, core, identity, install, mesh, tools; saw 'none'" in ran.text
    assert ran.result.ret == 4
