"""Steps of features/7_resilience/2_nodes.feature: RES-04 to RES-06 and RES-08."""

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

WITHOUT_SOCKET = TestPod("late", "late", namespace="late")
BESIDE_STALE_SOCKET = TestPod("beside", "beside", node=1, namespace="late")
BEFORE = TestPod("holder", "holder", node=1, namespace="held")
"""A pod on the node before the suite disrupts it."""
AFTER = TestPod("newcomer", "newcomer", node=1, namespace="new")

MakeTestPods = Callable[..., TestPods]
"""Makes test pods from their declarations."""


@pytest.fixture(scope="module")
def machines(target: Target, install: Install, settings: Settings, recorder: Recorder) -> Machines:
    """Machines that the suite made.

    Raises:
        NotGiven: The suite did not make them, or only one takes workloads.
    """
    install.tbot.installed()
    found = machines_of(target.objects, recorder, settings.patience.command)
    needs_a_node_to_spare(install.cluster.workload_nodes())
    return found


@pytest.fixture(scope="module")
def node_outages(target: Target, install: Install, settings: Settings, machines: Machines) -> Iterator[NodeOutages]:
    """Outages of one node; at the end of the feature the suite waits until each Envoy has its supply again."""
    outages, cluster = outages_of(target, install, settings, lambda: machines), install.cluster.reader
    tbot, pace = install.tbot.installed(), Pace(settings.patience.rollout)
    with outages.whole_again():
        yield NodeOutages(
            target.objects, target.originals, cluster, tbot=tbot, outages=outages, machines=machines, pace=pace
        )


@pytest.fixture(scope="module")
def make_test_pods(gather: Gather) -> Iterator[MakeTestPods]:
    """Maker of test pods for a step; the suite removes them at the end of the feature."""
    with ExitStack() as stack:

        def make(*cast: TestPod) -> TestPods:
            made = gather(cast)
            stack.callback(made.remove)
            return made

        yield make


@pytest.fixture(scope="module")
def node(make_test_pods: MakeTestPods, install: Install) -> str:  # noqa: ARG001 - it provisions the nodes
    """Name of the node that the suite disrupts."""
    nodes = install.cluster.workload_nodes()
    return nodes[BEFORE.node % len(nodes)]


@pytest.fixture(scope="module")
def started(
    node_outages: NodeOutages, make_test_pods: MakeTestPods, install: Install, settings: Settings, node: str
) -> Started:
    """Two pods that started without tbot, one of them beside its stale socket; read again after tbot is back."""
    taken = node_outages.without_tbot_beside_its_socket(node)
    pods = make_test_pods(WITHOUT_SOCKET, BESIDE_STALE_SOCKET)
    starts = Starts(pods, install.cluster.reader, Pace(settings.patience.pod_ready, 0.5))
    return starts.without_tbot(taken, WITHOUT_SOCKET.name, BESIDE_STALE_SOCKET.name)


@given("a pod that started while there was no tbot, now that tbot is back", target_fixture="start")
def started_without_socket(started: Started, recorder: Recorder, request: pytest.FixtureRequest) -> Start:
    return _start(WITHOUT_SOCKET.name, started, recorder, request)


@given("a pod that started beside the stale socket of a killed tbot, now that tbot is back", target_fixture="start")
def started_beside_stale_socket(started: Started, recorder: Recorder, request: pytest.FixtureRequest) -> Start:
    return _start(BESIDE_STALE_SOCKET.name, started, recorder, request)


def _start(name: str, started: Started, recorder: Recorder, request: pytest.FixtureRequest) -> Start:
    """Return the start of one pod, and attach the readings, which the first scenario made, to this scenario too."""
    recorder.attach((*started.outage.evidence, *started.pods[name].evidence))
    started.watch.timeline(request.node.stash[SCENARIO])
    return started.pods[name]


@then("the suite must find that it started without tbot, although it is Ready with the right name and issuer")
def late_start_is_found(start: Start, started: Started, install: Install, conclude: Conclude) -> None:
    conclude(judge.late_start_is_found(start, started.outage, install.teleport.bundle()))


