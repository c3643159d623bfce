"""The store knows where a reading belongs, from any thread, and endings only ever get worse."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from facts.doctor.answer import Way
from facts.errors import CouldNotTell, NotGiven
from facts.finding import Finding, Holds
from facts.recorder import Recorder
from judge.doctor import Grade, Kind, ToldLook, ToldRow
from judge.mtls.told import Handshakes
from judge.verdict import Ending
from reporting.collecting.store import Store
from reporting.model import Phase, RunFacts, StepState
from tests.unit.reporting.sample import NOW, ONE, TWO, finding, reading, scenario, step

THREE = reading("three")


def running() -> Store:
    """A store in the first of two steps of a scenario for A-1."""
    store = Store()
    store.plan(replace(scenario("A-1", step(StepState.NOT_RUN), step(StepState.NOT_RUN)), ending=Ending.NOT_RUN))
    store.begin_scenario("features/a.feature::S A-1")
    store.begin_step(0)
    return store


def test_it_is_a_recorder() -> None:
    recorder: Recorder = Store()

    assert recorder.record(ONE) == ONE.id


def test_unverified_lines_are_kept_once_and_an_empty_one_is_none() -> None:
    store = Store()
    for line in ("", "a", "b", "a"):
        store.note_unverified(line)
    assert store.unverified == ("a", "b")


def test_parts_that_were_not_judged_are_kept_once() -> None:
    store = Store()
    for part in ("node a is not Ready", "node a is not Ready"):
        store.note_not_judged(part)
    assert store.not_judged == ("node a is not Ready",)


def test_readings_go_to_the_step_then_to_the_scenario_then_to_the_run() -> None:
    store = running()

    store.record(ONE)
    store.end_step(StepState.PASSED)
    store.record(TWO)
    store.leave_scenario()
    store.record(THREE)

    (record,) = store.scenarios
    assert record.steps[0].evidence == (ONE.id,)
    assert record.evidence == (TWO.id,)
    assert store.run_evidence == (THREE.id,)


def test_shared_setup_inside_a_step_belongs_to_the_run_and_attaching_it_to_the_step() -> None:
    store = running()

    with store.shared_setup(), store.shared_setup():
        store.record(ONE)
    store.record(TWO)
    store.attach([ONE.id, ONE.id])

    assert store.run_evidence == (ONE.id,)
    assert store.scenarios[0].steps[0].evidence == (TWO.id, ONE.id)
    assert [e.id for e in store.evidence] == [ONE.id, TWO.id]


def test_what_belongs_to_the_run_goes_there_while_a_step_runs_and_takes_nothing_of_the_step_with_it() -> None:
    store = running()
    provisioning = store.for_the_run()
    of_the_run = [reading(f"run-{i}") for i in range(200)]
    of_the_step = [reading(f"step-{i}") for i in range(200)]

    thread = threading.Thread(target=lambda: [provisioning.record(e) for e in of_the_run])
    thread.start()
    for each in of_the_step:
        store.record(each)
    thread.join()
    provisioning.attach([of_the_step[0].id])
    provisioning.conclude(finding("Z-9", Holds.NO, of_the_run[0]))
    provisioning.hide("a-token-that-joins")

    assert store.scenarios[0].steps[0].evidence == tuple(e.id for e in of_the_step)
    assert store.run_evidence == (*(e.id for e in of_the_run), of_the_step[0].id)
    assert [f.requirement for f in store.run_findings] == ["Z-9"]
    assert store.told("a-token-that-joins") == "[redacted]"


def test_a_finding_brings_its_evidence_and_is_kept_once() -> None:
    store = running()
    store.record(ONE)
    store.end_step(StepState.PASSED)
    store.begin_step(1)

    store.conclude(finding("A-1", Holds.YES, ONE))
    store.conclude(finding("A-1", Holds.YES, ONE))

    assert store.scenarios[0].steps[1].evidence == (ONE.id,)
    assert len(store.scenarios[0].steps[1].findings) == 1


def test_what_was_never_recorded_cannot_be_attached_or_cited() -> None:
    store = running()

    with pytest.raises(KeyError, match="never recorded"):
        store.attach([ONE.id])
    with pytest.raises(KeyError, match="never recorded"):
        store.conclude(finding("A-1", Holds.YES, ONE))
    assert store.scenarios[0].all_findings == ()


def test_a_statement_brings_the_readings_that_decide_it() -> None:
    store = running()
    store.record(ONE)
    found = finding("A-1", Holds.NO, ONE)
    deciding = replace(found, problems=tuple(replace(p, evidence=(TWO.id,)) for p in found.problems))

    with pytest.raises(KeyError, match="never recorded"):
        store.conclude(deciding)
    with store.shared_setup():
        store.record(TWO)
    store.conclude(deciding)

    assert store.scenarios[0].steps[0].evidence == (ONE.id, TWO.id)


def test_a_finding_on_a_requirement_without_tag_is_refused_in_a_scenario_and_taken_outside() -> None:
    store = running()
    store.record(ONE)

    with pytest.raises(ValueError, match="tagged A-1"):
        store.conclude(finding("Z-9", Holds.NO, ONE))
    store.leave_scenario()
    store.conclude(finding("Z-9", Holds.NO, ONE))

    assert [f.requirement for f in store.run_findings] == ["Z-9"]


@pytest.mark.parametrize(
    ("holds", "state"), [(Holds.YES, StepState.PASSED), (Holds.NO, StepState.VIOLATED), (Holds.UNKNOWN, StepState.BROKE)]
)
def test_a_step_that_returned_is_what_it_concluded(holds: Holds, state: StepState) -> None:
    store = running()
    store.record(ONE)

    store.conclude(finding("A-1", holds, ONE))
    store.end_step(StepState.PASSED)

    assert store.scenarios[0].steps[0].state is state


def test_an_ending_only_gets_worse_and_keeps_every_reason() -> None:
    store = running()
    name = store.scenarios[0].id

    for ending, reason in ((Ending.VIOLATED, "it is so"), (Ending.COMPLETED, ""), (Ending.BROKE, "clean-up")):
        store.lower(name, ending, reason)

    assert store.scenarios[0].ending is Ending.BROKE
    assert store.scenarios[0].reason == "it is so; clean-up"


def test_an_interruption_breaks_the_step_and_scenario_under_way_and_no_other() -> None:
    store = running()
    for name in ("B-1", "B-2"):
        store.plan(replace(scenario(name, step(StepState.NOT_RUN)), ending=Ending.NOT_RUN, reason="never started"))
    store.begin_scenario("features/a.feature::S B-2")
    store.lower("features/a.feature::S B-2", Ending.NOT_RUN, "no session was given")
    store.begin_scenario("features/a.feature::S A-1")

    store.interrupt("interrupted: Ctrl-C")

    running_then, not_started, over = store.scenarios
    assert (running_then.ending, running_then.steps[0].state) == (Ending.BROKE, StepState.BROKE)
    assert (not_started.ending, not_started.reason) == (Ending.NOT_RUN, "never started")
    assert (over.ending, over.reason) == (Ending.NOT_RUN, "no session was given")


def test_errors_reasons_and_messages_are_redacted_when_they_arrive() -> None:
    store, secret = running(), "Authorization: Bearer abcdefgh12345678"

    store.end_step(StepState.BROKE, secret)
    store.lower(store.scenarios[0].id, Ending.BROKE, secret)
    store.run_error(secret)
    store.note_phase(Phase("Istio", NOW, 1.0, False, secret))

    assert "abcdefgh" not in f"{store.scenarios} {store.run_errors} {store.timeline}"


def test_what_is_to_be_hidden_is_in_nothing_that_is_told_of_before_or_after() -> None:
    store, secret = running(), "a-token-that-joins"
    name = store.scenarios[0].id

    def tell() -> None:
        kept = reading(secret, f"token: {secret}")
        store.record(kept)
        store.conclude(replace(finding("A-1", Holds.NO, kept), where=f"Teleport token/{secret}"))
        store.note_facts(RunFacts(authority_detail=secret))
        store.note_phase(Phase("resources", NOW, 1.0, False, secret))
        store.run_error(secret)
        store.lower(name, Ending.BROKE, secret)
        store.end_step(StepState.BROKE, secret)

    tell()
    store.hide(secret, "")
    store.begin_step(1)
    tell()

    told = (store.scenarios, store.evidence, store.run_findings, store.run_errors, [*store.timeline], store.facts)
    assert secret not in repr(told)
    assert store.told(f"x {secret}") == "x [redacted]"
    assert {e.redactions for e in store.evidence} == {1}
    assert len(store.scenarios[0].steps[0].findings) == len(store.scenarios[0].steps[1].findings) == 1


def test_phases_are_told_by_their_start_and_say_why_they_failed() -> None:
    store = Store()

    store.note_phase(Phase("inner", NOW + timedelta(seconds=1), 1.0, False, "no image"))
    store.note_phase(Phase("outer", NOW, 3.0, True))

    assert [(p.name, p.ok, p.message) for p in store.timeline] == [("outer", True, ""), ("inner", False, "no image")]


def test_threads_lose_nothing() -> None:
    store = running()
    readings = [[reading(f"{t}-{i}") for i in range(50)] for t in range(8)]

    threads = [threading.Thread(target=lambda batch=batch: [store.record(e) for e in batch]) for batch in readings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(store.evidence) == len(store.scenarios[0].steps[0].evidence) == 400


def test_every_answer_of_the_doctor_is_kept_in_order_without_what_is_hidden() -> None:
    store = Store()
    for cause in ("tbot-not-answering", "the-hidden-name"):
        look = ToldLook(Way.READER, cause, (), (), 0, Grade.NAMED, right=True, exit_code=1, seconds=1, requests=1)
        store.note_diagnosis(ToldRow("DX-6", Kind.FAULT, "tbot-frozen", (cause,), (look,), right=True))
    store.hide("hidden-name")
    first, second = store.diagnoses
    assert first.looks[0].first == "tbot-not-answering"
    assert "hidden-name" not in second.looks[0].first


def test_the_last_prediction_of_handshakes_is_kept_without_what_is_hidden() -> None:
    store = Store()
    for kind in ("earlier", "the hidden-name of it"):
        store.note_handshakes(Handshakes((), (), (), {kind: 1}))
    store.hide("hidden-name")
    kept = store.handshakes
    assert kept is not None
    (kind,) = kept.not_predictable
    assert kind.startswith("the ")
    assert "hidden-name" not in kind


@pytest.mark.parametrize(
    ("holds", "ending", "state"),
    [
        (Holds.YES, Ending.COMPLETED, StepState.PASSED),
        (Holds.NO, Ending.VIOLATED, StepState.VIOLATED),
        (Holds.UNKNOWN, Ending.BROKE, StepState.BROKE),
    ],
)
def test_a_step_may_conclude_when_the_run_has_cleaned_up(holds: Holds, ending: Ending, state: StepState) -> None:
    store = running()
    bookmark = store.bookmark()
    store.end_step(StepState.PASSED)
    store.lower(bookmark.scenario_id, Ending.COMPLETED)
    store.leave_scenario()

    def look() -> Finding:
        store.record(TWO)
        return finding("A-1", holds, TWO)

    store.conclude_later(bookmark, look)
    store.record(THREE)

    (record,) = store.scenarios
    assert record.ending is ending
    assert record.steps[0].state is state
    assert record.steps[0].evidence == (TWO.id,)
    assert [each.holds for each in record.steps[0].findings] == [holds]
    assert store.run_evidence == (THREE.id,)


def test_a_last_look_that_fails_leaves_the_question_open() -> None:
    store = running()
    bookmark = store.bookmark()
    store.end_step(StepState.PASSED)
    store.lower(bookmark.scenario_id, Ending.COMPLETED)
    store.leave_scenario()

    def look() -> Finding:
        raise CouldNotTell(expected="an answer", seen="none", where="there", remedy="look again")

    store.conclude_later(bookmark, look)

    (record,) = store.scenarios
    assert record.ending is Ending.BROKE
    assert "expected an answer; saw none" in record.reason
    assert record.steps[0].state is StepState.BROKE
    store.record(THREE)
    assert store.run_evidence == (THREE.id,)


def test_a_last_look_that_lacks_something_is_not_evaluated() -> None:
    store = running()
    bookmark = store.bookmark()
    store.end_step(StepState.PASSED)
    store.lower(bookmark.scenario_id, Ending.COMPLETED)
    store.leave_scenario()

    def look() -> Finding:
        raise NotGiven(expected="the right to list", seen="403", where="there", remedy="grant it")

    store.conclude_later(bookmark, look)

    (record,) = store.scenarios
    assert record.ending is Ending.NOT_RUN
    assert record.outcome().began
    assert "expected the right to list; saw 403" in record.reason
    assert record.steps[0].state is StepState.SKIPPED


def test_only_a_step_that_runs_can_ask_for_a_last_look() -> None:
    store = running()
    store.end_step(StepState.PASSED)
    with pytest.raises(LookupError, match="no step is running"):
        store.bookmark()
