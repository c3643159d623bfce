"""A ledger of handshakes: for each attempt of a client at a port of a server, how its first connection ended.

It is about connections, not requests: a request that a policy answers with 403 came over a handshake that was completed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import product

from facts.evidence import ObjectRef
from facts.traffic.ledger import Ledger, Outcome, Request


class Ended(StrEnum):
    """The end of one connection, by what either side saw of it."""

    MUTUAL = "a handshake in which both sides showed a certificate"
    PLAIN = "plain text got through"
    LET_IN = "it was let in; nothing shows whether over TLS"
    REFUSED = "refused"
    UNTOLD = "nothing shows how it ended"


@dataclass(frozen=True, slots=True)
class SeenHandshake:
    """One entry.

    Attributes:
        client: The client's pod.
        server: The server's pod.
        port: The port of the server's pod.
        ended: How it ended.
        said: The words of the side that reported it.
        at: UTC.
        evidence: Ids of the readings.
        or_client: Other pods of the gateway that is the client; any of them may have been it.
        or_server: The same of a gateway that is the server.
    """

    client: ObjectRef
    server: ObjectRef
    port: int
    ended: Ended
    said: str
    at: datetime
    evidence: tuple[str, ...]
    or_client: tuple[ObjectRef, ...] = ()
    or_server: tuple[ObjectRef, ...] = ()

    @property
    def pairs(self) -> tuple[tuple[ObjectRef, ObjectRef], ...]:
        """The pairs of client and server between which it may have been, at least one."""
        return tuple(product((self.client, *self.or_client), (self.server, *self.or_server)))


def ended_of(request: Request, *, over_tcp: bool = False) -> Ended:
    """The end of the connection under a request, as its outcome shows.

    Args:
        request: A request to a server with a sidecar, which names the peer whose certificate it has verified.
        over_tcp: It is no HTTP request, so that the sidecar has no header to name the peer in.
    """
    match request.outcome:
        case Outcome.ANSWERED:
            if over_tcp or request.word is None:
                return Ended.LET_IN
            return Ended.MUTUAL if request.word.peers else Ended.PLAIN
        case Outcome.DENIED:
            # The server's own proxy wrote it, after the handshake or without one.
            return Ended.LET_IN
        case Outcome.TLS_ERROR | Outcome.NO_UPSTREAM | Outcome.RESET | Outcome.CLOSED:
            return Ended.REFUSED
    return Ended.UNTOLD


OF_THE_GATEWAY = 418
"""The status with which the gateway itself answers requests for a host of the suite (``gateway-handshakes.yaml``)."""


def seen_at_gateway(ledger: Ledger, client: ObjectRef, gateway: Sequence[ObjectRef], port: int) -> SeenHandshake:
    """The handshake of a client with a gateway, under one request that the gateway answers itself.

    Args:
        ledger: The ledger of the request.
        client: The client's pod.
        gateway: The gateway's pods, at least one.
        port: Their port.
    """
    (request,) = ledger.requests
    if request.outcome is Outcome.OTHER_ANSWER and request.status == OF_THE_GATEWAY:
        ended = Ended.LET_IN
    else:  # nothing behind the gateway answers for that host
        ended = Ended.UNTOLD if request.outcome is Outcome.ANSWERED else ended_of(request)
    server, *others = gateway
    return SeenHandshake(client, server, port, ended, str(request), request.at, ledger.evidence, or_server=tuple(others))


def seen_behind_gateway(
    ledger: Ledger, gateway: Sequence[ObjectRef], server: ObjectRef, port: int, *, gateway_denies: bool
) -> SeenHandshake:
    """The handshake of a gateway with a server, under one request of a client outside of the mesh.

    Args:
        ledger: The ledger of the request.
        gateway: The gateway's pods, at least one.
        server: The server's pod.
        gateway_denies: A policy of the gateway denies the client, so that a 403 is not the server's.
    """
    (request,) = ledger.requests
    # What a proxy at the server's end did, the gateway tells in an answer of its own.
    of_gateway = {Outcome.RESET, Outcome.CLOSED, *((Outcome.DENIED,) if gateway_denies else ())}
    ended = Ended.UNTOLD if request.outcome in of_gateway else ended_of(request)
    client, *others = gateway
    return SeenHandshake(client, server, port, ended, str(request), request.at, ledger.evidence, or_client=tuple(others))