@then("its Istio agent must have exited because it could not remove the stale socket, and Envoy must never have started")
def stale_socket_ends_the_agent(start: Start, started: Started, conclude: Conclude) -> None:
    conclude(judge.stale_socket_ends_the_agent(start, started.outage))


@then(parsers.parse("the pod must be Ready with its own identity from tbot within {within:d} s of tbot's return"))
def ready_after_return(within: int, start: Start, started: Started, install: Install, conclude: Conclude) -> None:
    conclude(judge.well_by_itself("RES-06", start, started.outage.back, install.teleport.bundle(), within))


@given("a watched pod on a node that the suite made", target_fixture="trial")
def watched_pod(machines: Machines, pods_before: TestPods, begin_trial: BeginTrial) -> Trial:  # noqa: ARG001 - the node must be on one of them
    return begin_trial(pods_before.ready(BEFORE.name), (), ())


@pytest.fixture(scope="module")
def pods_before(make_test_pods: MakeTestPods) -> TestPods:
    """The pod on the node before the suite disrupts it."""
    return make_test_pods(BEFORE)


@when(
    parsers.parse("that node loses its socket directory, and the new tbot there has had {seconds:d} s to create another"),
    target_fixture="relocation",
)
def lose_the_directory(seconds: int, node: str, trial: Trial, node_outages: NodeOutages, cleanup: ExitStack) -> Relocation:
    with trial.watch.acting("the socket directory is lost, and tbot replaced"):
        relocation = cleanup.enter_context(node_outages.with_another_directory(node, seconds))
    if relocation.back:
        trial.watch.note("tbot", "another one is Ready on the node", relocation.back)
    return relocation


@then(parsers.parse("tbot must be Ready on that node within {within:d} s, with another directory"))
def directory_is_made_again(within: int, relocation: Relocation, conclude: Conclude) -> None:
    conclude(judge.directory_is_made_again(relocation, within))


@when("the suite starts another pod on that node", target_fixture="start")
def start_another(trial: Trial, make_test_pods: MakeTestPods, install: Install, settings: Settings) -> Start:
    starts = Starts(make_test_pods(AFTER), install.cluster.reader, Pace(settings.patience.pod_ready, 0.5))
    with trial.watch.acting("a pod is started"):
        return starts.start(AFTER.name)


@then(parsers.parse("the new pod must be Ready with its own identity from tbot within {within:d} s"))
def new_pod_is_ready(within: int, start: Start, install: Install, conclude: Conclude) -> None:
    conclude(judge.well_by_itself("RES-05", start, start.began, install.teleport.bundle(), within))


@then(
    parsers.parse("the suite must find the first pod within {within:d} s by its missing SDS streams, although it is Ready")
)
def first_pod_is_found(within: int, trial: Trial, relocation: Relocation, conclude: Conclude) -> None:
    trial.end()
    (history,), (before,) = trial.histories, trial.pods
    conclude(judge.lost_directory_is_found(history, trial.pod_now(before), relocation, within))


@when(parsers.parse("the suite restarts that node and gives its pods {seconds:d} s to come back"), target_fixture="restart")
def restart_the_node(seconds: int, node: str, trial: Trial, node_outages: NodeOutages, cleanup: ExitStack) -> NodeRestart:
    with trial.watch.acting("the node is restarted, and its pods come back"):
        restart = cleanup.enter_context(node_outages.restarted(node, seconds))
    trial.watch.note("node", "its machine runs", restart.up)
    if restart.back:
        trial.watch.note("Kubernetes", "every pod on the node is well", restart.back)
    return restart


@then(parsers.parse("every pod on that node must be Ready within {within:d} s, each proxy with its own identity from tbot"))
def node_came_back(within: int, restart: NodeRestart, install: Install, conclude: Conclude) -> None:
    conclude(judge.node_came_back(restart, install.teleport.bundle(), within))
