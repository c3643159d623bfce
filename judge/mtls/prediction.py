"""The outcome of one way from a client's proxy to a server's port, predicted from what both ends are configured with.

A client validates the server's certificate before it sends its own (RFC 8446, section 4.4), so where both would refuse, it
is the client that does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from facts.proxies.envoy import LEAF, Validator
from facts.proxies.tls.context import Layer, Socket, TlsContext
from judge.mtls.peers import Check, Peer, Refusal, Standing, check_of, objection


class Outcome(StrEnum):
    """The outcome of a way."""

    COMPLETED = "the handshake completes"
    PLAIN = "plain text goes through"
    REFUSED = "refused"


class Side(StrEnum):
    """The side that refuses."""

    CLIENT = "client"
    SERVER = "server"


class Unpredictable(StrEnum):
    """The kinds of ways whose outcome nothing that was read decides."""

    DNS = "endpoints by DNS"
    ORIGINAL_DST = "endpoints that the application dials itself, such as those of a headless Service"
    PASSTHROUGH = "any address outside of the mesh's Services"
    OTHER_DISCOVERY = "endpoints from another source"
    NO_POD = "an address that is no pod of this cluster"
    NO_PROXY = "a pod without a proxy"
    NO_LISTENER = "a port of a gateway or waypoint on which Istio lets nothing listen"
    UNREAD = "a proxy that could not be read"
    TUNNEL = "a tunnel of ambient mode"
    OTHER_TRANSPORT = "a transport other than TLS and plain text"
    OTHER_TLS = "an application's own TLS, which a user configured"
    OTHER_SECRET = "certificates or authorities other than those of the mesh"
    LENIENT = "a proxy that is configured to accept certificates that do not verify"


NO_SERVER = frozenset(
    {
        Unpredictable.PASSTHROUGH,
        Unpredictable.NO_POD,
        Unpredictable.NO_PROXY,
        Unpredictable.NO_LISTENER,
        Unpredictable.OTHER_TLS,
    }
)
"""The kinds of ways at whose far end no proxy of the mesh takes a handshake."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted outcome.

    Attributes:
        side: The side that refuses; None unless it is refused.
        refusal: Why; None unless it is refused.
    """

    outcome: Outcome
    side: Side | None = None
    refusal: Refusal | None = None

    def __str__(self) -> str:
        return f"the {self.side} refuses: {self.refusal}" if self.side else self.outcome.value


COMPLETES = Prediction(Outcome.COMPLETED)
GOES_PLAIN = Prediction(Outcome.PLAIN)


def refused(by: Side, refusal: Refusal) -> Prediction:
    """A refusal."""
    return Prediction(Outcome.REFUSED, by, refusal)


@dataclass(frozen=True, slots=True)
class Client:
    """The client's end of a way.

    Attributes:
        socket: The transport that it speaks.
        peer: Its proxy; None where it has none and its application speaks for itself.
        expects_peer: The server has one of the names that its context expects.
    """

    socket: Socket
    peer: Peer | None
    expects_peer: bool


@dataclass(frozen=True, slots=True)
class Server:
    """The server's end of a way.

    Attributes:
        socket: The transport of what takes the connection: the proxy's filter chain, or the application where there is no
            proxy on the way; None where the proxy has no chain for it.
        peer: Its proxy; None where none is on the way.
    """

    socket: Socket | None
    peer: Peer | None


def predict(client: Client, server: Server) -> Prediction | Unpredictable:
    """Predict the outcome of one way."""
    if client.socket.layer is Layer.TUNNEL:
        return Unpredictable.TUNNEL
    if client.socket.layer is Layer.OTHER or (server.socket and server.socket.layer in (Layer.OTHER, Layer.TUNNEL)):
        return Unpredictable.OTHER_TRANSPORT
    offered, taken = client.socket.tls, server.socket.tls if server.socket else None
    if offered is None:
        takes_it = server.socket is not None and taken is None
        return GOES_PLAIN if takes_it else refused(Side.SERVER, Refusal.PLAIN_AGAINST_TLS)
    if taken is None and not offered.is_of_the_mesh:
        # The server's proxy, if there is one, passes it on to the application, or has no chain for it.
        return Unpredictable.OTHER_TLS
    if client.peer is None:
        return Unpredictable.OTHER_SECRET
    return _handshake(client, client.peer, offered, server.peer, taken)


def _handshake(
    client: Client, caller: Peer, offered: TlsContext, called: Peer | None, taken: TlsContext | None
) -> Prediction | Unpredictable:
    checks_server = check_of(offered, caller)
    if checks_server is None or offered.certificate not in (LEAF, ""):
        return Unpredictable.OTHER_SECRET
    if (offered.certificate and caller.standing is Standing.ABSENT) or _has_nothing(checks_server):
        # Without its secrets, Envoy makes no connection at all.
        return refused(Side.CLIENT, Refusal.SILENT)
    if taken is None or called is None:
        return refused(Side.SERVER, Refusal.TLS_AGAINST_PLAIN)
    checks_client = check_of(taken, called)
    if checks_client is None or taken.certificate != LEAF:
        return Unpredictable.OTHER_SECRET
    if called.standing is Standing.ABSENT or _has_nothing(checks_client):
        return refused(Side.SERVER, Refusal.SILENT)
    if refusal := objection(called, checks_server, name_fits=client.expects_peer):
        return Unpredictable.LENIENT if offered.accepts_invalid else refused(Side.CLIENT, refusal)
    if not offered.certificate:
        return refused(Side.SERVER, Refusal.MISSING) if taken.demands_certificate else COMPLETES
    name_fits = not taken.names or taken.names in caller.fits
    # Envoy asks for a certificate wherever it has something to validate it with, and refuses a bad one even where it
    # would have taken none.
    if refusal := objection(caller, checks_client, name_fits=name_fits):
        return Unpredictable.LENIENT if taken.accepts_invalid else refused(Side.SERVER, refusal)
    return COMPLETES


def _has_nothing(check: Check) -> bool:
    return check.is_done and check.validator is Validator.NONE
