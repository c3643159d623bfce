"""Sentences of ``features/5_rotation``: a rotation of Teleport's SPIFFE authority (ROT-04), and one ended early (ROT-08)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from pytest_bdd import given, parsers, then, when

from facts.errors import CouldNotTell
from facts.evidence import Recorder
from facts.over_time.ca_rotation import STANDBY, Generations, PhaseExpectation, Stage
from facts.proxies.identity import Fleet
from judge.rotation import ca_rotation as judge
from judge.rotation import premature_end as early_judge
from judge.rotation.premature_end import Early
from judge.traffic.load import Traffic
from observe.install import Install
from observe.proxies.envoy import read_fleet
from observe.wait import Pace
from provision.disruption.absence import Absence
from provision.disruption.ca import Rotation
from provision.target import Target
from settings import Settings
from steps.shared import Conclude
from steps.trial import TOO_LATE, Trial


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


class Course:
    """The course of one rotation.

    Attributes:
        plan: The phases that were to be entered.
        stages: Those that were.
        generations: The authorities, as far as they are known.
    """

    def __init__(self, rotation: Rotation, install: Install, trial: Trial) -> None:
        self._rotation = rotation
        self._install = install
        self._trial = trial
        self.plan: list[PhaseExpectation] = []
        self.stages: list[Stage] = []
        pods = (*install.proxies.pods_on_sockets(), *trial.pods)
        self.generations: Generations = rotation.begin([pod.uid for pod in pods])

    def enter(self, plan: Sequence[PhaseExpectation], *, but_on: str = "") -> bool:
        """Enters phases, each as soon as every proxy has followed the one before; goes no further than that.

        Args:
            plan: The phases.
            but_on: A node whose proxies are not waited for.

        Returns:
            Whether the last one was followed as well.
        """
        self.plan += plan
        for wanted in plan:
            entered = datetime.now(UTC)
            with self._trial.watch.acting(f"the authority enters {wanted.phase}"):
                self._rotation.enter(wanted.phase)
            if not self._follow(wanted, entered, but_on):
                return False
        return True

    def must_enter(self, plan: Sequence[PhaseExpectation], *, but_on: str = "") -> None:
        """The same, where what comes after it would show nothing.

        Raises:
            CouldNotTell: One of them was not followed.
        """
        if not self.enter(plan, but_on=but_on):
            stage = self.stages[-1]
            raise CouldNotTell(
                expected=f"every proxy that tbot serves to follow {stage.wanted.phase}",
                seen="; ".join(f"{pod} on {pod.node} {lacks}" for pod, lacks in stage.behind),
                where=f"Teleport's SPIFFE authority, in {stage.wanted.phase}",
                remedy="see ROT-04, which is about rotations that nobody hinders",
            )

    def _follow(self, wanted: PhaseExpectation, entered: datetime, but_on: str) -> bool:
        longest = self._trial.slowest_renewal + TOO_LATE
        self.generations = known = self._rotation.published(wanted, self.generations, longest)
        followed = self._rotation.is_followed(wanted, known, longest, but_on=but_on)
        waited = (datetime.now(UTC) - entered).total_seconds()
        if followed:
            what = f"each watched proxy was seen to have followed {wanted.phase}"
            self._trial.await_each(what, lambda p: "" if p.pod.node == but_on else wanted.lacks(p, known), longest)
        self._install.authority_changed()
        status, bundle, fleet = self._install.teleport.status(), self._install.teleport.bundle(), self._fleet()
        stage = Stage(wanted, entered, waited, known, status, bundle, fleet)
        self.stages.append(stage)
        # What the judgment will go by has the last word: nothing is dropped that any of these proxies needs.
        return followed and stage.has_been_followed(but_on=but_on)

    def _fleet(self) -> Fleet:
        """Every proxy of the install that tbot supplies, and those of the trial."""
        installed = self._install.proxies.fleet_on_sockets()
        ours = read_fleet(self._install.cluster.reader, self._trial.pods)
        return Fleet((*installed.proxies, *ours.proxies), (*installed.unread, *ours.unread))


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
    nodes = install.cluster.workload_nodes()
    if len(nodes) < 2:
        raise CouldNotTell(
            expected="two nodes that take workloads, so that tbot can be kept off one of them",
            seen=f"{len(nodes)}: {', '.join(nodes)}",
            where="the cluster's nodes",
            remedy="certify this on two nodes: --nodes 2",
        )


@when(parsers.parse("tbot is kept off the node of {name}"), target_fixture="deserted")
def kept_off(name: str, trial: Trial, absence: Absence) -> str:
    node = next(pod.node for pod in trial.pods if pod.name == name)
    with trial.watch.acting(f"tbot is kept off {node}"):
        absence.begin(node)
    return node


@when("the authority enters these phases, each as soon as every proxy on other nodes has followed:")
def early_phases(datatable: list[list[str]], course: Course, deserted: str) -> None:
    course.must_enter(_plan(datatable), but_on=deserted)


@when("tbot is let back, and every proxy follows", target_fixture="early")
def let_back(trial: Trial, absence: Absence, rotation: Rotation, course: Course, deserted: str) -> Early:
    ended = next(stage.entered for stage in course.stages if stage.wanted.phase == STANDBY)
    back = datetime.now(UTC)
    with trial.watch.acting("tbot is let back"):
        absence.end()
    rotation.end()
    return Early(deserted, ended, back)


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
