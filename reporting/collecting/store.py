"""The evidence store: keeps readings and findings, and knows which step they belong to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from facts.errors import ConformanceError
from facts.evidence import Evidence, hidden
from facts.finding import Finding, Holds
from facts.recorder import Recorder
from facts.redaction import hidden_in, redact
from judge.doctor import ToldRow
from judge.explain.realms import UNKNOWN, Realms
from judge.mtls.told import Handshakes
from judge.verdict import Ending
from reporting.collecting.endings import ending_of
from reporting.model import Phase, RunFacts, ScenarioRecord, StepRecord, StepState
from reporting.writing.printable import tellable

P = ParamSpec("P")
T = TypeVar("T")

# The worse ending wins: later reports of set-up, steps and clean-up can only lower it. Where a scenario breaks after a
# violation, its findings still have that, and a waiver of the violation does not hide the break.
_WORST_LAST = (
    Ending.NOT_RUN,
    Ending.COMPLETED,
    Ending.NOT_APPLICABLE,
    Ending.SKIPPED_BY_POLICY,
    Ending.SKIPPED_BY_TEST,
    Ending.VIOLATED,
    Ending.BROKE,
)


@dataclass(slots=True)
class _Place:
    """Where readings and findings go at the moment: a step, a scenario outside its steps, or the run."""

    evidence: dict[str, None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class _Step(_Place):
    """A step: its record so far, to which the readings and findings of its place are added."""

    so_far: StepRecord = field(kw_only=True)
    began: float = 0.0

    def record(self) -> StepRecord:
        state = self.so_far.state
        # A step may conclude without raising; what it concluded is what it says.
        if state is StepState.PASSED:
            holds = {f.holds for f in self.findings}
            state = StepState.VIOLATED if Holds.NO in holds else StepState.BROKE if Holds.UNKNOWN in holds else state
        return replace(self.so_far, state=state, evidence=tuple(self.evidence), findings=tuple(self.findings))


@dataclass(slots=True)
class _Scenario(_Place):
    """A scenario: its record so far, to which its steps and the readings and findings outside them are added."""

    so_far: ScenarioRecord = field(kw_only=True)
    steps: list[_Step] = field(kw_only=True)
    reasons: dict[str, None] = field(default_factory=dict)
    running: _Step | None = None

    def record(self) -> ScenarioRecord:
        planned = self.so_far
        return replace(
            planned,
            reason="; ".join(self.reasons) or (planned.reason if planned.ending is Ending.NOT_RUN else ""),
            seconds=round(planned.seconds, 3),
            steps=tuple(s.record() for s in self.steps),
            evidence=tuple(self.evidence),
            findings=tuple(self.findings),
        )


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A step that will conclude at the end of the run, after it has passed.

    Attributes:
        step: Number of the step.
    """

    scenario_id: str
    step: int


