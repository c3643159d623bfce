"""The SPIFFE authority and the phases of its rotation.

``standby`` → ``init`` (a new authority exists and is trusted, the old one signs) → ``update_clients`` (the new one
signs, both are trusted) → ``update_servers`` (no change for SPIFFE) → ``standby`` (the old one is dropped). From any
phase but ``standby``, ``rollback`` makes the old one sign again and ``standby`` then drops the new one.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec

from lab.standin import durations
from lab.standin.auth.certificates import JwtKey, Signer, base64url_number, new_authority
from lab.standin.failure import Kind, Refusal

_NEXT = {
    "standby": ("init",),
    "init": ("update_clients", "rollback"),
    "update_clients": ("update_servers", "rollback"),
    "update_servers": ("standby", "rollback"),
    "rollback": ("standby",),
}
PHASES = tuple(_NEXT)
_REFRESH_HINT_SECONDS = 300
_COORDINATE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Generation:
    """The keys that come and go together in a rotation: one for certificates, and one for JWTs."""

    signer: Signer
    jwt: JwtKey

    @classmethod
    def create(cls, cluster_name: str) -> Self:
        """New keys."""
        return cls(new_authority(cluster_name), JwtKey.create())

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The keys in the state file."""
        return cls(Signer(**document["signer"]), JwtKey(**document["jwt"]))


@dataclass(slots=True)
class SpiffeAuthority:
    """The authority's keys and where its rotation stands.

    Attributes:
        active: the keys that sign.
        additional: others that are trusted, at most one generation.
        phase: one of :data:`PHASES`.
        last_rotated: when a rotation last came to its end, RFC 3339, or empty.
        sequence: counts the changes of the bundle.
    """

    active: Generation
    additional: list[Generation] = field(default_factory=list)
    phase: str = "standby"
    last_rotated: str = ""
    sequence: int = 1

    @classmethod
    def create(cls, cluster_name: str) -> Self:
        """A first authority."""
        return cls(Generation.create(cluster_name))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The authority that :meth:`to_document` described."""
        return cls(
            active=Generation.from_document(document["active"]),
            additional=[Generation.from_document(entry) for entry in document["additional"]],
            phase=document["phase"],
            last_rotated=document["last_rotated"],
            sequence=document["sequence"],
        )

    def to_document(self) -> dict[str, Any]:
        """Everything, private keys included, as JSON for the state file."""
        return asdict(self)

    @property
    def trusted(self) -> list[bytes]:
        """The trusted certificates in DER, the one that signs first."""
        return [generation.signer.der for generation in self._generations]

    @property
    def _generations(self) -> tuple[Generation, ...]:
        return (self.active, *self.additional)

    def enter(self, phase: str, cluster_name: str) -> None:
        """Go on to ``phase``.

        Raises:
            Refusal: no such phase, or it does not follow the present one.
        """
        if phase not in PHASES:
            raise Refusal(Kind.BAD_PARAMETER, f'unsupported phase: "{phase}"')
        if phase not in _NEXT[self.phase]:
            allowed = " or ".join(_NEXT[self.phase])
            raise Refusal(
                Kind.BAD_PARAMETER,
                f'cannot rotate the spiffe CA from phase "{self.phase}" to "{phase}", expected {allowed}',
            )
        if phase == "init":
            self.additional = [Generation.create(cluster_name)]
        elif phase == "update_clients" or (phase == "rollback" and self.phase != "init"):
            self.active, self.additional = self.additional[0], [self.active]
        elif phase == "standby":
            self.additional = []
            self.last_rotated = durations.rfc3339(durations.now())
        if phase != "update_servers":
            self.sequence += 1
        self.phase = phase

    def bundle(self) -> dict[str, Any]:
        """The SPIFFE bundle of the trust domain as a JWK set; Teleport's has a refresh hint and no sequence number."""
        keys = [_certificate_jwk(generation.signer) for generation in self._generations]
        keys += [generation.jwt.to_jwk() for generation in self._generations]
        return {"keys": keys, "spiffe_refresh_hint": _REFRESH_HINT_SECONDS}

    def rotation_text(self) -> str:
        """The cell of ``tctl status``."""
        if self.phase != "standby":
            return f"in progress (mode: manual, phase: {self.phase})"
        return f"standby (last rotated: {self.last_rotated})" if self.last_rotated else "standby (never rotated)"


def _certificate_jwk(signer: Signer) -> dict[str, Any]:
    key = signer.certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("the state file holds an authority of another key type than the stand-in makes")
    point = key.public_numbers()
    return {
        "use": "x509-svid",
        "kty": "EC",
        "crv": "P-256",
        "x": base64url_number(point.x, _COORDINATE_BYTES),
        "y": base64url_number(point.y, _COORDINATE_BYTES),
        "x5c": [base64.b64encode(signer.der).decode()],
    }
