"""Steps of features/6_rotation/3_ca_rotation.feature: ROT-04 and ROT-08."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from pytest_bdd import given, parsers, then, when

from facts.recorder import Recorder
from judge.rotation import premature_end as early_judge
from judge.rotation.premature_end import Early
from judge.traffic.load import Traffic
from observe.install import Install
from observe.wait import Pace
from providers.teleport.disruption.ca import Rotation
from providers.teleport.disruption.ca_course import Course
from providers.teleport.facts.ca_rotation import STANDBY, PhaseExpectation
from providers.teleport.judge import ca_rotation as judge
from provision.disruption.absence import Absence, needs_a_second_node
from provision.disruption.trial import Trial
from provision.target import Target
from settings import Settings
from steps.shared import Conclude


@pytest.fixture
def rotation(install: Install, settings: Settings, recorder: Recorder, target: Target) -> Iterator[Rotation]:
    """A rotation, which the suite completes at the end of the scenario in any case."""
    pace = Pace(settings.patience.rollout)
    made = Rotation(install.teleport.session(), install.cluster.reader, recorder, target.originals, pace)
    yield made
    try:
        made.end()
    finally:
        install.authority_changed()


@pytest.fixture
def absence(target: Target, install: Install, settings: Settings, rotation: Rotation) -> Iterator[Absence]:  # noqa: ARG001
    """Absence of tbot from a node, which ends before the suite completes the rotation: every proxy has to follow that."""
    pace = Pace(settings.patience.rollout)
    made = Absence(target.objects, target.originals, install.cluster.reader, install.tbot.installed(), pace)
    yield made
    made.end()


def _plan(table: Sequence[Sequence[str]]) -> list[PhaseExpectation]:
    _title, *rows = table
    return [PhaseExpectation(phase, tuple(trusted.split(" and ")), signs) for phase, trusted, signs in rows]


@given("an admin session at Teleport, and no rotation under way")
def rotation_is_possible(rotation: Rotation) -> None:
    rotation.must_be_possible()


@given("Teleport's SPIFFE authority is in standby, and every proxy trusts only that authority", target_fixture="course")
def in_standby(rotation: Rotation, install: Install, trial: Trial) -> Course:
    return Course(rotation, install, trial)


@given("every proxy has followed Teleport's SPIFFE authority into this phase:")
def phases_before(datatable: list[list[str]], course: Course) -> None:
    course.must_enter(_plan(datatable))


@when("Teleport's SPIFFE authority enters these phases, each after every proxy has followed the one before:")
def enter_phases(datatable: list[list[str]], course: Course) -> None:
    course.enter(_plan(datatable))


@then(
    parsers.parse(
        "Teleport's bundle and every proxy must have followed each phase within one renewal interval plus {spare:d} s"
    )
)
def each_phase_was_followed(spare: int, requirement: str, course: Course, trial: Trial, conclude: Conclude) -> None:
    conclude(judge.each_phase_was_followed(requirement, course.stages, course.plan, trial.slowest_renewal, spare))


@then("each server must have seen certificates of each signing authority in turn")
def peers_saw_the_change(
    requirement: str, traffic: tuple[Traffic, ...], trial: Trial, course: Course, conclude: Conclude
) -> None:
    conclude(judge.peers_saw_the_change(requirement, traffic, trial.histories, course.generations))


# A rotation that ends too early.


@given("an installation that the suite made, with a second node that takes workloads")
def own_installation(target: Target, install: Install) -> None:
    target.scene()
    needs_a_second_node(install.cluster.workload_nodes())


@when(parsers.parse("the suite keeps tbot off the node of {name}"), target_fixture="node_without_tbot")
def keep_tbot_off(name: str, trial: Trial, absence: Absence) -> str:
    node = trial.node_of(name)
    with trial.watch.acting(f"tbot is kept off {node}"):
        absence.begin(node)
    return node


@when("Teleport's SPIFFE authority enters these phases, each after every proxy on the other nodes has followed:")
def enter_phases_without_that_node(datatable: list[list[str]], course: Course, node_without_tbot: str) -> None:
    course.must_enter(_plan(datatable), but_on=node_without_tbot)


@when("the suite lets tbot return, and every proxy follows", target_fixture="early")
def let_tbot_return(trial: Trial, absence: Absence, rotation: Rotation, course: Course, node_without_tbot: str) -> Early:
    back = datetime.now(UTC)
    with trial.watch.acting("tbot returns"):
        absence.end()
    rotation.end()
    return Early(node_without_tbot, course.entered(STANDBY), back)


@then("the check of ROT-04 must have found every proxy on that node behind, and no other, in each phase without tbot")
def check_names_that_node(requirement: str, course: Course, node_without_tbot: str, conclude: Conclude) -> None:
    _followed_by_all, *stages = course.stages
    conclude(early_judge.it_is_foreseen(requirement, stages, node_without_tbot))


@then(
    parsers.parse(
        "exactly the requests to and from that node must have failed,"
        " from standby until at most {seconds:d} s after tbot's return"
    )
)
def requests_of_that_node_failed(
    seconds: int, requirement: str, traffic: tuple[Traffic, ...], early: Early, conclude: Conclude
) -> None:
    conclude(early_judge.it_costs_requests(requirement, traffic, early, seconds))
