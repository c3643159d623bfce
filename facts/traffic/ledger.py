"""The ledger of the traffic client: one entry for each request, each with one outcome out of a closed list.

The program, ``manifests/traffic/traffic.py``, records what happened; this module decides what it means. The server names
its caller. Sources: Envoy's documentation of ``x-forwarded-client-cert`` and of its local replies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from facts.document import damaged, decoded, mappings, need, texts, when
from facts.evidence import readings
from facts.kubernetes.objects import Pod
from facts.masks import WHOLE, keeps
from facts.proxies.envoy_traffic import Counters
from facts.proxies.identity import ProxyIdentity
from facts.proxies.policies import Policy
from facts.redaction import beginning, prose

WHERE = "ledger of the traffic client"
RBAC_WORDS = "RBAC: access denied"


class Outcome(StrEnum):
    """The outcome of a request. Each differs from all others; a timeout is no refusal."""

    ANSWERED = "answered by the server"
    DENIED = "403 RBAC: access denied"
    TLS_ERROR = "503 for a TLS error"
    """In the words of the proxy that could not shake hands; many say no more than the next."""
    NO_UPSTREAM = "503 without a connection to the server"
    """The proxy that answers had none, for whatever reason: what it counts of its handshakes says more."""
    OTHER_ANSWER = "another answer"
    RESET = "connection reset"
    """By a peer that had accepted the connection; a connection that no peer accepts is refused."""
    CLOSED = "connection closed without an answer"
    REFUSED = "connection refused"
    UNRESOLVED = "name not resolved"
    TIMEOUT = "timeout"
    OTHER_ERROR = "another error"


@dataclass(frozen=True, slots=True)
class End:
    """One end of the traffic, as its pod knows itself."""

    pod: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Peer:
    """One element of ``x-forwarded-client-cert``: the peer whose certificate a proxy has verified.

    Attributes:
        by: URI SANs of the proxy's own certificate.
        uris: URI SANs of the peer's certificate.
        hash: SHA-256 of the peer's certificate, hexadecimal; empty where the proxy does not say it.
    """

    by: tuple[str, ...]
    uris: tuple[str, ...]
    hash: str


@dataclass(frozen=True, slots=True)
class Word:
    """The server's own account of a request.

    Attributes:
        arrivals: Number of arrivals of this request there by then; more than one means that a proxy sent it again.
        target: The path as it arrived; empty over TCP.
        peers: The proxies' certificates on the way, nearest last; none over TCP.
    """

    server: End
    arrivals: int
    target: str
    peers: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One entry.

    Attributes:
        id: Unique in all ledgers.
        url: As it was asked for.
        at: UTC time at which it began.
        seconds: That it took.
        connection: The client's own address of its connection; empty where there was none.
        status: HTTP status; 0 where there is none.
        words: The words of a proxy or of the system, where the server did not answer.
        word: The server's account, where it answered.
    """

    id: str
    url: str
    at: datetime
    seconds: float
    connection: str
    outcome: Outcome
    status: int
    words: str
    word: Word | None

    def __str__(self) -> str:
        if self.outcome in (Outcome.ANSWERED, Outcome.DENIED):
            return self.outcome.value
        status = f"HTTP {self.status}" if self.outcome is Outcome.OTHER_ANSWER else ""
        words = ": ".join(part for part in (status, self.words) if part)
        return f"{self.outcome.value} ({words})" if words else self.outcome.value


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that one client asked in one go.

    Attributes:
        requests: In the order in which they were made; at least one.
        evidence: Ids of the readings.
    """

    client: End
    requests: tuple[Request, ...]
    evidence: tuple[str, ...]

    @property
    def words(self) -> tuple[Word, ...]:
        """The accounts of the servers."""
        return tuple(r.word for r in self.requests if r.word is not None)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The requests of one client to one server in one go, with the counters of the proxies at both ends.

    Attributes:
        ledger: The client's.
        client: Counters of the client's proxy; None without a proxy.
        server: Counters of the server's proxy; None without a proxy.
        proxies: Identities of the proxies at both ends, read before and after, since a certificate may be renewed meanwhile.
        policies: Policies that the proxies on the way enforce; read only where a request was not answered.
        policies_evidence: Ids of the readings of the policies.
    """

    ledger: Ledger
    client: Counters | None
    server: Counters | None
    proxies: tuple[ProxyIdentity, ...] = ()
    policies: tuple[Policy, ...] = ()
    policies_evidence: tuple[str, ...] = ()

    @property
    def asked(self) -> int:
        """Number of requests."""
        return len(self.ledger.requests)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return (*readings(self.ledger, self.client, self.server, *self.proxies), *self.policies_evidence)

    def held_by(self, pod: Pod) -> tuple[ProxyIdentity, ...]:
        """Identities of a pod's proxy, before and after."""
        return tuple(p for p in self.proxies if p.pod.uid == pod.uid)


