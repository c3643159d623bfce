"""Steps of features/4_mtls: MTL-01 to MTL-06."""

from __future__ import annotations

import pytest
from pytest_bdd import given, then, when

from checks import mtls as checks
from checks.mtls import NoteHandshakes, Sweeps, SweptMesh
from facts.evidence import readings
from facts.traffic.handshakes import SeenHandshake
from judge.mtls import contexts, gateways, handshakes, ledger, plain_text
from judge.mtls.contexts import TrustDomains
from judge.mtls.ends import Ends, MeshTls
from observe.install import Install
from observe.proxies.tls import read_ends
from provision.pods.clients_and_servers import TestPods
from provision.pods.conversations import Conversations
from settings import Settings
from steps.shared import Conclude


@pytest.fixture(scope="session")
def sweeps(note_handshakes: NoteHandshakes, settings: Settings) -> Sweeps:
    """The mesh of this run, made once."""
    return Sweeps(note_handshakes, settings.mesh)


@given("every proxy of the mesh, with the TLS that its Envoy is configured to speak", target_fixture="mesh")
def swept_mesh(sweeps: Sweeps, install: Install) -> SweptMesh:
    return sweeps.of(install)


@given("the trust domain of Teleport, and the aliases that the mesh accepts", target_fixture="trust_domains")
def trust_domains(install: Install) -> TrustDomains:
    return checks.trust_domains(install)


@then("each TLS context for peers of the mesh must use the secrets default and ROOTCA, and demand a certificate")
def secrets_are_the_providers(mesh: SweptMesh, trust_domains: TrustDomains, conclude: Conclude) -> None:
    conclude(contexts.secrets_are_the_providers(mesh.ends, trust_domains, mesh.meant, mesh.without))


@then("no port of an injected workload must take plain text")
def no_port_takes_plain_text(mesh: SweptMesh, conclude: Conclude) -> None:
    conclude(plain_text.no_port_takes_plain_text(mesh.ends, mesh.meant, mesh.without))


@then("no proxy must send plain text to a workload of the mesh")
def nothing_is_sent_in_plain_text(mesh: SweptMesh, conclude: Conclude) -> None:
    conclude(plain_text.nothing_is_sent_in_plain_text(mesh.ends, mesh.table, mesh.without))


@then("no proxy must refuse the identity of another that Istio's configuration leads to it")
def handshakes_complete(mesh: SweptMesh, conclude: Conclude) -> None:
    conclude(handshakes.handshakes_complete(mesh.ends, mesh.table, mesh.meant, mesh.without))


@given("all test pods, with the TLS that their own Envoys are configured to speak", target_fixture="test_mesh")
def mesh_of_test_pods(test_pods: TestPods, install: Install) -> Ends:
    names = test_pods.names()
    pods, cluster = test_pods.ready(*names), install.cluster.reader
    for name in names:
        test_pods.known_to(name, *(other for other in names if other != name))
    with_proxy = [pod for pod in pods if pod.is_injected]
    return Ends(MeshTls(pods, *read_ends(cluster, with_proxy), readings(*pods)))


@when("every test pod sends a request to every other", target_fixture="seen_handshakes")
def every_pair(conversations: Conversations) -> tuple[SeenHandshake, ...]:
    return conversations.of_every_pair()


@then("each handshake must have ended as predicted")
def predictions_are_right(test_mesh: Ends, seen_handshakes: tuple[SeenHandshake, ...], conclude: Conclude) -> None:
    conclude(ledger.predictions_are_right(test_mesh, seen_handshakes))


@then("each gateway and waypoint must use the same secrets, and no peer must refuse it")
def gateways_use_their_identities(mesh: SweptMesh, trust_domains: TrustDomains, conclude: Conclude) -> None:
    conclude(gateways.gateways_use_their_identities(mesh.ends, mesh.table, trust_domains, mesh.meant, mesh.without))
