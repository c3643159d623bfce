"""The handshakes of a mesh as plain data, for reports: its classes of proxies, and what each pair of classes comes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from facts.proxies.envoy import Validator
from facts.redaction import Own
from judge.mtls.ends import Ends, Takes
from judge.mtls.handshakes import cause_of
from judge.mtls.peers import ProxyClass, Refusal, Standing
from judge.mtls.ports import takes_plain_text
from judge.mtls.prediction import Outcome, Side
from judge.mtls.table import Row, Table, counted

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
        from_gateways: The clients are gateways or waypoints.
        server: Number of the servers' class.
        to_gateways: The servers are gateways or waypoints.
        port: The port of the servers' pods.
        speaks: The transport that the clients speak.
        expects_server: The server is among the names that the clients expect.
        takes: What the port takes.
        outcome: The predicted outcome.
        refused_by: The side that refuses; None unless it is refused.
        reason: Why; None unless it is refused.
        cause: Id of the cause of a refusal; empty where what was read does not tell it.
        declared_closed: The owner has declared that no way has to be open here.
        ways: Number of ways, from one pod over one service to one pod.
        clients: Number of client pods.
        servers: Number of server pods.
        examples: Some of the ways, in words.
        services: Number of ways by service, those with the most first; only where the handshake does not complete.
    """

    client: int
    from_gateways: bool
    server: int
    to_gateways: bool
    port: int
    speaks: str
    expects_server: bool
    takes: Takes
    outcome: Outcome
    refused_by: Side | None
    reason: Refusal | None
    cause: Own[str]
    declared_closed: bool
    ways: int
    clients: int
    servers: int
    examples: tuple[str, ...]
    services: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ToldNamespace:
    """A namespace in which workloads take plain text.

    Attributes:
        namespace: Its name.
        pods: Number of its pods with a sidecar that was read.
        beside: Number of those with a port that takes plain text beside mutual TLS.
        only: Number of those with a port that takes plain text only.
        past: Number of those with a port that goes past the proxy.
    """

    namespace: str
    pods: int
    beside: int
    only: int
    past: int


@dataclass(frozen=True, slots=True)
class Cell:
    """What the ways from one class of proxies to another come to, in one respect.

    Attributes:
        reason: Why it is refused; None unless it is.
        said: The outcome in words, with the side that refuses and why.
        declared_closed: The owner has declared that no way has to be open here.
        ways: Number of ways.
    """

    outcome: Outcome
    reason: Refusal | None
    said: str
    declared_closed: bool
    ways: int


@dataclass(frozen=True, slots=True)
class Handshakes:
    """The section of a report about the handshakes of a mesh.

    Attributes:
        classes: The classes of proxies.
        pairs: What pairs of them come to: what does not complete first, then the most frequent.
        plain_text: The namespaces in which workloads take plain text, by name.
        not_predictable: Number of ways whose outcome nothing that was read decides, by their kind.
    """

    classes: tuple[ToldClass, ...]
    pairs: tuple[ToldPair, ...]
    plain_text: tuple[ToldNamespace, ...]
    not_predictable: Mapping[str, int]

    @property
    def refused(self) -> tuple[ToldPair, ...]:
        """What is refused, and not declared closed."""
        return tuple(p for p in self.pairs if p.outcome is Outcome.REFUSED and not p.declared_closed)

    @property
    def in_short(self) -> str:
        """All of it in one sentence."""
        pairs = {(p.client, p.server) for p in self.refused}
        named = sorted({p.cause for p in self.refused if p.cause})
        causes = f", {counted_as(len(named), 'cause')}: {', '.join(named)}" if named else ""
        completed, plain = (
            sum(p.ways for p in self.pairs if p.outcome is outcome) for outcome in (Outcome.COMPLETED, Outcome.PLAIN)
        )
        return (
            f"{counted_as(len(pairs), 'pair')} of {counted_as(len(self.classes), 'class', 'classes')} cannot shake hands"
            f" ({counted(sum(p.ways for p in self.refused))}{causes}); the handshake completes on {counted(completed)},"
            f" plain text goes through on {counted(plain)}"
        )

    def between(self, client: int, server: int) -> tuple[Cell, ...]:
        """What the ways from one class to another come to; the worst first. Ports and transports do not matter."""
        ways: Counter[tuple[Outcome, Refusal | None, str, bool]] = Counter()
        for p in self.pairs:
            if (p.client, p.server) == (client, server):
                said = f"the {p.refused_by} refuses: {p.reason}" if p.refused_by else p.outcome.value
                ways[p.outcome, p.reason, said, p.declared_closed] += p.ways
        return tuple(Cell(*key, number) for key, number in ways.items())


def counted_as(number: int, one: str, many: str = "") -> str:
    """A number of things, in words."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def told(ends: Ends, table: Table, without: Collection[str] = ()) -> Handshakes:
    """A table as plain data.

    Args:
        ends: The proxies that the table is about.
        without: Uids of pods that do not count; `table` was made without them as well.
    """
    order = (Outcome.REFUSED, Outcome.PLAIN, Outcome.COMPLETED)
    rows = sorted(table.rows, key=lambda row: (row.is_closed, order.index(row.prediction.outcome), -row.ways))
    return Handshakes(
        classes=tuple(_class(each) for each in table.classes),
        pairs=tuple(_pair(ends, row) for row in rows),
        plain_text=tuple(_plain_text(ends, without)),
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


def _plain_text(ends: Ends, without: Collection[str]) -> Iterator[ToldNamespace]:
    by_namespace: dict[str, list[set[Takes]]] = defaultdict(list)
    for pod in ends.mesh.injected:
        if not pod.is_gateway and pod.uid not in without and ends.is_read(pod):
            by_namespace[pod.namespace].append({*takes_plain_text(ends, pod).values()})
    for namespace in sorted(by_namespace):
        found = by_namespace[namespace]
        if any(found):
            numbers = (sum(takes in each for each in found) for takes in (Takes.BOTH, Takes.PLAIN, Takes.PAST))
            yield ToldNamespace(namespace, len(found), *numbers)


def _pair(ends: Ends, row: Row) -> ToldPair:
    completes = row.prediction.outcome is Outcome.COMPLETED
    by_ways = sorted(row.services.items(), key=lambda item: (-item[1], item[0]))
    return ToldPair(
        client=row.client.of,
        from_gateways=row.client.is_gateway,
        server=row.server.of,
        to_gateways=row.server.is_gateway,
        port=row.server.port,
        speaks=row.client.speaks.value,
        expects_server=row.client.expects_peer,
        takes=row.server.takes,
        outcome=row.prediction.outcome,
        refused_by=row.prediction.side,
        reason=row.prediction.refusal,
        cause=cause_of(ends, row) if row.prediction.side else "",
        declared_closed=row.is_closed,
        ways=row.ways,
        clients=row.clients,
        servers=row.servers,
        examples=tuple(map(str, row.examples)),
        services={} if completes else dict(by_ways[:SERVICES]),
    )
