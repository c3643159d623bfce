"""The trust bundle of a trust domain, as Teleport publishes it.

Source: SPIFFE Trust Domain and Bundle specification, section 4 (a JWK set; a key of use ``x509-svid`` has its certificate in
``x5c``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facts.document import damaged, mappings, maybe, need, texts
from facts.svid import Certificate, parse_der_certificates

_WHERE = "SPIFFE bundle"


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """The authorities of one trust domain.

    Attributes:
        trust_domain: Its name; the document does not hold it, whoever asked knows it.
        authorities: X.509 authorities, in the document's order.
        jwt_key_ids: Key ids of the JWT authorities.
        sequence: ``spiffe_sequence``, None when it is not given.
        refresh_hint: Seconds; None when it is not given.
        evidence: Ids of the readings.
    """

    trust_domain: str
    authorities: tuple[Certificate, ...]
    jwt_key_ids: tuple[str, ...]
    sequence: int | None
    refresh_hint: int | None
    evidence: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> frozenset[str]:
        """SHA-256 of each X.509 authority."""
        return frozenset(a.sha256 for a in self.authorities)


def parse_bundle(document: Any, trust_domain: str = "", evidence: tuple[str, ...] = ()) -> TrustBundle:
    """Reads a SPIFFE bundle.

    Args:
        document: The decoded JSON.
        trust_domain: Whose bundle it is.
        evidence: Ids of the readings.

    Raises:
        CouldNotTell: It is not a bundle, holds no X.509 authority, or one of them is damaged.
    """
    need(document, "keys", list, _WHERE)
    authorities: list[Certificate] = []
    jwt_ids: list[str] = []
    for key in mappings(document, "keys", _WHERE):
        use = maybe(key, "use", "", _WHERE)
        if use == "jwt-svid":
            jwt_ids.append(maybe(key, "kid", "", _WHERE))
        if use != "x509-svid":
            continue  # the specification demands that unknown uses are ignored
        chain = texts(key, "x5c", _WHERE)
        if len(chain) != 1:
            raise damaged("exactly one certificate in x5c of an x509-svid key", f"{len(chain)}", _WHERE)
        try:
            der = base64.b64decode(chain[0], validate=True)
        except binascii.Error as error:
            raise damaged("x5c in base64", str(error), _WHERE) from error
        authorities.extend(parse_der_certificates(der, _WHERE))
    if not authorities:
        raise damaged("at least one key with use x509-svid", "none", _WHERE)
    return TrustBundle(
        trust_domain=trust_domain,
        authorities=tuple(authorities),
        jwt_key_ids=tuple(jwt_ids),
        sequence=_number(document, "spiffe_sequence"),
        refresh_hint=_number(document, "spiffe_refresh_hint"),
        evidence=evidence,
    )


def _number(document: Mapping[str, Any], key: str) -> int | None:
    return need(document, key, int, _WHERE) if document.get(key) is not None else None
