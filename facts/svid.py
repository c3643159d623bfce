"""X.509 certificates and SPIFFE IDs: the content of an SVID, and its descent from a set of authorities.

Sources: SPIFFE-ID specification section 2, X509-SVID specification sections 2 to 5, RFC 5280.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from facts.document import damaged
from facts.redaction import prose, redact

_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
_EXTENDED = {ExtendedKeyUsageOID.SERVER_AUTH: "server_auth", ExtendedKeyUsageOID.CLIENT_AUTH: "client_auth"}

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[a-zA-Z0-9._-]+")
MAX_ID_BYTES = 2048

_NOT_READABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What ``cryptography`` raises for a certificate that it cannot read; only the first is a ValueError."""


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """A well-formed SPIFFE ID.

    Attributes:
        trust_domain: E.g. ``teleport.example.com``.
        path: With its leading slash; empty for the ID of a trust domain itself.
    """

    trust_domain: str
    path: str

    @classmethod
    def parse(cls, text: str, where: str = "a SPIFFE ID") -> SpiffeId:
        """Reads a SPIFFE ID by the grammar of the specification.

        Raises:
            CouldNotTell: It breaks the grammar; `malformation` says how.
        """
        if wrong := malformation(text):
            raise damaged("a SPIFFE ID such as spiffe://example.org/ns/a/sa/b", f"{text!r}: {wrong}", where)
        trust_domain, slash, path = text.removeprefix("spiffe://").partition("/")
        return cls(trust_domain, slash + path)

    def __str__(self) -> str:
        return f"spiffe://{self.trust_domain}{self.path}"


def malformation(text: str) -> str:
    """The defect of a text by the grammar of a SPIFFE ID, as a sentence; empty when it is well-formed."""
    # JSON can spell half a surrogate pair, which UTF-8 has no bytes for.
    length = len(text.encode(errors="surrogatepass"))
    if length > MAX_ID_BYTES:
        return f"it has {length} bytes, more than {MAX_ID_BYTES}"
    if not text.startswith("spiffe://"):
        return "it does not start with spiffe:// (in lower case)"
    trust_domain, slash, path = text.removeprefix("spiffe://").partition("/")
    if not trust_domain:
        return "its trust domain is empty"
    if not _TRUST_DOMAIN.fullmatch(trust_domain):
        return f"its trust domain {trust_domain!r} has other characters than a-z 0-9 . _ - or is longer than 255"
    if not slash:
        return ""
    if path == "" or path.endswith("/"):
        return "it ends with a slash"
    for segment in path.split("/"):
        if segment == "":
            return "it has an empty path segment"
        if segment in (".", ".."):
            return f"it has the path segment {segment!r}"
        if not _SEGMENT.fullmatch(segment):
            return f"its path segment {segment!r} has other characters than a-z A-Z 0-9 . _ -"
    return ""


