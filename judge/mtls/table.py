"""The table of a mesh's handshakes: classes of clients by classes of servers and ports, each with its outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from facts.finding import Problem
from facts.proxies.identity import PodRef
from facts.proxies.tls.context import Layer, Names, Socket
from judge.findings import Claim
from judge.mtls.ends import Takes
from judge.mtls.peers import ProxyClass
from judge.mtls.prediction import NO_SERVER, Prediction, Side, Unpredictable


@dataclass(frozen=True, slots=True)
class Meant:
    """What the mesh's owner has declared.

    Attributes:
        closed: Pairs of namespaces, client and server, between which no way has to be open.
        plain: Namespaces whose workloads are meant to take no mutual TLS.
        unknown: Declared namespaces that the mesh does not have.
    """

    closed: frozenset[tuple[str, str]] = frozenset()
    plain: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, islands: Iterable[Collection[str]], plain: Collection[str], namespaces: Collection[str]) -> Meant:
        """What follows from islands: ways into an island, and out of one, are closed.

        Args:
            islands: Groups of namespaces that talk only among themselves.
            plain: Namespaces whose workloads are meant to take no mutual TLS.
            namespaces: The namespaces of the mesh's pods.
        """
        closed: set[tuple[str, str]] = set()
        declared = {*plain}
        for island in islands:
            declared.update(island)
            outside = {*namespaces}.difference(island)
            for pair in product(island, outside):
                closed.update((pair, pair[::-1]))
        return cls(frozenset(closed), frozenset(plain), tuple(sorted(declared.difference(namespaces))))


NOTHING_DECLARED = Meant()


@dataclass(frozen=True, slots=True)
class ClientUnit:
    """Clients that are alike: their class, and what they say.

    Attributes:
        of: Number of the class.
        speaks: The transport.
        certificate: The secret that they present; empty for plain text.
        validation: The secret that they validate with; empty for plain text.
        expects_peer: The server is among the names that they expect.
        is_gateway: They are gateways or waypoints.
    """

    of: int
    speaks: Layer
    certificate: str
    validation: str
    expects_peer: bool
    is_gateway: bool = False


@dataclass(frozen=True, slots=True)
class ServerUnit:
    """Servers that are alike: their class and a port.

    Attributes:
        of: Number of the class.
        port: The port of the pod.
        takes: What it takes there.
        is_gateway: They are gateways or waypoints.
    """

    of: int
    port: int
    takes: Takes
    is_gateway: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """One way.

    Attributes:
        client: The client's pod.
        server: The server's pod.
        host: The service's host.
        port: The service's port.
        socket: The transport that the client speaks.
        taken_by: The transport of what takes the connection; None where the server's proxy has nothing for it.
    """

    client: PodRef
    server: PodRef
    host: str
    port: int
    socket: Socket
    taken_by: Socket | None

    def __str__(self) -> str:
        return f"{self.client} to {self.server} as {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Row:
    """The ways from one kind of client to one kind of server that end alike.

    Attributes:
        client: The kind of client.
        server: The kind of server.
        prediction: The predicted outcome.
        is_closed: The owner has declared that no way has to be open here.
        ways: Their number.
        clients: Number of different pods among their clients.
        servers: Number of different pods among their servers.
        services: Number of them by service, as ``HOST:PORT``.
        examples: Some of them, at least one.
        refusing: All pods on the side that refuses; empty where no side does.
    """

    client: ClientUnit
    server: ServerUnit
    prediction: Prediction
    is_closed: bool
    ways: int
    clients: int
    servers: int
    services: Mapping[str, int]
    examples: tuple[Way, ...]
    refusing: tuple[PodRef, ...] = ()

    @property
    def names_expected(self) -> Names:
        """The names that the side that refuses expects of the other, by the first example."""
        way = self.examples[0]
        socket = way.socket if self.prediction.side is Side.CLIENT else way.taken_by
        return socket.tls.names if socket and socket.tls else ()


@dataclass(frozen=True, slots=True)
class Table:
    """All ways of a mesh, in rows.

    Attributes:
        rows: The ways that were predicted, most frequent first.
        unpredictable: Number of ways that could not be predicted, by kind.
    """

    classes: tuple[ProxyClass, ...]
    rows: tuple[Row, ...]
    unpredictable: Mapping[Unpredictable, int]

    @property
    def ways(self) -> int:
        """The number of ways that were predicted."""
        return sum(row.ways for row in self.rows)

    @property
    def undecided(self) -> int:
        """The number of ways that may end at a proxy of the mesh and could not be predicted."""
        return sum(number for kind, number in self.unpredictable.items() if kind not in NO_SERVER)


def counted(ways: int) -> str:
    """A number of ways, in words."""
    return "1 way" if ways == 1 else f"{ways} ways"


TRY_BY_HAND = "send a request over one of these ways by hand, and look at the response flags in the access logs of both ends"
"""Next step where no reading decides what becomes of a way."""


def nothing_decided(claim: Claim, table: Table) -> list[Problem]:
    """The open point of a claim about the ways of a mesh of which none could be predicted; none without such ways."""
    if not table.undecided:
        return []
    return [claim.problem(f"no reading decides any way between proxies of the mesh ({counted(table.undecided)})")]
