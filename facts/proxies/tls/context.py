"""TLS contexts and transport sockets of an Envoy, as its configuration dump has them.

Sources: Envoy's API reference, ``TransportSocket``, ``CommonTlsContext`` and ``CertificateValidationContext``. What an SDS
server supplies is not in them: a context names its secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from facts.document import damaged, mappings, maybe, need, texts
from facts.masks import KEY, LEAF, NAME, Fields, Items, NamesIn, at, merged, only
from facts.proxies.envoy import AUTHORITIES, ROOT, Validator, parse_authorities
from facts.proxies.envoy import LEAF as OWN
from facts.proxies.tls.regex import parse_regex
from facts.redaction import beginning
from facts.svid import Certificate

INLINE = "(inline)"
"""Stands for the name of a secret where the context itself holds the certificate."""

WHERE = "TLS context"


class MatchKind(StrEnum):
    """The kinds of Envoy's ``StringMatcher``."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    CONTAINS = "contains"
    REGEX = "safe_regex"


@dataclass(frozen=True, slots=True)
class NameMatch:
    """One expected subject alternative name.

    Attributes:
        kind: The kind of comparison.
        text: The text to compare with; a regular expression is one that `facts.proxies.tls.regex` understands.
        ignore_case: The case of letters does not count; it always does for a regular expression.
        of_uris: It may match a URI; one that is for DNS names alone matches no SPIFFE ID.
    """

    kind: MatchKind
    text: str
    ignore_case: bool = False
    of_uris: bool = True

    def matches(self, name: str) -> bool:
        """Tell whether a URI name is as expected."""
        if not self.of_uris:
            return False
        if self.kind is MatchKind.REGEX:
            regex = parse_regex(self.text)
            return regex is not None and regex.matches(name)
        text, name = (self.text.lower(), name.lower()) if self.ignore_case else (self.text, name)
        match self.kind:
            case MatchKind.EXACT:
                return name == text
            case MatchKind.PREFIX:
                return name.startswith(text)
            case MatchKind.SUFFIX:
                return name.endswith(text)
        return text in name

    def __str__(self) -> str:
        return self.text if self.kind is MatchKind.EXACT else f"{self.kind.value} {self.text}"


Names = tuple[NameMatch, ...]
"""Expected names; a peer needs one of them. Without any, every name is as expected."""


def expects(expected: Names, names: Iterable[str]) -> bool:
    """Tell whether one of a peer's names is among the expected ones."""
    return not expected or any(each.matches(name) for name in names for each in expected)


@dataclass(frozen=True, slots=True)
class Trust:
    """Authorities that peers are validated with.

    Attributes:
        validator: The kind of validation.
        authorities: By trust domain, sorted; under ``trusted_ca`` the only trust domain is an empty text.
    """

    validator: Validator
    authorities: tuple[tuple[str, tuple[Certificate, ...]], ...] = ()

    @classmethod
    def of(cls, validator: Validator, authorities: Mapping[str, tuple[Certificate, ...]]) -> Trust:
        """Of a secret ``ROOTCA``, or of a validation context."""
        return cls(validator, tuple(sorted(authorities.items(), key=lambda item: item[0])))


NOTHING = Trust(Validator.NONE)


@dataclass(frozen=True, slots=True)
class TlsContext:
    """A TLS context, for either direction.

    Attributes:
        certificate: Secret of the own certificate, e.g. ``default``; `INLINE`, or empty where it presents none.
        validation: Secret with which peers are validated, e.g. ``ROOTCA``; empty where no SDS server supplies it.
        sources: Where these secrets come from: a cluster such as ``sds-grpc``, or ``ads``.
        inline: Authorities that the context holds itself.
        accepts_invalid: It also takes certificates of an unknown authority, or expired ones.
        names: Expected names of the peer.
        demands_certificate: A client without a certificate is refused; only of a server.
        sni: The server name that a client sends; may be empty.
        alpn: Protocols that it offers.
    """

    certificate: str = ""
    validation: str = ""
    sources: frozenset[str] = frozenset()
    inline: Trust = NOTHING
    accepts_invalid: bool = False
    names: Names = ()
    demands_certificate: bool = False
    sni: str = ""
    alpn: tuple[str, ...] = ()

    @property
    def is_of_the_mesh(self) -> bool:
        """Tell whether a client has it for peers of the mesh. Others a user configures, for servers of somebody else.

        One of which a filter replaced some parts still counts.
        """
        of_istio = self.sni.startswith("outbound_.") or any(each.startswith("istio") for each in self.alpn)
        return of_istio or self.certificate == OWN or self.validation == ROOT


class Layer(StrEnum):
    """The kind of a transport socket."""

    PLAIN = "plain text"
    TLS = "TLS"
    TUNNEL = "a tunnel (HBONE)"
    OTHER = "another transport"


@dataclass(frozen=True, slots=True)
class Socket:
    """A transport socket.

    Attributes:
        layer: Its kind.
        tls: Its TLS context; None unless `layer` is TLS.
    """

    layer: Layer
    tls: TlsContext | None = None


PLAIN = Socket(Layer.PLAIN)
"""The transport socket of a cluster or filter chain that configures none."""


