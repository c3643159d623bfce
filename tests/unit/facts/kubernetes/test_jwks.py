"""Key sets, and tokens verified against them."""

from __future__ import annotations

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from facts.errors import CouldNotTell
from facts.kubernetes.jwks import is_placeholder, parse_jwks, verify
from tests.data import document


def _jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str) -> dict[str, object]:
    if isinstance(key, rsa.RSAPrivateKey):
        written = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())
    else:
        written = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())
    return {**json.loads(written), "kid": kid, "use": "sig"}


RSA = rsa.generate_private_key(65537, 2048)


OTHER = rsa.generate_private_key(65537, 2048)


CLAIMS = {"aud": ["example.org"], "sub": "system:serviceaccount:a:b", "exp": 1}


def test_a_token_is_verified_whatever_its_audience_and_expiry() -> None:
    token = jwt.encode(CLAIMS, RSA, algorithm="RS256", headers={"kid": "one"})
    signature = verify(token, parse_jwks({"keys": [_jwk(OTHER, "two"), _jwk(RSA, "one")]}))
    assert signature.ok
    assert signature.key_id == "one"


def test_an_elliptic_key_verifies_as_well() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode(CLAIMS, key, algorithm="ES256", headers={"kid": "e"})
    assert verify(token, parse_jwks({"keys": [_jwk(key, "e")]})).ok


def test_the_keys_of_another_cluster_do_not_verify() -> None:
    token = jwt.encode(CLAIMS, RSA, algorithm="RS256", headers={"kid": "one"})
    absent = verify(token, parse_jwks({"keys": [_jwk(OTHER, "two")]}))
    assert not absent.ok
    assert "has no key one" in absent.reason
    same_id = verify(token, parse_jwks({"keys": [_jwk(OTHER, "one")]}))
    assert not same_id.ok
    assert "does not verify it" in same_id.reason
    assert token not in absent.reason + same_id.reason


def test_what_is_no_token_is_not_verified() -> None:
    with pytest.raises(CouldNotTell) as caught:
        verify("no.token", parse_jwks({"keys": [_jwk(RSA, "one")]}))
    assert "no.token" not in str(caught.value)


def test_a_captured_join_token_holds_the_live_keys() -> None:
    live = parse_jwks(document("cluster/jwks.json"))
    joined = parse_jwks(document("teleport/token.json")[0]["spec"]["kubernetes"]["static_jwks"]["jwks"])
    assert joined.lacks(live) == ()


def test_a_key_of_the_same_id_and_other_material_is_lacking() -> None:
    mine, theirs = parse_jwks({"keys": [_jwk(RSA, "one")]}), parse_jwks({"keys": [_jwk(OTHER, "one"), _jwk(RSA, "one")]})
    assert mine.lacks(theirs) == ("one",)
    assert theirs.lacks(mine) == ()


@pytest.mark.parametrize("left_over", ["PASTE_JWKS_HERE", "'PASTE_JWKS_HERE'", "", "{}", " {} ", "'{}'"])
def test_the_literal_placeholder_is_recognised(left_over: str) -> None:
    assert is_placeholder(left_over)
    with pytest.raises(CouldNotTell):
        parse_jwks(left_over)


@pytest.mark.parametrize("damaged", ["{", "[]", '{"keys": []}', '{"keys": [{"kid": "no kty"}]}', '{\\"keys\\": []}'])
def test_a_damaged_key_set_is_not_guessed_at(damaged: str) -> None:
    with pytest.raises(CouldNotTell):
        parse_jwks(damaged)


@pytest.mark.parametrize("claims", [{"exp": 1}, {"nbf": 2**40}, {"iat": 2**40}, {"aud": ["elsewhere"]}])
def test_only_the_signature_counts(claims: dict[str, object]) -> None:
    token = jwt.encode(claims, RSA, algorithm="RS256", headers={"kid": "one"})
    assert verify(token, parse_jwks({"keys": [_jwk(RSA, "one")]})).ok


@pytest.mark.parametrize("algorithm", ["RS384", "RS512"])
def test_the_tokens_algorithm_counts_where_the_key_names_none(algorithm: str) -> None:
    token = jwt.encode(CLAIMS, RSA, algorithm=algorithm, headers={"kid": "one"})
    assert verify(token, parse_jwks({"keys": [_jwk(RSA, "one")]})).ok


def test_without_a_key_id_every_key_is_tried() -> None:
    token = jwt.encode(CLAIMS, RSA, algorithm="RS256")
    signature = verify(token, parse_jwks({"keys": [_jwk(OTHER, "two"), _jwk(RSA, "one")]}))
    assert (signature.ok, signature.key_id, signature.reason) == (True, "", "")
