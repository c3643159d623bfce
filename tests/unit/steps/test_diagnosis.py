"""The steps of the doctor's matrix: what it must say of a fault, and when it looks at the sound install again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from facts.doctor.answer import Answer, Class, Look, NamedCause, Way
from facts.errors import CouldNotTell
from facts.finding import Finding, Holds, Violated
from judge.doctor import Kind, ToldRow
from provision.faults import FAULTS
from reporting.features.reading import judged_by_reading
from steps.diagnosis import Soundness, broken, doctor_reads, names_the_causes, state_of, with_herring
from tests.unit.reporting.features.test_reading import FEATURES

SHOWN = {Way.READER: judged_by_reading(FEATURES)}


def look(*causes: str, way: Way = Way.SESSION, classes: tuple[tuple[str, ...], ...] = ()) -> Look:
    """An answer that names these causes."""
    named = tuple(NamedCause(each, "") for each in causes)
    narrowed = tuple(Class(each, "") for each in classes)
    answer = Answer(1, named, narrowed, (), requests=1, seconds=1, authority="stand-in", evidence=("ev",))
    return Look(way, answer, 1 if causes else 6 if classes else 0)


@dataclass
class Doctor:
    """A doctor that gives prepared answers, in the order of the questions."""

    answers: list[Look]
    asked: list[Way] = field(default_factory=list)

    def look(self, way: Way) -> Look:
        self.asked.append(way)
        return self.answers.pop(0)


def test_what_a_fault_demands_comes_from_the_registry() -> None:
    state = state_of(Kind.FAULT, (FAULTS["takeover"],), SHOWN)
    assert (state.name, state.causes) == ("takeover", ("socket-taken-over",))
    assert state.further == {"socket-directory-writable", "mount-writable", "path-normalization-off", "socket-name-default"}
    assert state.must_be_named(Way.READER) == {"socket-taken-over"}, "the sweep of certificates needs no session"


@pytest.mark.parametrize(
    ("name", "shown"), [("jwks-of-another-cluster", False), ("kubelet-closed-to-pods", False), ("tbot-frozen", True)]
)
def test_a_reader_must_be_told_only_what_shows_to_a_reader(name: str, *, shown: bool) -> None:
    state = state_of(Kind.FAULT, (FAULTS[name],), SHOWN)
    assert state.must_be_named(Way.READER) == ({FAULTS[name].cause} if shown else set())
    assert state.must_be_named(Way.PROBES) == {FAULTS[name].cause}


def test_a_pair_demands_both() -> None:
    pair = (FAULTS["gateway-without-overlay"], FAULTS["second-socket-without-attestor"])
    state = state_of(Kind.PAIR, pair, SHOWN)
    assert state.name == "gateway-without-overlay + second-socket-without-attestor"
    assert state.causes == ("gateway-without-socket", "socket-without-attestor")


def test_probe_pods_are_asked_for_only_where_reading_settles_nothing() -> None:
    lent: list[str] = []

    def lend() -> AbstractContextManager[None]:
        lent.append("lent")
        return nullcontext()

    state = state_of(Kind.FAULT, (FAULTS["tbot-frozen"],), SHOWN)
    settled = Doctor([look("tbot-not-answering", way=Way.READER), look("tbot-not-answering")])
    assert len(doctor_reads(cast("Any", settled), state, lend)) == 2
    assert settled.asked == [Way.READER, Way.SESSION]
    narrowed = look(classes=(("tbot-not-answering", "socket-stale"),))
    open_ones = Doctor([narrowed, narrowed, look("tbot-not-answering")])
    assert len(doctor_reads(cast("Any", open_ones), state, lend)) == 3
    assert open_ones.asked == [Way.READER, Way.SESSION, Way.PROBES]
    assert lent == ["lent", "lent"]


class Looks:
    """What the doctor says of the sound install, and how often it was asked."""

    def __init__(self) -> None:
        self.answer = look()
        self.number = 0

    def __call__(self) -> Look:
        self.number += 1
        return self.answer


def test_it_looks_once_as_long_as_every_row_ends_as_it_must() -> None:
    looks = Looks()
    soundness = Soundness(looks)
    for _row in range(3):
        with soundness.row():
            soundness.trust()
    assert looks.number == 1


@pytest.mark.parametrize("what", ["the answer was wrong", "the undo failed", "somebody asked to"])
def test_it_looks_again_after_a_row_in_doubt(what: str) -> None:
    looks = Looks()
    soundness = Soundness(looks)

    def first_row() -> None:
        with soundness.row():
            if what != "the answer was wrong":
                soundness.trust()
            if what == "the undo failed":
                raise RuntimeError(what)

    if what == "the undo failed":
        with pytest.raises(RuntimeError):
            first_row()
    else:
        first_row()
    if what == "somebody asked to":
        soundness.doubt()
    with soundness.row():
        pass
    assert looks.number == 2


def test_a_row_does_not_begin_on_an_install_in_which_the_doctor_finds_something() -> None:
    looks = Looks()
    looks.answer = look("trust-domain-differs")
    with pytest.raises(CouldNotTell, match="it names trust-domain-differs"), Soundness(looks).row():
        pytest.fail("the row must not begin")


@dataclass
class Target:
    """A target that tells what it was asked for, in order."""

    said: list[str] = field(default_factory=list)

    @property
    def objects(self) -> Any:
        return SimpleNamespace(may_change=lambda: self.said.append("fence"))

    def scene(self) -> Any:
        self.said.append("scene")
        return SimpleNamespace()


def injecting(said: list[str], name: str) -> Callable[[Any], AbstractContextManager[None]]:
    """An injection that tells when it comes and goes."""

    @contextmanager
    def inject(_scene: Any) -> Iterator[None]:
        said.append(f"{name} comes")
        yield
        said.append(f"{name} goes")

    return inject


def test_faults_come_after_the_fence_and_go_in_reverse(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target()
    faults = [
        SimpleNamespace(name=n, cause=n, further_causes=frozenset(), breaks=frozenset(), inject=injecting(target.said, n))
        for n in ("a", "b")
    ]
    with ExitStack() as cleanup:
        broken(Kind.PAIR, cast("Any", tuple(faults)), cast("Any", target), cleanup, SHOWN)
    assert target.said == ["fence", "scene", "a comes", "scene", "b comes", "b goes", "a goes"]
    herring = SimpleNamespace(inject=injecting(target.said, "h"), called=frozenset({"refused-by-policy"}))
    monkeypatch.setattr("steps.diagnosis.HERRINGS", {"loud": herring})
    target.said.clear()
    with ExitStack() as cleanup:
        state = with_herring("loud", cast("Any", target), cleanup)
    assert (state.causes, "refused-by-policy" in state.further) == ((), True)
    assert target.said == ["fence", "scene", "h comes", "h goes"]


@pytest.mark.parametrize(
    ("answer", "trusted"), [(look("tbot-not-answering"), True), (look("gateway-without-socket"), False)]
)
def test_a_row_is_noted_whatever_it_says_and_trusted_only_if_it_is_right(answer: Look, *, trusted: bool) -> None:
    state = state_of(Kind.FAULT, (FAULTS["tbot-frozen"],), SHOWN)
    looks, noted, concluded = Looks(), list[ToldRow](), list[Finding]()
    soundness = Soundness(looks)

    def conclude(*findings: Finding) -> None:
        concluded.extend(findings)
        for finding in findings:
            if finding.holds is Holds.NO:
                raise Violated(finding)

    def row() -> None:
        with soundness.row():
            names_the_causes("DX-6", state, (answer,), soundness, noted.append, conclude)

    if trusted:
        row()
    else:
        with pytest.raises(Violated, match="it names gateway-without-socket, which is not so"):
            row()
    assert [told.right for told in noted] == [trusted]
    assert [finding.requirement for finding in concluded] == ["DX-6"]
    with soundness.row():
        pass
    assert looks.number == (1 if trusted else 2)