def _alone(method: Callable[Concatenate[Store, P], T]) -> Callable[Concatenate[Store, P], T]:
    """Lets one thread at a time into the methods of a store."""

    @wraps(method)
    def locked(store: Store, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with store._lock:
            return method(store, *args, **kwargs)

    return locked


class Store:
    """Keeps all readings and conclusions of a run; safe to use from several threads.

    It is a `facts.evidence.Recorder`. Readings go to the step that is running; between steps to the scenario; in set-up that
    scenarios share, and before and after all scenarios, to the run.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._evidence: dict[str, Evidence] = {}
        self._scenarios: dict[str, _Scenario] = {}
        self._run = _Place()
        self._scenario: _Scenario | None = None
        self._shared_depth = 0
        self._errors: dict[str, None] = {}
        self._facts = RunFacts()
        self._realms = UNKNOWN
        self._handshakes: Handshakes | None = None
        self._diagnoses: list[ToldRow] = []
        self._phases: list[Phase] = []
        self._hidden: dict[str, None] = {}
        self._unverified: dict[str, None] = {}
        self._not_judged: dict[str, None] = {}
        self._claimed = ""

    # What observe and the steps call (facts.evidence.Recorder).

    @_alone
    def record(self, evidence: Evidence) -> str:
        """Keeps a reading and attaches it to the step that is running, if one is. Returns its id."""
        self._evidence[evidence.id] = evidence
        self._place().evidence[evidence.id] = None
        return evidence.id

    @_alone
    def attach(self, evidence_ids: Iterable[str]) -> None:
        """Attaches readings that were made earlier to the step that is running.

        Raises:
            KeyError: One of them was never recorded.
        """
        ids = tuple(evidence_ids)
        if missing := [i for i in ids if i not in self._evidence]:
            raise KeyError(f"attached but never recorded: {missing}")
        self._place().evidence.update(dict.fromkeys(ids))

    @_alone
    def conclude(self, finding: Finding) -> None:
        """Keeps a finding and attaches it and its evidence to the step that is running.

        Raises:
            KeyError: It cites a reading that was never recorded.
            ValueError: The scenario that is running does not carry the requirement's tag, so no verdict would rest on it.
        """
        scenario = None if self._shared_depth else self._scenario
        if scenario is not None and finding.requirement not in scenario.so_far.requirements:
            raise ValueError(
                f"a step concluded something about {finding.requirement} in {scenario.so_far.id}, which is tagged "
                f"{', '.join(scenario.so_far.requirements) or 'with no requirement'}"
            )
        statements = (*finding.problems, *finding.unclear, *finding.notes)
        self.attach((*finding.evidence, *(i for statement in statements for i in statement.evidence)))
        place = self._place()
        if finding not in place.findings:
            place.findings.append(finding)

    @_alone
    def hide(self, *named_secrets: str) -> None:
        """Takes values out of every text of this run, earlier and later ones."""
        self._hidden.update(dict.fromkeys(filter(None, named_secrets)))

    # What the wiring calls.

    @_alone
    def bookmark(self) -> Bookmark:
        """The step that is running, for `conclude_later`.

        Raises:
            LookupError: No step is running.
        """
        if self._scenario is None or self._scenario.running is None:
            raise LookupError("no step is running that could conclude later")
        step = next(i for i, each in enumerate(self._scenario.steps) if each is self._scenario.running)
        return Bookmark(self._scenario.so_far.id, step)

    def conclude_later(self, at: Bookmark, look: Callable[[], Finding]) -> None:
        """Takes a last look for a step that has passed, and gives it the readings and the finding.

        The ending of its scenario is lowered where the finding does not hold, or where there is none.

        Args:
            at: The step.
            look: Reads and judges; may raise a `ConformanceError`.
        """
        with self._lock:
            former, scenario = self._scenario, self._scenarios[at.scenario_id]
            self._scenario, scenario.running = scenario, scenario.steps[at.step]
        try:
            finding = look()
            self.conclude(finding)
        except ConformanceError as error:
            lacking, reason = ending_of(error)
            state = StepState.BROKE if lacking is Ending.BROKE else StepState.SKIPPED
            step = scenario.steps[at.step]
            step.so_far = replace(step.so_far, state=state, error=redact(reason).text)
            if lacking is Ending.NOT_RUN and scenario.so_far.ending is Ending.COMPLETED:
                # Not completed after all: what the look needs was not given.
                scenario.so_far = replace(scenario.so_far, ending=Ending.NOT_RUN)
            self.lower(at.scenario_id, lacking, reason)
        else:
            ending = {Holds.NO: Ending.VIOLATED, Holds.UNKNOWN: Ending.BROKE}.get(finding.holds)
            if ending is not None:
                self.lower(at.scenario_id, ending, finding.compared())
        finally:
            with self._lock:
                self._scenario, scenario.running = former, None

    def for_the_run(self) -> Recorder:
        """A recorder whose readings belong to the run whatever step is running: provisioning has threads of its own."""
        outside = copy(self)  # it shares everything that is kept, and never learns which scenario is running
        outside._scenario = None
        return outside

    @_alone
    def note_facts(self, facts: RunFacts) -> None:
        """Keeps the observations of the install."""
        self._facts = facts

    @_alone
    def note_realms(self, realms: Realms) -> None:
        """Keeps which objects of the install belong together, so that a cause explains no object that it does not reach."""
        self._realms = realms

    @_alone
    def note_handshakes(self, handshakes: Handshakes) -> None:
        """Keeps the predicted handshakes of the mesh; a later prediction takes the place of an earlier one."""
        self._handshakes = handshakes

    @_alone
    def note_diagnosis(self, row: ToldRow) -> None:
        """Keeps the doctor's answers to a state of the install."""
        self._diagnoses.append(row)

    @_alone
    def note_unverified(self, line: str) -> None:
        """Keeps a line on which nobody verified who answers, see `reporting.model.Scope`; nothing where it is empty."""
        if line:
            self._unverified[line] = None

    @_alone
    def note_not_judged(self, part: str) -> None:
        """Keeps a part of the install that the suite did not judge, with the reason, see `reporting.model.Scope`."""
        self._not_judged[part] = None

    @_alone
    def note_claimed(self, proxy: str) -> None:
        """Keeps the address of a Teleport that only tbot's own configuration names, see `reporting.model.Scope`."""
        self._claimed = proxy

    @_alone
    def note_phase(self, phase: Phase) -> None:
        """Keeps a phase of provisioning; phases may overlap."""
        self._phases.append(replace(phase, message=redact(phase.message).text))

    @_alone
    def run_error(self, text: str) -> None:
        """Keeps an error outside any requirement; it lowers the result."""
        self._errors[redact(text).text] = None

    # What the collector calls.

    @contextmanager
    def shared_setup(self) -> Iterator[None]:
        """Gives the readings of a fixture that scenarios share to the run, not to the scenario that came first."""
        with self._lock:
            self._shared_depth += 1
        try:
            yield
        finally:
            with self._lock:
                self._shared_depth -= 1

    def plan(self, scenario: ScenarioRecord) -> None:
        """Makes a scenario known before anything runs; until it starts it is *not-run*."""
        self._scenarios[scenario.id] = _Scenario(so_far=scenario, steps=[_Step(so_far=s) for s in scenario.steps])

    def knows(self, scenario_id: str) -> bool:
        """True for a scenario that was planned."""
        return scenario_id in self._scenarios

    @_alone
    def begin_scenario(self, scenario_id: str) -> None:
        """A scenario's set-up starts. A second start (a rerun) keeps what the first one found."""
        self._scenario = scenario = self._scenarios[scenario_id]
        scenario.so_far = replace(scenario.so_far, started=scenario.so_far.started or datetime.now(UTC))

    @_alone
    def leave_scenario(self) -> None:
        """A scenario and its own clean-up are over; what comes now belongs to the run."""
        self._scenario = None

    @_alone
    def begin_step(self, index: int) -> None:
        """Step number `index` of the scenario that is running starts."""
        if self._scenario is not None:
            self._scenario.running = self._scenario.steps[index]
            self._scenario.running.began = time.perf_counter()

    @_alone
    def end_step(self, state: StepState, error: str = "") -> None:
        """The step that is running, if one is, has ended."""
        if self._scenario is not None and (step := self._scenario.running) is not None:
            self._scenario.running = None
            seconds = round(time.perf_counter() - step.began, 3)
            step.so_far = replace(step.so_far, state=state, seconds=seconds, error=redact(error).text)

    @_alone
    def lower(self, scenario_id: str, ending: Ending, reason: str = "") -> None:
        """Lowers a scenario's ending; a better one than it has changes nothing, but its reason is kept."""
        scenario = self._scenarios[scenario_id]
        worst = max(scenario.so_far.ending, ending, key=_WORST_LAST.index)
        scenario.so_far = replace(scenario.so_far, ending=worst)
        if reason:
            scenario.reasons[redact(reason).text] = None

    @_alone
    def add_time(self, scenario_id: str, seconds: float) -> None:
        """Adds the time of set-up, steps or clean-up."""
        scenario = self._scenarios[scenario_id]
        scenario.so_far = replace(scenario.so_far, seconds=scenario.so_far.seconds + seconds)

    def all_steps_passed(self, scenario_id: str) -> bool:
        """True if every planned step ran and none raised."""
        return all(s.so_far.state is StepState.PASSED for s in self._scenarios[scenario_id].steps)

    @_alone
    def has_finding(self, finding: Finding) -> bool:
        """True if the scenario that is running, or the run outside any, has concluded this."""
        return finding in (self._scenario.record().all_findings if self._scenario else self._run.findings)

    @_alone
    def interrupt(self, reason: str) -> None:
        """The run stops here: the step and scenario that are under way end as broken."""
        self.end_step(StepState.BROKE, reason)
        if self._scenario is not None:
            self.lower(self._scenario.so_far.id, Ending.BROKE, reason)

    # What the report is made from, and what is printed. Here, and nowhere before, hidden values are taken out.

    @_alone
    def told(self, text: str) -> str:
        """A text as it may be printed."""
        return tellable(text, tuple(self._hidden))

    @property
    @_alone
    def hidden(self) -> tuple[str, ...]:
        """The values that `hide` was given."""
        return tuple(self._hidden)

    @property
    @_alone
    def scenarios(self) -> tuple[ScenarioRecord, ...]:
        """Every planned scenario, in the order of planning."""
        return hidden_in(tuple(s.record() for s in self._scenarios.values()), self._hidden)

    @property
    @_alone
    def evidence(self) -> tuple[Evidence, ...]:
        """Every reading, in the order of recording."""
        return tuple(hidden(e, self._hidden) for e in self._evidence.values())

    @property
    @_alone
    def run_evidence(self) -> tuple[str, ...]:
        """Ids of readings that belong to the run."""
        return tuple(self._run.evidence)

    @property
    @_alone
    def run_findings(self) -> tuple[Finding, ...]:
        """Conclusions that belong to the run."""
        return hidden_in(tuple(self._run.findings), self._hidden)

    @property
    @_alone
    def run_errors(self) -> tuple[str, ...]:
        """Errors outside any requirement."""
        return hidden_in(tuple(self._errors), self._hidden)

    @property
    @_alone
    def timeline(self) -> Sequence[Phase]:
        """Phases of provisioning, by their start."""
        return hidden_in(sorted(self._phases, key=lambda p: p.started), self._hidden)

    @property
    @_alone
    def unverified(self) -> tuple[str, ...]:
        """Lines on which nobody verified who answers."""
        return tuple(self._unverified)

    @property
    @_alone
    def not_judged(self) -> tuple[str, ...]:
        """Parts of the install that the suite did not judge."""
        return hidden_in(tuple(self._not_judged), self._hidden)

    @property
    @_alone
    def claimed(self) -> str:
        """The address of a Teleport that only tbot's own configuration names; empty without one."""
        return tellable(self._claimed, tuple(self._hidden))

    @property
    @_alone
    def realms(self) -> Realms:
        """The objects that belong together; nothing is known of them where no install was read."""
        return self._realms

    @property
    @_alone
    def facts(self) -> RunFacts:
        """Observations of the install for the first page."""
        return hidden_in(self._facts, self._hidden)

    @property
    @_alone
    def handshakes(self) -> Handshakes | None:
        """The predicted handshakes of the mesh; None where the run judged none."""
        return hidden_in(self._handshakes, self._hidden)

    @property
    @_alone
    def diagnoses(self) -> tuple[ToldRow, ...]:
        """The doctor's answers, by the states of the install."""
        return hidden_in(tuple(self._diagnoses), self._hidden)

    def _place(self) -> _Place:
        if self._shared_depth or self._scenario is None:
            return self._run
        return self._scenario.running or self._scenario
