"""Certificates made for a test: authorities and the SVIDs they sign."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from facts.svid import Certificate, parse_certificates

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class Authority:
    """A certificate authority, valid for ten years around NOW unless told otherwise."""

    def __init__(
        self,
        name: str = "example.org",
        *,
        is_ca: bool = True,
        not_before: datetime = NOW - timedelta(days=1),
        not_after: datetime = NOW + timedelta(days=3650),
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def endorse(self, other: Authority) -> Certificate:
        """Another authority's name and key, signed by this one."""
        signed = (
            x509.CertificateBuilder()
            .subject_name(other.name)
            .issuer_name(self.name)
            .public_key(other.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return parse_certificates(signed.public_bytes(serialization.Encoding.PEM).decode(), "test")[0]

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.DER)

    @property
    def certificate(self) -> Certificate:
        return parse_certificates(self.pem, "test")[0]

    def issue(
        self,
        *uris: str,
        not_before: datetime = NOW - timedelta(minutes=1),
        not_after: datetime = NOW + timedelta(hours=1),
        is_ca: bool = False,
        serial: int = 0x4529A5B7F95CD86F5A8DEBCA45B63ED2,
    ) -> str:
        """An SVID as Teleport issues it, in PEM."""
        usage = x509.KeyUsage(
            digital_signature=True, key_encipherment=True, key_agreement=True, content_commitment=False,
            data_encipherment=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        extended = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.name)
            .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
            .serial_number(serial)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(extended, critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(u) for u in uris]), critical=True)
            .sign(self.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
            .decode()
        )


def inline(pem: str) -> dict[str, str]:
    """PEM as Envoy's dumps hold it."""
    return {"inline_bytes": base64.b64encode(pem.encode()).decode()}
