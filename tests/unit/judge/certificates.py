"""Authorities and SVIDs made in this process: one key for everything, each certificate made once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from facts.svid import Certificate, parse_certificates, workload_id

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TRUST_DOMAIN = "teleport.example.com"


@cache
def _key(name: str) -> ec.EllipticCurvePrivateKey:
    del name  # one key for each name
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _parsed(certificate: x509.Certificate) -> Certificate:
    return parse_certificates(certificate.public_bytes(serialization.Encoding.PEM).decode(), "a test")[0]


@cache
def authority(
    name: str = "teleport",
    *,
    days: int = 3650,
    starts: datetime = NOW - timedelta(days=1),
    is_ca: bool = True,
    uri: str = f"spiffe://{TRUST_DOMAIN}",
    issuer: str = "",
) -> Certificate:
    """A certificate authority of that name, its own issuer unless another is named; Teleport's if nothing else is said."""
    names = [x509.UniformResourceIdentifier(uri)] if uri else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer or name))
        .public_key(_key(name).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(starts + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _parsed(builder.sign(_key(issuer or name), hashes.SHA256()))


def intermediate(name: str = "between", *, issuer: str = "teleport", days: int = 365) -> Certificate:
    """An authority of that name which another one signed; Teleport's SPIFFE authority if nothing else is said."""
    return authority(name, issuer=issuer, days=days, uri="")


SIGNS = frozenset({"digital_signature", "key_encipherment", "key_agreement"})
"""Key usage of Teleport's SVIDs."""

BOTH_ENDS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@cache
def svid(
    namespace: str = "test-app",
    service_account: str = "test-app",
    *,
    issuer: str = "teleport",
    uri: str = "",
    uris: tuple[str, ...] | None = None,
    minutes: float = 60,
    starts: datetime = NOW - timedelta(minutes=10),
    key: str = "leaf",
    is_ca: bool = False,
    usage: frozenset[str] | None = SIGNS,
    usage_critical: bool = True,
    extended: tuple[x509.ObjectIdentifier, ...] = BOTH_ENDS,
    san_critical: bool = True,
) -> Certificate:
    """A workload's certificate with Teleport's profile, valid at NOW, signed by the authority of that name."""
    names = (uri or workload_id(TRUST_DOMAIN, namespace, service_account),) if uris is None else uris
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(_named(issuer))
        .public_key(_key(key).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(starts + timedelta(minutes=minutes))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(n) for n in names]), critical=san_critical
        )
    if usage is not None:
        bits = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False,
        ) | dict.fromkeys(usage, True)  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(**bits), critical=usage_critical)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    return _parsed(builder.sign(_key(issuer), hashes.SHA256()))
