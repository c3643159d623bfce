"""Steps of features/6_resilience/2_nodes.feature: RES-04 to RES-06 and RES-08."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from pytest_bdd import given, parsers, then, when

from facts.over_time.outage import NodeRestart, Relocation, Start
from facts.recorder import Recorder
from judge.resilience import recovery as judge
from observe.install import Install
from observe.wait import Pace
from provision.disruption.machines import Machines, machines_of, needs_a_node_to_spare
from provision.disruption.node_outages import NodeOutages
from provision.disruption.starts import Started, Starts
from provision.disruption.trial import Trial
from provision.pods.clients_and_servers import TestPod, TestPods
from provision.target import Target
from settings import Settings
from steps.shared import SCENARIO, BeginTrial, Conclude, Gather, outages_of

LATE = TestPod("late", "late", namespace="late")
BESIDE = TestPod("beside", "beside", node=1, namespace="late")
"""One that starts where tbot has taken its socket away, and one where a killed tbot has left it."""
HOLDER = TestPod("holder", "holder", node=1, namespace="held")
NEWCOMER = TestPod("newcomer", "newcomer", node=1, namespace="new")


@pytest.fixture(scope="module")
def machines(target: Target, install: Install, settings: Settings, recorder: Recorder) -> Machines:
    """The suite's own machines.

    Raises:
        NotGiven: They are not its own, or there is only one that takes workloads.
    """
    install.tbot.installed()
    found = machines_of(target.objects, recorder, settings.patience.command)
    needs_a_node_to_spare(install.cluster.workload_nodes())
    return found


@pytest.fixture(scope="module")
def node_outages(target: Target, install: Install, settings: Settings, machines: Machines) -> Iterator[NodeOutages]:
    """Outages of one node; when the feature is over, every Envoy that was supplied before is so again."""
    outages = outages_of(target, install, settings, lambda: machines)
    pace = Pace(settings.patience.rollout)
    of_node = NodeOutages(
        target.objects,
        install.cluster.reader,
        tbot=install.tbot.installed(),
        outages=outages,
        machines=machines,
        pace=pace,
    )
    with outages.whole_again():
        yield of_node


@pytest.fixture(scope="module")
def gathered(gather: Gather) -> Iterator[Callable[..., TestPods]]:
    """Makes test pods that a step starts; all are removed when the feature is over."""
    with ExitStack() as stack:

        def make(*cast: TestPod) -> TestPods:
            made = gather(cast)
            stack.callback(made.remove)
            return made

        yield make


@pytest.fixture
def standing() -> Iterator[ExitStack]:
    """Outages that last until the scenario is over."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def node(gathered: Callable[..., TestPods], install: Install) -> str:  # noqa: ARG001 - test pods need what it brings up
    """Name of the node that the suite disrupts."""
    nodes = install.cluster.workload_nodes()
    return nodes[HOLDER.node % len(nodes)]


@pytest.fixture(scope="module")
def started(
    node_outages: NodeOutages,
    gathered: Callable[..., TestPods],
    install: Install,
    settings: Settings,
    node: str,
) -> Started:
    """Two pods that were started without tbot, which has left its socket on the node of one; both once tbot is back."""
    taken = node_outages.without_tbot_beside_its_socket(node)
    starts = Starts(gathered(LATE, BESIDE), install.cluster.reader, Pace(settings.patience.pod_ready, 0.5))
    return starts.without_tbot(taken, LATE.name, BESIDE.name)


@given("a pod that was started while there was no tbot, which has come back since", target_fixture="start")
def late(started: Started, recorder: Recorder, request: pytest.FixtureRequest) -> Start:
    return _start(LATE.name, started, recorder, request)


@given(
    "a pod that was started beside the socket of a tbot that was killed, and that has come back since",
    target_fixture="start",
)
def beside(started: Started, recorder: Recorder, request: pytest.FixtureRequest) -> Start:
    return _start(BESIDE.name, started, recorder, request)


def _start(name: str, started: Started, recorder: Recorder, request: pytest.FixtureRequest) -> Start:
    """The start of one pod; the first scenario that wanted one has made the readings."""
    recorder.attach((*started.outage.evidence, *started.pods[name].evidence))
    started.watch.timeline(request.node.stash[SCENARIO])
    return started.pods[name]