@keeps(WHOLE)
def parse_ledger(document: Any, evidence: tuple[str, ...] = ()) -> Ledger:
    """Reads a ledger.

    Raises:
        CouldNotTell: It is not what the program writes.
    """
    requests = tuple(_request(entry) for entry in mappings(document, "requests", WHERE))
    if not requests:
        raise damaged("at least one request", "none", WHERE)
    return Ledger(parse_end(need(document, "client", dict, WHERE)), requests, evidence)


def _request(entry: Mapping[str, Any]) -> Request:
    status, body = need(entry, "status", int, WHERE), need(entry, "body", str, WHERE)
    error, detail = need(entry, "error", str, WHERE), need(entry, "detail", str, WHERE)
    request_id = need(entry, "id", str, WHERE)
    word = None if error else _word(body, request_id, status)
    outcome = of_error(error) if error else Outcome.ANSWERED if word else of_answer(status, body)
    return Request(
        id=request_id,
        url=need(entry, "url", str, WHERE),
        at=when(need(entry, "at", str, WHERE), WHERE),
        seconds=need(entry, "seconds", float, WHERE),
        connection=need(entry, "connection", str, WHERE),
        outcome=outcome,
        status=status,
        words="" if word else prose(detail) or beginning(body, 300),
        word=word,
    )


def _word(body: str, request_id: str, status: int) -> Word | None:
    """The server's account of this very request; None where something else answered."""
    said = decoded(body)
    if not isinstance(said, Mapping) or said.get("id") != request_id or status not in (0, 200):
        return None
    return Word(
        server=parse_end(need(said, "server", dict, WHERE)),
        arrivals=need(said, "arrivals", int, WHERE),
        target=need(said, "target", str, WHERE),
        peers=tuple(peer for header in texts(said, "peer", WHERE) for peer in parse_peers(header)),
    )


def parse_end(document: Mapping[str, Any]) -> End:
    """Reads how an end of the traffic describes itself."""
    return End(need(document, "pod", str, WHERE), need(document, "namespace", str, WHERE))


def of_answer(status: int, body: str) -> Outcome:
    """The outcome that an answer means which does not come from the server."""
    if status == 403 and body.strip() == RBAC_WORDS:
        return Outcome.DENIED
    if status == 504 or (status == 503 and "reset reason: connection timeout" in body):
        return Outcome.TIMEOUT
    if status == 503:
        return Outcome.TLS_ERROR if re.search(r"\bTLS[ _]error\b", body) else Outcome.NO_UPSTREAM
    return Outcome.OTHER_ANSWER


def of_error(error: str) -> Outcome:
    """The outcome that an error means, by the program's word for it."""
    return {
        "ECONNRESET": Outcome.RESET,
        "EPIPE": Outcome.RESET,
        "closed": Outcome.CLOSED,
        "ECONNREFUSED": Outcome.REFUSED,
        "unresolved": Outcome.UNRESOLVED,
        "timeout": Outcome.TIMEOUT,
        "ETIMEDOUT": Outcome.TIMEOUT,
    }.get(error, Outcome.OTHER_ERROR)


def parse_peers(header: str) -> tuple[Peer, ...]:
    """Reads a value of the header ``x-forwarded-client-cert``: elements with commas between, pairs with semicolons between.

    Raises:
        CouldNotTell: It is not such a value.
    """
    return tuple(_peer(element) for element in _split(header, ","))


def _peer(element: str) -> Peer:
    pairs: dict[str, list[str]] = {}
    for pair in _split(element, ";"):
        key, equals, value = pair.partition("=")
        if not equals:
            raise damaged("pairs of a key and a value", repr(pair), "x-forwarded-client-cert")
        if value.startswith('"'):
            value = value[1:-1].replace('\\"', '"')
        pairs.setdefault(key.strip().lower(), []).append(value)
    return Peer(tuple(pairs.get("by", ())), tuple(pairs.get("uri", ())), next(iter(pairs.get("hash", ())), ""))


def _split(text: str, separator: str) -> Iterator[str]:
    """Parts of a text, where a separator between double quotes separates nothing."""
    for part in re.findall(rf'((?:[^"{separator}]|"(?:[^"\\]|\\.)*")+)', text):
        if part.strip():
            yield part.strip()
