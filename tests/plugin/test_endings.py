"""Each end of a scenario gives its requirement the right verdict, and the run the right exit code."""

from __future__ import annotations

import pytest

from facts.finding import Holds
from judge.verdict import Ending, Result
from reporting.model import StepState
from tests.plugin.small_project import Project
from tests.unit.reporting.sample import in_report

pytest_plugins = ["pytester"]

PASSED, VIOLATED, BROKE = StepState.PASSED, StepState.VIOLATED, StepState.BROKE
SKIPPED, NOT_RUN = StepState.SKIPPED, StepState.NOT_RUN


def test_all_musts_hold(passing: Project) -> None:
    ran = passing.run()

    assert ran.verdicts == {"A-1": "pass", "A-2": "pass", "A-3": "not-evaluated"}
    assert ran.report.result is Result.PASS
    assert ran.result.ret == 0


def test_a_violated_step_fails_its_requirement_and_later_steps_did_not_run(passing: Project) -> None:
    passing.scenario("Given a reading one", "Then A-1 is violated", "And nothing is done", name="a1.feature")

    ran = passing.run()

    assert ran.verdicts["A-1"] == "fail"
    scenario = ran.report.scenarios_of("A-1")[0]
    assert [s.state for s in scenario.steps] == [PASSED, VIOLATED, NOT_RUN]
    assert scenario.ending is Ending.VIOLATED
    assert [f.causes for f in scenario.all_findings] == [ran.report.judged[0].causes] == [("trust-domain-differs",)]
    assert ran.report.causes == (in_report("trust-domain-differs"),)
    assert "What to do: 1. Set `meshConfig.trustDomain`" in ran.text
    assert ran.result.ret == 1


def test_a_cause_that_does_not_exist_is_an_error_of_the_run_and_keeps_the_failure(project: Project) -> None:
    project.steps("""
@then("it names a cause of its own")
def _(recorder):
    raise Violated(finding("A-1", Holds.NO, reading(recorder, "x"), cause="no-such-cause"))
""")
    project.scenario("Then it names a cause of its own")

    ran = project.run()

    assert ran.report.run_errors == ("a judgment names the cause 'no-such-cause', which judge/explain/causes does not have",)
    assert ran.report.causes == ()
    assert ran.verdicts["A-1"] == "fail"
    assert ran.result.ret == 1


def test_a_violation_raised_without_being_concluded_is_kept_with_its_evidence(project: Project) -> None:
    project.steps("""
@then("it is raised only")
def _(recorder):
    raise Violated(finding("A-1", Holds.NO, reading(recorder, "x")))
""")
    project.scenario("Then it is raised only")

    ran = project.run()

    assert ran.verdicts["A-1"] == "fail"
    assert len(ran.scenario.steps[0].findings) == 1
    assert ran.scenario.steps[0].findings[0].evidence == ran.scenario.steps[0].evidence


def test_a_negative_finding_counts_even_if_nothing_is_raised(project: Project) -> None:
    project.steps("""
@then("it is concluded only")
def _(recorder):
    recorder.conclude(finding("A-1", Holds.NO, reading(recorder, "x")))
""")
    project.scenario("Then it is concluded only")

    ran = project.run()

    assert ran.states == [VIOLATED]
    assert ran.verdicts["A-1"] == "fail"
    assert ran.result.ret == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("raise KeyError('spec')", "KeyError: 'spec'"),
        (
            "raise CouldNotTell(expected='an answer', seen='a timeout', where='Pod p', remedy='look at p')",
            "expected an answer; saw a timeout (Pod p). What would settle it: look at p",
        ),
        ("pytest.fail('no')", "Failed: no"),
        (
            "recorder.conclude(finding('A-1', Holds.UNKNOWN)); raise RuntimeError",
            "expected x is 1; saw x is 2",
        ),
    ],
)
def test_anything_but_a_violation_leaves_the_question_open(passing: Project, body: str, said: str) -> None:
    passing.steps(f'\n@then("it breaks")\ndef _(recorder):\n    {body}\n')
    passing.scenario("Given a reading one", "Then it breaks", "And A-1 holds", name="a1.feature")

    ran = passing.run()

    scenario = ran.report.scenarios_of("A-1")[0]
    assert scenario.ending is Ending.BROKE
    assert [s.state for s in scenario.steps] == [PASSED, BROKE, NOT_RUN]
    assert ran.verdicts["A-1"] == "error"
    assert said in ran.report.judged[0].reasons[0]
    assert ran.report.result is Result.INCONCLUSIVE
    assert ran.result.ret == 6


