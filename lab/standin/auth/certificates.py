"""Keys and certificates: the authorities' own, the web port's, and SVIDs (see :func:`sign_svid` for their profile)."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.standin import durations
from lab.standin.failure import Kind, Refusal

BACKDATED = timedelta(minutes=1)
_CA_LIFETIME = timedelta(days=3650)
_WEB_LIFETIME = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate with its private key, each as PEM, so that they can be kept in a file."""

    certificate_pem: str
    key_pem: str

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate."""
        return x509.load_pem_x509_certificate(self.certificate_pem.encode())

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """The private key."""
        key = serialization.load_pem_private_key(self.key_pem.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the state file holds a key of another type than the stand-in makes")
        return key

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True, slots=True)
class JwtKey:
    """The public half of an RSA key for JWT-SVIDs, as a JWK has it. The stand-in signs none, and keeps no private half."""

    kid: str
    n: str

    @classmethod
    def create(cls) -> JwtKey:
        """A new one."""
        public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        modulus = public.public_numbers().n
        return cls(_base64url(hashlib.sha256(der).digest()), base64url_number(modulus, (modulus.bit_length() + 7) // 8))

    def to_jwk(self) -> dict[str, str]:
        """The entry in a SPIFFE bundle."""
        return {"use": "jwt-svid", "kty": "RSA", "kid": self.kid, "n": self.n, "e": "AQAB"}


def base64url_number(value: int, length: int) -> str:
    """A number of a key as JWKs write it: ``length`` bytes in base64url without padding."""
    return _base64url(value.to_bytes(length, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class SubjectNames:
    """The parts of an SVID's subject; empty strings are left out."""

    common_name: str = ""
    organization: str = ""
    organizational_unit: str = ""

    def to_x509(self) -> x509.Name:
        """The distinguished name, empty when all parts are."""
        parts = (
            (NameOID.ORGANIZATION_NAME, self.organization),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, self.organizational_unit),
            (NameOID.COMMON_NAME, self.common_name),
        )
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])


@dataclass(frozen=True, slots=True)
class SvidNames:
    """What an SVID says of its holder."""

    spiffe_id: str
    dns_names: tuple[str, ...] = ()
    subject: SubjectNames = SubjectNames()


def new_authority(cluster_name: str) -> Signer:
    """A self-signed ECDSA P-256 authority named after the cluster."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = new_serial()
    # Two authorities of one cluster must differ in their subject, or a chain may be built to the wrong one.
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster_name),
            x509.NameAttribute(NameOID.COMMON_NAME, cluster_name),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, str(serial)),
        ]
    )
    moment = durations.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(moment - BACKDATED)
        .not_valid_after(moment + _CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True, key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Signer(_pem(certificate), _key_pem(key))


def sign_web_certificate(authority: Signer, hosts: Iterable[str]) -> Signer:
    """A server certificate for ``hosts`` (names and addresses), valid for a year."""
    key = ec.generate_private_key(ec.SECP256R1())
    moment = durations.now()
    issuer = authority.certificate
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in for Teleport")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(new_serial())
        .not_valid_before(moment - BACKDATED)
        .not_valid_after(moment + _WEB_LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_alternative_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_issuer_key(issuer), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Signer(_pem(certificate), _key_pem(key))


def sign_svid(authority: Signer, public_key: PublicKeyTypes, holder: SvidNames, lifetime: timedelta) -> x509.Certificate:
    """An X.509-SVID of Teleport's profile.

    Not a CA; key usage digitalSignature, keyEncipherment and keyAgreement; serverAuth and clientAuth; one URI SAN;
    128-bit serial; valid from a minute ago until ``lifetime`` from now; the subject is empty unless templated, and
    then the SAN is critical, as RFC 5280 demands.
    """
    moment = durations.now()
    name = holder.subject.to_x509()
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(holder.spiffe_id),
        *map(x509.DNSName, holder.dns_names),
    ]
    issuer = authority.certificate
    usage = _key_usage(digital_signature=True, key_encipherment=True, key_agreement=True)
    try:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.subject)
            .public_key(public_key)  # type: ignore[arg-type]
            .serial_number(new_serial())
            .not_valid_before(moment - BACKDATED)
            .not_valid_after(moment + lifetime)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_issuer_key(issuer), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=not list(name))
            .sign(authority.key, hashes.SHA256())
        )
    except (TypeError, ValueError) as error:
        raise Refusal(Kind.BAD_PARAMETER, "signing x509 svid", str(error)) from error


def load_public_key(der: bytes) -> PublicKeyTypes:
    """A public key in SubjectPublicKeyInfo form.

    Raises:
        Refusal: these bytes are not one.
    """
    try:
        return serialization.load_der_public_key(der)
    except ValueError as error:
        raise Refusal(Kind.BAD_PARAMETER, "parsing public key", str(error)) from error


def new_serial() -> int:
    """A random serial number of 128 bits, never zero."""
    return secrets.randbits(128) | 1


def serial_text(serial: int) -> str:
    """A serial number as Teleport logs it: bytes in hexadecimal with colons."""
    raw = serial.to_bytes((serial.bit_length() + 7) // 8, "big")
    return raw.hex(":")


def pin(certificate: x509.Certificate) -> str:
    """The pin of an authority: SHA-256 over its public key."""
    spki = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(spki).hexdigest()}"


def covers(certificate: x509.Certificate, authority: x509.Certificate, hosts: Iterable[str]) -> bool:
    """Whether ``certificate`` is valid now, signed by ``authority`` and names all of ``hosts``."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    listed = {str(entry.value) for entry in names}
    valid = certificate.not_valid_before_utc <= durations.now() <= certificate.not_valid_after_utc
    return valid and listed >= set(hosts)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _issuer_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_agreement: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
