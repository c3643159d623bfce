"""TLS alerts and the objection that each of them means."""

from __future__ import annotations

import pytest

from facts.traffic.tls_alerts import ALERTS, Objection, objection_of

OF_THE_CERTIFICATE = {
    "unknown_ca": "trusts none of the certificate's issuers",
    "certificate_unknown": "not acceptable",
    "bad_certificate": "damaged",
    "unsupported_certificate": "of a kind",
    "certificate_expired": "expired",
    "certificate_revoked": "revoked",
    "access_denied": "bearer is not let in",
    "certificate_required": "shown no certificate",
    "no_certificate": "shown no certificate",
}


@pytest.mark.parametrize(("alert", "words"), OF_THE_CERTIFICATE.items())
def test_an_alert_about_the_certificate_has_its_own_objection(alert: str, words: str) -> None:
    assert words in objection_of(alert)
    assert [*ALERTS] == [*OF_THE_CERTIFICATE]


@pytest.mark.parametrize("alert", ["decrypt_error", "handshake_failure", "internal_error", "", "an_alert_of_tomorrow"])
def test_any_other_alert_says_nothing_about_the_certificate(alert: str) -> None:
    assert objection_of(alert) is Objection.SOMETHING_ELSE


def test_each_objection_has_its_own_words() -> None:
    assert len({objection.value for objection in Objection if objection.value}) == len(Objection)
