"""The handshakes of a mesh as plain data, for reports: its classes of proxies, and what each pair of classes comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from facts.proxies.envoy import Validator
from judge.mtls.ends import Takes
from judge.mtls.peers import ProxyClass, Refusal, Standing
from judge.mtls.prediction import Outcome, Side
from judge.mtls.table import Row, Table

MEMBERS = 5
"""Pods that a class names."""

SERVICES = 20
"""Services that a pair of classes names where something keeps them from mutual TLS."""


@dataclass(frozen=True, slots=True)
class ToldClass:
    """A class of proxies.

    Attributes:
        number: Its number.
        issuer: Issuer of its certificates; empty where it has none.
        trust_domain: Trust domain of its certificates; empty where it has none.
        certificate: State of its certificates.
        is_authority: Its certificates may sign others, so that they are no SVIDs.
        validator: The kind of validation of its peers.
        authorities: The authorities that it validates them with, each as ``TRUST DOMAIN: NAME (SHA-256)``.
        members: Number of its proxies.
        examples: Some of their pods, as ``namespace/name``.
    """

    number: int
    issuer: str
    trust_domain: str
    certificate: Standing
    is_authority: bool
    validator: Validator
    authorities: tuple[str, ...]
    members: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToldPair:
    """The ways from one kind of client to one kind of server that end alike.

    Attributes:
        client: Number of the clients' class.
        server: Number of the servers' class.
        port: The port of the servers' pods.
        speaks: The transport that the clients speak.
        expects_server: The server is among the names that the clients expect.
        takes: What the port takes.
        outcome: The predicted outcome.
        refused_by: The side that refuses; None unless it is refused.
        reason: Why; None unless it is refused.
        declared_closed: The owner has declared that no way has to be open here.
        ways: Number of ways, from one pod over one service to one pod.
        clients: Number of client pods.
        servers: Number of server pods.
        examples: Some of the ways, in words.
        services: Number of ways by service, those with the most first; only where the handshake does not complete.
    """

    client: int
    server: int
    port: int
    speaks: str
    expects_server: bool
    takes: Takes
    outcome: Outcome
    refused_by: Side | None
    reason: Refusal | None
    declared_closed: bool
    ways: int
    clients: int
    servers: int
    examples: tuple[str, ...]
    services: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Handshakes:
    """The section of a report about the handshakes of a mesh.

    Attributes:
        classes: The classes of proxies.
        pairs: What pairs of them come to: what does not complete first, then the most frequent.
        not_predictable: Number of ways whose outcome nothing that was read decides, by their kind.
    """

    classes: tuple[ToldClass, ...]
    pairs: tuple[ToldPair, ...]
    not_predictable: Mapping[str, int]


def told(table: Table) -> Handshakes:
    """A table as plain data."""
    order = (Outcome.REFUSED, Outcome.PLAIN, Outcome.COMPLETED)
    rows = sorted(table.rows, key=lambda row: (row.is_closed, order.index(row.prediction.outcome), -row.ways))
    return Handshakes(
        classes=tuple(_class(each) for each in table.classes),
        pairs=tuple(_pair(row) for row in rows),
        not_predictable={kind.value: table.unpredictable[kind] for kind in sorted(table.unpredictable)},
    )


def _class(each: ProxyClass) -> ToldClass:
    return ToldClass(
        number=each.number,
        issuer=each.issuer,
        trust_domain=each.peer.trust_domain,
        certificate=each.peer.standing,
        is_authority=each.peer.is_authority,
        validator=each.peer.holds.validator,
        authorities=each.authorities,
        members=len(each.members),
        examples=tuple(f"{pod.namespace}/{pod.name}" for pod in each.members[:MEMBERS]),
    )


def _pair(row: Row) -> ToldPair:
    completes = row.prediction.outcome is Outcome.COMPLETED
    by_ways = sorted(row.services.items(), key=lambda item: (-item[1], item[0]))
    return ToldPair(
        client=row.client.of,
        server=row.server.of,
        port=row.server.port,
        speaks=row.client.speaks.value,
        expects_server=row.client.expects_peer,
        takes=row.server.takes,
        outcome=row.prediction.outcome,
        refused_by=row.prediction.side,
        reason=row.prediction.refusal,
        declared_closed=row.is_closed,
        ways=row.ways,
        clients=row.clients,
        servers=row.servers,
        examples=tuple(map(str, row.examples)),
        services={} if completes else dict(by_ways[:SERVICES]),
    )
