"""The course of a rotation of Teleport's SPIFFE authority, phase by phase, while a trial watches proxies and traffic."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from facts.errors import CouldNotTell
from facts.proxies.identity import Fleet
from observe.install import Install
from observe.proxies.survey import read_fleet
from providers.teleport.disruption.ca import Rotation
from providers.teleport.facts.ca_rotation import Generations, PhaseExpectation, Stage
from provision.disruption.trial import TOO_LATE, Trial


class Course:
    """The course of one rotation, during a trial.

    Attributes:
        plan: Phases that the suite meant to enter.
        stages: Phases that it has entered.
        generations: Authorities, as far as they are known.
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
        """Enter phases, each as soon as every proxy has followed the one before; stop where a proxy does not follow.

        Args:
            but_on: Node whose proxies the suite does not wait for.

        Returns:
            True where every proxy has followed the last phase.
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
        """Enter phases as `enter` does, where every proxy must follow.

        Raises:
            CouldNotTell: A proxy did not follow a phase.
        """
        if not self.enter(plan, but_on=but_on):
            stage = self.stages[-1]
            raise CouldNotTell(
                expected=f"every proxy that tbot serves to follow {stage.wanted.phase}",
                seen="; ".join(f"{pod} on {pod.node} {lacks}" for pod, lacks in stage.behind),
                where=f"Teleport's SPIFFE authority, in {stage.wanted.phase}",
                remedy="see ROT-04, which judges an undisturbed rotation",
            )

    def entered(self, phase: str) -> datetime:
        """Return the time at which the suite entered a phase."""
        return next(stage.entered for stage in self.stages if stage.wanted.phase == phase)

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
        # The readings for the judgment decide: the suite drops no authority that one of these proxies needs.
        return followed and stage.has_been_followed(but_on=but_on)

    def _fleet(self) -> Fleet:
        """Read every proxy of the install that tbot supplies, and those of the trial."""
        installed = self._install.proxies.fleet_on_sockets()
        ours = read_fleet(self._install.cluster.reader, self._trial.pods)
        return Fleet((*installed.proxies, *ours.proxies), (*installed.unread, *ours.unread))
