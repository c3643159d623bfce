"""The graph of phases: each runs once, as early as it can; a failure stops what depends on it and nothing else."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

import pytest

from facts.errors import CouldNotTell, ProvisioningFailed
from observe.command import EndedBySignal
from observe.wait import NotYet, eventually
from provision.installing.phases import Cancelled, Part, PhaseRecord, Phases

WAIT = 5.0


class Diary:
    """Events, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._lock = threading.Lock()

    def act(self, name: str) -> Callable[[], None]:
        def write() -> None:
            with self._lock:
                self.lines.append(name)

        return write


def refuse() -> None:
    raise CouldNotTell(expected="an answer", seen="none", where="there", remedy="wait")


def test_a_phase_runs_after_what_it_needs_and_only_once() -> None:
    diary = Diary()
    phases = Phases(
        [Part("c", diary.act("c"), needs=("a", "b")), Part("a", diary.act("a")), Part("b", diary.act("b"), needs=("a",))]
    )
    phases.ensure("c")
    phases.ensure("b", "c")
    phases.stop()
    assert diary.lines == ["a", "b", "c"]
    assert [record.name for record in phases.timeline] == ["a", "b", "c"]
    assert all(record.ok for record in phases.timeline)


def test_independent_phases_run_at_the_same_time() -> None:
    both = threading.Barrier(2)

    def meet() -> None:
        both.wait(WAIT)

    phases = Phases([Part("a", meet), Part("b", meet)])
    phases.ensure("a", "b")
    phases.stop()


def test_what_runs_alongside_is_begun_but_not_waited_for() -> None:
    release = threading.Event()

    def act() -> None:
        assert release.wait(WAIT)

    phases = Phases([Part("a", lambda: None, alongside=("b",)), Part("b", act)])
    phases.ensure("a")
    assert not phases.has_ended("b")
    release.set()
    phases.ensure("b")
    phases.stop()


def test_two_phases_may_run_alongside_each_other() -> None:
    phases = Phases([Part("a", lambda: None, alongside=("b",)), Part("b", lambda: None, alongside=("a",))])
    phases.ensure("a", "b")
    phases.stop()


def test_a_failure_names_its_phase_and_leaves_the_independent_alone() -> None:
    diary = Diary()
    collected: list[str] = []
    phases = Phases(
        [
            Part("broken", refuse),
            Part("dependent", diary.act("dependent"), needs=("broken",)),
            Part("independent", diary.act("independent")),
        ],
        on_failure=collected.append,
    )
    with pytest.raises(ProvisioningFailed, match="phase broken: there"):
        phases.ensure("dependent")
    phases.ensure("independent")
    phases.stop()
    assert diary.lines == ["independent"]
    assert collected == ["broken"], "a phase that never began has nothing to collect"
    assert isinstance(phases.failure_of("dependent"), ProvisioningFailed)
    assert phases.failure_of("independent") is None
    broken = next(record for record in phases.timeline if record.name == "broken")
    assert not broken.ok
    assert "expected an answer" in broken.message


def test_a_disk_that_is_full_is_told_with_what_to_try() -> None:
    def act() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/cache/kind.yaml")

    phases = Phases([Part("a", act)])
    with pytest.raises(ProvisioningFailed, match=r"No space left .*phase a: /cache/kind.yaml.*CONFORMANCE_CACHE"):
        phases.ensure("a")
    phases.stop()


def test_an_error_of_another_kind_is_told_in_words() -> None:
    def act() -> None:
        raise KeyError("key")

    phases = Phases([Part("a", act)])
    with pytest.raises(ProvisioningFailed, match="KeyError: 'key'"):
        phases.ensure("a")
    phases.stop()


def test_stopping_ends_a_wait_and_everything_after_it() -> None:
    waiting = threading.Event()
    ended: list[PhaseRecord] = []

    def look() -> None:
        waiting.set()
        raise NotYet("not there")

    def wait() -> None:
        eventually("the end of days", look, phases.pace(600))

    phases = Phases([Part("a", wait), Part("b", lambda: None, needs=("a",))], on_end=ended.append)
    phases.begin("b")
    assert waiting.wait(WAIT)
    phases.stop()
    assert [(record.name, record.ok, record.message) for record in ended] == [("a", False, "stopped")]
    with pytest.raises(Cancelled):
        phases.ensure("b")
    with pytest.raises(Cancelled):
        phases.begin("a")


def test_an_error_while_stopping_is_no_failure() -> None:
    def act() -> None:
        started.set()
        assert stopped.wait(WAIT)
        raise CouldNotTell(expected="a command's end", seen="it was stopped", where="there", remedy="none")

    started, stopped = threading.Event(), threading.Event()
    collected: list[str] = []
    phases = Phases([Part("a", act)], on_failure=collected.append)
    phases.begin("a")
    assert started.wait(WAIT)
    stopper = threading.Thread(target=phases.stop)
    stopper.start()
    while not phases.stopping():
        threading.Event().wait(0.01)
    stopped.set()
    stopper.join(WAIT)
    assert collected == []
    assert phases.timeline[0].message == "stopped"


def test_a_phase_that_succeeds_may_still_remark_something() -> None:
    phases = Phases([Part("a", lambda: "it is not ready"), Part("b", lambda: None, needs=("a",))])
    phases.ensure("b")
    phases.stop()
    assert [(record.ok, record.message) for record in phases.timeline] == [(True, "it is not ready"), (True, "")]


def test_a_graph_that_cannot_be_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no phase is called 'z'"):
        Phases([Part("a", lambda: None, needs=("z",))])
    with pytest.raises(ValueError, match="no phase is called 'z'"):
        Phases([Part("a", lambda: None, alongside=("z",))])
    with pytest.raises(ValueError, match="need each other: a -> b -> a"):
        Phases([Part("a", lambda: None, needs=("b",)), Part("b", lambda: None, needs=("a",))])


def test_the_first_failure_is_told_without_waiting_for_the_rest() -> None:
    release = threading.Event()

    def act() -> None:
        assert release.wait(WAIT)

    phases = Phases([Part("slow", act), Part("broken", refuse), Part("all", lambda: None, needs=("slow", "broken"))])
    with pytest.raises(ProvisioningFailed, match="phase broken"):
        phases.ensure("all")
    assert not phases.has_ended("slow")
    release.set()
    phases.stop()


def test_a_failure_that_is_handed_on_stays_the_first_phases() -> None:
    def hand_on() -> None:
        raise phases.failure_of("a") or AssertionError

    phases = Phases([Part("a", refuse), Part("b", hand_on)])
    with pytest.raises(ProvisioningFailed):
        phases.ensure("a")
    with pytest.raises(ProvisioningFailed) as failure:
        phases.ensure("b")
    phases.stop()
    assert failure.value.where == "phase a: there"


def ended_by_signal() -> None:
    raise EndedBySignal(expected="an end", seen="SIGTERM from elsewhere ended it", where="there", remedy="run again")


def test_a_signal_that_a_command_notices_first_stops_the_suite_and_is_no_failure() -> None:
    records: list[PhaseRecord] = []
    began = threading.Event()

    def act() -> None:
        began.set()
        ended_by_signal()

    phases = Phases([Part("a", act)], on_end=records.append)
    phases.begin("a")
    assert began.wait(WAIT)
    phases.stop()
    assert [record.message for record in records] == ["stopped"]


def test_a_signal_that_only_a_command_notices_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.installing.phases.SIGNAL_ARRIVES", 0.01)
    with pytest.raises(ProvisioningFailed, match="SIGTERM from elsewhere ended it"):
        Phases([Part("a", ended_by_signal)]).ensure("a")
