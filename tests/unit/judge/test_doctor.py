"""The doctor's answers beside what the suite broke: right ones, and each way in which one can be wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.doctor.answer import Answer, Class, Look, NamedCause, Undetermined, Way
from facts.finding import Holds
from judge.doctor import AT_MOST, Grade, Kind, State, grade, is_settled, names_the_causes, told

FROZEN, STALE, GATEWAY, SOCKET = "tbot-not-answering", "socket-stale", "gateway-without-socket", "socket-without-attestor"

FAULT = State(Kind.FAULT, "tbot-frozen", (FROZEN,))
PAIR = State(Kind.PAIR, "gateway-without-overlay + second-socket-without-attestor", (GATEWAY, SOCKET))
HERRING = State(Kind.HERRING, "crash-loop-of-others")


def look(
    *named: str,
    way: Way = Way.SESSION,
    classes: tuple[tuple[str, ...], ...] = (),
    open_points: int = 0,
    exit_code: int | None = None,
    seconds: float = 4,
) -> Look:
    """An answer of the doctor, with the exit code that belongs to it."""
    answer = Answer(
        version=1,
        causes=tuple(NamedCause(each, "It is so.") for each in named),
        classes=tuple(Class(each, "--allow namespaced") for each in classes),
        undetermined=(Undetermined("one pod was not read"),) * open_points,
        requests=30,
        seconds=seconds,
        authority="stand-in",
        evidence=(f"ev-{way.name}",),
    )
    by_itself = 1 if named else 6 if classes or open_points else 0
    return Look(way, answer, by_itself if exit_code is None else exit_code)


def wrong(state: State, *looks: Look) -> list[str]:
    """What the finding says is wrong."""
    return [each.said for each in names_the_causes("DX-6", state, looks).problems]


def test_the_cause_alone_is_right() -> None:
    finding = names_the_causes("DX-6", FAULT, [look(FROZEN, way=Way.READER), look(FROZEN)])
    assert finding.holds is Holds.YES
    assert finding.evidence == ("ev-READER", "ev-SESSION")
    assert finding.expected == f"a doctor that names {FROZEN} first, and no cause that is not so"
    assert {measure.name: measure.value for measure in finding.measures}["requests of the doctor, read-only"] == 30


def test_another_cause_beside_it_is_wrong() -> None:
    assert wrong(FAULT, look(FROZEN, STALE)) == [f"it names {STALE}, which is not so"]


def test_a_further_cause_may_follow_and_must_not_come_first() -> None:
    state = State(Kind.FAULT, "takeover", ("socket-taken-over",), frozenset({"mount-writable"}))
    assert wrong(state, look("socket-taken-over", "mount-writable")) == []
    (said,) = wrong(state, look("mount-writable", "socket-taken-over"))
    assert said == "it names mount-writable before socket-taken-over"


def test_another_cause_alone_is_wrong_and_the_right_one_missing() -> None:
    assert wrong(FAULT, look(GATEWAY)) == [
        f"it names {GATEWAY}, which is not so",
        f"it does not name {FROZEN}: it names {GATEWAY}",
    ]


def test_a_class_is_right_while_reading_and_must_be_split_by_the_last_way() -> None:
    narrowed = look(classes=((FROZEN, STALE),))
    assert wrong(FAULT, narrowed, look(FROZEN, way=Way.PROBES)) == []
    assert [grade(FAULT, each) for each in (narrowed, look(FROZEN))] == [Grade.CLASS, Grade.NAMED]
    (said,) = wrong(FAULT, narrowed)
    assert said == f"it does not name {FROZEN}: it cannot tell {FROZEN}, {STALE} apart"


def test_a_class_counts_for_a_cause_only_if_it_holds_it() -> None:
    assert grade(FAULT, look(classes=((FROZEN,),))) is Grade.CLASS
    for exit_code in (1, 6):
        assert grade(PAIR, look(classes=((GATEWAY, STALE),), exit_code=exit_code)) is Grade.NOT_DETERMINED


def test_a_class_without_the_cause_is_wrong() -> None:
    said = wrong(FAULT, look(classes=((STALE, GATEWAY),)), look(FROZEN, way=Way.PROBES))
    assert said[0] == f"it takes {STALE} or {GATEWAY} for possible, none of which is so"


@pytest.mark.parametrize(
    ("answer", "reached"),
    [(look(way=Way.READER), Grade.NOTHING), (look(way=Way.READER, open_points=1), Grade.NOT_DETERMINED)],
)
def test_a_way_may_be_silent_only_about_what_nothing_shows_it(answer: Look, reached: Grade) -> None:
    hidden = State(Kind.FAULT, "bot", ("bot-missing",), shown={Way.READER: frozenset(), Way.SESSION: frozenset()})
    shown = State(Kind.FAULT, "bot", ("bot-missing",), shown={Way.READER: frozenset({"bot-missing"})})
    named = look("bot-missing")
    assert grade(hidden, answer) is reached
    assert wrong(hidden, answer, named) == []
    assert len(wrong(shown, answer, named)) == 1
    assert len(wrong(hidden, answer)) == 1, "the last way must name it"


def test_both_causes_of_a_pair_must_come_first_in_any_order() -> None:
    assert wrong(PAIR, look(SOCKET, GATEWAY)) == []
    (said,) = wrong(PAIR, look(SOCKET))
    assert said == f"it does not name {GATEWAY}: it names {SOCKET}"
    assert grade(PAIR, look(SOCKET, classes=((GATEWAY, STALE),))) is Grade.CLASS


def test_of_a_red_herring_and_of_a_sound_install_it_says_nothing() -> None:
    assert wrong(HERRING, look(), look(way=Way.READER)) == []
    assert wrong(State(Kind.HEALTHY, "healthy"), look()) == []
    assert wrong(HERRING, look(GATEWAY)) == [f"it names {GATEWAY}, which is not so"]
    (said,) = wrong(HERRING, look(open_points=1))
    assert said.startswith("it exits with 6, although nothing is wrong: it could not determine this: one pod")
    assert wrong(HERRING, look(exit_code=6)) == [
        "it exits with 6, although nothing is wrong: it names nothing and is not sure"
    ]


def test_a_risk_that_stands_in_the_sound_install_may_be_named_and_hides_nothing() -> None:
    standing = frozenset({"socket-name-default"})
    sound = State(Kind.HEALTHY, "healthy", further=standing)
    assert wrong(sound, look("socket-name-default")) == []
    assert grade(sound, look("socket-name-default")) is Grade.NOTHING
    (said,) = wrong(sound, look("socket-name-default", open_points=1))
    assert said.startswith(
        "it exits with 1, although nothing is wrong: it names socket-name-default; it could not determine"
    )
    (said,) = wrong(sound, look("socket-name-default", open_points=1, exit_code=6))
    assert said == (
        "it exits with 6, although nothing is wrong: it names socket-name-default; it could not determine this: one pod was"
        " not read"
    )
    broken = State(Kind.FAULT, "tbot-frozen", (FROZEN,), standing)
    unsure = look("socket-name-default", open_points=1, exit_code=6)
    assert wrong(broken, unsure, look(FROZEN, way=Way.PROBES)) == [f"it does not name {FROZEN}: {said.partition(': ')[2]}"]
    assert grade(broken, unsure) is Grade.NOT_DETERMINED
    hidden = replace(broken, shown={Way.SESSION: frozenset()})
    assert wrong(hidden, unsure, look(FROZEN, way=Way.PROBES)) == []
    (said,) = wrong(broken, look(FROZEN, open_points=1, exit_code=6))
    assert said.startswith("it exits with 6, although it names a cause")
    assert wrong(broken, look(FROZEN, "socket-name-default")) == []
    assert grade(broken, look("socket-name-default")) is Grade.NOTHING
    assert wrong(broken, look("socket-name-default")) == [f"it does not name {FROZEN}: it names socket-name-default"]


@pytest.mark.parametrize(
    "answer",
    [look(FROZEN, exit_code=0), look(FROZEN, exit_code=6), look(exit_code=1), look(classes=((FROZEN,),), exit_code=0)],
)
def test_an_exit_code_that_contradicts_the_answer_is_wrong(answer: Look) -> None:
    assert any("it exits with" in said for said in wrong(FAULT, answer))


def test_an_answer_that_takes_too_long_is_wrong_unless_probe_pods_start() -> None:
    assert AT_MOST == 20
    (said,) = wrong(FAULT, look(FROZEN, seconds=AT_MOST + 1))
    assert said == "time of the doctor, read-only, with tctl: 21 s (at most 20 s)"
    assert wrong(FAULT, look(FROZEN, seconds=AT_MOST + 1, way=Way.PROBES)) == []


def test_it_is_settled_once_all_is_named_or_something_is_wrong() -> None:
    assert is_settled(FAULT, look(FROZEN))
    assert is_settled(FAULT, look(GATEWAY))
    assert is_settled(HERRING, look())
    assert not is_settled(FAULT, look(classes=((FROZEN, STALE),)))
    assert not is_settled(FAULT, look())
    assert not is_settled(HERRING, look(open_points=1))


def test_seconds_of_a_row_have_two_places() -> None:
    assert told("DX-6", FAULT, [look(FROZEN, seconds=4.23456)]).looks[0].seconds == 4.23


def test_a_row_of_the_report_has_what_was_named_and_what_it_cost() -> None:
    row = told("DX-8", PAIR, [look(GATEWAY, way=Way.READER, classes=((SOCKET, STALE),)), look(SOCKET, GATEWAY)])
    assert (row.requirement, row.kind, row.causes, row.right) == ("DX-8", Kind.PAIR, (GATEWAY, SOCKET), True)
    first, second = row.looks
    assert (first.first, first.also, first.classes, first.grade) == (GATEWAY, (), ((SOCKET, STALE),), Grade.CLASS)
    assert (second.first, second.also, second.grade, second.seconds, second.requests) == (
        SOCKET,
        (GATEWAY,),
        Grade.NAMED,
        4,
        30,
    )
    assert not told("DX-8", PAIR, [look(SOCKET)]).right


def test_a_report_has_the_words_of_its_schema() -> None:
    assert [kind.value for kind in Kind] == ["fault", "pair of faults", "red herring", "healthy"]
    assert [each.value for each in Grade] == ["named", "class", "not determined", "nothing", "wrong"]


def test_what_is_wrong_is_said_of_the_row_and_the_way() -> None:
    finding = names_the_causes("DX-6", FAULT, [look(STALE, way=Way.READER), look(FROZEN)])
    assert {str(each.subject) for each in finding.problems} == {f"tbot-frozen, {Way.READER.value}"}
    assert finding.problems[0].said == f"it names {STALE}, which is not so"


def test_an_answer_that_names_nothing_is_told_with_how_sure_it_is() -> None:
    assert wrong(FAULT, look()) == [f"it does not name {FROZEN}: it names nothing"]
    assert wrong(FAULT, look(exit_code=6)) == [f"it does not name {FROZEN}: it names nothing and is not sure"]


def test_the_finding_says_which_install_was_looked_at() -> None:
    assert names_the_causes("DX-6", FAULT, [look(FROZEN)]).where == "the install with the fault tbot-frozen"
    assert names_the_causes("DX-9", HERRING, [look()]).where == "the install with the red herring crash-loop-of-others"
    assert names_the_causes("DX-9", State(Kind.HEALTHY, "healthy"), [look()]).where == "the sound install"
