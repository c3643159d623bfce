"""Patterns of subjects in waivers."""

from __future__ import annotations

import pytest

from facts.evidence import ObjectRef
from facts.finding import Finding, Holds, Problem
from judge.waivers import Waiver, is_of, not_accepted

POD, NODE = ObjectRef("Pod", "cart-7d-x", "shop"), ObjectRef("Node", "node-1")
PLACE = ObjectRef("", "nodes node-1, node-2")


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        ("Pod shop/cart-7d-x", POD),
        ("Pod shop/cart-*", POD),
        ("shop/cart-??-x", POD),
        ("Pod *", POD),
        ("*/cart-*", POD),
        ("Node node-1", NODE),
        ("node-?", NODE),
        ("nodes node-1, node-2", PLACE),
        ("*", PLACE),
    ],
)
def test_a_pattern_fits_the_subject_with_or_without_its_kind(pattern: str, subject: ObjectRef) -> None:
    assert is_of(pattern, subject)


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        ("Deployment shop/cart-*", POD),
        ("cart-7d-x", POD),
        ("shop/cart", POD),
        ("SHOP/cart-*", POD),
        ("pod shop/cart-*", POD),
        ("Pod node-1", NODE),
        ("node-1", PLACE),
        ("", PLACE),
    ],
)
def test_a_pattern_fits_nothing_else(pattern: str, subject: ObjectRef) -> None:
    assert not is_of(pattern, subject)


def test_a_waiver_tells_what_it_covers_and_what_of_it_is_idle() -> None:
    problems = tuple(Problem(subject, "is wrong") for subject in (POD, NODE, POD))
    found = (Finding("A-1", Holds.NO, "e", "w", problems=problems, evidence=("ev-1",)),)
    some = Waiver("A-1", "o", "j", subjects=("shop/*", "Pod other/*"))
    assert (some.covered_in(found), some.idle_in(found)) == (("Pod shop/cart-7d-x",), ("Pod other/*",))
    whole = Waiver("A-1", "o", "j")
    assert (whole.covered_in(found), whole.idle_in(found)) == (("Pod shop/cart-7d-x", "Node node-1"), ())
    assert not_accepted(problems, [some]) == (problems[1],)
    assert not_accepted(problems, [some, whole]) == ()
    assert not_accepted(problems, []) == problems


def test_a_problem_of_several_objects_is_accepted_where_waivers_cover_each_of_them() -> None:
    other = ObjectRef("Pod", "bank-1", "bank")
    both = Problem(POD, "refuse", alike=(POD, other))
    found = [Finding("A-1", Holds.NO, "e", "w", problems=(both,), evidence=("ev-1",))]
    shop, bank = (Waiver("A-1", "o", "j", subjects=(pattern,)) for pattern in ("shop/*", "bank/*"))
    (left,) = not_accepted([both], [shop])
    assert (left.subject, left.subjects, left.said) == (other, (other,), "refuse"), "it names one that is not covered"
    assert not_accepted([both], [shop, bank]) == ()
    assert bank.covered_in(found) == ("Pod bank/bank-1",)
    assert bank.idle_in(found) == ()
