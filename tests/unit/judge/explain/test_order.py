"""Causes in order: what explains others first, and what it explains under it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from judge.explain.cause import CAUSES, Explains, in_a_circle, reachable
from judge.explain.order import About, Explained
from judge.explain.order import explained as sorted_out_by

CHAIN = {"frozen": ["expired"], "expired": ["refused"], "refused": [], "apart": []}


def equal(_place: int) -> int:
    return 0


HERE = About({"here"}, {"here"})


def explained(
    found: Sequence[Collection[str]],
    explains: Explains,
    weight: Callable[[int], int],
    about: Sequence[Sequence[About]] | None = None,
) -> Explained:
    """Sorted out, where everything is about the same object unless a test says otherwise."""
    return sorted_out_by(found, explains, weight, about or [[HERE] for _ in found])


def roots(*found: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [found[place] for place in explained(found, CHAIN, equal).roots]


def test_an_effect_is_no_cause_beside_its_cause_whatever_the_order() -> None:
    assert roots(("frozen",), ("refused",)) == roots(("refused",), ("frozen",)) == [("frozen",)]


def test_what_explains_over_a_cause_that_was_not_found_explains_all_the_same() -> None:
    sorted_out = explained([("refused",), ("frozen",)], CHAIN, equal)
    assert sorted_out.effects == {1: (0,)}


def test_an_effect_without_its_cause_is_a_cause() -> None:
    assert roots(("refused",), ("apart",)) == [("refused",), ("apart",)]


def test_the_one_that_explains_most_is_first_and_harm_before_risk() -> None:
    assert roots(("apart",), ("frozen",), ("expired",)) == [("frozen",), ("apart",)]
    weighed = explained([("apart",), ("frozen",), ("expired",)], CHAIN, lambda place: [0, 1, 1][place])
    assert weighed.roots == (0, 1)


def test_a_root_weighs_what_its_heaviest_effect_weighs() -> None:
    weighed = explained([("apart",), ("frozen",), ("refused",)], CHAIN, lambda place: [1, 1, 0][place])
    assert weighed.roots == (1, 0)


def test_a_class_is_an_effect_only_where_each_of_its_members_is() -> None:
    assert roots(("expired",), ("refused", "apart")) == [("expired",), ("refused", "apart")]
    assert roots(("frozen",), ("refused", "expired")) == [("frozen",)]


def test_any_member_of_a_class_explains_for_all_of_it() -> None:
    assert roots(("frozen", "apart"), ("refused",)) == [("frozen", "apart")]


def test_two_classes_that_explain_each_other_are_both_causes() -> None:
    mutual = {"a": ["c", "d"], "b": [], "c": [], "d": ["a", "b"]}
    found = [("a", "b"), ("c", "d")]
    assert [found[place] for place in explained(found, mutual, equal).roots] == found


def test_causes_explain_nothing_in_a_circle_and_only_what_there_is() -> None:
    relation = {cause.id: cause.explains for cause in CAUSES.values()}
    assert in_a_circle(relation) == ()
    assert reachable(relation, relation) <= {*CAUSES}


def test_a_circle_is_found() -> None:
    assert in_a_circle({"a": ["b"], "b": ["a"], "c": ["a"]}) == ("a", "b")


NAMES = [f"c{number}" for number in range(9)]


@st.composite
def relations(draw: st.DrawFn) -> dict[str, list[str]]:
    """Relations without a circle: each cause may explain only later ones."""
    return {
        name: draw(st.lists(st.sampled_from(NAMES[at + 1 :]), max_size=3, unique=True)) if at + 1 < len(NAMES) else []
        for at, name in enumerate(NAMES)
    }


FOUND = st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True).map(tuple), min_size=1, max_size=7)


@given(relations(), FOUND)
def test_everything_that_was_found_is_a_root_or_an_effect_of_one(
    relation: dict[str, list[str]], found: list[tuple[str, ...]]
) -> None:
    sorted_out = explained(found, relation, equal)
    effects = {place for each in sorted_out.effects.values() for place in each}
    assert {*sorted_out.roots} | effects == {*range(len(found))}
    assert not {*sorted_out.roots} & effects
    assert sorted_out == explained(found, relation, equal)


REALMS = st.frozensets(st.sampled_from(["pod", "other-pod", "node", "other-node"]), min_size=1)
ABOUT = st.lists(st.lists(st.builds(About, REALMS, REALMS), min_size=1, max_size=3), min_size=7, max_size=7)


@given(relations(), FOUND, ABOUT)
def test_no_object_is_an_effect_that_nothing_found_reaches(
    relation: dict[str, list[str]], found: list[tuple[str, ...]], about: list[list[About]]
) -> None:
    about = about[: len(found)]
    sorted_out = explained(found, relation, equal, about)
    for place, of_each in enumerate(sorted_out.under):
        for each, above in zip(about[place], of_each, strict=True):
            over = [
                there
                for other, ids in enumerate(found)
                if other != place and {*found[place]} <= reachable(ids, relation)
                for there in about[other]
                if not {*there.reaches}.isdisjoint(each.lies_in)
            ]
            assert bool(above) == bool(over)
            assert above <= {*sorted_out.roots}
    assert {*sorted_out.roots} == {place for place, of_each in enumerate(sorted_out.under) if not all(of_each)}


def test_one_found_may_be_an_effect_here_and_a_cause_there() -> None:
    there = About({"there"}, {"there"})
    sorted_out = explained([("refused",), ("frozen",)], CHAIN, equal, [[HERE, there], [HERE]])
    assert (sorted_out.roots, sorted_out.effects) == ((1, 0), {0: (), 1: (0,)})
    assert sorted_out.under[0] == (frozenset({1}), frozenset())


@given(relations(), FOUND, st.randoms(use_true_random=False))
def test_the_roots_do_not_depend_on_the_order_in_which_causes_were_found(
    relation: dict[str, list[str]], found: list[tuple[str, ...]], random: Random
) -> None:
    turned = random.sample(found, len(found))
    again = explained(turned, relation, equal)
    once = explained(found, relation, equal)
    assert sorted(turned[place] for place in again.roots) == sorted(found[place] for place in once.roots)
