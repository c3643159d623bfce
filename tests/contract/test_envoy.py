"""A real Envoy at the socket: it takes what it is given, serves with it, and rotates."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from cryptography import x509

from observe.wait import NotYet, eventually
from tests.contract import sds_client
from tests.contract.agent import Agent
from tests.contract.conftest import MakeAgent
from tests.contract.driver import AFFECTED, READY
from tests.contract.envoy import Envoy
from tests.contract.node import Node, Pod

SHORT = {"credential_ttl": "60s", "renewal_interval": "1s"}


class StartEnvoy(Protocol):
    def __call__(self, agent: Agent) -> Envoy: ...


@pytest.fixture
def start_envoy(node: Node, pod: Pod, tmp_path: Path) -> Iterator[StartEnvoy]:
    started: list[Envoy] = []

    def start(agent: Agent) -> Envoy:
        started.append(Envoy.start(tmp_path, agent.socket, node, pod))
        return started[-1]

    yield start
    for envoy in started:
        envoy.running.stop()


def client(agent: Agent, directory: Path) -> ssl.SSLContext:
    """A client with the SVID of this process, which trusts what it got with it."""
    answer = sds_client.ask_once(agent.socket, "default", "ROOTCA")
    certificate = answer.certificates["default"]
    pair = directory / "client.pem"
    pair.write_bytes(certificate.key_pem + certificate.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=answer.validations["ROOTCA"].bundle_pem.decode())
    context.load_cert_chain(pair)
    return context


def spiffe_ids(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def test_envoy_serves_with_what_it_got(tbot: Agent, start_envoy: StartEnvoy, tmp_path: Path) -> None:
    envoy = start_envoy(tbot)
    secrets = envoy.has_secrets()

    validation = secrets["ROOTCA"]["secret"]["validation_context"]
    assert validation["custom_validator_config"]["name"] == "envoy.tls.cert_validator.spiffe"
    answer, certificate = envoy.request(client(tbot, tmp_path))
    assert "200 OK" in answer
    assert answer.endswith("served")
    assert spiffe_ids(certificate) == ["spiffe://teleport.example.com/ns/shop/sa/checkout"]
    for name in ("default", "ROOTCA"):
        assert envoy.stat(f".*sds.{name}.update_rejected") == 0


def test_envoy_refuses_a_client_without_certificate(tbot: Agent, start_envoy: StartEnvoy, tmp_path: Path) -> None:
    envoy = start_envoy(tbot)
    envoy.has_secrets()
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.verify_mode = ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        envoy.request(nobody)


def test_envoy_rotates_with_a_fixed_release(make_agent: MakeAgent, start_envoy: StartEnvoy, tmp_path: Path) -> None:
    agent = make_agent(**SHORT).start()
    envoy = start_envoy(agent)
    envoy.has_secrets()
    context = client(agent, tmp_path)
    serials: list[int] = []

    def look() -> None:
        serial = envoy.request(context)[1].serial_number
        if serial not in serials:
            serials.append(serial)
        if len(serials) < 3:
            raise NotYet(f"{len(serials)} serials")

    eventually("three serials were shown", look, READY)


def test_envoy_keeps_the_old_certificate_with_an_affected_release(
    make_agent: MakeAgent, start_envoy: StartEnvoy, tmp_path: Path
) -> None:
    agent = make_agent(release=AFFECTED, **SHORT).start()
    envoy = start_envoy(agent)
    envoy.has_secrets()
    context = client(agent, tmp_path)
    before = envoy.request(context)[1].serial_number

    def look() -> None:
        accepted = envoy.stat(".*sds.default.update_attempt")
        if accepted < 3:
            raise NotYet(f"{accepted} updates")

    eventually("three updates reached Envoy", look, READY)
    assert envoy.request(context)[1].serial_number == before
