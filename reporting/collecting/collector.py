"""The pytest plugin that collects: scenarios, steps, findings and everything that went wrong, on pytest-bdd's hooks.

`conftest` registers one `Collector`. It stays silent in runs that collect no feature file, such as the suite's own tests.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _pytest._code.code import TerminalRepr
from pytest_bdd.parser import Scenario, Step

from facts.catalogue import About, Level
from facts.errors import ConformanceError, CouldNotTell, NotApplicable
from facts.finding import Finding, Holds, Violated
from judge.findings import Claim
from judge.verdict import Ending, Verdict
from judge.waivers import not_accepted
from reporting.assemble import RunPlan, assemble
from reporting.collecting.endings import ending_of, failed_in_shared_fixture, told
from reporting.collecting.feature_files import FeatureModule, marks_of, planned
from reporting.collecting.interruptions import as_ctrl_c
from reporting.collecting.policy import SAFETY_CLASSES, SkippedByPolicy, forbidden
from reporting.collecting.so_far import SoFar
from reporting.collecting.store import Store
from reporting.model import EXISTING, Report, ScenarioRecord, StepState
from reporting.writing.publish import begin, files_of, must_take_a_report, no_place, publish
from reporting.writing.terminal import Line, summary, wrapped
from reporting.writing.words import FINDING, LOOKS

_MARKS = (
    ("requirement", "id", "id of a requirement in the catalogue; tag @requirement:ID"),
    ("profile", "name", "profile that the scenario belongs to; tag @profile:NAME"),
    ("safety", "kind", "read-only, namespaced or disruptive; tag @safety:KIND"),
)


class Collector:
    """Collects a run and writes its report.

    Args:
        plan: The decisions that were taken before the run.
        admit: Called right before the first scenario; raises a `ConformanceError` that says why this run cannot start.

    Raises:
        BadInput: A profile does not exist.
    """

    def __init__(self, plan: RunPlan, admit: Callable[[], None] = lambda: None) -> None:
        self.recorder = Store()
        self.report: Report | None = None
        self._chosen = plan.chosen
        self._plan = replace(
            plan,
            run_id=plan.run_id or _some_id(plan),
            scope=replace(
                plan.scope,
                profiles=plan.profiles,
                safety=tuple(c for c in SAFETY_CLASSES if c in plan.allowed_safety),
                left_out=tuple(f"{', '.join(ids)} ({need})" for need, ids in plan.catalogue.left_out(plan.profiles).items()),
            ),
        )
        self._admit = admit
        self._so_far: SoFar | None = None
        self._refusal = plan.refusal
        self._refused_late = False
        self._saw_features = False
        self._summary: Sequence[Line] = ()
        self._interruptions = contextlib.ExitStack()
        self._terminal_is_gone = False
        self._shared_error: BaseException | None = None
        self._softened: dict[str, str] = {}
        """The word for each scenario that found something, none of which fails the run, by node id."""
        self._printed: list[str] = []

    @property
    def run_id(self) -> str:
        """Name of this run and its directory below the reports."""
        return self._plan.run_id

    # Setting up.

    def pytest_configure(self, config: pytest.Config) -> None:
        """Declares the marks and reads the command line of pytest."""
        for name, argument, meaning in _MARKS:
            config.addinivalue_line("markers", f"{name}({argument}): {meaning}")
        # Ctrl-C while pytest words a failure is still Ctrl-C; with warnings as errors, pluggy makes an internal error of it.
        config.addinivalue_line("filterwarnings", "ignore::pluggy.PluggyTeardownRaisedWarning")
        if config.getoption("numprocesses", None) or hasattr(config, "workerinput"):
            raise pytest.UsageError(
                "expected one pytest process; saw -n of pytest-xdist. Scenarios share a cluster and a report. "
                "What to do: omit -n"
            )
        option = config.getoption
        self._plan = replace(
            self._plan,
            root=config.rootpath,
            scope=replace(
                self._plan.scope,
                paths=() if self._all_features_in(config) else tuple(config.args),
                keyword=option("keyword", "") or "",
                markers=option("markexpr", "") or "",
                # Not --ff, which runs them first, and then everything.
                rerun_of_failures=bool(option("lf", False)),
            ),
        )

    def _all_features_in(self, config: pytest.Config) -> bool:
        """True if a path on pytest's command line is the directory of the features, or one above it."""
        if self._plan.features is None:
            return False
        features = self._plan.features.resolve()
        return any((config.invocation_params.dir / arg).resolve() in (features, *features.parents) for arg in config.args)

    def pytest_sessionstart(self) -> None:
        """Lets SIGTERM, and SIGHUP when the terminal goes, end a run as Ctrl-C does: with clean-up and a report."""
        self._interruptions.enter_context(as_ctrl_c(self._note_hangup))

    def _note_hangup(self, number: signal.Signals) -> None:
        self._terminal_is_gone |= number == signal.SIGHUP

    # Collection.

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collects feature files."""
        if file_path.suffix != ".feature":
            return None
        self._saw_features = True
        module: pytest.Collector = FeatureModule.from_parent(parent, path=file_path)
        return module

    def pytest_bdd_apply_tag(self, tag: str, function: Callable[..., object]) -> bool | None:
        """Turns ``@requirement:ID``, ``@profile:NAME`` and ``@safety:KIND`` into marks; other tags stay pytest-bdd's."""
        key, _, value = tag.partition(":")
        for name, argument, _meaning in _MARKS:
            if key == name and value:
                getattr(pytest.mark, name)(**{argument: value})(function)
                return True
        return None

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Makes all scenarios and examples of a file known, before a node id selects some of them."""
        report = yield
        for item in report.result or ():
            scenario = planned(item, self._plan.catalogue.requirements) if isinstance(item, pytest.Item) else None
            if scenario is not None:
                self.recorder.plan(scenario)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes a file that cannot be read as a run error."""
        self._make_printable(report)
        if report.failed:
            self.recorder.run_error(f"{report.nodeid or 'collection'} could not be read: {report.longreprtext.strip()}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Makes every scenario known, before anything deselects it, and deselects those of other profiles."""
        kept: list[pytest.Item] = []
        other: list[pytest.Item] = []
        for item in items:
            scenario = planned(item, self._plan.catalogue.requirements)
            if scenario is not None:
                self.recorder.plan(scenario)
            (kept if scenario is None or self._is_chosen(scenario) else other).append(item)
        if other:
            config.hook.pytest_deselected(items=other)
            items[:] = kept

    def _is_chosen(self, scenario: ScenarioRecord) -> bool:
        """True for a scenario of the chosen profiles, unless all its requirements are of its profile and left out of it.

        One with a wrong tag runs: the report then says that nothing takes up what it found.
        """
        if scenario.profile not in {r.profile for r in self._chosen}:
            return False
        known = self._plan.catalogue
        left_out = {r.id for r in known if r.profile == scenario.profile} - {r.id for r in self._chosen}
        return not scenario.requirements or not left_out.issuperset(scenario.requirements)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Notes what was deselected: its requirements were not evaluated."""
        selected = {item.nodeid for item in session.items}
        for scenario in self.recorder.scenarios:
            reason = "never started" if scenario.id in selected else "not selected for this run"
            self.recorder.plan(replace(scenario, reason=reason))

    # Running.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Ends a run that cannot start, or whose report could not be written, before anything is made."""
        if not self._saw_features:
            return
        if not self._refusal and not session.config.getoption("collectonly", False):
            self._refusal = self._begin()
            if self._refusal:  # its own report must not take the name of another run
                self._plan = replace(self._plan, run_id=_some_id(self._plan))
        if self._refusal:
            self.recorder.run_error(self._refusal)
            raise pytest.UsageError(self.recorder.told(self._refusal))

    def _begin(self) -> str:
        """Begins the run, on disk as well; returns why it cannot start, or nothing."""
        plan = self._plan
        try:
            must_take_a_report(plan.reports_dir)
            self._admit()
            begin(plan.run_id, plan.reports_dir)
        except OSError as error:
            return no_place(plan.reports_dir, error)
        except ConformanceError as error:
            return str(error)
        self._so_far = SoFar(plan, self.recorder)
        self._so_far.write()
        return ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Opens the scenario; refuses it before any fixture runs if the safety policy does not allow it."""
        if self.recorder.knows(item.nodeid):
            self.recorder.begin_scenario(item.nodeid)
            if why := forbidden(marks_of(item, "safety"), self._plan.allowed_safety):
                raise SkippedByPolicy(why)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Gives the readings of a fixture that scenarios share to the run."""
        if fixturedef.scope == "function":
            return (yield)
        try:
            with self.recorder.shared_setup():
                return (yield)
        except (CouldNotTell, NotApplicable):
            raise
        except (Exception, pytest.fail.Exception) as error:
            if error is not self._shared_error:  # a fixture that asked for this one passes the same error on
                self._shared_error = error
                self._say(f"set-up of {fixturedef.argname!r} failed: ", told(error))
            raise
        finally:
            # Finalizers run in reverse order, so this one runs right before the fixture's own clean-up.
            fixturedef.addfinalizer(self.recorder.leave_scenario)

    def end(self, session: pytest.Session, why: str) -> None:
        """Ends the run after the scenario that is under way, because nothing more can be judged."""
        self._say("", why)
        session.shouldfail = "nothing more can be judged"

    def refuse(self, session: pytest.Session, why: str) -> None:
        """Ends the run as `end` does, with the exit code of one that cannot start: it has changed nothing yet."""
        self._refused_late = True
        self.end(session, why)

    def _say(self, occasion: str, what: str) -> None:
        """Notes a run error, unless it was noted on another occasion."""
        if not any(what in noted for noted in self.recorder.run_errors):
            self.recorder.run_error(occasion + what)

    def pytest_bdd_before_scenario(self, request: pytest.FixtureRequest) -> None:
        """The first step follows. Opens the scenario again if a shared fixture that was replaced has closed it."""
        self.recorder.begin_scenario(request.node.nodeid)

    def pytest_bdd_before_step(self, scenario: Scenario, step: Step) -> None:
        """Readings and findings go to this step from here on."""
        self.recorder.begin_step(next(i for i, each in enumerate(scenario.steps) if each is step))

    def pytest_bdd_after_step(self) -> None:
        """The step passed."""
        self.recorder.end_step(StepState.PASSED)

    def pytest_bdd_step_error(self, exception: Exception) -> None:
        """The step found a violation, or broke."""
        self._end_step(exception)

    def pytest_bdd_step_func_lookup_error(self, scenario: Scenario, step: Step, exception: Exception) -> None:
        """The step is undefined, so that the question stays open."""
        self.pytest_bdd_before_step(scenario, step)
        self.recorder.end_step(StepState.BROKE, str(exception))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Takes the ending of each phase from the exception itself: a report's outcome is bent by marks such as xfail."""
        error = call.excinfo.value if call.excinfo is not None else None
        says_itself = self.recorder.knows(item.nodeid) and isinstance(error, ConformanceError | Violated)
        with _without_sources(item.config) if says_itself else contextlib.nullcontext():
            report = yield
        self._make_printable(report)
        if not self.recorder.knows(item.nodeid):
            if error is not None and not isinstance(error, pytest.skip.Exception):
                self.recorder.run_error(f"{item.nodeid}: {told(error)}")
            return report
        self.recorder.add_time(item.nodeid, call.duration)
        if isinstance(error, ConformanceError | Violated):
            # It says what is expected, seen and to be done; a traceback would only hide it.
            report.longrepr = self.recorder.told(str(error))
            if call.when != "teardown" and (why := self._why_open(error)):
                # pytest's word FAILED would say that the install is wrong, where the question is open.
                report.outcome, (file, line, _) = "skipped", item.location
                report.longrepr = (file, line or 0, f"{why}: {report.longrepr}")
        if error is None:
            if call.when == "call" and self.recorder.all_steps_passed(item.nodeid):
                self.recorder.lower(item.nodeid, Ending.COMPLETED)
            elif call.when == "call":
                self.recorder.lower(item.nodeid, Ending.BROKE, "it ended without an error before its last step")
        elif call.when == "teardown" and (fixtures := failed_in_shared_fixture(error)):
            self._ending(error)
            self.recorder.run_error(f"clean-up of {', '.join(map(repr, fixtures))} failed: {told(error)}")
        else:
            ending, reason = self._end_step(error)
            if call.when == "call" and isinstance(error, Violated) and (word := self._softer_word(item.nodeid)):
                self._softened[item.nodeid] = word
            if ending is Ending.NOT_APPLICABLE:
                where = str(item.path), item.reportinfo()[1] or 0
                report.outcome, report.longrepr = "skipped", (*where, self.recorder.told(reason))
            self.recorder.lower(item.nodeid, ending, f"{call.when}: {reason}" if call.when != "call" else reason)
        return report

    def _why_open(self, error: ConformanceError | Violated) -> str:
        """Why an error says nothing about the install; empty where it does."""
        if isinstance(error, ConformanceError):
            return "could not be evaluated"
        premises = {r.id for r in self._chosen if r.premise} if self._plan.scope.cluster == EXISTING else set()
        return "a premise of this run is not met" if error.finding.requirement in premises else ""

    def _softer_word(self, nodeid: str) -> str:
        """The word for what a scenario found, in place of pytest's `failed`; empty where any of it fails the run."""
        found = next(scenario.all_findings for scenario in self.recorder.scenarios if scenario.id == nodeid)
        words = {self._word_of(finding) for finding in found if finding.holds is Holds.NO}
        return "" if "" in words else FINDING if FINDING in words else Verdict.WAIVED.value

    def _word_of(self, finding: Finding) -> str:
        """The word for a negative finding that does not fail the run; empty for one that does."""
        judged = next((r for r in self._chosen if r.id == finding.requirement), None)
        if judged is None:
            return ""
        counting = [waiver for waiver in self._plan.waivers.get(judged.id, ()) if not waiver.expired]
        if counting and judged.about is About.INSTALL and not not_accepted(finding.problems, counting):
            return Verdict.WAIVED.value
        return FINDING if judged.level is Level.SHOULD and not self._plan.strict else ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, tuple[str, Mapping[str, bool]]] | None:
        """Counts a SHOULD that does not hold, or what a waiver accepts, as what it is: `failed` would deny the exit code."""
        word = self._softened.get(report.nodeid)
        if word and report.when == "call" and report.failed:
            return "findings" if word == FINDING else word, LOOKS[word][0], (word.upper(), {"yellow": True})
        return None

    def pytest_runtest_logfinish(self) -> None:
        """The scenario is over."""
        self.recorder.leave_scenario()
        if self._so_far is not None:
            self._so_far.write_now_and_then()

    def _make_printable(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Filters what pytest prints of a failure, of a skip and of captured output, as the report is filtered."""
        if isinstance(report.longrepr, tuple):
            path, line, reason = report.longrepr
            report.longrepr = path, line, self.recorder.told(reason)
        elif report.longrepr is not None and (told := self.recorder.told(report.longreprtext)) != report.longreprtext:
            report.longrepr = told
        report.sections = [(title, self.recorder.told(text)) for title, text in report.sections]
        self._printed += [report.longreprtext, *(text for _title, text in report.sections)]

    def _end_step(self, error: BaseException) -> tuple[Ending, str]:
        ending, reason = self._ending(error)
        by_ending = {Ending.VIOLATED: StepState.VIOLATED, Ending.BROKE: StepState.BROKE}
        self.recorder.end_step(by_ending.get(ending, StepState.SKIPPED), reason)
        return ending, reason

    def _ending(self, error: BaseException) -> tuple[Ending, str]:
        """The end that this error gives the scenario. A finding that was only raised is concluded here."""
        try:
            finding = _finding_in(error)
            if finding is not None and not self.recorder.has_finding(finding):
                self.recorder.conclude(finding)
        except (KeyError, ValueError) as refused:
            return Ending.BROKE, f"{refused}; the step concluded: {error}"
        return ending_of(error)

    # The end.

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C, SIGTERM, SIGHUP or pytest.exit: what was under way ends as broken."""
        why = f"interrupted: {str(excinfo.value) or 'Ctrl-C'}"
        self.recorder.interrupt(why)
        self.recorder.run_error(why)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: TerminalRepr, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """An error in pytest or a plugin. What pytest prints of it is filtered as the report is."""
        said = self.recorder.told(str(excrepr))
        excrepr.toterminal = lambda tw: tw.write(said)  # type: ignore[method-assign] # pytest offers no hook for its text
        why = f"internal error: {told(excinfo.value)}"
        self.recorder.interrupt(why)
        self.recorder.run_error(why)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Writes the report after the last clean-up and before the summary, and sets the exit code."""
        if self._terminal_is_gone:
            _write_nowhere()
        try:
            yield
        except BaseException as error:
            # pytest cleans up here after an interruption; an error in it, or a second Ctrl-C, must not cost the report.
            self.recorder.run_error(f"clean-up failed: {told(error)}")
        finally:
            self._interruptions.close()
        if self._saw_features and not session.config.getoption("collectonly", False):
            self._tell(session)

    @pytest.hookimpl(wrapper=True)
    def pytest_unconfigure(self) -> Generator[None]:
        """An error after the report (pytest looks for what was left unclosed) must not pass for a failed install."""
        try:
            yield
        except Exception as error:
            if self.report is None:
                raise
            why = f"expected no error after the report; saw a defect in the suite: {told(error)}"
            sys.stderr.write(f"{self.recorder.told(why)}\n")

    def outputs(self) -> Mapping[str, str]:
        """Every file of the report as it would be written now, and what the run prints, by name."""
        report = assemble(self._plan, self.recorder)
        bodies = {e.id: e.body for e in self.recorder.evidence}
        _report, files = files_of(report, bodies, self.recorder.hidden)
        lines = [line for line, _markup in summary(report, self._plan.reports_dir)]
        return {**files, "terminal": "\n".join([*self._printed, *lines])}

    def _tell(self, session: pytest.Session) -> None:
        ended = session.exitstatus
        try:
            report, path = self._written(session)
        except OSError as error:
            self._give_up(session, no_place(self._plan.reports_dir, error))
        except Exception as error:
            # A defect in a writer; left alone, it would make pytest exit with 1, which means that the install failed.
            self._give_up(session, f"expected to write the report; saw a defect in the suite: {told(error)}")
        else:
            self.report = report
            if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
                session.exitstatus = pytest.ExitCode.USAGE_ERROR if self._refused_late else report.exit_code
            # A run that was refused has nothing to say but why, and pytest says that last.
            said = summary(report, path, int(session.exitstatus))
            self._summary = [(f"report:    {path / 'report.html'}", {})] if self._refusal else said
            if ended == pytest.ExitCode.INTERNAL_ERROR:  # pytest prints no summary then
                sys.stderr.write(f"The report of everything up to this error is {path / 'report.html'}\n")

    def _written(self, session: pytest.Session) -> tuple[Report, Path]:
        """Writes the report where it is wanted or, if that fails, where temporary files go."""
        report = assemble(self._plan, self.recorder)
        bodies = {e.id: e.body for e in self.recorder.evidence}
        try:
            return publish(report, bodies, self._plan.reports_dir, self.recorder.hidden)
        except OSError as error:
            elsewhere = Path(tempfile.mkdtemp(prefix="conformance-"))
            rescued = publish(report, bodies, elsewhere, self.recorder.hidden)
            if not self._refusal:
                why = no_place(self._plan.reports_dir, error)
                self._give_up(session, f"{why}. The report of this run is {rescued[1] / 'report.html'}")
            return rescued

    def _give_up(self, session: pytest.Session, why: str) -> None:
        sys.stderr.write(f"\n{self.recorder.told(why)}\n")
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None]:
        """Prints the verdicts after pytest's own summary, so that the result stands last."""
        yield
        for line, markup in wrapped(self._summary):
            terminalreporter.write_line(line, **markup)


@contextlib.contextmanager
def _without_sources(config: pytest.Config) -> Iterator[None]:
    """Spares pytest the source of each frame of a traceback that is not shown: it reads and parses every file for that."""
    style = config.option.tbstyle
    config.option.tbstyle = "line"
    try:
        yield
    finally:
        config.option.tbstyle = style


def _some_id(plan: RunPlan) -> str:
    return f"{plan.started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _write_nowhere() -> None:
    """Sends output for a terminal or a pipe nowhere: when it is gone, a write that fails would stop the clean-up."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        for output in (1, 2):
            if not stat.S_ISREG(os.fstat(output).st_mode):
                os.dup2(nowhere.fileno(), output)


def _finding_in(error: BaseException) -> Finding | None:
    """The finding that an exception carries.

    Raises:
        ValueError: It claims something without evidence.
    """
    if isinstance(error, NotApplicable):
        return Claim(error.requirement, "", error.where, error.evidence).not_applicable(error.condition)
    return error.finding if isinstance(error, Violated) else None
