"""Steps of features/4_mtls: MTL-01 to MTL-06."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pytest_bdd import given, then, when

from checks.mtls import NoteHandshakes, Sweeps
from facts.evidence import readings
from facts.kubernetes.objects import Pod
from facts.traffic.handshakes import SeenHandshake
from judge import conditions
from judge.mtls import ledger
from judge.mtls.ends import Ends, MeshTls
from observe.install import Install
from observe.proxies.tls import read_ends
from observe.wait import Pace
from provision.pods.clients_and_servers import TestPods
from provision.pods.conversations import Conversations
from provision.pods.gateway_handshakes import GatewayHandshakes, OpenGateway
from provision.target import Target
from settings import Settings
from steps.shared import Conclude


@pytest.fixture(scope="session")
def sweeps(note_handshakes: NoteHandshakes, settings: Settings) -> Sweeps:
    """The mesh of this run, made once."""
    return Sweeps(note_handshakes, settings.mesh)


def ends_of(install: Install, pods: Sequence[Pod]) -> Ends:
    """Read what decides the handshakes between some pods, at this moment."""
    with_proxy = [pod for pod in pods if pod.is_injected]
    return Ends(MeshTls(pods, *read_ends(install.cluster.reader, with_proxy), readings(*pods)))


@given("all test pods, with the TLS that their own Envoys are configured to speak", target_fixture="test_mesh")
def mesh_of_test_pods(test_pods: TestPods, install: Install) -> Ends:
    names = test_pods.names()
    for name in names:
        test_pods.known_to(name, *(other for other in names if other != name))
    return ends_of(install, test_pods.ready(*names))


@given("that gateway between the test pods", target_fixture="open_gateway")
def gateway_between_test_pods(
    requirement: str, install: Install, test_pods: TestPods, target: Target, settings: Settings
) -> OpenGateway:
    ingress = conditions.needs_a_way_in(requirement, install.istio.ingress(), install.istio.ingress_gateways())
    setup = GatewayHandshakes(target.objects, install.cluster.reader, test_pods, Pace(settings.patience.svid))
    return setup.open(ingress, install.istio.gateway_pods(ingress.gateway))


@given("the TLS that the Envoys of all of them are configured to speak", target_fixture="test_mesh")
def mesh_with_gateway(open_gateway: OpenGateway, test_pods: TestPods, install: Install) -> Ends:
    return ends_of(install, (*test_pods.ready(*test_pods.names()), *open_gateway.pods))


@when("every test pod sends a request to every other", target_fixture="seen_handshakes")
def every_pair(conversations: Conversations) -> tuple[SeenHandshake, ...]:
    return conversations.of_every_pair()


@when(
    "every test pod sends a request to the gateway, and one goes through it to every test pod",
    target_fixture="seen_handshakes",
)
def over_the_gateway(open_gateway: OpenGateway, conversations: Conversations) -> tuple[SeenHandshake, ...]:
    return conversations.over_gateway(open_gateway)


@then("each handshake must have ended as predicted")
def predictions_are_right(test_mesh: Ends, seen_handshakes: tuple[SeenHandshake, ...], conclude: Conclude) -> None:
    conclude(ledger.predictions_are_right(test_mesh, seen_handshakes))
