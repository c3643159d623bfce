"""The trust bundle of a trust domain, as Teleport publishes it.

Source: SPIFFE Trust Domain and Bundle specification, section 4 (a JWK set; a key of use ``x509-svid`` has its certificate in
``x5c``).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Any

from facts.declared import At, Declared, Only, Read, Texts, mask_of, read
from facts.document import damaged
from facts.masks import LEAF, Fields, Items, keeps
from facts.svid import Certificate, parse_der_certificates

_WHERE = "SPIFFE bundle"


@dataclass(frozen=True, slots=True)
class _Key(Declared):
    x5c: Texts


def _authorities(keys: tuple[_Key, ...]) -> tuple[Certificate, ...]:
    return tuple(authority for key in keys for authority in _certificates(key))


def _certificates(key: _Key) -> tuple[Certificate, ...]:
    if len(key.x5c) != 1:
        raise damaged("exactly one certificate in x5c of an x509-svid key", f"{len(key.x5c)}", _WHERE)
    try:
        return parse_der_certificates(base64.b64decode(key.x5c[0], validate=True), _WHERE)
    except binascii.Error as error:
        raise damaged("x5c in base64", str(error), _WHERE) from error


@dataclass(frozen=True, slots=True)
class TrustBundle(Declared):
    """The authorities of one trust domain.

    Attributes:
        trust_domain: Its name; the document does not hold it, the caller knows it.
        authorities: X.509 authorities, in the document's order. The specification demands that keys of unknown uses are
            ignored.
        evidence: Ids of the readings.
    """

    trust_domain: str
    authorities: Annotated[
        tuple[Certificate, ...],
        At("keys"),
        Items(Fields({"use": LEAF, "x5c": Items(LEAF)})),
        Read(Annotated[tuple[_Key, ...], Only(_Key, lambda key: key.get("use") == "x509-svid")], _authorities),
    ]
    evidence: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> frozenset[str]:
        """SHA-256 of each X.509 authority."""
        return frozenset(a.sha256 for a in self.authorities)


@keeps(mask_of(TrustBundle))
def parse_bundle(document: Any, trust_domain: str = "", evidence: tuple[str, ...] = ()) -> TrustBundle:
    """Reads a SPIFFE bundle.

    Args:
        document: The decoded JSON.
        trust_domain: Whose bundle it is.
        evidence: Ids of the readings.

    Raises:
        CouldNotTell: It is not a bundle, holds no X.509 authority, or one of them is damaged.
    """
    bundle = read(TrustBundle, document, _WHERE, trust_domain=trust_domain, evidence=evidence)
    if not bundle.authorities:
        raise damaged("at least one key with use x509-svid", "none", _WHERE)
    return bundle
