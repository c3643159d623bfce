"""Steps of features/3_identity: NEG-01 to NEG-07."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from pytest_bdd import given, parsers, then, when

from facts.evidence import Recorder
from facts.guide import GuideAnswer
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SdsProbe
from facts.teleport.resources import WorkloadIdentity
from facts.traffic.attempts import Candidate, Handshake, JoinAttempt, NotRun, OutsideProbe, ShownCertificate
from judge.identity import fallback as fallback_judge
from judge.identity import refusals as judge
from judge.identity.proxies import ObservedProxies
from judge.traffic import peers
from observe.install import Install
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_fleet
from provision.negative import NegativeProbes
from provision.negative.probe import ProbeNamespaces
from provision.negative.rules import Rules
from provision.pods.clients_and_servers import TestPods
from provision.pods.conversations import Conversations
from provision.pods.probes import Probes
from provision.target import Target
from settings import Settings
from steps.shared import Conclude


@pytest.fixture(scope="session")
def negative_probes(
    request: pytest.FixtureRequest,
    target: Target,
    cluster: Cluster,
    *,
    install: Install,
    probes: Probes,
    settings: Settings,
    recorder: Recorder,
) -> Iterator[NegativeProbes]:
    """Negative probes of all chosen scenarios, begun at once and removed at the end."""
    rules, patience = Rules(target.tctl, recorder), settings.patience.pod_ready
    probe_namespaces = ProbeNamespaces(
        target.objects, cluster, install, probes, image=target.workload_image, patience=patience
    )
    made = NegativeProbes(probe_namespaces, rules)
    chosen = _chosen(request.session, settings.allowed_safety)
    try:
        made.begin(chosen)
        if chosen & {"NEG-01", "NEG-05"}:
            test_pods: TestPods = request.getfixturevalue("test_pods")
            test_pods.begin()
        yield made
    finally:
        made.remove()


@pytest.fixture
def narrowed_rules(negative_probes: NegativeProbes) -> Iterator[None]:
    """Rules that are as they were when the scenario is over, also where it does not come to its last sentence."""
    yield
    negative_probes.ruled.restore()


def _chosen(session: pytest.Session, allowed: frozenset[str]) -> set[str]:
    """The requirements of the scenarios that this run will come to."""
    return {
        mark.kwargs["id"]
        for item in session.items
        if all(mark.kwargs["kind"] in allowed for mark in item.iter_markers("safety"))
        for mark in item.iter_markers("requirement")
    }


# NEG-01.


@given("a workload without the injection template", target_fixture="fallback")
def fallback(test_pods: TestPods, cluster: Cluster) -> ObservedProxies:
    # All of them, since the guide looks at every pod of the namespace.
    pods = test_pods.ready(*test_pods.names(), "fallback")[-1:]
    return ObservedProxies(pods, read_fleet(cluster, pods), pods[0].evidence)


@when("the guide's commands are run on it:", target_fixture="answers")
def answers(datatable: list[list[str]], fallback: ObservedProxies, install: Install) -> tuple[GuideAnswer, ...]:
    return tuple(install.guide.run(command, fallback.pods[0]) for (command,) in datatable)


@then("ID-01, ID-03, ID-06 and ID-07 must not hold for it, although the guide finds nothing")
def fallback_is_recognised(
    fallback: ObservedProxies, answers: tuple[GuideAnswer, ...], install: Install, conclude: Conclude
) -> None:
    conclude(
        fallback_judge.fallback_is_recognised(fallback, answers, install.teleport.bundle(), install.istio.authorities()),
    )


@then("it must shake hands with another of its kind")
def lets_in_its_like(fallback: ObservedProxies, negative_probes: NegativeProbes, conclude: Conclude) -> None:
    conclude(fallback_judge.lets_in_its_like(negative_probes.stranger.dial(fallback.pods[0], ShownCertificate.ISTIODS)))


# NEG-02.


@given("on every node that hosts injected pods, a process of the node that is in no pod", target_fixture="outside")
def outside(negative_probes: NegativeProbes) -> tuple[OutsideProbe | NotRun, ...]:
    return negative_probes.outside.asked()


@given("beside it a process in a pod", target_fixture="beside")
def beside(negative_probes: NegativeProbes) -> tuple[SdsProbe | Refused, ...]:
    return negative_probes.beside()


@then("the process in a pod must get its identity, and the other be refused for being in none")
def outside_is_refused(
    outside: Sequence[OutsideProbe | NotRun], beside: Sequence[SdsProbe | Refused], install: Install, conclude: Conclude
) -> None:
    conclude(judge.outside_is_refused(outside, beside, install.teleport.bundle()))


# NEG-03.


@given("rules of the workload identity that leave out one service account of the run", target_fixture="former")
def former(narrowed_rules: None, negative_probes: NegativeProbes) -> WorkloadIdentity:  # noqa: ARG001 - wanted for its clean-up
    return negative_probes.ruled.former()


@given("a workload of the one that they leave out", target_fixture="refused")
def refused(negative_probes: NegativeProbes) -> Candidate | NotRun:
    return negative_probes.ruled.refused()


@given("a workload of another service account, which the same rules allow", target_fixture="allowed")
def allowed(negative_probes: NegativeProbes) -> Candidate | NotRun:
    return negative_probes.ruled.allowed()


@then("the one must have its identity, and the other be refused by the rules and not become Ready")
def rules_are_enforced(
    refused: Candidate | NotRun,
    allowed: Candidate | NotRun,
    former: WorkloadIdentity,
    install: Install,
    conclude: Conclude,
) -> None:
    conclude(judge.rules_are_enforced(refused, allowed, former, install.teleport.bundle()))


@then("the rules must be as they were")
def rules_are_restored(negative_probes: NegativeProbes) -> None:
    negative_probes.ruled.restore()


# NEG-04.


@given("a workload with an empty socket directory of its own, told another socket name", target_fixture="closed")
def closed(negative_probes: NegativeProbes) -> Candidate | NotRun:
    return negative_probes.socketless.under_another_name()


@given("another that is told the usual name", target_fixture="open_")
def open_(negative_probes: NegativeProbes) -> Candidate | NotRun:
    return negative_probes.socketless.under_the_usual_name()


@then("the agent of the one must end for want of a socket")
def other_name_fails_closed(closed: Candidate | NotRun, conclude: Conclude) -> None:
    conclude(fallback_judge.other_name_fails_closed(closed))


@then("the other must be Ready with a certificate of istiod")
def usual_name_falls_back(open_: Candidate | NotRun, conclude: Conclude) -> None:
    conclude(fallback_judge.usual_name_falls_back(open_))


# NEG-05.


@given("a workload that takes mTLS alone", target_fixture="server")
def server(test_pods: TestPods) -> Pod:
    return test_pods.ready("beta")[0]


@when(parsers.parse("it is dialled with {claim}"), target_fixture="handshake")
def handshake(claim: str, server: Pod, negative_probes: NegativeProbes) -> Handshake:
    return negative_probes.stranger.dial(server, ShownCertificate(claim))


@then("it must refuse that certificate")
def peer_is_refused(handshake: Handshake, server: Pod, cluster: Cluster, install: Install, conclude: Conclude) -> None:
    own = read_fleet(cluster, [server])
    conclude(peers.peer_is_refused(handshake, install.teleport.bundle(), install.istio.authorities(), server, own))


@then("it must shake hands with a workload that tbot certified")
def right_peer_is_let_in(server: Pod, conversations: Conversations, install: Install, conclude: Conclude) -> None:
    held = conversations.over_http("alpha", server.name)
    conclude(peers.right_peer_is_let_in(held.exchange, held.client, server, install.teleport.bundle()))


# NEG-06.


@given("a tbot with the bot's own configuration and another service account", target_fixture="attempt")
def attempt(negative_probes: NegativeProbes) -> JoinAttempt | NotRun:
    return negative_probes.joining.attempt()


@then("Teleport must refuse it for its service account, and know no instance of it")
def cannot_join(attempt: JoinAttempt | NotRun, install: Install, conclude: Conclude) -> None:
    conclude(judge.cannot_join(attempt, install.tbot.installed()))


# NEG-07.


@then("tbot's socket and the proxies that use it must have a name for which Istio has no fallback")
def install_fails_closed(install: Install, conclude: Conclude) -> None:
    conclude(fallback_judge.install_fails_closed(install.tbot.installed(), install.proxies.fleet_on_sockets()))