def test_a_broken_step_names_the_line_that_raised(project: Project) -> None:
    project.steps('\n@then("it breaks")\ndef _():\n    {}["missing"]\n')
    project.scenario("Then it breaks")

    error = project.run().scenario.steps[0].error

    assert "KeyError: 'missing'" in error
    assert "conftest.py:" in error
    assert "_pytest" not in error


@pytest.mark.parametrize("position", ["first", "last"])
def test_an_undefined_step_leaves_the_question_open(project: Project, position: str) -> None:
    steps = ["Then A-1 holds", "Then this is not defined"]
    project.scenario(*(steps if position == "last" else reversed(steps)))

    ran = project.run()

    assert ran.verdicts["A-1"] == "error"
    assert "Step definition is not found" in ran.scenario.reason
    assert ran.states == ([PASSED, BROKE] if position == "last" else [BROKE, NOT_RUN])


@pytest.mark.parametrize(
    ("error", "in_set_up", "verdict", "label"),
    [
        ("CouldNotTell", False, "error", "What would settle it"),
        ("CouldNotTell", True, "error", "What would settle it"),
        ("NotGiven", False, "not-evaluated", "What to do"),
    ],
)
def test_what_could_not_be_evaluated_is_a_skip_with_its_reason_in_pytests_words(
    passing: Project, error: str, in_set_up: bool, verdict: str, label: str
) -> None:
    raises = f"raise {error}(expected='an answer', seen='a timeout', where='Pod p', remedy='look at p')"
    passing.steps("from facts.errors import NotGiven\n")
    if in_set_up:
        passing.steps(f"@pytest.fixture\ndef answer():\n    {raises}\n@given('an answer')\ndef _(answer):\n    pass\n")
    else:
        passing.steps(f"@given('an answer')\ndef _():\n    {raises}\n")
    passing.scenario("Given an answer", "Then A-1 holds", name="a1.feature")

    ran = passing.run("features", "-rA")

    ran.result.assert_outcomes(passed=1, skipped=1)
    assert f"could not be evaluated: expected an answer; saw a timeout (Pod p). {label}: look at p" in ran.text
    assert "FAILED" not in ran.text
    assert ran.verdicts["A-1"] == verdict
    assert ran.result.ret == 6


@pytest.mark.parametrize("in_set_up", [False, True])
def test_an_error_with_a_remedy_that_is_no_violation_is_a_skip_in_pytests_words(passing: Project, in_set_up: bool) -> None:
    raises = "raise ProvisioningFailed(expected='a pod', seen='none', where='Pod p', remedy='look at p')"
    passing.steps(f"@pytest.fixture\ndef made():\n    {raises if in_set_up else 'pass'}\n")
    passing.steps(f"@given('a pod')\ndef _(made):\n    {raises}\n")
    passing.scenario("Given a pod", "Then A-1 holds", name="a1.feature")

    ran = passing.run("features", "-rA")

    ran.result.assert_outcomes(passed=1, skipped=1)
    assert "could not be evaluated: expected a pod; saw none (Pod p). What to do: look at p" in ran.text
    assert (ran.verdicts["A-1"], ran.result.ret) == ("error", 6)


SELF_TEST = "@profile:identity @safety:read-only\nFeature: F\n  @requirement:A-4\n  Scenario: S\n    Then A-4 is violated\n"


def test_a_self_test_that_fails_makes_the_run_inconclusive_and_hides_no_failure(passing: Project) -> None:
    passing.feature(SELF_TEST, "self.feature")

    ran = passing.run("features", "--profiles", "install,identity", "--allow-partial")

    assert (ran.verdicts["A-1"], ran.verdicts["A-4"]) == ("pass", "fail")
    said = " ".join(ran.text.split())  # lines are wrapped
    assert "; do not rely on the other verdicts before you know why A-4 did not hold" in said
    assert (ran.report.result, ran.result.ret) == (Result.INCONCLUSIVE, 6)

    passing.scenario("Then A-1 is violated", name="a1.feature")
    both = passing.run("features", "--profiles", "install,identity")
    assert (both.report.result, both.result.ret) == (Result.FAIL, 1)


