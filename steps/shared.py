"""Fixtures that several step modules share: requirement, conclusion and clean-up of a scenario, trials and their loads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

import pytest
from pytest_bdd.parser import Scenario

from checks import application as checks
from facts.errors import CouldNotTell
from facts.finding import Finding, Holds, Violated
from facts.kubernetes.objects import Pod
from facts.recorder import Recorder
from judge.traffic.exchanges import Pair
from judge.traffic.load import Traffic
from observe.guide.application import ApplicationFacet
from observe.install import Install
from observe.traffic.load import PlannedLoad
from observe.wait import Pace
from provision.disruption.lifetimes import Lifetimes
from provision.disruption.machines import Machines
from provision.disruption.outages import Outages
from provision.disruption.trial import Trial, trial_of
from provision.pods.clients_and_servers import TestPod, TestPods
from provision.pods.conversations import Conversations
from provision.target import Target
from settings import Settings

SCENARIO = pytest.StashKey[str]()

READ_THE_EVIDENCE = "read the evidence that the report lists with this requirement, and run again"
"""The next step where a finding does not say what would settle it."""

Gather = Callable[[Iterable[TestPod]], TestPods]
"""Makes test pods from their declarations; the caller removes them."""

Lend = Callable[[], AbstractContextManager[None]]
"""Lets the doctor take the run's Lease, or see that no run has it, while the suite waits for its answer."""

BeginTrial = Callable[[Sequence[Pod], Sequence[PlannedLoad], Sequence[Lifetimes]], Trial]
"""Begins a trial of these pods, these loads between them, and these lifetimes of their certificates."""


def pytest_bdd_before_scenario(request: pytest.FixtureRequest, scenario: Scenario) -> None:
    """Keep the name of the scenario as the title of its timeline."""
    request.node.stash[SCENARIO] = scenario.name


class Conclude(Protocol):
    """The end of a Then: records all findings, and fails at the first one that does not hold."""

    def __call__(self, *findings: Finding) -> None:
        """Record the findings.

        Raises:
            Violated: The first finding that does not hold says no.
            CouldNotTell: It says that this could not be determined.
        """


@pytest.fixture
def conclude(recorder: Recorder) -> Conclude:
    """Conclusion of the scenario's steps."""

    def concluded(*findings: Finding) -> None:
        for finding in findings:
            recorder.conclude(finding)
        _fail_at_first(findings)

    return concluded


@pytest.fixture
def requirement(request: pytest.FixtureRequest) -> str:
    """Id of the scenario's requirement, for step functions that several requirements use."""
    return str(request.node.get_closest_marker("requirement").kwargs["id"])


@pytest.fixture
def test_application(install: Install, requirement: str) -> ApplicationFacet:
    """The test application of the install.

    Raises:
        NotApplicable: The suite did not make the install, and it has none.
    """
    return checks.test_application(install, requirement)


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    """Actions that the suite takes at the end of the scenario, last one first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def begin_trial(request: pytest.FixtureRequest, install: Install) -> Iterator[BeginTrial]:
    """Beginning of trials, which end with the scenario."""
    with ExitStack() as stack:
        title, cluster = request.node.stash[SCENARIO], install.cluster.reader
        yield lambda pods, planned, lifetimes: stack.enter_context(trial_of(title, cluster, pods, planned, lifetimes))


def outages_of(target: Target, install: Install, settings: Settings, machines: Callable[[], Machines]) -> Outages:
    """Return the outages of an install.

    Args:
        target: Write access to the cluster.
        settings: Settings, for the patience with what stops or starts.
        machines: Returns the machines that the suite made.
    """
    return Outages(
        target.objects,
        target.originals,
        install.cluster.reader,
        tbot=install.tbot.installed(),
        istiod=install.istio.mesh().istiod,
        machines=machines,
        pace=Pace(settings.patience.rollout),
    )


@pytest.fixture
def conversations(test_pods: TestPods, install: Install) -> Conversations:
    """Conversations of the scenario's test pods."""
    return Conversations(test_pods, install.cluster.reader, install.teleport.ping().cluster_name)


@pytest.fixture
def traffic(trial: Trial, install: Install) -> tuple[Traffic, ...]:
    """The loads of the trial after their end, each with its client and server."""
    name = install.teleport.ping().cluster_name
    return tuple(
        Traffic(Pair(r.wanted.client, r.wanted.server, name), load)
        for r, load in zip(trial.running, trial.end(), strict=True)
    )


def _fail_at_first(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.holds is Holds.NO:
            raise Violated(finding)
        if finding.holds is Holds.UNKNOWN:
            raise CouldNotTell(
                expected=finding.expected,
                seen=finding.seen,
                where=f"looked at {finding.where}",
                remedy=finding.settle or READ_THE_EVIDENCE,
            )
