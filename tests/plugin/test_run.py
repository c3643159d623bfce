"""Whole runs: provisioning that fails, interruptions, reruns, clean-up, exit codes."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
from pathlib import Path

import pytest

from judge.verdict import Ending, Result
from reporting.model import StepState
from reporting.writing.document import from_json
from reporting.writing.publish import UNFINISHED
from tests.plugin.small_project import Project

pytest_plugins = ["pytester"]

CLUSTER = """
from reporting.model import Phase
@pytest.fixture(scope="session")
def cluster(recorder):
    recorder.note_phase(Phase("kind cluster", datetime.now(UTC), 1.0, ok=False))
    {setup}
    yield "cluster"
    {cleanup}

@given("a cluster")
def _(cluster):
    pass
"""
FAILS = 'raise ProvisioningFailed(expected="two nodes", seen="one", where="kind", remedy="free some memory")'


def test_failed_provisioning_is_said_once_and_breaks_every_scenario(project: Project) -> None:
    project.steps(CLUSTER.format(setup=FAILS, cleanup="pass"))
    project.scenario("Given a cluster", "Then A-1 holds", name="a1.feature")
    project.scenario("Given a cluster", "Then A-2 holds", tags="@requirement:A-2", name="a2.feature")

    ran = project.run()

    assert ran.report.run_errors == (
        "set-up of 'cluster' failed: expected two nodes; saw one (kind). What to do: free some memory",
    )
    assert [(p.name, p.ok) for p in ran.report.timeline] == [("kind cluster", False)]
    assert ran.verdicts["A-1"] == ran.verdicts["A-2"] == "error"
    assert [s.steps[0].state for s in ran.report.scenarios] == [StepState.BROKE] * 2
    assert ran.result.ret == 6
    assert "run-error" in (project.path / "reports/latest/junit.xml").read_text()


def test_a_shared_reading_that_cannot_be_made_breaks_scenarios_but_is_no_failed_provisioning(project: Project) -> None:
    cannot = 'raise CouldNotTell(expected="a", seen="b", where="c", remedy="d")'
    project.steps(CLUSTER.format(setup=cannot, cleanup="pass"))
    project.scenario("Given a cluster", "Then A-1 holds")

    ran = project.run()

    assert ran.report.run_errors == ()
    assert ran.verdicts["A-1"] == "error"


def test_a_leak_found_in_shared_cleanup_is_an_error_of_the_run_and_not_of_the_last_scenario(passing: Project) -> None:
    passing.steps(CLUSTER.format(setup="pass", cleanup='raise RuntimeError("a namespace is left")'))
    passing.scenario("Given a cluster", "Then A-2 holds", tags="@requirement:A-2", name="a2.feature")

    ran = passing.run()

    assert ran.verdicts["A-2"] == "pass"
    (error,) = ran.report.run_errors
    assert error.startswith("clean-up of 'cluster' failed: RuntimeError: a namespace is left")
    assert ran.report.result is Result.INCONCLUSIVE
    assert ran.result.ret == 6


@pytest.mark.parametrize(("holds", "verdict", "exit_code"), [("Holds.YES", "pass", 0), ("Holds.NO", "fail", 1)])
def test_what_is_judged_after_the_last_scenario_counts(passing: Project, holds: str, verdict: str, exit_code: int) -> None:
    conclude = f'recorder.conclude(finding("A-3", {holds}, reading(recorder, "what is left")))'
    passing.steps(CLUSTER.format(setup="pass", cleanup=conclude))
    passing.scenario("Given a cluster", "Then A-2 holds", tags="@requirement:A-2", name="a2.feature")

    ran = passing.run("features", "--strict-findings")

    assert ran.verdicts["A-3"] == verdict
    assert [f.requirement for f in ran.report.run_findings] == ["A-3"]
    assert set(ran.report.run_findings[0].evidence) <= set(ran.report.run_evidence)
    assert ran.result.ret == exit_code


def test_a_violation_raised_after_the_last_scenario_counts(passing: Project) -> None:
    raises = 'raise Violated(finding("A-2", Holds.NO, reading(recorder, "what is left")))'
    passing.steps(CLUSTER.format(setup="pass", cleanup=raises))
    passing.scenario("Given a cluster", "Then A-1 holds", name="z.feature")

    ran = passing.run()

    assert ran.verdicts["A-1"] == "pass"
    assert ran.verdicts["A-2"] == "fail"
    assert ran.result.ret == 1


INTERRUPTS = [
    ("raise KeyboardInterrupt", 2, "interrupted: Ctrl-C"),
    ("pytest.exit('enough')", 2, "enough"),
    ("pytest.exit('enough', returncode=0)", 6, "enough"),
]


@pytest.mark.parametrize(("body", "exit_code", "said"), INTERRUPTS)
def test_an_interruption_in_a_step_keeps_what_was_seen(project: Project, body: str, exit_code: int, said: str) -> None:
    project.steps(f'\n@when("it is interrupted")\ndef _():\n    {body}\n')
    project.scenario("Given a reading one", "Then A-1 holds by it", name="a1.feature")
    project.scenario(
        "Given a reading one", "When it is interrupted", "Then A-2 holds", tags="@requirement:A-2", name="b.feature"
    )
    project.scenario("Then A-3 holds", tags="@requirement:A-3", name="c.feature")

    ran = project.run("features", apart="Ctrl-C" in said)

    assert ran.verdicts == {"A-1": "pass", "A-2": "error", "A-3": "not-evaluated"}
    interrupted = ran.report.scenarios_of("A-2")[0]
    assert interrupted.ending is Ending.BROKE
    assert [s.state for s in interrupted.steps] == [StepState.PASSED, StepState.BROKE, StepState.NOT_RUN]
    assert ran.report.scenarios_of("A-3")[0].reason == "never started"
    assert said in ran.report.run_errors[0]
    assert ran.report.result is Result.INCONCLUSIVE
    assert ran.result.ret == exit_code


def test_an_interruption_while_a_failure_is_put_into_words(project: Project) -> None:
    project.steps("\ndef pytest_runtest_makereport(call):\n    if call.when == 'call':\n        raise KeyboardInterrupt\n")
    project.scenario("Given a reading one", "Then A-1 is violated")

    ran = project.run("features", apart=True)

    assert ran.result.ret == 2
    assert ran.report.run_errors == ("interrupted: Ctrl-C",)
    assert "INTERNALERROR" not in ran.text


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_run_with_cleanup_and_report(project: Project, name: str) -> None:
    project.steps(CLUSTER.format(setup="pass", cleanup='Path("cleaned").touch()'))
    project.steps(f'\nimport os, signal\n@when("it is terminated")\ndef _():\n    os.kill(os.getpid(), signal.{name})\n')
    project.scenario("Given a cluster", "When it is terminated", "Then A-1 holds")

    ran = project.run("features", apart=True)

    assert ran.result.ret == 2
    assert (project.path / "cleaned").exists()
    assert f"interrupted: terminated by {name}" in ran.report.run_errors
    assert ran.verdicts["A-1"] == "error"


def test_the_former_handlers_come_back(passing: Project) -> None:
    signals = signal.SIGTERM, signal.SIGHUP
    before = [signal.getsignal(each) for each in signals]

    passing.run()

    assert [signal.getsignal(each) for each in signals] == before


def test_nohup_lets_a_run_outlive_its_terminal(passing: Project) -> None:
    passing.steps('\nimport os, signal\n@when("the terminal goes")\ndef _():\n    os.kill(os.getpid(), signal.SIGHUP)\n')
    passing.scenario("When the terminal goes", "Then A-1 holds", name="a1.feature")
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ran = passing.run("features", apart=True)
    finally:
        signal.signal(signal.SIGHUP, former)

    assert ran.verdicts["A-1"] == "pass"


def test_a_terminal_that_goes_away_costs_neither_the_cleanup_nor_the_report(passing: Project) -> None:
    passing.steps(CLUSTER.format(setup="pass", cleanup='print("cleaning"); Path("cleaned").touch()'))
    passing.steps('\nimport time\n@when("it waits")\ndef _():\n    Path("waiting").touch()\n    time.sleep(30)\n')
    passing.scenario("Given a cluster", "When it waits", "Then A-1 holds", name="a1.feature")
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-m", "pytest", "features", "-p", "no:cacheprovider"])  # noqa: S606
    deadline = time.monotonic() + 30
    while not (passing.path / "waiting").exists() and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 65536)
    os.close(terminal)  # the kernel sends SIGHUP, and every write to the terminal fails from now on
    while time.monotonic() < deadline and os.waitpid(process, os.WNOHANG) == (0, 0):
        time.sleep(0.05)

    assert (passing.path / "cleaned").exists()
    report = from_json((passing.path / "reports/latest/report.json").read_text())
    assert "interrupted: terminated by SIGHUP" in report.run_errors


def test_a_second_ctrl_c_during_cleanup_does_not_cost_the_report(project: Project) -> None:
    project.steps(CLUSTER.format(setup="pass", cleanup="raise KeyboardInterrupt"))
    project.steps('\n@when("it is interrupted")\ndef _():\n    raise KeyboardInterrupt\n')
    project.scenario("Given a cluster", "When it is interrupted", "Then A-1 holds")

    ran = project.run("features", apart=True)

    assert ran.result.ret == 2
    assert "clean-up failed: interrupted: Ctrl-C" in ran.report.run_errors


def test_stopping_at_the_first_failure_leaves_the_rest_not_evaluated(project: Project) -> None:
    project.scenario("Then A-1 is violated", name="a1.feature")
    project.scenario("Then A-2 holds", tags="@requirement:A-2", name="b.feature")

    ran = project.run("features", "-x")

    assert ran.verdicts == {"A-1": "fail", "A-2": "not-evaluated", "A-3": "not-evaluated"}
    assert ran.result.ret == 1


def test_an_internal_error_keeps_pytests_exit_code_and_writes_the_report(passing: Project) -> None:
    passing.steps('\ndef pytest_runtest_logfinish(nodeid):\n    raise RuntimeError("a plugin broke")\n')

    ran = passing.run()

    assert ran.result.ret == 3
    assert any("a plugin broke" in e for e in ran.report.run_errors)
    assert "report.html" in ran.text


def test_a_rerun_of_failures_is_inconclusive_even_if_all_pass(project: Project) -> None:
    project.scenario("Then A-1 is violated", name="a1.feature")
    project.scenario("Then A-2 holds", tags="@requirement:A-2", name="b.feature")
    project.run()
    project.scenario("Then A-1 holds", name="a1.feature")

    ran = project.run("features", "--last-failed")

    assert ran.report.scope.rerun_of_failures
    assert ran.verdicts == {"A-1": "pass", "A-2": "not-evaluated", "A-3": "not-evaluated"}
    assert ran.result.ret == 6


def test_a_should_that_fails_is_a_finding_unless_strict(passing: Project) -> None:
    passing.scenario("Then A-3 is violated", tags="@requirement:A-3", name="c.feature")

    found = passing.run()
    assert found.result.ret == 0
    assert re.search(r"=== 2 passed, 1 findings in ", found.text)
    assert "FAILED" not in found.text
    assert re.search(r"^3: 2 pass · 1 recommendation · \d+s · exit 0$", found.text, re.MULTILINE)
    assert "<failure" not in (passing.path / "reports/latest/junit.xml").read_text()
    strict = passing.run("features", "--strict-findings")
    assert strict.result.ret == 1
    assert "1 failed, 2 passed" in strict.text
    assert re.search(r"^3: 2 pass · 1 fail · \d+s · exit 1$", strict.text, re.MULTILINE)


def test_pytests_own_words_say_of_what_a_waiver_accepts_that_it_is_waived(passing: Project) -> None:
    passing.scenario("Then A-1 is violated", name="a1.feature")

    waived = passing.run("features", "--waive", "A-1")
    assert (waived.verdicts["A-1"], waived.result.ret) == ("waived", 7)
    assert re.search(r"=== 1 passed, 1 waived in ", waived.text)
    assert "FAILED" not in waived.text
    assert "=== FAILURES ===" not in waived.text
    strict = passing.run("features", "--waive", "A-3", "--strict-findings")
    assert "1 failed, 1 passed" in strict.text


def test_a_scenario_that_also_found_something_that_no_waiver_accepts_is_failed(passing: Project) -> None:
    passing.scenario("Then A-1 and A-2 are violated", tags="@requirement:A-1 @requirement:A-2", name="a1.feature")
    passing.steps("""
