"""Steps of features/3_identity: NEG-01 to NEG-07."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest
from pytest_bdd import given, parsers, then, when

from facts.guide import GuideAnswer
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SdsProbe
from facts.recorder import Recorder
from facts.traffic.attempts import Candidate, Handshake, JoinAttempt, NotRun, OutsideProbe, ShownCertificate
from judge import conditions
from judge.identity import fallback as fallback_judge
from judge.identity import refusals as judge
from judge.identity.proxies import ObservedProxies
from judge.traffic import peers
from observe.install import Install
from observe.kubernetes.cluster import Cluster
from observe.proxies.survey import read_fleet
from providers.teleport.facts.resources import WorkloadIdentity
from provision.negative import OF_TEST_PODS, NegativeProbes, requirements_of
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
    """Negative probes of all selected scenarios, started together and removed at the end."""
    rules, patience = Rules(target.tctl, recorder, target.originals), settings.patience.pod_ready
    probe_namespaces = ProbeNamespaces(
        target.objects, cluster, install, probes, image=target.sources.workload_image, patience=patience
    )
    made = NegativeProbes(probe_namespaces, rules)
    selected = requirements_of(request.session.items, settings.allowed_safety)
    try:
        made.begin(selected)
        if selected & OF_TEST_PODS:
            test_pods: TestPods = request.getfixturevalue("test_pods")
            test_pods.begin()
        yield made
    finally:
        made.remove()


# NEG-01: a pod that fell back to istiod.


@given("a test pod without the injection template", target_fixture="fallback")
def fallback(test_pods: TestPods, cluster: Cluster) -> ObservedProxies:
    # Every test pod must be Ready: the guide's commands look at all pods of the namespace.
    pods = test_pods.ready(*test_pods.names(), "fallback")[-1:]
    conditions.needs_pods_without_the_socket("NEG-01", pods, pods[0].evidence)
    return ObservedProxies(pods, read_fleet(cluster, pods), pods[0].evidence)


@when("the suite runs the guide's commands on it:", target_fixture="guide_answers")
def guide_answers(datatable: list[list[str]], fallback: ObservedProxies, install: Install) -> tuple[GuideAnswer, ...]:
    return tuple(install.guide.run(command, fallback.pods[0]) for (command,) in datatable)


@then("ID-01, ID-03, ID-06 and ID-07 must not hold for it, although the guide finds nothing wrong")
def fallback_is_recognised(
    fallback: ObservedProxies, guide_answers: tuple[GuideAnswer, ...], install: Install, conclude: Conclude
) -> None:
    bundle, istiod = install.teleport.bundle(), install.istio.authorities()
    conclude(fallback_judge.fallback_is_recognised(fallback, guide_answers, bundle, istiod))


@then("it must complete a handshake with a peer that istiod certified")
def accepts_another_of_istiods(fallback: ObservedProxies, negative_probes: NegativeProbes, conclude: Conclude) -> None:
    conclude(
        fallback_judge.lets_in_its_like(negative_probes.untrusted_client.dial(fallback.pods[0], ShownCertificate.ISTIODS))
    )


# NEG-02: a process outside any pod.


@given("a process outside any pod, on every node that hosts injected pods", target_fixture="outside")
def outside(negative_probes: NegativeProbes) -> tuple[OutsideProbe | NotRun, ...]:
    return negative_probes.outside.answers()


@given("a process inside a pod, on each of those nodes", target_fixture="inside")
def inside(negative_probes: NegativeProbes) -> tuple[SdsProbe | Refused, ...]:
    return negative_probes.beside()


@then("the process inside a pod must get its identity, and tbot must refuse the other because it is in no pod")
def outside_is_refused(
    outside: Sequence[OutsideProbe | NotRun], inside: Sequence[SdsProbe | Refused], install: Install, conclude: Conclude
) -> None:
    conclude(judge.outside_is_refused(outside, inside, install.teleport.bundle()))


# NEG-03: a service account that the rules exclude.


@given("rules of the workload identity that exclude one of the suite's service accounts", target_fixture="original_identity")
def original_identity(negative_probes: NegativeProbes, cleanup: ExitStack) -> WorkloadIdentity:
    cleanup.callback(negative_probes.restricted.restore)
    return negative_probes.restricted.former()


@given("a test pod of the excluded service account", target_fixture="excluded_pod")
def excluded_pod(negative_probes: NegativeProbes) -> Candidate | NotRun:
    return negative_probes.restricted.refused()


@given("a test pod of another service account, which the same rules allow", target_fixture="allowed_pod")
def allowed_pod(negative_probes: NegativeProbes) -> Candidate | NotRun:
    return negative_probes.restricted.allowed()


@then("the allowed pod must have its identity, and the rules must refuse the excluded pod, which must not be Ready")
def rules_are_enforced(
    excluded_pod: Candidate | NotRun,
    allowed_pod: Candidate | NotRun,
    original_identity: WorkloadIdentity,
    install: Install,
    conclude: Conclude,
) -> None:
    conclude(judge.rules_are_enforced(excluded_pod, allowed_pod, original_identity, install.teleport.bundle()))


@then("the suite must have restored the rules")
def rules_are_restored(negative_probes: NegativeProbes) -> None:
    negative_probes.restricted.restore()


# NEG-04: no socket.


@given("a pod with its own empty socket directory, configured with a non-default socket name", target_fixture="other_name")
def other_name(negative_probes: NegativeProbes) -> Candidate | NotRun:
    return _without_the_socket(negative_probes.without_socket.under_another_name())


@given("a pod with its own empty socket directory, configured with the default socket name", target_fixture="default_name")
def default_name(negative_probes: NegativeProbes) -> Candidate | NotRun:
    return _without_the_socket(negative_probes.without_socket.under_the_usual_name())


def _without_the_socket(probe: Candidate | NotRun) -> Candidate | NotRun:
    """The probe, which proves something only without the node's socket; one that did not run proves nothing anyway."""
    if isinstance(probe, Candidate):
        conditions.needs_pods_without_the_socket("NEG-04", [probe.pod], probe.evidence)
    return probe


