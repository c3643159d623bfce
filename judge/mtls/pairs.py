"""All ways between the proxies of a mesh, as a table of classes of clients by classes of servers and ports.

A way leads from a proxy over one of its clusters to one endpoint. Proxies of one class that have the same destinations have
the same ways, so each is looked at once and counted. The names that a client expects differ by service; in the table they
are replaced by whether the server is among them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from facts.kubernetes.objects import Pod
from facts.proxies.identity import PodRef
from facts.proxies.tls.context import Layer, Names, Socket, TlsContext
from facts.proxies.tls.outbound import PASSTHROUGH, Destination, Discovery
from facts.proxies.tls.proxy import ProxyTls
from judge.mtls.ends import Ends, Takes
from judge.mtls.peers import ProxyClass
from judge.mtls.prediction import Client, Prediction, Side, Unpredictable, predict

EXAMPLES = 3
"""Ways that a row names."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What the mesh's owner has declared.

    Attributes:
        closed: Pairs of namespaces, client and server, between which no way has to be open.
        plain: Namespaces whose workloads are meant to take no mutual TLS.
    """

    closed: frozenset[tuple[str, str]] = frozenset()
    plain: frozenset[str] = frozenset()


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
    """

    of: int
    speaks: Layer
    certificate: str
    validation: str
    expects_peer: bool


@dataclass(frozen=True, slots=True)
class ServerUnit:
    """Servers that are alike: their class and a port.

    Attributes:
        of: Number of the class.
        port: The port of the pod.
        takes: What it takes there.
    """

    of: int
    port: int
    takes: Takes


@dataclass(frozen=True, slots=True)
class Way:
    """One way.

    Attributes:
        client: The client's pod.
        server: The server's pod.
        host: The service's host.
        port: The service's port.
        socket: The transport that the client speaks.
    """

    client: PodRef
    server: PodRef
    host: str
    port: int
    socket: Socket

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


@dataclass(frozen=True, slots=True)
class Table:
    """All ways of a mesh, in rows.

    Attributes:
        classes: Its classes of proxies.
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


def names_expected(ends: Ends, row: Row) -> Names:
    """The names that the refusing side of a row expects of the other, by the row's first example."""
    way = row.examples[0]
    if row.prediction.side is Side.CLIENT:
        return way.socket.tls.names if way.socket.tls else ()
    server = ends.server(ends.pods[way.server.uid], row.server.port, way.socket)
    taken = None if isinstance(server, Unpredictable) or server.socket is None else server.socket.tls
    return taken.names if taken else ()


def table_of(ends: Ends, meant: Meant = NOTHING_DECLARED, without: Collection[str] = ()) -> Table:
    """The table of all ways of a mesh.

    Args:
        ends: The ends of its ways.
        meant: What its owner has declared.
        without: Uids of pods that do not count at either end.
    """
    count = _Counting(ends, meant, frozenset(without))
    for group in _groups(ends, count.without):
        for destination in group.destinations:
            count.ways_to(destination, group)
    return Table(ends.classes.classes, count.rows(), dict(count.unpredictable))


@dataclass(frozen=True, slots=True)
class _Group:
    """Proxies of one class and namespace that have the same destinations."""

    number: int
    of: ProxyClass
    namespace: str
    destinations: tuple[Destination, ...]
    pods: tuple[PodRef, ...]


def _groups(ends: Ends, without: frozenset[str]) -> Iterator[_Group]:
    grouped: dict[tuple[int, str, int], list[ProxyTls]] = defaultdict(list)
    for proxy in ends.mesh.tls.proxies:
        of = ends.classes.of.get(proxy.pod.uid)
        if of is not None and proxy.pod.uid not in without:
            grouped[of.number, proxy.pod.namespace, id(proxy.destinations)].append(proxy)
    for number, ((_, namespace, _), alike) in enumerate(grouped.items()):
        first = alike[0]
        pods = tuple(proxy.pod for proxy in alike)
        yield _Group(number, ends.classes.of[first.pod.uid], namespace, first.destinations, pods)


_Key = tuple[ClientUnit, ServerUnit, Prediction, bool]
_End = tuple[ClientUnit, ServerUnit, Prediction]


@dataclass(slots=True)
class _Count:
    groups: dict[int, _Group] = field(default_factory=dict)
    servers: set[str] = field(default_factory=set)
    services: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    ways: int = 0
    examples: list[Way] = field(default_factory=list)


class _Counting:
    """The rows while they are counted."""

    def __init__(self, ends: Ends, meant: Meant, without: frozenset[str]) -> None:
        self.without = without
        self.unpredictable: Counter[Unpredictable] = Counter()
        self._ends = ends
        self._meant = meant
        self._counts: dict[_Key, _Count] = defaultdict(_Count)

    def ways_to(self, destination: Destination, group: _Group) -> None:
        """Counts the ways of a group of clients to one destination."""
        kind = unpredictable_kind(destination)
        if kind is not None:
            self.unpredictable[kind] += len(group.pods)
            return
        for endpoint in destination.endpoints:
            pod = self._ends.at(endpoint.address)
            if pod is None:
                self.unpredictable[Unpredictable.NO_POD] += len(group.pods)
            elif pod.uid not in self.without:
                self._way_to(destination, destination.socket_to(endpoint), (pod, endpoint.port), group)

    def _way_to(self, destination: Destination, socket: Socket, server: tuple[Pod, int], group: _Group) -> None:
        pod, port = server
        found = self._end(group.of, socket, pod, port)
        if isinstance(found, Unpredictable):
            self.unpredictable[found] += len(group.pods)
            return
        count = self._counts[(*found, (group.namespace, pod.namespace) in self._meant.closed)]
        count.ways += len(group.pods)
        count.groups[group.number] = group
        count.servers.add(pod.uid)
        cluster = destination.cluster
        count.services[cluster.service] += len(group.pods)
        if len(count.examples) < EXAMPLES:
            count.examples.append(Way(group.pods[0], PodRef.of(pod), cluster.host, cluster.port, socket))

    def _end(self, of: ProxyClass, socket: Socket, pod: Pod, port: int) -> _End | Unpredictable:
        server = self._ends.server(pod, port, socket)
        if isinstance(server, Unpredictable):
            return server
        expected = self._ends.is_expected(pod, socket)
        prediction = predict(Client(socket, of.peer, expected), server)
        if isinstance(prediction, Unpredictable):
            return prediction
        tls = socket.tls or TlsContext()
        client = ClientUnit(of.number, socket.layer, tls.certificate, tls.validation, expected)
        return client, ServerUnit(self._ends.classes.of[pod.uid].number, port, self._ends.takes(pod, port)), prediction

    def rows(self) -> tuple[Row, ...]:
        """The rows, most frequent first."""
        rows = [
            Row(
                *key,
                ways=count.ways,
                clients=sum(len(group.pods) for group in count.groups.values()),
                servers=len(count.servers),
                services=dict(count.services),
                examples=tuple(count.examples),
            )
            for key, count in self._counts.items()
        ]
        return tuple(sorted(rows, key=lambda row: -row.ways))


def unpredictable_kind(destination: Destination) -> Unpredictable | None:
    """The kind of a destination whose endpoints istiod does not tell; None for one whose endpoints it does."""
    if destination.cluster.name == PASSTHROUGH:
        return Unpredictable.PASSTHROUGH
    return {
        Discovery.EDS: None,
        Discovery.DNS: Unpredictable.DNS,
        Discovery.ORIGINAL_DST: Unpredictable.ORIGINAL_DST,
        Discovery.OTHER: Unpredictable.OTHER_DISCOVERY,
    }[destination.cluster.discovery]
