"""Findings: what they may claim, and the one sentence that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.evidence import ObjectRef
from facts.finding import SHOWN, Finding, Holds, Problem, Remark, Violated, told


def pod(name: str, **changes: str) -> ObjectRef:
    return ObjectRef("Pod", name, "shop", **changes)


def wrong(name: str, said: str = "is down", cause: str = "") -> Problem:
    return Problem(pod(name), said, cause, ("ev-1",))


def finding(holds: Holds, **changes: Any) -> Finding:
    given: dict[str, Any] = {"requirement": "ID-01", "expected": "pods", "where": "2 pods", "evidence": ("ev-1",)}
    return Finding(holds=holds, **(given | changes))


# What a finding may claim.


def test_a_claim_without_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ID-01: a finding that claims something needs evidence \(all are up\)"):
        finding(Holds.YES, confirmed="all are up", evidence=())
    with pytest.raises(ValueError, match="needs evidence"):
        finding(Holds.NOT_APPLICABLE, condition="no pod", evidence=())


def test_what_is_wrong_or_unclear_may_lack_evidence() -> None:
    assert finding(Holds.NO, problems=(wrong("a"),), evidence=()).seen == "Pod shop/a: is down"
    assert finding(Holds.UNKNOWN, unclear=(wrong("a", "could not be read"),), evidence=()).seen


@pytest.mark.parametrize("holds", Holds)
def test_only_a_finding_that_does_not_apply_has_a_condition(holds: Holds) -> None:
    problems = (wrong("a"),) if holds is Holds.NO else ()
    applies = holds is not Holds.NOT_APPLICABLE
    with pytest.raises(ValueError, match="not-applicable needs the condition that is met, and only it has one"):
        finding(holds, problems=problems, condition="no pod" if applies else "")
    assert finding(holds, problems=problems, condition="" if applies else "no pod").holds is holds


@pytest.mark.parametrize("holds", Holds)
def test_a_problem_makes_a_no_and_a_no_has_one(holds: Holds) -> None:
    condition = "no pod" if holds is Holds.NOT_APPLICABLE else ""
    problems = () if holds is Holds.NO else (wrong("a"),)
    with pytest.raises(ValueError, match="a NO needs a problem, and only a NO has one"):
        finding(holds, problems=problems, condition=condition)


# What it says.


def test_each_answer_has_its_own_sentence() -> None:
    unread, up = wrong("b", "could not be read"), Remark(pod("c"), "is up")
    everything: dict[str, Any] = {"unclear": (unread,), "held": (up,), "notes": (wrong("d", "is old", "x"),)}
    no = finding(Holds.NO, problems=(wrong("a"),), **everything)
    assert no.seen == "Pod shop/a: is down; Pod shop/b: could not be read"
    assert finding(Holds.UNKNOWN, **everything).seen == "Pod shop/b: could not be read"
    assert finding(Holds.YES, held=(up,)).seen == "Pod shop/c: is up"
    assert finding(Holds.YES, held=(up,), confirmed="all are up").seen == "all are up"
    assert finding(Holds.NOT_APPLICABLE, condition="no pod").seen == "no pod"


def test_the_causes_of_its_problems_are_named_once_and_in_their_order() -> None:
    problems = (wrong("a", cause="late"), wrong("b"), wrong("c", cause="early"), wrong("d", cause="late"))
    no = finding(Holds.NO, problems=problems, unclear=(wrong("e", cause="open"),), notes=(wrong("f", cause="note"),))
    assert no.causes == ("late", "early")


def test_a_cause_shows_in_problems_in_what_is_unclear_and_in_notes() -> None:
    problem, unclear, note = (wrong(name, cause="late") for name in "abc")
    no = finding(Holds.NO, problems=(wrong("x"), problem), unclear=(unclear, wrong("y")), notes=(note,))
    assert no.showing("late") == (problem, unclear, note)
    assert no.showing("early") == ()
    assert finding(Holds.YES, confirmed="up", notes=(note,)).showing("late") == (note,)


def test_only_a_no_violates_and_says_what_was_expected() -> None:
    assert str(Violated(finding(Holds.NO, problems=(wrong("a"),)))) == (
        "ID-01: expected pods; saw Pod shop/a: is down (looked at 2 pods)"
    )
    with pytest.raises(ValueError, match="only a negative finding violates, this one says unknown"):
        Violated(finding(Holds.UNKNOWN, unclear=(wrong("a"),)))


# The sentence.


@pytest.mark.parametrize(
    ("statements", "where", "sentence"),
    [
        ([], "", ""),
        ([wrong("a", "is down")], "", "Pod shop/a: is down"),
        ([wrong("a", "is down")], "Pod shop/a", "is down"),
        ([wrong("a", "is down"), wrong("a", "is old")], "Pod shop/a", "is down; is old"),
        ([wrong("a", "is down"), wrong("b", "is old")], "Pod shop/a", "Pod shop/a: is down; Pod shop/b: is old"),
        ([wrong("a", "is down"), wrong("b", "is down")], "", "Pod shop/a, Pod shop/b: is down"),
        ([wrong("a", "is down"), wrong("b", "is old"), wrong("a", "is old")], "",
         "Pod shop/a: is down; is old; Pod shop/b: is old"),
        ([wrong("a", "x"), wrong("b", "x"), wrong("a", "y"), wrong("b", "y")], "", "Pod shop/a, Pod shop/b: x; y"),
        ([wrong("a", "is down"), wrong("a", "is down", "late")], "", "Pod shop/a: is down"),
        ([Remark(pod("a", uid="1"), "is up"), Remark(pod("a", uid="2"), "is old")], "", "Pod shop/a: is up; is old"),
        ([Remark(ObjectRef("", "node-1"), "is up")], "", "node-1: is up"),
    ],
    ids=[
        "nothing", "one", "the place itself", "the place itself twice", "the place among others", "said of two",
        "by subject", "all of it said of two", "said twice", "two readings of one", "no object",
    ],
)  # fmt: skip
def test_statements_are_one_sentence(statements: Sequence[Remark | Problem], where: str, sentence: str) -> None:
    assert told(statements, where) == sentence


def test_a_sentence_names_some_subjects_and_counts_the_others() -> None:
    names = [f"p{n:02}" for n in range(SHOWN + 2)]
    shown = ", ".join(f"Pod shop/{name}" for name in names[:SHOWN])
    assert told([wrong(name) for name in names[:SHOWN]]) == f"{shown}: is down"
    assert told([wrong(name) for name in names]) == f"{shown} and 2 more: is down"
    apart = [wrong(name, f"is {name}") for name in names]
    said = "; ".join(f"Pod shop/{name}: is {name}" for name in names[:SHOWN])
    assert told(apart[:SHOWN]) == said
    assert told(apart) == f"{said}; and 2 more"


STATEMENTS = st.lists(
    st.builds(wrong, st.sampled_from("abcdefghijklmnop"), st.sampled_from(["is down", "is old", "is full", "is late"])),
    max_size=40,
)


@given(STATEMENTS)
def test_what_is_said_twice_is_told_once(statements: list[Problem]) -> None:
    assert told([*statements, *statements]) == told(statements)


@given(STATEMENTS)
def test_no_subject_stands_twice_and_the_first_ones_in_their_order(statements: list[Problem]) -> None:
    sentence = told(statements)
    subjects = list(dict.fromkeys(str(each.subject) for each in statements))
    assert all(sentence.count(f"{subject}:") + sentence.count(f"{subject},") <= 1 for subject in subjects)
    assert sentence.startswith(subjects[0] if subjects else "")


@given(STATEMENTS.filter(bool))
def test_the_first_subject_is_told_with_all_that_is_said_of_it(statements: list[Problem]) -> None:
    first = [each.said for each in statements if each.subject == statements[0].subject]
    assert f": {'; '.join(dict.fromkeys(first))}" in told(statements)


@given(st.lists(st.sampled_from(["is down", "is old"]), min_size=1))
def test_a_place_is_never_named_in_its_own_sentence(said: list[str]) -> None:
    assert told([wrong("a", each) for each in said], "Pod shop/a") == "; ".join(dict.fromkeys(said))


def test_answers_have_the_words_of_the_report() -> None:
    assert [h.value for h in Holds] == ["yes", "no", "unknown", "not-applicable"]