@then("it must be found to have started without tbot, although it is Ready with the right name and issuer")
def found(start: Start, started: Started, install: Install, conclude: Conclude) -> None:
    conclude(judge.late_start_is_found(start, started.outage, install.teleport.bundle()))


@then("its agent must have ended for that socket, which it may not take away, and no Envoy may have run")
def ended(start: Start, started: Started, conclude: Conclude) -> None:
    conclude(judge.stale_socket_ends_the_agent(start, started.outage))


@then(parsers.parse("it must be Ready with its own identity from tbot within {within:d} s of tbot's return"))
def ready_after(within: int, start: Start, started: Started, install: Install, conclude: Conclude) -> None:
    conclude(judge.well_by_itself("RES-06", start, started.outage.back, install.teleport.bundle(), within))


@given("a pod on a node of the suite's, watched", target_fixture="trial")
def holder(machines: Machines, holders: TestPods, begin_trial: BeginTrial) -> Trial:  # noqa: ARG001 - whose node it must be
    return begin_trial(holders.ready(HOLDER.name), (), ())


@pytest.fixture(scope="module")
def holders(gathered: Callable[..., TestPods]) -> TestPods:
    """The pod that is on a node before something becomes of it."""
    return gathered(HOLDER)


@when(
    parsers.parse(
        "the socket directory of that node is lost, and tbot, which is replaced there, has had {seconds:d} s to make another"
    ),
    target_fixture="relocation",
)
def lost(seconds: int, node: str, trial: Trial, node_outages: NodeOutages, standing: ExitStack) -> Relocation:
    with trial.watch.acting("the socket's directory is taken away, and tbot replaced"):
        relocation = standing.enter_context(node_outages.with_another_directory(node, seconds))
    if relocation.back:
        trial.watch.note("tbot", "another one is Ready on the node", relocation.back)
    return relocation


@then(parsers.parse("tbot must be Ready there within {within:d} s, with another directory"))
def made_again(within: int, relocation: Relocation, conclude: Conclude) -> None:
    conclude(judge.directory_is_made_again(relocation, within))


@when("another pod is started on that node", target_fixture="start")
def another(trial: Trial, gathered: Callable[..., TestPods], install: Install, settings: Settings) -> Start:
    starts = Starts(gathered(NEWCOMER), install.cluster.reader, Pace(settings.patience.pod_ready, 0.5))
    with trial.watch.acting("a pod is started"):
        return starts.start(NEWCOMER.name)


@then(parsers.parse("the new pod must be Ready with its own identity from tbot within {within:d} s"))
def newcomer_ready(within: int, start: Start, install: Install, conclude: Conclude) -> None:
    conclude(judge.well_by_itself("RES-05", start, start.began, install.teleport.bundle(), within))


@then(
    parsers.parse("the pod of before must be found within {within:d} s by the streams that it lacks, although it is Ready")
)
def found_by_streams(within: int, trial: Trial, relocation: Relocation, conclude: Conclude) -> None:
    trial.end()
    (history,), (before,) = trial.histories, trial.pods
    conclude(judge.lost_directory_is_found(history, trial.pod_now(before), relocation, within))


@when(parsers.parse("that node is restarted, and its pods have had {seconds:d} s to come back"), target_fixture="restart")
def restarted(seconds: int, node: str, trial: Trial, node_outages: NodeOutages, standing: ExitStack) -> NodeRestart:
    with trial.watch.acting("the node is restarted, and its pods come back"):
        restart = standing.enter_context(node_outages.restarted(node, seconds))
    trial.watch.note("node", "its machine runs", restart.up)
    if restart.back:
        trial.watch.note("Kubernetes", "every pod on the node is well", restart.back)
    return restart


@then(parsers.parse("every pod on it must be Ready within {within:d} s, each proxy with its own identity from tbot"))
def all_well(within: int, restart: NodeRestart, install: Install, conclude: Conclude) -> None:
    conclude(judge.node_came_back(restart, install.teleport.bundle(), within))
