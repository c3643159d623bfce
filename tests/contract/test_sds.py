"""What Envoy gets on the node's socket: names, shapes, pushes, acknowledgements."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.contract import sds_client
from tests.contract.agent import Agent
from tests.contract.driver import wait_for_line
from tests.contract.node import Pod
from tests.contract.sds_client import Refused, SdsStream

ID, DOMAIN = "spiffe://teleport.example.com/ns/shop/sa/checkout", "spiffe://teleport.example.com"


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ((), {ID, DOMAIN}),
        (("default",), {"default"}),
        (("ROOTCA",), {"ROOTCA"}),
        (("ALL",), {"ALL"}),
        ((ID,), {ID}),
        ((DOMAIN,), {DOMAIN}),
        (("default", "ROOTCA"), {"default", "ROOTCA"}),
        ((ID, "default"), {ID, "default"}),
    ],
    ids=lambda names: "+".join(sorted(names)) or "none",
)
def test_names_are_answered(tbot: Agent, pod: Pod, asked: tuple[str, ...], answered: set[str]) -> None:
    assert sds_client.ask_once(tbot.socket, *asked).names == answered


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (("file-root:system",), "[file-root:system]"),
        (("spiffe://elsewhere.example",), "[spiffe://elsewhere.example]"),
        (("default", "nothing"), "[nothing]"),
        (("ROOTCA", "ALL"), "[ALL]"),
    ],
    ids=["file", "federated", "one of two", "two bundles"],
)
def test_a_name_left_over_fails_the_request(tbot: Agent, pod: Pod, asked: tuple[str, ...], left: str) -> None:
    with pytest.raises(Refused) as refused:
        sds_client.ask_once(tbot.socket, *asked)
    assert refused.value.code == "UNKNOWN"
    assert f"unknown resource names: {left}" in refused.value.details


def test_certificate_is_the_leaf_alone_with_its_key_in_pkcs8(tbot: Agent, pod: Pod) -> None:
    certificate = sds_client.ask_once(tbot.socket, "default").certificates["default"]

    assert len(certificate.chain) == 1
    assert certificate.key_pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    key = load_pem_private_key(certificate.key_pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate.leaf.public_key()


def test_bundle_is_the_spiffe_validator_of_the_local_trust_domain(tbot: Agent, pod: Pod) -> None:
    validation = sds_client.ask_once(tbot.socket, "ROOTCA").validations["ROOTCA"]

    assert validation.validator == "envoy.tls.cert_validator.spiffe"
    assert set(validation.bundles) == {"teleport.example.com"}
    assert all(authority.subject == authority.issuer for authority in validation.bundles["teleport.example.com"])
    assert not validation.has_crl


def test_version_is_a_time_and_nonce_four_bytes(tbot: Agent, pod: Pod) -> None:
    answer = sds_client.ask_once(tbot.socket, "default")

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", answer.version)
    age = datetime.now(UTC) - datetime.fromisoformat(re.sub(r"\.\d+Z", "Z", answer.version))
    assert age.total_seconds() < 30
    assert re.fullmatch("[0-9a-f]{8}", answer.nonce)


def test_every_stream_has_an_svid_of_its_own(tbot: Agent, pod: Pod) -> None:
    first, second = (sds_client.ask_once(tbot.socket, "default").certificates["default"] for _ in range(2))

    assert first.leaf.serial_number != second.leaf.serial_number
    assert first.key_pem != second.key_pem


def test_an_acknowledgement_is_not_answered(tbot: Agent, pod: Pod) -> None:
    with SdsStream(tbot.socket, "default") as stream:
        stream.answer()
        assert stream.silent(0.3)


def test_other_names_are_answered_at_once_with_the_same_svid(tbot: Agent, pod: Pod) -> None:
    with SdsStream(tbot.socket, "default") as stream:
        first = stream.answer()
        stream.ask("default", "ROOTCA", after=first)
        second = stream.answer()

    assert second.names == {"default", "ROOTCA"}
    assert second.certificates["default"].leaf == first.certificates["default"].leaf
    assert second.nonce != first.nonce


def test_a_stale_nonce_is_ignored(tbot: Agent, pod: Pod) -> None:
    with SdsStream(tbot.socket, "default") as stream:
        stream.answer()
        stream.send_stale()
        assert stream.silent(0.3)
    assert re.search(r"WARN .*nonce", tbot.log)


def test_a_refused_response_is_logged_and_not_sent_again(tbot: Agent, pod: Pod) -> None:
    with SdsStream(tbot.socket, "default") as stream:
        stream.reject(stream.unacknowledged(), "Failed to load certificate chain from <inline>")
        assert stream.silent(0.3)
    assert tbot.running is not None
    log = wait_for_line(tbot.running, "Envoy was unable to apply previous discovery response")
    assert "Failed to load certificate chain from <inline>" in log


def test_one_answer_without_a_stream(tbot: Agent, pod: Pod) -> None:
    assert sds_client.fetch(tbot.socket, "default", "ROOTCA").names == {"default", "ROOTCA"}


def test_incremental_discovery_is_not_implemented(tbot: Agent, pod: Pod) -> None:
    refused = sds_client.delta(tbot.socket)

    assert refused.code == "UNIMPLEMENTED"
    assert "not implemented" in refused.details


def test_debug_log_tells_each_request_and_response(tbot: Agent, pod: Pod) -> None:
    answer = sds_client.ask_once(tbot.socket, "default")

    assert tbot.running is not None
    log = wait_for_line(tbot.running, f"nonce:{answer.nonce}")
    assert "SecretDiscoveryService.StreamSecrets stream started" in log
    assert "Received StreamSecrets DiscoveryRequest req.resource_names:[default]" in re.sub(r" workload\.\S+", "", log)
    assert "Sent StreamSecrets DiscoveryResponse" in log