@then("Istio's agent in the first pod must exit because it found no socket")
def other_name_fails_closed(other_name: Candidate | NotRun, conclude: Conclude) -> None:
    conclude(fallback_judge.other_name_fails_closed(other_name))


@then("the second pod must be Ready with a certificate from istiod")
def usual_name_falls_back(default_name: Candidate | NotRun, conclude: Conclude) -> None:
    conclude(fallback_judge.usual_name_falls_back(default_name))


# NEG-05: peers that Teleport did not certify.


@given("a test pod that accepts only mTLS", target_fixture="server")
def server(test_pods: TestPods) -> Pod:
    return test_pods.ready("beta")[0]


@when(parsers.parse("a client without a proxy connects to it with {claim}"), target_fixture="handshake")
def handshake(claim: str, server: Pod, negative_probes: NegativeProbes) -> Handshake:
    return negative_probes.untrusted_client.dial(server, ShownCertificate(claim))


@then("the test pod must refuse that certificate")
def peer_is_refused(handshake: Handshake, server: Pod, cluster: Cluster, install: Install, conclude: Conclude) -> None:
    own = read_fleet(cluster, [server])
    conclude(peers.peer_is_refused(handshake, install.teleport.bundle(), install.istio.authorities(), server, own))


@then("the same test pod must complete a handshake with a test pod that has its certificate from tbot")
def certified_peer_is_accepted(server: Pod, conversations: Conversations, install: Install, conclude: Conclude) -> None:
    held = conversations.over_http("alpha", server.name)
    conclude(peers.right_peer_is_let_in(held.exchange, held.client, server, install.teleport.bundle()))


# NEG-06: another service account that joins.


@given("a tbot with the bot's own configuration and another service account", target_fixture="join_attempt")
def join_attempt(negative_probes: NegativeProbes) -> JoinAttempt | NotRun:
    return negative_probes.join.attempt()


@then("Teleport must refuse the join because of the service account, and must have no bot instance for it")
def cannot_join(join_attempt: JoinAttempt | NotRun, install: Install, conclude: Conclude) -> None:
    conclude(judge.cannot_join(join_attempt, install.tbot.joining_alike()))


# NEG-07: the socket's name.