@pytest.mark.parametrize(
    "without", [("--deselect", "features/self.feature::S"), ("--ignore", "features/self.feature"), ("-k", "a1 or a2 or a3")]
)
def test_a_chosen_self_test_that_is_left_out_is_not_overlooked(passing: Project, without: tuple[str, ...]) -> None:
    passing.feature(SELF_TEST, "self.feature")

    ran = passing.run("features", "--profiles", "install,identity", *without)

    assert (ran.verdicts["A-1"], ran.verdicts["A-4"]) == ("pass", "not-evaluated")
    assert "; run A-4 as well, which this run left out" in " ".join(ran.text.split())
    assert (ran.report.result, ran.result.ret) == (Result.INCONCLUSIVE, 6)


def test_a_failure_is_not_waived_where_its_check_broke(passing: Project) -> None:
    passing.steps("""
@pytest.fixture
def breaks_at_the_end():
    yield
    raise RuntimeError("clean-up")

@given("a fixture that breaks")
def _(breaks_at_the_end):
    pass
""")
    passing.scenario("Then A-1 is violated", name="a1.feature")
    whole = passing.run("features", "--waive", "A-1")
    assert (whole.verdicts["A-1"], whole.report.result) == ("waived", Result.PARTIAL)

    passing.scenario("Given a fixture that breaks", "Then A-1 is violated", name="a1.feature")
    broken = passing.run("features", "--waive", "A-1", "--allow-partial")
    assert (broken.verdicts["A-1"], broken.report.result) == ("error", Result.INCONCLUSIVE)
    assert broken.result.ret == 6


def test_a_premise_that_is_not_met_is_not_evaluated_on_anothers_cluster_and_fails_on_our_own(passing: Project) -> None:
    passing.feature(
        "@profile:tools @safety:read-only\nFeature: F\n  @requirement:A-5\n  Scenario: S\n    Then A-5 is violated\n",
        "tools.feature",
    )
    arguments = ("features", "--profiles", "install,tools", "-rA")

    existing = passing.run(*arguments, "--existing")
    existing.result.assert_outcomes(passed=2, skipped=1)
    assert "a premise of this run is not met: A-5: expected x is 1; saw x is 2" in existing.text
    assert "? A-5     The tool is recent. [not-evaluated] [premise]" in existing.text
    assert existing.verdicts["A-5"] == "not-evaluated"
    assert existing.report.causes == (in_report("trust-domain-differs"),)
    assert (existing.report.result, existing.result.ret) == (Result.PASS, 0)

    ours = passing.run(*arguments)
    assert (ours.verdicts["A-5"], ours.result.ret) == ("fail", 1)


def test_a_skip_inside_a_step_leaves_the_question_open(passing: Project) -> None:
    passing.steps('\n@when("it skips")\ndef _():\n    pytest.skip("not today")\n')
    passing.scenario("Given a reading one", "When it skips", "Then A-1 holds", name="a1.feature")

    ran = passing.run()

    scenario = ran.report.scenarios_of("A-1")[0]
    assert scenario.ending is Ending.SKIPPED_BY_TEST
    assert [s.state for s in scenario.steps] == [PASSED, SKIPPED, NOT_RUN]
    assert "not today" in scenario.reason
    assert ran.verdicts["A-1"] == "error"
    assert ran.result.ret == 6


def test_what_this_run_was_not_given_leaves_a_requirement_not_evaluated(passing: Project) -> None:
    passing.steps("""
from facts.errors import NotGiven
@when("it needs a session")
def _():
    raise NotGiven(expected="an admin tctl", seen="none", where="--tctl", remedy="pass --tctl")
""")
    passing.scenario("Given a reading one", "When it needs a session", "Then A-1 holds", name="a1.feature")

    ran = passing.run()

    scenario = ran.report.scenarios_of("A-1")[0]
    assert scenario.ending is Ending.NOT_RUN
    assert [s.state for s in scenario.steps] == [PASSED, SKIPPED, NOT_RUN]
    assert ran.verdicts["A-1"] == "not-evaluated"
    assert "What to do: pass --tctl" in ran.report.judged[0].reasons[0]
    assert ran.result.ret == 6


