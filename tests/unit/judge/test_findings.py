"""Claims: how problems, what is unclear and numbers become one answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem, Remark
from facts.measure import Measure
from facts.redaction import hides_a_value, prose
from judge.explain.cause import CAUSES
from judge.findings import Claim, confirmed_of, listed, longest, place, problem, time_until, true_ones
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import inapplicable
from tests.unit.judge.certificates import NOW

CLAIM = Claim("ID-01", "pods that are up", "2 pods", ("ev-1", "ev-2", "ev-1"), "the guide is content")
A, B = ObjectRef("Pod", "a"), ObjectRef("Pod", "b")
DOWN, UNREAD, OLD = Problem(A, "is down"), Problem(B, "the suite could not read it"), Problem(B, "is old")
KEPT = Measure("failed requests", 0, at_most=0)
BROKEN = Measure("failed requests", 2, at_most=0)
COUNTED = Measure("requests", 5123)
KNOWN = next(iter(CAUSES))


def common(finding: Finding) -> None:
    """What each answer to the claim keeps of it."""
    assert (finding.requirement, finding.where) == ("ID-01", "2 pods")
    assert finding.evidence == ("ev-1", "ev-2")
    assert finding.guide_says == "the guide is content"


def test_with_nothing_wrong_and_nothing_unclear_it_holds() -> None:
    held = [Remark(A, "is up"), Remark(B, "is up")]
    finding = CLAIM.judged(held=held, left_out=[Remark(B, "is new")], notes=[OLD], measures=[KEPT, COUNTED], settle="wait")
    common(finding)
    assert finding.holds is Holds.YES
    assert finding.expected == "pods that are up"
    assert (finding.held, finding.notes, finding.measures) == (tuple(held), (OLD,), (KEPT, COUNTED))
    assert finding.left_out == (Remark(B, "is new"),)
    assert finding.settle == ""
    assert finding.seen == "Pod a, Pod b: is up"
    assert CLAIM.judged([], "both are up", held=held).seen == "both are up"


def test_a_problem_outweighs_what_is_unclear() -> None:
    finding = CLAIM.judged([DOWN], "both are up", unclear=[UNREAD], notes=[OLD], settle="grant the right")
    common(finding)
    assert finding.holds is Holds.NO
    assert (finding.problems, finding.unclear, finding.notes) == ((DOWN,), (UNREAD,), (OLD,))
    assert (finding.confirmed, finding.settle) == ("", "")
    assert finding.seen == "Pod a: is down; Pod b: the suite could not read it"


def test_what_is_unclear_outweighs_what_was_confirmed() -> None:
    finding = CLAIM.judged([], "both are up", held=[Remark(A, "is up")], unclear=[UNREAD], settle="grant the right")
    common(finding)
    assert finding.holds is Holds.UNKNOWN
    assert (finding.confirmed, finding.settle) == ("", "grant the right")
    assert finding.seen == "Pod b: the suite could not read it"


WORDS = st.text(min_size=1).filter(lambda text: not hides_a_value(text))
"""What may be said without a value that was taken out, which would make it an open point."""

PROBLEMS = st.lists(st.builds(Problem, st.sampled_from([A, B]), WORDS, st.sampled_from(["", KNOWN])), max_size=3)
MEASURES = st.lists(
    st.builds(Measure, st.just("lost"), st.integers(0, 3), st.just(""), st.sampled_from([None, 1])), max_size=3
)


@given(PROBLEMS, PROBLEMS, PROBLEMS, MEASURES, WORDS)
def test_no_goes_before_unknown_and_unknown_before_yes(
    problems: list[Problem], unclear: list[Problem], notes: list[Problem], measures: list[Measure], confirmed: str
) -> None:
    finding = CLAIM.judged(problems, confirmed, unclear=unclear, notes=notes, measures=measures, settle="wait")
    beyond = [m for m in measures if not m.is_kept]
    expected = Holds.NO if problems or beyond else Holds.UNKNOWN if unclear else Holds.YES
    assert finding.holds is expected
    assert set(problems) <= set(finding.problems)
    assert finding.unclear == tuple(dict.fromkeys(unclear))
    assert finding.measures == tuple(measures)
    assert bool(finding.settle) is (expected is Holds.UNKNOWN)


def test_a_number_beyond_its_budget_is_a_problem_of_the_whole() -> None:
    finding = CLAIM.judged([DOWN], "all were answered", measures=[KEPT, BROKEN, COUNTED])
    assert finding.problems == (DOWN, Problem(place("2 pods"), "failed requests: 2 (at most 0)"))
    alone = CLAIM.judged([], "all were answered", measures=[BROKEN])
    assert alone.holds is Holds.NO
    assert alone.seen == "failed requests: 2 (at most 0)"
    assert CLAIM.judged([], "all were answered", measures=[KEPT, COUNTED]).holds is Holds.YES
    assert CLAIM.judged([], measures=[Measure("rotations", 2, at_least=3)]).holds is Holds.NO


def test_what_is_said_twice_is_kept_once() -> None:
    finding = CLAIM.judged([DOWN, OLD, DOWN], unclear=[UNREAD, UNREAD])
    assert (finding.problems, finding.unclear) == ((DOWN, OLD), (UNREAD,))


@pytest.mark.parametrize("where", ["problems", "unclear", "notes"])
def test_a_cause_that_does_not_exist_is_refused_wherever_it_is_named(where: str) -> None:
    near = KNOWN[:-1]
    named: dict[str, Any] = {where: [Problem(A, "is down", near)]}
    with pytest.raises(LookupError, match=f"no cause '{near}' in judge/explain/causes; did you mean '{KNOWN}'"):
        CLAIM.judged(**named)
    named[where] = [Problem(A, "is down", KNOWN)]
    assert CLAIM.judged(**named).showing(KNOWN) == tuple(named[where])


def test_a_reading_that_could_not_be_made_is_unknown_with_what_it_says_of_itself() -> None:
    error = CouldNotTell(expected="an answer", seen="status 403", where="port 15000", remedy="grant the right")
    finding = CLAIM.unknown(error)
    assert finding.holds is Holds.UNKNOWN
    assert (finding.expected, finding.where, finding.settle) == ("an answer", "port 15000", "grant the right")
    assert finding.seen == "status 403"
    assert finding.evidence == ("ev-1", "ev-2")
    assert finding.guide_says == "the guide is content"
    assert Claim("ID-01", "pods", "2 pods").unknown(error).evidence == ()


def test_what_does_not_apply_has_its_condition_and_evidence() -> None:
    condition = "no pod with a sidecar runs in the mesh"
    finding = CLAIM.not_applicable(condition)
    inapplicable(finding, "ID-01", "ev-1", "ev-2")
    common(finding)
    assert finding.seen == condition
    with pytest.raises(ValueError, match="needs evidence"):
        Claim("ID-01", "pods", "2 pods").not_applicable(condition)


def test_nothing_holds_without_evidence() -> None:
    bare = Claim("ID-01", "pods", "2 pods")
    with pytest.raises(ValueError, match="needs evidence"):
        bare.judged([], "both are up")
    assert bare.judged([DOWN]).holds is Holds.NO


def test_evidence_is_read_once_and_may_come_from_anywhere() -> None:
    assert Claim("ID-01", "pods", "2 pods", (e for e in ("ev-2", "ev-1", "ev-2"))).judged([], "up").evidence == (
        "ev-2",
        "ev-1",
    )


def test_a_problem_stands_on_the_readings_of_its_subject() -> None:
    pod = make.pod()
    assert problem(pod, "is down", KNOWN) == Problem(pod.ref, "is down", KNOWN, pod.evidence)
    assert CLAIM.problem("is empty", KNOWN, ("ev-3",)) == Problem(ObjectRef("", "2 pods"), "is empty", KNOWN, ("ev-3",))


def test_what_is_so_of_a_subject_with_a_problem_is_not_confirmed() -> None:
    of_a, of_b = Remark(A, "has a certificate"), Remark(B, "has a certificate")
    assert confirmed_of([of_a, of_b], [Problem(ObjectRef("Pod", "a", uid="1"), "is down")]) == [of_b]
    assert confirmed_of([of_a, of_b], []) == [of_a, of_b]


@given(st.lists(st.text(min_size=1)))
def test_things_are_listed_sorted_and_once(things: list[str]) -> None:
    assert listed(things) == (", ".join(sorted(set(things))) or "none")
    assert listed([*things, *things]) == listed(things)
    assert listed([], "no pod") == "no pod"


# Numbers and lists.


@given(seconds=st.integers(-1000, 1000), budget=st.none() | st.integers(0, 1000))
def test_a_time_until_something_is_never_negative_and_none_where_it_never_came(seconds: int, budget: int | None) -> None:
    (measure,) = time_until("time", NOW, NOW + timedelta(seconds=seconds), budget)
    assert (measure.name, measure.value, measure.unit, measure.at_most) == ("time", max(0, seconds), "s", budget)
    assert time_until("time", NOW, None, budget) == []


@given(times=st.lists(st.floats(0, 1000)))
def test_the_longest_of_some_times(times: list[float]) -> None:
    assert [m.value for m in longest("time", times, 5)] == sorted(times)[-1:]
    assert all((m.name, m.unit, m.at_most) == ("time", "s", 5) for m in longest("time", times, 5))


def test_statements_are_told_where_they_are_true() -> None:
    assert true_ones({"one": True, "two": 0, "three": {"it"}, "four": "", "five": False}) == ["one", "three"]


HIDDEN = Problem(B, "it allows [redacted], and not tbot:tbot", KNOWN, ("ev-2",))
STANDS_FOR = "[redacted] stands for a value that looks like a secret, so the suite could not compare it"


def test_a_value_that_was_taken_out_is_not_compared() -> None:
    finding = CLAIM.judged([HIDDEN], settle="")
    common(finding)
    assert finding.holds is Holds.UNKNOWN
    assert finding.problems == ()
    assert finding.unclear == (Problem(B, f"{HIDDEN.said}; {STANDS_FOR}", "", ("ev-2",)),)
    assert "read the value by hand" in finding.settle
    assert finding.seen == f"Pod b: {HIDDEN.said}; {STANDS_FOR}"


def test_two_values_that_were_taken_out_are_not_equal_either() -> None:
    of_one = CLAIM.judged(held=[Remark(A, "both say [redacted]"), Remark(B, "is up")])
    assert (of_one.holds, of_one.held) == (Holds.UNKNOWN, (Remark(B, "is up"),))
    assert of_one.seen == f"Pod a: both say [redacted]; {STANDS_FOR}"
    of_all = CLAIM.judged([], "all say [redacted]")
    assert (of_all.holds, of_all.seen) == (Holds.UNKNOWN, f"all say [redacted]; {STANDS_FOR}")


def test_a_value_that_was_taken_out_hides_no_other_problem() -> None:
    finding = CLAIM.judged([DOWN, HIDDEN], unclear=[UNREAD], settle="grant the right")
    assert finding.holds is Holds.NO
    assert (finding.problems, finding.unclear[0]) == ((DOWN,), UNREAD)
    assert finding.settle == ""
    assert CLAIM.judged([HIDDEN], unclear=[UNREAD], settle="grant the right").settle == "grant the right"


def test_words_that_are_told_leave_nothing_open() -> None:
    told = Problem(A, f"is down: {prose('cannot log in with password [redacted]')}")
    assert CLAIM.judged([told]).problems == (told,)
    assert CLAIM.judged(held=[Remark(A, prose("said [redacted]"))]).holds is Holds.YES
