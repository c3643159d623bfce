"""A ledger of handshakes: for each attempt of a client at a port of a server, how its first connection ended.

It is about connections, not requests: a request that a policy answers with 403 came over a handshake that was completed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from facts.evidence import ObjectRef
from facts.traffic.ledger import Outcome, Request


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
    """

    client: ObjectRef
    server: ObjectRef
    port: int
    ended: Ended
    said: str
    at: datetime
    evidence: tuple[str, ...]


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