@pytest.mark.parametrize("tag", ["@skip", "@xfail"])
def test_a_tag_of_pytest_cannot_make_a_requirement_pass(passing: Project, tag: str) -> None:
    passing.steps('\n@then("it breaks")\ndef _():\n    raise KeyError("x")\n')
    passing.scenario("Then it breaks", tags=f"@requirement:A-1 {tag}", name="a1.feature")

    ran = passing.run()

    assert ran.verdicts["A-1"] == "error"
    assert ran.result.ret == 6


def test_an_xfail_that_passes_passes(passing: Project) -> None:
    passing.scenario("Then A-1 holds", tags="@requirement:A-1 @xfail", name="a1.feature")

    assert passing.run().verdicts["A-1"] == "pass"


def test_a_broken_fixture_of_a_step_breaks_the_step(project: Project) -> None:
    project.steps("""
@pytest.fixture
def broken():
    raise RuntimeError("no pod")

@then("it needs a pod")
def _(broken):
    pass
""")
    project.scenario("Given a reading one", "Then it needs a pod")

    ran = project.run()

    assert ran.states == [PASSED, BROKE]
    assert "RuntimeError: no pod" in ran.scenario.steps[1].error
    assert ran.verdicts["A-1"] == "error"
    assert ran.report.run_errors == ()


def test_a_broken_setup_leaves_its_steps_not_run(project: Project) -> None:
    project.steps("""
@pytest.fixture(autouse=True)
def broken():
    raise RuntimeError("no namespace")
""")
    project.scenario("Then A-1 holds")

    ran = project.run()

    assert ran.scenario.ending is Ending.BROKE
    assert ran.scenario.reason.startswith("setup: RuntimeError: no namespace")
    assert ran.states == [NOT_RUN]
    assert ran.verdicts["A-1"] == "error"


def test_an_error_in_the_cleanup_of_a_step_takes_back_a_pass(passing: Project) -> None:
    passing.steps("""
@given("a pod that cannot be deleted")
def _():
    yield
    raise RuntimeError("still there")
""")
    passing.scenario("Given a pod that cannot be deleted", "Then A-1 holds", name="a1.feature")

    ran = passing.run()

    scenario = ran.report.scenarios_of("A-1")[0]
    assert [s.state for s in scenario.steps] == [PASSED, PASSED]
    assert scenario.ending is Ending.BROKE
    assert "teardown: RuntimeError: still there" in scenario.reason
    assert ran.verdicts["A-1"] == "error"
    assert ran.result.ret == 6


def test_a_violation_stays_one_when_the_cleanup_breaks_too(project: Project) -> None:
    project.steps("""
@given("a pod that cannot be deleted")
def _():
    yield
    raise RuntimeError("still there")
""")
    project.scenario("Given a pod that cannot be deleted", "Then A-1 is violated")

    ran = project.run()

    assert ran.scenario.ending is Ending.BROKE
    assert [s.state for s in ran.scenario.steps] == [PASSED, VIOLATED]
    assert "still there" in ran.scenario.reason
    assert (ran.verdicts["A-1"], ran.result.ret) == ("fail", 1)


def test_a_scenario_without_any_finding_does_not_pass(project: Project) -> None:
    project.scenario("Given a reading one", "When nothing is done")

    ran = project.run()

    assert ran.scenario.ending is Ending.COMPLETED
    assert ran.verdicts["A-1"] == "error"
    assert "no step came to a conclusion about this requirement" in ran.report.judged[0].reasons[0]


def test_a_scenario_whose_steps_never_ran_does_not_complete(project: Project) -> None:
    project.steps("""
@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    return True
""")
    project.scenario("Then A-1 holds")

    ran = project.run()

    assert ran.scenario.ending is Ending.BROKE
    assert ran.verdicts["A-1"] == "error"


def test_a_finding_that_cites_a_reading_that_was_not_recorded_breaks_the_step(project: Project) -> None:
    project.steps("""
@then("it makes it up")
def _(recorder):
    recorder.conclude(finding("A-1", Holds.YES, "ev-0000000000000000"))
""")
    project.scenario("Then it makes it up")

    ran = project.run()

    assert ran.verdicts["A-1"] == "error"
    assert "never recorded" in ran.scenario.reason


def test_a_positive_finding_without_evidence_cannot_be_made(project: Project) -> None:
    project.steps("""
@then("it just says so")
def _(recorder):
    recorder.conclude(finding("A-1", Holds.YES))
""")
    project.scenario("Then it just says so")

    ran = project.run()

    assert ran.verdicts["A-1"] == "error"
    assert "needs evidence" in ran.scenario.reason