# A message without any field means another thing than one whose fields nobody reads, so the keys of these stay.
_SECRET = merged(
    Fields({"name": LEAF}, others=KEY),
    at("sds_config.ads", KEY),
    at("sds_config.api_config_source.grpc_services[].envoy_grpc.cluster_name", NAME),
)
_MATCHER = Fields(
    {kind.value: NamesIn("/") for kind in MatchKind if kind is not MatchKind.REGEX}
    | {MatchKind.REGEX.value: only("regex"), "ignore_case": LEAF},
    others=KEY,
)
_VALIDATION = merged(
    Fields({"trust_chain_verification": LEAF, "allow_expired_certificate": LEAF}, others=KEY),
    AUTHORITIES,
    at("match_typed_subject_alt_names[].san_type", LEAF),
    at("match_typed_subject_alt_names[].matcher", _MATCHER),
    at("match_subject_alt_names[]", _MATCHER),
)
_COMMON = Fields(
    {
        "tls_certificate_sds_secret_configs": Items(_SECRET),
        "tls_certificates": Items(Fields()),
        "combined_validation_context": Fields(
            {"default_validation_context": _VALIDATION, "validation_context_sds_secret_config": _SECRET}
        ),
        "validation_context": _VALIDATION,
        "validation_context_sds_secret_config": _SECRET,
        "alpn_protocols": Items(LEAF),
    }
)
_CONTEXT = Fields({"@type": LEAF, "common_tls_context": _COMMON, "require_client_certificate": LEAF, "sni": NAME})
SOCKET = Fields({"name": LEAF, "typed_config": _CONTEXT}, others=KEY)
"""What `parse_socket` reads. Of a certificate that the context holds itself it is only that there is one."""


def parse_socket(document: Any, where: str = WHERE) -> Socket:
    """Reads a ``TransportSocket``; a missing one (None or empty) sends plain text.

    Raises:
        CouldNotTell: A field is damaged.
    """
    if document is None or document == {}:
        return PLAIN
    typed = maybe(document, "typed_config", dict[str, Any](), where)
    kind = maybe(typed, "@type", "", where).rpartition(".")[2]
    if kind in ("DownstreamTlsContext", "UpstreamTlsContext"):
        return Socket(Layer.TLS, parse_context(typed, where))
    name = maybe(document, "name", "", where)
    if name == "envoy.transport_sockets.raw_buffer" or kind == "RawBuffer":
        return PLAIN
    if name == "envoy.transport_sockets.internal_upstream" or kind == "InternalUpstreamTransport":
        return Socket(Layer.TUNNEL)
    return Socket(Layer.OTHER)


def parse_context(document: Any, where: str = WHERE) -> TlsContext:
    """Reads a ``DownstreamTlsContext`` or an ``UpstreamTlsContext``.

    Raises:
        CouldNotTell: A field is damaged, or an expected name is of a kind that this suite does not know.
    """
    common = maybe(document, "common_tls_context", dict[str, Any](), where)
    secrets = [*mappings(common, "tls_certificate_sds_secret_configs", where)]
    if secrets:
        certificate = need(secrets[0], "name", str, where)
    else:
        certificate = INLINE if maybe(common, "tls_certificates", list[Any](), where) else ""
    combined = maybe(common, "combined_validation_context", dict[str, Any](), where)
    own = maybe(combined, "default_validation_context", dict[str, Any](), where) or maybe(
        common, "validation_context", dict[str, Any](), where
    )
    supplied = maybe(combined, "validation_context_sds_secret_config", dict[str, Any](), where) or maybe(
        common, "validation_context_sds_secret_config", dict[str, Any](), where
    )
    return TlsContext(
        certificate=certificate,
        validation=need(supplied, "name", str, where) if supplied else "",
        sources=frozenset(filter(None, (_source(secret, where) for secret in [*secrets, supplied]))),
        inline=Trust.of(*parse_authorities(own, where)),
        accepts_invalid=maybe(own, "trust_chain_verification", "", where) == "ACCEPT_UNTRUSTED"
        or maybe(own, "allow_expired_certificate", False, where),
        names=_names(own, where),
        demands_certificate=maybe(document, "require_client_certificate", False, where),
        sni=maybe(document, "sni", "", where),
        alpn=texts(common, "alpn_protocols", where),
    )


def _source(secret: Mapping[str, Any], where: str) -> str:
    config = maybe(secret, "sds_config", dict[str, Any](), where)
    for service in mappings(config, "api_config_source.grpc_services", where):
        return maybe(service, "envoy_grpc.cluster_name", "", where)
    return "ads" if "ads" in config else ""


def _names(context: Mapping[str, Any], where: str) -> Names:
    # Envoy looks at the untyped list only where the typed one is empty.
    typed = [*mappings(context, "match_typed_subject_alt_names", where)]
    if typed:
        return tuple(
            _name(
                maybe(each, "matcher", dict[str, Any](), where),
                where,
                of_uris=maybe(each, "san_type", "", where) in ("URI", "SAN_TYPE_UNSPECIFIED", ""),
            )
            for each in typed
        )
    return tuple(_name(each, where) for each in mappings(context, "match_subject_alt_names", where))


def _name(matcher: Mapping[str, Any], where: str, *, of_uris: bool = True) -> NameMatch:
    for kind in MatchKind:
        if kind.value in matcher:
            path = "safe_regex.regex" if kind is MatchKind.REGEX else kind.value
            text = need(matcher, path, str, where)
            if kind is MatchKind.REGEX and parse_regex(text) is None:
                raise damaged(
                    r"a regular expression of literals, \., [^/]+ and at most one .*", repr(beginning(text, 200)), where
                )
            return NameMatch(kind, text, maybe(matcher, "ignore_case", False, where), of_uris)
    # A name that is not understood must not become one that expects nothing.
    raise damaged(f"an expected name by {', '.join(MatchKind)}", ", ".join(matcher) or "nothing", where)
