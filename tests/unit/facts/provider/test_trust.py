"""The trust bundle of Teleport."""

from __future__ import annotations

import base64

import pytest

from facts.errors import CouldNotTell
from facts.provider.trust import parse_bundle
from tests.data import document
from tests.unit.facts.authorities import Authority


def _key(authority: Authority, **more: object) -> dict[str, object]:
    return {"use": "x509-svid", "kty": "EC", "x5c": [base64.b64encode(authority.der).decode()], **more}


def test_a_captured_bundle() -> None:
    bundle = parse_bundle(document("teleport/bundle.json"), "teleport.conformance.test", ("ev-1",))
    (authority,) = bundle.authorities
    assert authority.is_ca
    assert bundle.fingerprints == {authority.sha256}
    assert bundle.evidence == ("ev-1",)


def test_a_bundle_in_rotation_holds_both_authorities_and_ignores_other_uses() -> None:
    old, new = Authority("old"), Authority("new")
    read = parse_bundle({"keys": [_key(old), _key(new), {"use": "jwt-svid", "kid": "j", "kty": "EC"}, {"use": "later"}]})
    assert read.fingerprints == {old.certificate.sha256, new.certificate.sha256}


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        [],
        "text",
        {"keys": []},
        {"keys": [{"use": "jwt-svid", "kid": "j"}]},
        {"keys": [{"use": "x509-svid", "kty": "EC"}]},
        {"keys": [{"use": "x509-svid", "kty": "EC", "x5c": ["not base64!"]}]},
        {"keys": [{"use": "x509-svid", "kty": "EC", "x5c": ["AAAA"]}]},
        {"keys": [{"use": "x509-svid", "kty": "EC", "x5c": ["AAAA", "AAAA"]}]},
        {"keys": ["text"]},
    ],
)
def test_a_damaged_bundle_is_not_guessed_at(damaged: object) -> None:
    with pytest.raises(CouldNotTell):
        parse_bundle(damaged)