def workload_id(trust_domain: str, namespace: str, service_account: str) -> str:
    """The identity that Istio demands of a workload."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """An X.509 certificate.

    Attributes:
        subject: RFC 4514, empty for an empty name.
        issuer: RFC 4514.
        serial: Lower-case hex without leading zeros or separators.
        not_before: UTC.
        not_after: UTC.
        uri_sans: All URI subject alternative names.
        san_critical: The subject alternative name extension is critical (it must be where the subject is empty).
        is_ca: basicConstraints CA is true.
        key_usage: Names of the bits that are set, e.g. ``digital_signature``; empty when the extension is missing.
        key_usage_critical: The extension is critical.
        extended_key_usage: ``server_auth``, ``client_auth``, or dotted OIDs of others.
        key_sha256: SHA-256 of the DER SubjectPublicKeyInfo, hex: two certificates share their key when it is equal.
        sha256: SHA-256 of the DER certificate, hex.
        pem: The certificate; public.
    """

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    uri_sans: tuple[str, ...]
    san_critical: bool
    is_ca: bool
    key_usage: frozenset[str]
    key_usage_critical: bool
    extended_key_usage: frozenset[str]
    key_sha256: str
    sha256: str
    pem: str

    def is_valid_at(self, moment: datetime) -> bool:
        """Tell whether `moment` (UTC) lies in the validity period."""
        return self.not_before <= moment <= self.not_after

    def __str__(self) -> str:
        name = self.uri_sans[0] if self.uri_sans else self.subject or "a certificate without a name"
        return f"{name} (serial {self.serial}, valid {self.not_before:%F %T} to {self.not_after:%F %T} UTC)"


def parse_certificates(pem: str, where: str) -> tuple[Certificate, ...]:
    """Reads every certificate of a PEM text, in its order.

    Raises:
        CouldNotTell: There is none, or one is damaged.
    """
    try:
        loaded = x509.load_pem_x509_certificates(pem.encode())
    except _NOT_READABLE as error:
        raise damaged("certificates in PEM", str(error), where) from error
    return tuple(_certificate(certificate, where) for certificate in loaded)


def parse_der_certificates(der: bytes, where: str) -> tuple[Certificate, ...]:
    """Reads one DER certificate, or several one after another as the SPIFFE Workload API writes them.

    Raises:
        CouldNotTell: One is damaged.
    """
    found: list[Certificate] = []
    rest = der
    while rest:
        length = _der_length(rest)
        try:
            found.append(_certificate(x509.load_der_x509_certificate(rest[:length]), where))
        except _NOT_READABLE as error:
            raise damaged("a DER certificate", str(error), where) from error
        rest = rest[length:]
    return tuple(found)


def _der_length(der: bytes) -> int:
    """Length of the first certificate. It has the long form of a length; another element fails in its parser."""
    octets = der[1] & 0x7F if len(der) > 1 else 0
    return 2 + octets + int.from_bytes(der[2 : 2 + octets], "big")


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """The outcome of checking the descent of a leaf from a set of authorities.

    Attributes:
        ok: It descends from one of them, at the time asked for.
        reason: Why not; empty when it does.
    """

    ok: bool
    reason: str = ""


def verify_chain(
    leaf: Certificate, authorities: Iterable[Certificate], at: datetime, intermediates: Iterable[Certificate] = ()
) -> ChainCheck:
    """Checks the certification path from a leaf to one of the authorities at a moment.

    RFC 5280 path validation by ``cryptography``'s verifier with the web's extra demands on extensions taken off: SVIDs have
    neither an authority key identifier nor DNS names. Of an authority it is still demanded that it is a CA. The leaf's own
    profile is not judged here.

    Args:
        authorities: Trust anchors; none of them is a failure.
        at: UTC.
        intermediates: Further certificates that may stand between.
    """
    anchors = list(authorities)
    if not anchors:
        return ChainCheck(False, "there is no authority to verify against")
    own, loaded = _loaded(leaf), [_loaded(a) for a in anchors]
    between = {_loaded(i): i for i in intermediates}
    ca_policy = verification.ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, _must_be_ca
    )
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(loaded))
        .time(at.astimezone(UTC))
        .extension_policies(ca_policy=ca_policy, ee_policy=verification.ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        verifier.verify(own, [*between])
    except verification.VerificationError as error:
        path = [leaf, *(between[each] for each in _above(own, between))]
        return ChainCheck(False, _why_not(path, loaded, at, str(error)))
    return ChainCheck(True)


def is_signed_by(leaf: Certificate, authorities: Iterable[Certificate], intermediates: Iterable[Certificate] = ()) -> bool:
    """Tell whether signatures lead from a leaf to one of the authorities; validity periods do not count.

    It shows that an authority did *not* issue something; an expired certificate must not count as such.

    Args:
        authorities: Where the signatures may lead.
        intermediates: Further certificates that may stand between.
    """
    roots, own = [_loaded(a) for a in authorities], _loaded(leaf)
    path = [own, *_above(own, [_loaded(i) for i in intermediates])]
    return any(_issued(certificate, root) for certificate in path for root in roots)


def _loaded(certificate: Certificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.pem.encode())


def _above(leaf: x509.Certificate, intermediates: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """The intermediates to which signatures lead from a leaf, nearest first."""
    between = list(intermediates)
    reached = [leaf]
    for certificate in reached:  # grows while it is walked, by each intermediate at most once
        reached += [i for i in between if i not in reached and _issued(certificate, i)]
    return reached[1:]


def _must_be_ca(_policy: verification.Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("an authority is not a CA")


def _why_not(path: list[Certificate], anchors: list[x509.Certificate], at: datetime, words: str) -> str:
    """The verifier says the same few words for many causes; the usual ones get their own words here.

    Args:
        path: The leaf, and the intermediates above it.
        anchors: The authorities.
        at: UTC.
        words: The verifier's.
    """
    leaf = path[0]
    above = [c for c in path[1:] if c.subject != c.issuer]  # a root that a workload presents is no intermediate
    signed_by = [a for a in anchors if any(_issued(_loaded(certificate), a) for certificate in path)]
    if not signed_by:
        issuers = ", whose issuer is ".join(c.issuer or "an empty name" for c in (leaf, *above[:1]))
        it = "it or an intermediate above it" if above else "it"
        return f"none of the {len(anchors)} authorities signed {it} (its issuer is {issuers})"
    if at < leaf.not_before:
        return f"it is not valid before {leaf.not_before:%F %T} UTC"
    if at > leaf.not_after:
        return f"it expired at {leaf.not_after:%F %T} UTC"
    if lapsed := [c for c in above if not c.is_valid_at(at)]:
        first = lapsed[0]
        name = first.subject or "without a name"
        return f"the intermediate {name} is valid from {first.not_before:%F %T} to {first.not_after:%F %T} UTC"
    if not any(a.not_valid_before_utc <= at <= a.not_valid_after_utc for a in signed_by):
        return "the authority that signed it is outside its own validity"
    return words


def _issued(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _certificate(loaded: x509.Certificate, where: str) -> Certificate:
    """Its facts. Most fields are decoded only here, whatever their owner put into them."""
    try:
        return _facts_of(loaded)
    except _NOT_READABLE as error:
        raise damaged("a certificate with readable names, extensions and key", str(error), where) from error


def _facts_of(loaded: x509.Certificate) -> Certificate:
    extensions = {extension.oid: extension for extension in loaded.extensions}
    san = extensions.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    basic = extensions.get(ExtensionOID.BASIC_CONSTRAINTS)
    usage = extensions.get(ExtensionOID.KEY_USAGE)
    extended = extensions.get(ExtensionOID.EXTENDED_KEY_USAGE)
    names = san.value if san and isinstance(san.value, x509.SubjectAlternativeName) else x509.SubjectAlternativeName([])
    key = loaded.public_key()
    key_der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Certificate(
        # Whoever makes a certificate chooses its names, and sentences quote them. No SPIFFE ID of a workload looks like a
        # secret, so one in a name leaves no comparison open: it is another name.
        subject=prose(redact(loaded.subject.rfc4514_string()).text),
        issuer=prose(redact(loaded.issuer.rfc4514_string()).text),
        serial=f"{loaded.serial_number:x}",
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
        uri_sans=tuple(prose(redact(name).text) for name in names.get_values_for_type(x509.UniformResourceIdentifier)),
        san_critical=bool(san and san.critical),
        is_ca=bool(basic and isinstance(basic.value, x509.BasicConstraints) and basic.value.ca),
        key_usage=frozenset(u for u in _KEY_USAGES if usage and getattr(usage.value, u)),
        key_usage_critical=bool(usage and usage.critical),
        extended_key_usage=frozenset(
            _EXTENDED.get(oid, oid.dotted_string)
            for oid in (extended.value if extended and isinstance(extended.value, x509.ExtendedKeyUsage) else ())
        ),
        key_sha256=hashlib.sha256(key_der).hexdigest(),
        sha256=hashlib.sha256(loaded.public_bytes(serialization.Encoding.DER)).hexdigest(),
        pem=loaded.public_bytes(serialization.Encoding.PEM).decode(),
    )


def serial_of(text: str) -> str:
    """A serial in any usual spelling (``45:29:A5``, ``0x4529a5``) as `Certificate.serial` spells it.

    Raises:
        CouldNotTell: It is not hexadecimal.
    """
    try:
        return f"{int(text.replace(':', '').strip(), 16):x}"
    except ValueError as error:
        raise damaged("a serial number in hexadecimal", repr(text), "a serial number") from error
