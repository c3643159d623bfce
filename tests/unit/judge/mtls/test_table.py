"""What a mesh's owner declares."""

from __future__ import annotations

import pytest

from judge.mtls.prediction import Unpredictable
from judge.mtls.table import NOTHING_DECLARED, Meant, Table, counted

NAMESPACES = {"a", "b", "c", "d"}


def test_ways_into_an_island_and_out_of_it_are_closed() -> None:
    meant = Meant.of([["a", "b"]], [], NAMESPACES)
    assert meant.closed == {(x, y) for inner in "ab" for outer in "cd" for x, y in ((inner, outer), (outer, inner))}
    assert (meant.plain, meant.unknown) == (frozenset(), ())


def test_islands_are_closed_to_each_other() -> None:
    meant = Meant.of([["a"], ["b"]], [], NAMESPACES)
    assert {("a", "b"), ("b", "a")} <= meant.closed
    assert not {("c", "d"), ("a", "a")} & meant.closed


def test_a_namespace_that_is_not_there_closes_nothing_that_is() -> None:
    meant = Meant.of([["z"]], ["y", "a"], NAMESPACES)
    assert {("c", "d"), ("a", "b")}.isdisjoint(meant.closed)
    assert meant.unknown == ("y", "z")
    assert meant.plain == {"y", "a"}


def test_nothing_is_declared_by_default() -> None:
    assert Meant.of([], [], NAMESPACES) == NOTHING_DECLARED


def test_a_number_of_ways() -> None:
    assert [counted(number) for number in (0, 1, 2)] == ["0 ways", "1 way", "2 ways"]


@pytest.mark.parametrize("kind", Unpredictable)
def test_ways_that_end_at_no_proxy_of_the_mesh_leave_nothing_undecided(kind: Unpredictable) -> None:
    no_server = {"PASSTHROUGH", "NO_POD", "NO_PROXY", "NO_LISTENER", "OTHER_TLS"}
    assert Table((), (), {kind: 2}).undecided == (0 if kind.name in no_server else 2)
