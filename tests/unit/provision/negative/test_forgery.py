"""Forged certificates."""

from __future__ import annotations

from datetime import UTC, datetime

from facts.svid import parse_certificates, verify_chain
from provision.negative.forgery import forged
from tests.unit.judge.certificates import authority


def test_a_forged_certificate_is_sound_but_for_its_issuer() -> None:
    claim = "spiffe://teleport.example.com/ns/a/sa/b"
    made = forged(claim)
    (leaf,) = parse_certificates(made.certificate, "a test")

    assert leaf.uri_sans == (claim,)
    assert leaf.is_valid_at(datetime.now(UTC))
    assert not leaf.is_ca
    assert leaf.extended_key_usage == {"server_auth", "client_auth"}
    assert leaf.san_critical
    assert "digital_signature" in leaf.key_usage
    assert not verify_chain(leaf, [authority()], datetime.now(UTC)).ok
    assert "PRIVATE KEY" in made.key