@then("A-1 and A-2 are violated")
def _(recorder):
    found = [finding(each, Holds.NO, reading(recorder, each)) for each in ("A-1", "A-2")]
    for each in found:
        recorder.conclude(each)
    raise Violated(found[0])
""")
    assert "1 failed, 1 passed" in passing.run("features", "--waive", "A-1").text
    assert "1 waived" in passing.run("features", "--waive", "A-1,A-2").text


def test_each_run_has_its_directory_and_latest_is_the_last(passing: Project) -> None:
    first = passing.run().report.run_id
    second = passing.run().report.run_id

    assert first != second
    assert (passing.path / "reports/latest").readlink() == Path(second)
    assert (passing.path / "reports" / first / "report.html").exists()


KILLED = """
import os, signal
import reporting.collecting.so_far
reporting.collecting.so_far.SHARE = 1e9  # after every scenario, however long it takes
@when("the suite is killed")
def _():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_is_killed_leaves_a_report_that_says_so(passing: Project) -> None:
    passing.run()
    earlier = (passing.path / "reports/latest").readlink()
    passing.steps(KILLED)
    passing.scenario("When the suite is killed", "Then A-2 holds", tags="@requirement:A-2", name="b.feature")

    ran = passing.run("features", apart=True)

    assert ran.result.ret == -signal.SIGKILL
    assert (passing.path / "reports/latest").readlink() != earlier
    assert (passing.path / "reports/latest" / UNFINISHED).exists()
    assert "saw that it had not ended at 20" in ran.report.run_errors[0]
    assert "`conformance undo` and then `conformance down`" in (passing.path / "reports/latest/report.html").read_text()
    assert ran.report.result is Result.INCONCLUSIVE
    assert ran.verdicts == {"A-1": "pass", "A-2": "not-evaluated", "A-3": "not-evaluated"}


