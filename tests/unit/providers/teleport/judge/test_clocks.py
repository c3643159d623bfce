"""The clocks of nodes beside the one of this machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from facts.finding import OpenPoint, Problem
from facts.kubernetes.objects import Node
from providers.teleport.facts.tbot_log import Validity
from providers.teleport.judge.clocks import misjudges, off
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW
from tests.unit.judge.diagnosis.told import named


def reporting(name: str, **ago: float) -> Node:
    """A node whose kubelet reported some time ago, by its clock."""
    return replace(make.node(name), heartbeat=f"{NOW - timedelta(**ago):%Y-%m-%dT%H:%M:%SZ}")


SOUND = reporting("sound", minutes=4)


def problems(*nodes: Node) -> list[tuple[str, str]]:
    return named([each for each in off(nodes, NOW) if isinstance(each, Problem)])


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (reporting("n", minutes=-11, seconds=-1), "at least 661 s ahead"),
        (reporting("n", hours=-2), "at least 7200 s ahead"),
        (reporting("n", minutes=19, seconds=1), "at least 241 s behind, though the node is Ready"),
        (reporting("n", hours=2), "at least 6300 s behind"),
    ],
)
def test_a_clock_that_is_off_beside_one_that_agrees(node: Node, words: str) -> None:
    (found,) = off([SOUND, node], NOW)
    assert isinstance(found, Problem)
    assert named([found]) == [("Node n", "node-clock-off")]
    assert words in found.said
    assert found.evidence == ("ev-n",)


@pytest.mark.parametrize(
    "node",
    [
        reporting("n", seconds=-31),
        reporting("n", minutes=-11),
        reporting("n", minutes=15, seconds=1),
        reporting("n", minutes=19),
    ],
)
def test_reports_that_a_wrong_clock_of_this_machine_would_spread_as_well_name_no_node(node: Node) -> None:
    """Beside one of 4 minutes ago, which a clock of this machine that is off by less hides."""
    (left,) = off([SOUND, node], NOW)
    assert isinstance(left, OpenPoint)
    assert "Node n" in left.about.said
    far = reporting("far", hours=-1)
    first, second = off([SOUND, node, far], NOW)
    assert isinstance(first, Problem)
    assert named([first]) == [("Node far", "node-clock-off")]
    assert isinstance(second, OpenPoint)
    assert "far" not in second.about.said


@pytest.mark.parametrize(
    "node",
    [
        reporting("n", seconds=-30),
        reporting("n", seconds=5),
        reporting("n", minutes=15),
        replace(reporting("n", hours=-2), ready=False),
        make.node("n"),
        replace(make.node("n"), heartbeat="yesterday"),
    ],
    ids=["a little ahead", "just now", "long ago", "not Ready", "never", "damaged"],
)
def test_a_clock_that_agrees_or_of_which_nothing_is_known(node: Node) -> None:
    assert off([SOUND, node], NOW) == []
    assert off([node], NOW) == []


@pytest.mark.parametrize("nodes", [1, 2])
def test_where_every_clock_differs_it_may_be_the_one_of_this_machine(nodes: int) -> None:
    (left,) = off([reporting(f"n-{at}", hours=-1) for at in range(nodes)], NOW)
    assert isinstance(left, OpenPoint)
    assert (left.about.cause, "at least 3600 s ahead" in left.about.said) == ("", True)
    assert all(f"n-{at}" in left.about.said for at in range(nodes))
    assert "date -u" in left.settle
    assert left.about.evidence == tuple(f"ev-n-{at}" for at in range(nodes))


def test_one_node_that_is_off_of_three_is_named_alone() -> None:
    assert problems(SOUND, reporting("a", hours=-1), reporting("b", minutes=1)) == [("Node a", "node-clock-off")]


def test_a_node_that_is_near_to_one_that_agrees_and_far_from_another_stays_open() -> None:
    near, far = reporting("near", seconds=5), reporting("far", minutes=15)
    (left,) = off([near, far, reporting("n", minutes=-10)], NOW)
    assert isinstance(left, OpenPoint)


@pytest.mark.parametrize(
    ("bound", "is_over", "is_wrong"),
    [
        (timedelta(seconds=31), True, True),
        (timedelta(seconds=30), True, False),
        (timedelta(days=-1), True, False),
        (timedelta(minutes=-10, seconds=-1), False, True),
        (timedelta(minutes=-10), False, False),
        (timedelta(days=1), False, False),
    ],
)
def test_a_certificate_that_a_node_misjudges(bound: timedelta, *, is_over: bool, is_wrong: bool) -> None:
    assert misjudges(Validity(NOW + bound, is_over), NOW) is is_wrong
