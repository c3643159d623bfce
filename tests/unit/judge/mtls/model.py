"""A model of two proxies and a connection between them, written from the rules and not from the code under test.

Rules: RFC 8446, sections 2 and 4.4 (the server authenticates itself first, then the client if it was asked to); SPIFFE
X509-SVID, section 5 (an SVID is validated against the bundle of its own trust domain; a signing certificate is no SVID);
RFC 5280, section 6 (signatures, then dates); Istio's security documentation (PERMISSIVE, STRICT and DISABLE; automatic
mutual TLS goes by the endpoint, ISTIO_MUTUAL does not); Envoy's documentation of its validators (what is checked first).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

COMPLETES, PLAIN = "completes", "plain"


class Mode(StrEnum):
    """Of a PeerAuthentication."""

    PERMISSIVE = "permissive"
    STRICT = "strict"
    DISABLE = "disable"


class Speaks(StrEnum):
    """What a DestinationRule makes a client do; `AUTO` is Istio's own choice."""

    AUTO = "auto"
    ISTIO_MUTUAL = "istio-mutual"
    DISABLE = "disable"


@dataclass(frozen=True)
class Svid:
    """A certificate. Times are minutes from the moment of the handshake.

    Attributes:
        name: Its SPIFFE ID.
        issuer: The authority that signed it.
        since: Start of its validity.
        until: End of its validity.
        signs: It may sign others.
    """

    name: str
    issuer: str
    since: int
    until: int
    signs: bool

    @property
    def trust_domain(self) -> str:
        return self.name.split("/")[2]


@dataclass(frozen=True)
class Proxy:
    """A proxy.

    Attributes:
        svid: What it presents; None where no server has supplied it.
        bundles: The authorities that it trusts, by trust domain; None where no server has supplied them.
        by_domain: It validates by SPIFFE's rules; otherwise any of its authorities is as good for any trust domain.
    """

    svid: Svid | None
    bundles: dict[str, frozenset[str]] | None
    by_domain: bool


@dataclass(frozen=True)
class Connection:
    """A client's proxy, a server's proxy, and the settings of the connection between them.

    Attributes:
        client: The client's proxy.
        server: The server's proxy.
        speaks: The client's setting.
        marked: Istio knows that the endpoint has a sidecar that takes mutual TLS.
        expected: Names that the client expects; none for any.
        mode: The server's setting.
        past: The port goes past the server's proxy.
        prefixes: Beginnings of the names that the server accepts.
        demands: The server refuses a client without a certificate.
    """

    client: Proxy
    server: Proxy
    speaks: Speaks
    marked: bool
    expected: tuple[str, ...]
    mode: Mode
    past: bool
    prefixes: tuple[str, ...]
    demands: bool


def outcome(of: Connection) -> str:
    """`COMPLETES`, `PLAIN`, or who refuses and why, as ``side: reason``."""
    tls = of.speaks is Speaks.ISTIO_MUTUAL or (of.speaks is Speaks.AUTO and of.marked)
    if not tls:
        return PLAIN if of.past or of.mode in (Mode.PERMISSIVE, Mode.DISABLE) else "server: plain"
    if of.client.svid is None or of.client.bundles is None:
        return "client: silent"
    if of.past or of.mode is Mode.DISABLE:
        return "server: tls"
    if of.server.svid is None or of.server.bundles is None:
        return "server: silent"
    # The server's Certificate message comes first.
    wrong = _validated(of.server.svid, of.client, lambda name: not of.expected or name in of.expected)
    if wrong:
        return f"client: {wrong}"
    wrong = _validated(of.client.svid, of.server, lambda name: any(name.startswith(p) for p in of.prefixes))
    return f"server: {wrong}" if wrong else COMPLETES


def _validated(svid: Svid, by: Proxy, is_expected: object) -> str:
    assert by.bundles is not None
    assert callable(is_expected)
    if svid.signs and by.by_domain:
        return "signs"
    anchors = by.bundles.get(svid.trust_domain, frozenset()) if by.by_domain else frozenset().union(*by.bundles.values())
    if svid.issuer not in anchors:
        return "authority"
    if svid.since > 0:
        return "not yet"
    if svid.until < 0:
        return "expired"
    return "" if is_expected(svid.name) else "name"