@pytest.mark.parametrize("how", ["recorder.conclude(f)", "raise Violated(f)"])
def test_a_finding_on_a_requirement_the_scenario_is_not_tagged_with_breaks_it(project: Project, how: str) -> None:
    project.steps(f"""
@then("it speaks of another")
def _(recorder):
    f = finding("A-2", Holds.NO, reading(recorder, "x"))
    {how}
""")
    project.scenario("Then it speaks of another")

    ran = project.run()

    assert ran.scenario.ending is Ending.BROKE
    assert ran.states == [BROKE]
    assert "concluded something about A-2" in ran.scenario.reason
    assert ran.verdicts["A-1"] == "error"


def test_not_applicable_needs_a_condition_of_the_catalogue(project: Project) -> None:
    project.steps("""
@then("there is no gateway")
def _(recorder):
    recorder.conclude(finding("A-3", Holds.NOT_APPLICABLE, reading(recorder, "x"), condition="there is no gateway"))
""")
    project.scenario("Then there is no gateway", tags="@requirement:A-3")

    assert project.run().verdicts["A-3"] == "not-applicable"


NOT_APPLICABLE = """
from facts.errors import NotApplicable
@given(parsers.parse("a gateway, shown by {name}"))
def _(recorder, name):
    evidence = [] if name == "nothing" else [reading(recorder, name)]
    raise NotApplicable("A-3", "there is no gateway", where="all pods", evidence=evidence)
"""


def test_a_requirement_that_does_not_apply_ends_its_scenario_which_pytest_calls_skipped(passing: Project) -> None:
    passing.steps(NOT_APPLICABLE)
    steps = "Given a gateway, shown by pods", "When nothing is done", "Then A-3 holds"
    passing.scenario(*steps, tags="@requirement:A-3", name="a3.feature")

    ran = passing.run("-rs", "features")

    scenario = ran.report.scenarios_of("A-3")[0]
    assert scenario.ending is Ending.NOT_APPLICABLE
    assert [s.state for s in scenario.steps] == [SKIPPED, NOT_RUN, NOT_RUN]
    (finding,) = scenario.all_findings
    assert (finding.holds, finding.condition, finding.where) == (
        Holds.NOT_APPLICABLE, "there is no gateway", "all pods",
    )  # fmt: skip
    assert finding.evidence == scenario.steps[0].evidence
    assert ran.verdicts["A-3"] == "not-applicable"
    outcomes = ran.result.parseoutcomes()
    assert (outcomes.get("skipped"), outcomes.get("failed"), outcomes.get("errors")) == (1, None, None)
    assert "SKIPPED [1]" in ran.text
    assert "A-3 does not apply: there is no gateway (all pods)" in ran.text
    assert ran.result.ret == 0


def test_not_applicable_without_evidence_or_for_another_requirement_breaks_the_scenario(passing: Project) -> None:
    passing.steps(NOT_APPLICABLE)
    passing.scenario("Given a gateway, shown by nothing", "Then A-3 holds", tags="@requirement:A-3", name="a3.feature")
    passing.scenario("Given a gateway, shown by pods", "Then A-2 holds", tags="@requirement:A-2", name="a2.feature")

    ran = passing.run()

    (bare,), other = ran.report.scenarios_of("A-3"), ran.report.scenarios_of("A-2")[0]
    assert (bare.ending, other.ending) == (Ending.BROKE, Ending.BROKE)
    assert "needs evidence" in bare.reason
    assert "concluded something about A-3" in other.reason
    assert (ran.verdicts["A-2"], ran.verdicts["A-3"]) == ("error", "error")
    assert ran.result.parseoutcomes()["failed"] == 2


def test_one_scenario_can_prove_two_requirements(project: Project) -> None:
    project.scenario("Then A-1 holds", "And A-2 is violated", tags="@requirement:A-2 @requirement:A-1")

    ran = project.run()

    assert ran.scenario.requirements == ("A-1", "A-2")
    assert (ran.verdicts["A-1"], ran.verdicts["A-2"]) == ("error", "fail")


def test_a_step_that_is_a_coroutine_does_not_pass(project: Project) -> None:
    project.steps('\n@then("it is async")\nasync def _():\n    assert False\n')
    project.scenario("Then it is async", "And A-1 holds")

    ran = project.run()

    assert ran.verdicts["A-1"] == "error"
