"""The evidence store of a run: keeps readings and findings, and knows which step they belong to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime

from facts.evidence import Evidence, hidden
from facts.finding import Finding, Holds
from facts.recorder import Recorder
from facts.redaction import hidden_in, redact
from judge.verdict import Ending
from reporting.model import Image, Phase, RunFacts, ScenarioRecord, StepRecord, StepState

# What is worse wins: an ending can only be lowered, whatever set-up, steps and clean-up report afterwards.
_WORST_LAST = (
    Ending.NOT_RUN,
    Ending.COMPLETED,
    Ending.NOT_APPLICABLE,
    Ending.SKIPPED_BY_POLICY,
    Ending.SKIPPED_BY_TEST,
    Ending.BROKE,
    Ending.VIOLATED,
)


@dataclass(slots=True)
class _Place:
    """Where readings and findings go at the moment: a step, a scenario outside its steps, or the run."""

    evidence: dict[str, None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class _Step:
    plan: StepRecord
    place: _Place = field(default_factory=_Place)
    state: StepState = StepState.NOT_RUN
    began: float = 0.0
    seconds: float = 0.0
    error: str = ""

    def record(self) -> StepRecord:
        return replace(
            self.plan,
            state=self._told_state(),
            seconds=round(self.seconds, 3),
            evidence=tuple(self.place.evidence),
            findings=tuple(self.place.findings),
            error=self.error,
        )

    def _told_state(self) -> StepState:
        # A step may conclude without raising; what it concluded is what it says.
        if self.state is StepState.PASSED:
            holds = {f.holds for f in self.place.findings}
            if Holds.NO in holds:
                return StepState.VIOLATED
            if Holds.UNKNOWN in holds:
                return StepState.BROKE
        return self.state


@dataclass(slots=True)
class _Scenario:
    plan: ScenarioRecord
    steps: list[_Step]
    place: _Place = field(default_factory=_Place)
    ending: Ending = Ending.NOT_RUN
    reasons: dict[str, None] = field(default_factory=dict)
    started: datetime | None = None
    seconds: float = 0.0
    running: _Step | None = None

    def record(self) -> ScenarioRecord:
        return replace(
            self.plan,
            ending=self.ending,
            reason="; ".join(self.reasons) or (self.plan.reason if self.ending is Ending.NOT_RUN else ""),
            started=self.started,
            seconds=round(self.seconds, 3),
            steps=tuple(s.record() for s in self.steps),
            evidence=tuple(self.place.evidence),
            findings=tuple(self.place.findings),
        )


class Store:
    """Keeps everything that was read and concluded in a run; safe to use from several threads.

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
        self._facts: dict[str, object] = {}
        self._images: dict[tuple[str, str], Image] = {}
        self._phases: list[Phase] = []
        self._hidden: dict[str, None] = {}

    # What observe and the steps call (facts.evidence.Recorder).

    def record(self, evidence: Evidence) -> str:
        """Keeps a reading and attaches it to the step that is running, if one is. Returns its id."""
        with self._lock:
            self._evidence[evidence.id] = evidence
            self._place().evidence[evidence.id] = None
        return evidence.id

    def attach(self, evidence_ids: Iterable[str]) -> None:
        """Attaches readings that were made earlier to the step that is running.

        Raises:
            KeyError: One of them was never recorded.
        """
        with self._lock:
            ids = tuple(evidence_ids)
            if missing := [i for i in ids if i not in self._evidence]:
                raise KeyError(f"attached but never recorded: {missing}")
            self._place().evidence.update(dict.fromkeys(ids))

    def conclude(self, finding: Finding) -> None:
        """Keeps a finding and attaches it and its evidence to the step that is running.

        Raises:
            KeyError: It cites a reading that was never recorded.
            ValueError: The scenario that is running does not carry the requirement's tag, so no verdict would rest on it.
        """
        with self._lock:
            scenario = None if self._shared_depth else self._scenario
            if scenario is not None and finding.requirement not in scenario.plan.requirements:
                raise ValueError(
                    f"a finding on {finding.requirement} in {scenario.plan.id}, which is tagged "
                    f"{', '.join(scenario.plan.requirements) or 'with no requirement'}"
                )
            self.attach(_cited(finding))
            place = self._place()
            if finding not in place.findings:
                place.findings.append(finding)

    def hide(self, *named_secrets: str) -> None:
        """Takes values out of everything that is told of this run, whether it came before or comes later."""
        with self._lock:
            self._hidden.update(dict.fromkeys(filter(None, named_secrets)))

    # What the wiring calls.

    def for_the_run(self) -> Recorder:
        """A recorder of what belongs to the run whatever step is running: provisioning goes on in threads of its own."""
        return _ForTheRun(self)

    def note_run_fact(self, key: str, value: object) -> None:
        """Keeps something observed of the install.

        Args:
            key: Name of a field of `RunFacts`, ``images`` excepted (see `note_image`).
            value: Of that field's type.

        Raises:
            KeyError: `RunFacts` has no such field.
        """
        if key not in {f.name for f in fields(RunFacts)} - {"images"}:
            raise KeyError(f"not a run fact: {key}")
        with self._lock:
            self._facts[key] = value

    def note_image(self, component: str, reference: str, digest: str = "") -> None:
        """Keeps an image that was observed running."""
        with self._lock:
            self._images[component, reference] = Image(component, reference, digest)

    def note_phase(self, phase: Phase) -> None:
        """Keeps a phase of provisioning; phases may overlap."""
        with self._lock:
            self._phases.append(replace(phase, message=redact(phase.message).text))

    def run_error(self, text: str) -> None:
        """Keeps something that went wrong outside any requirement; it lowers the result."""
        with self._lock:
            self._errors[redact(text).text] = None

    # What the collector calls.

    @contextmanager
    def shared_setup(self) -> Iterator[None]:
        """While a fixture that several scenarios share is set up: its readings belong to the run, not to who came first."""
        with self._lock:
            self._shared_depth += 1
        try:
            yield
        finally:
            with self._lock:
                self._shared_depth -= 1

    def plan(self, scenario: ScenarioRecord) -> None:
        """Makes a scenario known before anything runs; until it starts it is *not-run*."""
        self._scenarios[scenario.id] = _Scenario(scenario, [_Step(s) for s in scenario.steps])

    def knows(self, scenario_id: str) -> bool:
        """Whether a scenario was planned."""
        return scenario_id in self._scenarios

    def begin_scenario(self, scenario_id: str) -> None:
        """A scenario's set-up starts. A second start (a rerun) keeps what the first one found."""
        with self._lock:
            self._scenario = self._scenarios[scenario_id]
            self._scenario.started = self._scenario.started or datetime.now(UTC)

    def leave_scenario(self) -> None:
        """A scenario and its own clean-up are over; what comes now belongs to the run."""
        with self._lock:
            self._scenario = None

    def begin_step(self, index: int) -> None:
        """Step number `index` of the scenario that is running starts."""
        with self._lock:
            if self._scenario is not None:
                step = self._scenario.steps[index]
                step.began = time.perf_counter()
                self._scenario.running = step

    def end_step(self, state: StepState, error: str = "") -> None:
        """The step that is running, if one is, has ended."""
        with self._lock:
            scenario = self._scenario
            if scenario is not None and scenario.running is not None:
                step, scenario.running = scenario.running, None
                step.state = state
                step.seconds = time.perf_counter() - step.began
                step.error = redact(error).text

    def lower(self, scenario_id: str, ending: Ending, reason: str = "") -> None:
        """Lowers a scenario's ending; a better one than it has changes nothing, but its reason is kept."""
        with self._lock:
            scenario = self._scenarios[scenario_id]
            scenario.ending = max(scenario.ending, ending, key=_WORST_LAST.index)
            if reason:
                scenario.reasons[redact(reason).text] = None

    def add_time(self, scenario_id: str, seconds: float) -> None:
        """Adds the time of set-up, steps or clean-up."""
        with self._lock:
            self._scenarios[scenario_id].seconds += seconds

    def all_steps_passed(self, scenario_id: str) -> bool:
        """Whether every planned step ran and none raised."""
        return all(s.state is StepState.PASSED for s in self._scenarios[scenario_id].steps)

    def has_finding(self, finding: Finding) -> bool:
        """Whether the scenario that is running, or the run outside any, has concluded this."""
        with self._lock:
            return finding in (self._scenario.record().all_findings if self._scenario else self._run.findings)

    def interrupt(self, reason: str) -> None:
        """The run stops here: the step and scenario that are under way end as broken."""
        with self._lock:
            self.end_step(StepState.BROKE, reason)
            if self._scenario is not None:
                self.lower(self._scenario.plan.id, Ending.BROKE, reason)

    # What the report is made from, and what is printed. Here, and nowhere before, hidden values are taken out.

    def told(self, text: str) -> str:
        """A text as it may be printed."""
        with self._lock:
            return redact(text, self._hidden).text

    @property
    def hidden(self) -> tuple[str, ...]:
        """The values that `hide` was told of."""
        with self._lock:
            return tuple(self._hidden)

    @property
    def scenarios(self) -> tuple[ScenarioRecord, ...]:
        """Every planned scenario, in the order of planning."""
        with self._lock:
            return hidden_in(tuple(s.record() for s in self._scenarios.values()), self._hidden)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Every reading, in the order of recording."""
        with self._lock:
            return tuple(hidden(e, self._hidden) for e in self._evidence.values())

    @property
    def run_evidence(self) -> tuple[str, ...]:
        """Ids of readings that belong to the run."""
        with self._lock:
            return tuple(self._run.evidence)

    @property
    def run_findings(self) -> tuple[Finding, ...]:
        """Conclusions that belong to the run."""
        with self._lock:
            return hidden_in(tuple(self._run.findings), self._hidden)

    @property
    def run_errors(self) -> tuple[str, ...]:
        """What went wrong outside any requirement."""
        with self._lock:
            return hidden_in(tuple(self._errors), self._hidden)

    @property
    def timeline(self) -> Sequence[Phase]:
        """Phases of provisioning, by their start."""
        with self._lock:
            return hidden_in(sorted(self._phases, key=lambda p: p.started), self._hidden)

    @property
    def facts(self) -> RunFacts:
        """What was observed of the install."""
        with self._lock:
            facts = RunFacts(**self._facts, images=tuple(self._images.values()))  # type: ignore[arg-type]
            return hidden_in(facts, self._hidden)

    @contextmanager
    def _outside_any_scenario(self) -> Iterator[None]:
        """Until the end of the block this thread alone records, and to the run."""
        with self._lock, self.shared_setup():
            yield

    def _place(self) -> _Place:
        if self._shared_depth or self._scenario is None:
            return self._run
        return self._scenario.running.place if self._scenario.running is not None else self._scenario.place


def _cited(finding: Finding) -> Iterator[str]:
    """Ids of the readings that it stands on, and of those that decide each of its statements."""
    yield from finding.evidence
    for statement in (*finding.problems, *finding.unclear, *finding.notes):
        yield from statement.evidence


class _ForTheRun:
    """See `Store.for_the_run`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, evidence: Evidence) -> str:
        with self._store._outside_any_scenario():
            return self._store.record(evidence)

    def attach(self, evidence_ids: Iterable[str]) -> None:
        with self._store._outside_any_scenario():
            self._store.attach(evidence_ids)

    def conclude(self, finding: Finding) -> None:
        with self._store._outside_any_scenario():
            self._store.conclude(finding)

    def hide(self, *named_secrets: str) -> None:
        self._store.hide(*named_secrets)
