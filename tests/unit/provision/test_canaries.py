"""The canaries of HYG-04: what tells them from what is public."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from facts.secret_forms import Canary
from tests.unit.facts.authorities import Authority
from tests.unit.facts.canaries import CANARIES

AUTHORITY = Authority("another")
CERTIFICATE = AUTHORITY.issue("spiffe://example.test/ns/a/sa/b")
PUBLIC_KEY = AUTHORITY.key.public_key()
PUBLIC = (
    CERTIFICATE,
    PUBLIC_KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    PUBLIC_KEY.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256"}]}),
)


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.form)
def test_no_part_of_a_canary_is_in_what_is_public(canary: Canary) -> None:
    """Every cluster has certificates and public keys, in base64 as well, at any of its three alignments."""
    assert canary.parts
    for text in PUBLIC:
        wrapped = [base64.b64encode(b" " * shift + text.encode()).decode() for shift in range(3)]
        assert [canary.left_in(each) for each in (text, *wrapped)] == [(), (), (), ()]
