"""Steps of features/5_rotation: a rotation of Teleport's SPIFFE authority (ROT-04), and one ended early (ROT-08)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from pytest_bdd import given, parsers, then, when

from facts.over_time.ca_rotation import STANDBY, PhaseExpectation
from facts.recorder import Recorder
from judge.rotation import ca_rotation as judge
from judge.rotation import premature_end as early_judge
from judge.rotation.premature_end import Early
from judge.traffic.load import Traffic
from observe.install import Install
from observe.wait import Pace
from provision.disruption.absence import Absence, needs_a_second_node
from provision.disruption.ca import Rotation
from provision.disruption.ca_course import Course
from provision.disruption.trial import Trial
from provision.target import Target
from settings import Settings
from steps.shared import Conclude


@pytest.fixture
def rotation(install: Install, settings: Settings, recorder: Recorder) -> Iterator[Rotation]:
    """A rotation, which has ended when the scenario has, however that ends."""
    made = Rotation(install.teleport.session(), install.cluster.reader, recorder, Pace(settings.patience.rollout))
    yield made
    try:
        made.end()
    finally:
        install.authority_changed()


@pytest.fixture
def absence(target: Target, install: Install, settings: Settings, rotation: Rotation) -> Iterator[Absence]:  # noqa: ARG001
    """tbot, which is back on every node before the rotation is ended, which all have to follow."""
    made = Absence(target.objects, install.cluster.reader, install.tbot.installed(), Pace(settings.patience.rollout))
    yield made
    made.end()


def _plan(table: Sequence[Sequence[str]]) -> list[PhaseExpectation]:
    _title, *rows = table
    return [PhaseExpectation(phase, tuple(trusted.split(" and ")), signs) for phase, trusted, signs in rows]


@given("an admin session of Teleport, which rotates nothing")
def possible(rotation: Rotation) -> None:
    rotation.must_be_possible()


@given("Teleport's SPIFFE authority is in standby, and every proxy trusts it alone", target_fixture="course")
def in_standby(rotation: Rotation, install: Install, trial: Trial) -> Course:
    return Course(rotation, install, trial)


@given("everybody has followed it to this phase:")
def prelude(datatable: list[list[str]], course: Course) -> None:
    course.must_enter(_plan(datatable))


@when("it enters these phases, each as soon as every proxy has followed the one before:")
def phases(datatable: list[list[str]], course: Course) -> None:
    course.enter(_plan(datatable))


@then(
    parsers.parse(
        "each phase must have been followed by Teleport's bundle and by every proxy,"
        " within one renewal interval plus {spare:d} s"
    )
)
def followed(spare: int, requirement: str, course: Course, trial: Trial, conclude: Conclude) -> None:
    found = judge.each_phase_was_followed(requirement, course.stages, course.plan, trial.slowest_renewal, spare)
    conclude(found)


@then("each server must have been shown certificates of each authority in turn")
def shown(requirement: str, traffic: tuple[Traffic, ...], trial: Trial, course: Course, conclude: Conclude) -> None:
    conclude(judge.peers_saw_the_change(requirement, traffic, trial.histories, course.generations))


# An early end.


@given("an installation of this run's own, with a second node that takes workloads")
def own_installation(target: Target, install: Install) -> None:
    target.scene()
    needs_a_second_node(install.cluster.workload_nodes())


@when(parsers.parse("tbot is kept off the node of {name}"), target_fixture="deserted")
def kept_off(name: str, trial: Trial, absence: Absence) -> str:
    node = trial.node_of(name)
    with trial.watch.acting(f"tbot is kept off {node}"):
        absence.begin(node)
    return node


@when("the authority enters these phases, each as soon as every proxy on other nodes has followed:")
def early_phases(datatable: list[list[str]], course: Course, deserted: str) -> None:
    course.must_enter(_plan(datatable), but_on=deserted)


@when("tbot is let back, and every proxy follows", target_fixture="early")
def let_back(trial: Trial, absence: Absence, rotation: Rotation, course: Course, deserted: str) -> Early:
    back = datetime.now(UTC)
    with trial.watch.acting("tbot is let back"):
        absence.end()
    rotation.end()
    return Early(deserted, course.entered(STANDBY), back)


@then("what ROT-04 goes by must have found every proxy on that node behind, and no other, in each phase since tbot had left")
def foreseen(requirement: str, course: Course, deserted: str, conclude: Conclude) -> None:
    _everybody_followed, *stages = course.stages
    conclude(early_judge.it_is_foreseen(requirement, stages, deserted))


@then(
    parsers.parse(
        "requests to and from that node must have failed from standby until at most {seconds:d} s after tbot's return,"
        " and no others"
    )
)
def costs(seconds: int, requirement: str, traffic: tuple[Traffic, ...], early: Early, conclude: Conclude) -> None:
    conclude(early_judge.it_costs_requests(requirement, traffic, early, seconds))
