"""JSON Web Key Sets, and the verification of a token against one. Source: RFC 7517, RFC 7519."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import jwt

from facts.declared import At, Declared, ListOf, Read, Text, mask_of, read
from facts.document import damaged, parse_json
from facts.masks import Items, keeps, only

LITERAL_PLACEHOLDER = "PASTE_JWKS_HERE"


@dataclass(frozen=True, slots=True)
class _Key(Declared):
    kty: str
    kid: Text


@dataclass(frozen=True, slots=True)
class Jwks(Declared):
    """A set of public keys.

    Attributes:
        key_ids: ``kid`` of each key; a key without one counts as an empty text.
        keys: The keys as they were read; public.
        evidence: Ids of the readings.
    """

    key_ids: Annotated[tuple[str, ...], At("keys"), Read(ListOf[_Key], lambda keys: tuple(key.kid for key in keys))]
    keys: Annotated[ListOf[Mapping[str, Any]], Items(only("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"))]
    evidence: tuple[str, ...] = ()

    def lacks(self, other: Jwks) -> tuple[str, ...]:
        """Ids of keys that `other` holds and this does not hold with the same key material."""
        mine = {(key.get("kid", ""), _material(key)) for key in self.keys}
        return tuple(k.get("kid", "") for k in other.keys if (k.get("kid", ""), _material(k)) not in mine)


@dataclass(frozen=True, slots=True)
class Signature:
    """The outcome of verifying a token's signature; expiry and audience are not judged here.

    Attributes:
        ok: It verifies with a key of the set.
        key_id: ``kid`` of the token's header.
        reason: Why not; empty when it does. Never holds the token.
    """

    ok: bool
    key_id: str
    reason: str


def _material(key: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(key.get(name) for name in ("kty", "n", "e", "crv", "x", "y"))


@keeps(mask_of(Jwks))
def parse_jwks(document: Any, evidence: tuple[str, ...] = ()) -> Jwks:
    """Reads a key set.

    Args:
        document: The decoded JSON, or its text (a join token carries it as text).
        evidence: Ids of the readings.

    Raises:
        CouldNotTell: It is the literal placeholder, not JSON, not a key set, or has no key.
    """
    where = "JWKS"
    if isinstance(document, str):
        if is_placeholder(document):
            raise damaged("a JWKS", f"the literal placeholder {LITERAL_PLACEHOLDER}", where)
        document = parse_json(document, where)
    found = read(Jwks, document, where, evidence=evidence)
    if not found.keys:
        raise damaged("at least one key", "none", where)
    return found


def is_placeholder(text: str) -> bool:
    """Tell whether a join token holds the template's text (or the remains of a failed xargs) instead of a key set."""
    return LITERAL_PLACEHOLDER in text or text.strip() in ("", "{}", "'{}'")


def verify(token: str, jwks: Jwks) -> Signature:
    """Verifies the signature of a JSON Web Token against a key set.

    Raises:
        CouldNotTell: The token is not a JSON Web Token.
    """
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise damaged("a JSON Web Token", str(error), "service-account token") from error
    key_id = str(header.get("kid", ""))
    candidates = [key for key in jwks.keys if not key_id or key.get("kid", "") == key_id]
    if not candidates:
        return Signature(False, key_id, f"the set has no key {key_id}; it has {', '.join(jwks.key_ids)}")
    reason = ""
    for key in candidates:
        try:
            loaded = jwt.PyJWK(dict(key), algorithm=str(header.get("alg", "")))
            jwt.decode(
                token,
                loaded,
                algorithms=[loaded.algorithm_name],
                options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            reason = str(error)
        else:
            return Signature(True, key_id, "")
    return Signature(False, key_id, f"the key {key_id} is there and does not verify it: {reason}")