def test_a_report_so_far_that_cannot_be_written_is_said_and_the_run_goes_on(
    passing: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr("reporting.collecting.so_far.publish_so_far", full)

    ran = passing.run()

    assert ran.text.count("expected to write the report of this run so far; saw OSError: [Errno 28]") == 1
    assert ran.result.ret == 0


def test_a_run_that_is_not_admitted_ends_before_it_starts_and_leaves_the_name_free(passing: Project) -> None:
    passing.steps("""
def pytest_sessionstart(session):
    collector = session.config.collector
    def admit():
        raise BadInput(expected="no other run", seen="run 1 of amy", where="Lease", remedy="wait for it")
    collector._admit, collector._plan = admit, __import__("dataclasses").replace(collector._plan, run_id="mine")
""")

    ran = passing.run()

    assert ran.result.ret == 4
    assert ran.report.run_errors == ("expected no other run; saw run 1 of amy (Lease). What to do: wait for it",)
    assert not (passing.path / "reports/mine").exists()
    assert set(ran.verdicts.values()) == {"not-evaluated"}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


def test_a_run_whose_report_could_not_be_written_does_not_start(passing: Project, elsewhere: Path) -> None:
    (passing.path / "occupied").write_text("")

    ran = passing.run("features", "--reports", "occupied")

    assert ran.result.ret == 4
    assert ran.text.count("expected to write the report to occupied; saw: File exists (occupied). What to do: ") == 1
    (report,) = elsewhere.glob("conformance-*/latest/report.html")
    assert "not-evaluated" in report.read_text()
    ran.result.assert_outcomes()


def test_a_report_that_finds_no_place_at_the_end_is_written_elsewhere(passing: Project, elsewhere: Path) -> None:
    passing.steps("""
import shutil
@when("the disk is taken away")
def _():
    shutil.rmtree("reports")
    Path("reports").touch()
""")
    passing.scenario("When the disk is taken away", "Then A-1 holds", name="a1.feature")

    ran = passing.run()

    assert ran.result.ret == 3
    assert "expected to write the report to reports; saw: " in ran.text
    assert "Traceback" not in ran.text
    (report,) = elsewhere.glob("conformance-*/latest/report.json")
    assert from_json(report.read_text()).result is Result.PASS


def test_a_report_that_finds_no_place_at_all_is_one_sentence(passing: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr("reporting.collecting.collector.publish", full)

    ran = passing.run()

    assert ran.result.ret == 3
    assert (
        "expected to write the report to reports; saw: No space left on device (/somewhere). What to do: free space"
        in ran.text
    )
    assert "Traceback" not in ran.text


def test_bad_input_ends_a_run_before_it_starts_with_a_report_that_says_why(passing: Project) -> None:
    ran = passing.run("features", "--refusal", "expected this; saw that. What to do: more")

    assert ran.result.ret == 4
    assert ran.result.stderr.lines == ["ERROR: expected this; saw that. What to do: more", ""]
    assert ran.report.run_errors == ("expected this; saw that. What to do: more",)
    assert set(ran.verdicts.values()) == {"not-evaluated"}
    assert ran.report.result is Result.INCONCLUSIVE


def test_bad_input_does_not_concern_a_run_without_features(passing: Project) -> None:
    (passing.path / "test_unit.py").write_text("def test_one(): pass\n")

    assert passing.run("test_unit.py", "--refusal", "no").result.ret == 0


def test_a_run_that_is_ended_says_why_once_and_leaves_the_rest_not_evaluated(passing: Project) -> None:
    passing.steps("""
@pytest.fixture(scope="session")
def cluster(request):
    error = ProvisioningFailed(expected="a cluster", seen="none", where="here", remedy="make one")
    request.config.collector.end(request.session, str(error))
    raise error

@given("a cluster")
def _(cluster):
    pass
""")
    passing.scenario("Given a cluster", "Then A-1 holds", name="a1.feature")

    ran = passing.run()

    assert ran.result.ret == 6
    assert ran.report.run_errors == ("expected a cluster; saw none (here). What to do: make one",)
    assert ran.verdicts == {"A-1": "error", "A-2": "not-evaluated", "A-3": "not-evaluated"}


def test_a_defect_in_a_writer_is_exit_code_3_and_no_verdict(passing: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise TypeError("template")

    monkeypatch.setattr("reporting.writing.publish.to_html", broken)

    ran = passing.run()

    assert ran.result.ret == 3
    assert "saw a defect in the suite: TypeError: template" in ran.text


def test_an_error_after_the_report_is_no_failed_install(passing: Project) -> None:
    passing.steps('\ndef pytest_unconfigure():\n    raise RuntimeError("left open")\n')

    ran = passing.run("features", apart=True)

    assert ran.result.ret == 0
    assert "saw a defect in the suite: RuntimeError: left open" in ran.text
    assert "Traceback" not in ran.text


def test_xdist_is_refused(project: Project) -> None:
    ran = project.run("--numprocesses", "2", "features", apart=True)

    assert ran.result.ret == 4
    assert "expected one pytest process" in ran.text


def test_readings_of_shared_setup_belong_to_the_run_and_can_be_attached_to_steps(project: Project) -> None:
    project.steps("""
@pytest.fixture(scope="session")
def mesh(recorder):
    return reading(recorder, "mesh")

@given("the mesh")
def _(mesh):
    pass

@then(parsers.parse("{requirement} holds by the mesh"))
def _(recorder, mesh, requirement):
    recorder.attach([mesh])
    recorder.conclude(finding(requirement, Holds.YES, mesh))
""")
    project.scenario("Given the mesh", "Then A-1 holds by the mesh", name="a1.feature")
    project.scenario("Given the mesh", "Then A-2 holds by the mesh", tags="@requirement:A-2", name="b.feature")

    ran = project.run()

    (mesh,) = ran.report.run_evidence
    assert [[s.evidence for s in sc.steps] for sc in ran.report.scenarios] == [[(), (mesh,)], [(), (mesh,)]]
    assert [e.id for e in ran.report.evidence] == [mesh]
    assert (ran.verdicts["A-1"], ran.verdicts["A-2"]) == ("pass", "pass")


def test_readings_are_attached_to_the_step_or_setup_that_made_them(project: Project) -> None:
    project.steps("""
@pytest.fixture(autouse=True)
def namespace(recorder):
    reading(recorder, "namespace before")
    yield
    reading(recorder, "namespace after")
""")
    project.scenario("Given a reading one", "Given a reading two", "Then A-1 holds by it")

    ran = project.run()

    subject = {e.id: e.subject.name for e in ran.report.evidence}
    assert [[subject[e] for e in s.evidence] for s in ran.scenario.steps] == [["one"], ["two"], ["two"]]
    assert [subject[e] for e in ran.scenario.evidence] == ["namespace before", "namespace after"]
    assert ran.report.run_evidence == ()


def test_the_same_run_twice_gives_the_same_verdicts_in_the_same_order(passing: Project) -> None:
    first, second = passing.run().report, passing.run().report

    assert [j.requirement.id for j in first.judged] == [j.requirement.id for j in second.judged]
    assert [s.id for s in first.scenarios] == [s.id for s in second.scenarios]


def test_secrets_in_an_exception_do_not_reach_any_file(project: Project) -> None:
    key = "-----BEGIN PRIVATE KEY-----\\\\nMIIcanary\\\\n-----END PRIVATE KEY-----"
    project.steps(f'\n@then("it leaks")\ndef _(recorder):\n    raise RuntimeError("{key}")\n')
    project.scenario("Then it leaks")

    project.run()

    written = [p for p in (project.path / "reports").rglob("*") if p.is_file()]
    assert written
    assert not [p for p in written if "MIIcanary" in p.read_text()]


def test_what_turns_out_to_be_a_secret_late_is_in_no_file_and_not_on_the_screen(project: Project) -> None:
    project.steps("""
@then("a token is read, used and known for a secret")
def _(recorder):
    token = "canary-" + "that-joins"
    kept = reading(recorder, f"token/{token}", f"token: {token}")
    recorder.hide(token)
    print("asked for", token)
    found = Problem(ObjectRef("Teleport", f"token/{token}"), f"token/{token} is too wide", "token-too-wide", (kept,))
    raise Violated(Finding("A-1", Holds.NO, "a narrow token", "Teleport", problems=(found,), evidence=(kept,)))
@then("a step breaks over it")
def _(recorder):
    raise RuntimeError("no " + "canary-" + "that-joins")
""")
    project.scenario("Then a token is read, used and known for a secret")
    project.scenario("Then a step breaks over it", tags="@requirement:A-2", name="b.feature")

    ran = project.run()

    written = [p for p in (project.path / "reports").rglob("*") if p.is_file()]
    assert [p for p in written if "token/[redacted]" in p.read_text()]
    assert not [p for p in written if "canary-that-joins" in p.read_text()]
    assert "canary-that-joins" not in ran.text
    assert ran.report.run_errors == (), "it was taken out in time, so nothing slipped through"
    assert ran.verdicts["A-1"] == "fail"


def test_a_secret_that_slipped_through_is_taken_out_of_every_file_and_lowers_the_run(passing: Project) -> None:
    passing.steps("""
from facts.evidence import Evidence
from reporting.model import RunFacts
@then("a careless reading is made")
def _(recorder):
    recorder.record(Evidence("ev-1", "get x", ObjectRef("Pod", "p"), datetime.now(UTC), "password: canary-value", "00"))
    recorder.note_facts(RunFacts(authority_detail="eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.canary-value"))
""")
    passing.scenario("Then a careless reading is made", "Then A-1 holds", name="a1.feature")

    ran = passing.run()

    assert not [p for p in Path(passing.path / "reports").rglob("*") if p.is_file() and "canary-value" in p.read_text()]
    assert len(ran.report.run_errors) == 2
    assert ran.result.ret == 6
