"""Sentences of ``features/3_identity``: NEG-01 to NEG-07."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from pytest_bdd import given, parsers, then, when

from facts.attempts import Candidate, Handshake, JoinAttempt, NotRun, OutsideProbe
from facts.evidence import Recorder
from facts.guide import GuideAnswer
from facts.kubernetes import Pod
from facts.probe import Refused, SdsProbe
from facts.teleport import WorkloadIdentity
from judge import refusals as judge
from judge.identity import Sidecars
from observe.cluster import Cluster
from observe.envoy import read_fleet
from observe.install import Install
from observe.traffic import exchange
from provision.intruders import OF_ISTIOD, Intruders
from provision.probes import Probes
from provision.rules import Rules
from provision.target import Target
from provision.workloads import Workloads
from settings import Settings
from steps.conclusions import must_hold


@pytest.fixture(scope="session")
def intruders(
    request: pytest.FixtureRequest,
    target: Target,
    cluster: Cluster,
    *,
    install: Install,
    probes: Probes,
    settings: Settings,
    recorder: Recorder,
) -> Iterator[Intruders]:
    """Pods that must not be let in, those of all chosen scenarios begun at once, and removed at the end."""
    rules, patience = Rules(target.tctl, recorder), settings.patience.pod_ready
    made = Intruders(target.objects, cluster, install, probes, rules, image=target.workload_image, patience=patience)
    chosen = _chosen(request.session, settings.allowed_safety)
    try:
        made.begin(chosen)
        if chosen & {"NEG-01", "NEG-05"}:
            workloads: Workloads = request.getfixturevalue("workloads")
            workloads.begin()
        yield made
    finally:
        made.remove()


@pytest.fixture
def narrowed_rules(intruders: Intruders) -> Iterator[None]:
    """Rules that are as they were when the scenario is over, also where it does not come to its last sentence."""
    yield
    intruders.restore_rules()


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
def fallback(workloads: Workloads, cluster: Cluster) -> Sidecars:
    # All of them, since the guide looks at every pod of the namespace.
    pods = workloads.ready(*workloads.names(), "fallback")[-1:]
    return Sidecars(pods, read_fleet(cluster, pods), pods[0].evidence)


@when("the guide's commands are run on it:", target_fixture="answers")
def answers(datatable: list[list[str]], fallback: Sidecars, install: Install) -> tuple[GuideAnswer, ...]:
    return tuple(install.guide(command, fallback.pods[0]) for (command,) in datatable)


@then("ID-01, ID-03, ID-06 and ID-07 must not hold for it, although the guide finds nothing")
def fallback_is_recognised(
    fallback: Sidecars, answers: tuple[GuideAnswer, ...], install: Install, recorder: Recorder
) -> None:
    must_hold(recorder, judge.fallback_is_recognised(fallback, answers, install.bundle(), install.istio_authorities()))


@then("it must shake hands with another of its kind")
def lets_in_its_like(fallback: Sidecars, intruders: Intruders, recorder: Recorder) -> None:
    must_hold(recorder, judge.lets_in_its_like(intruders.dial(fallback.pods[0], OF_ISTIOD)))


# NEG-02.


@given("on every node that hosts injected pods, a process of the node that is in no pod", target_fixture="outside")
def outside(intruders: Intruders) -> tuple[OutsideProbe | NotRun, ...]:
    return intruders.outside()


@given("beside it a process in a pod", target_fixture="beside")
def beside(intruders: Intruders) -> tuple[SdsProbe | Refused, ...]:
    return intruders.beside()


@then("the process in a pod must get its identity, and the other be refused for being in none")
def outside_is_refused(
    outside: Sequence[OutsideProbe | NotRun], beside: Sequence[SdsProbe | Refused], install: Install, recorder: Recorder
) -> None:
    must_hold(recorder, judge.outside_is_refused(outside, beside, install.bundle()))


# NEG-03.


@given("rules of the workload identity that leave out one service account of the run", target_fixture="former")
def former(narrowed_rules: None, intruders: Intruders) -> WorkloadIdentity:  # noqa: ARG001 - wanted for its clean-up
    return intruders.former_rules()


@given("a workload of the one that they leave out", target_fixture="refused")
def refused(intruders: Intruders) -> Candidate | NotRun:
    return intruders.refused()


@given("a workload of another service account, which the same rules allow", target_fixture="allowed")
def allowed(intruders: Intruders) -> Candidate | NotRun:
    return intruders.allowed()


@then("the one must have its identity, and the other be refused by the rules and not become Ready")
def rules_are_enforced(
    refused: Candidate | NotRun,
    allowed: Candidate | NotRun,
    former: WorkloadIdentity,
    install: Install,
    recorder: Recorder,
) -> None:
    must_hold(recorder, judge.rules_are_enforced(refused, allowed, former, install.bundle()))


@then("the rules must be as they were")
def rules_are_restored(intruders: Intruders) -> None:
    intruders.restore_rules()


# NEG-04.


@given("a workload with an empty socket directory of its own, told another socket name", target_fixture="closed")
def closed(intruders: Intruders) -> Candidate | NotRun:
    return intruders.fail_closed()


@given("another that is told the usual name", target_fixture="open_")
def open_(intruders: Intruders) -> Candidate | NotRun:
    return intruders.stranger()


@then("the agent of the one must end for want of a socket")
def other_name_fails_closed(closed: Candidate | NotRun, recorder: Recorder) -> None:
    must_hold(recorder, judge.other_name_fails_closed(closed))


@then("the other must be Ready with a certificate of istiod")
def usual_name_falls_back(open_: Candidate | NotRun, recorder: Recorder) -> None:
    must_hold(recorder, judge.usual_name_falls_back(open_))


# NEG-05.


@given("a workload that takes mTLS alone", target_fixture="server")
def server(workloads: Workloads) -> Pod:
    return workloads.ready("beta")[0]


@when(parsers.parse("it is dialled with {claim}"), target_fixture="handshake")
def handshake(claim: str, server: Pod, intruders: Intruders) -> Handshake:
    return intruders.dial(server, claim)


@then("it must refuse that certificate")
def peer_is_refused(handshake: Handshake, install: Install, recorder: Recorder) -> None:
    must_hold(recorder, judge.peer_is_refused(handshake, install.bundle()))


@then("it must shake hands with a workload that tbot certified")
def right_peer_is_let_in(server: Pod, workloads: Workloads, cluster: Cluster, recorder: Recorder) -> None:
    alpha, beta = workloads.known_to("alpha", "beta")
    url = f"http://beta.{beta.namespace}:8080/"
    must_hold(recorder, judge.right_peer_is_let_in(exchange(cluster, alpha, beta, [url]), str(server.ref)))


# NEG-06.


@given("a tbot with the bot's own configuration and another service account", target_fixture="attempt")
def attempt(intruders: Intruders) -> JoinAttempt | NotRun:
    return intruders.joiner()


@then("Teleport must refuse it for its service account, and know no instance of it")
def cannot_join(attempt: JoinAttempt | NotRun, install: Install, recorder: Recorder) -> None:
    must_hold(recorder, judge.cannot_join(attempt, install.agent()))


# NEG-07.


@then("tbot's socket and the proxies that use it must have a name for which Istio has no fallback")
def install_fails_closed(install: Install, recorder: Recorder) -> None:
    must_hold(recorder, judge.install_fails_closed(install.agent(), install.fleet_on_sockets()))
