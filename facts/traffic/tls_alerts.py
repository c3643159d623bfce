"""TLS alerts, by the objection of the side that sends one.

Sources: RFC 8446, section 6.2; RFC 5246, section 7.2, for those that only earlier versions have; RFC 7301 and RFC 6066. The
names are those of the registry, as OpenSSL has them in its error codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Objection(StrEnum):
    """The complaint of the side that sends an alert."""

    ISSUER = "it trusts none of the certificate's issuers"
    UNSAID = "the certificate is not acceptable, for a reason that it does not name"
    SIGNATURE = "the certificate is damaged, or a signature of it does not verify"
    KIND = "the certificate is of a kind that it does not take"
    DATES = "the certificate has expired or is not valid yet"
    REVOKED = "the certificate was revoked"
    BEARER = "the certificate is valid, and its bearer is not let in"
    MISSING = "it was shown no certificate"
    SOMETHING_ELSE = "something else than the certificate"


ALERTS: Mapping[str, Objection] = {
    "unknown_ca": Objection.ISSUER,
    "certificate_unknown": Objection.UNSAID,
    "bad_certificate": Objection.SIGNATURE,
    "unsupported_certificate": Objection.KIND,
    "certificate_expired": Objection.DATES,
    "certificate_revoked": Objection.REVOKED,
    "access_denied": Objection.BEARER,
    "certificate_required": Objection.MISSING,
    "no_certificate": Objection.MISSING,
}
"""Alerts about the certificate, by name. ``decrypt_error`` is none: it is about a signature of the handshake."""


def objection_of(alert: str) -> Objection:
    """The objection that an alert means; any alert without an entry in `ALERTS` says nothing about the certificate.

    Args:
        alert: Its name, in lower case.
    """
    return ALERTS.get(alert, Objection.SOMETHING_ELSE)
