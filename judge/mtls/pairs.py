"""All ways between the proxies of a mesh, counted into a table.

A way leads from a proxy over one of its clusters to one endpoint. Proxies of one class that have the same destinations have
the same ways, so each is looked at once and counted. The names that a client expects differ by service; in the table they
are replaced by whether the server is among them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from facts.kubernetes.objects import Pod
from facts.proxies.identity import PodRef
from facts.proxies.tls.context import Socket, TlsContext
from facts.proxies.tls.outbound import PASSTHROUGH, Destination, Discovery
from facts.proxies.tls.proxy import ProxyTls
from judge.mtls.ends import Ends
from judge.mtls.peers import ProxyClass
from judge.mtls.prediction import Client, Prediction, Server, Side, Unpredictable, predict
from judge.mtls.table import NOTHING_DECLARED, ClientUnit, Meant, Row, ServerUnit, Table, Way

EXAMPLES = 3
"""Ways that a row names."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Some of the ways of a mesh.

    Attributes:
        clients: Uids of the clients' pods; empty for all.
        servers: Uids of the servers' pods; empty for all. With it, ways that lead to no known pod do not count.
    """

    clients: frozenset[str] = frozenset()
    servers: frozenset[str] = frozenset()


ALL = Asked()


def table_of(ends: Ends, meant: Meant = NOTHING_DECLARED, without: Collection[str] = (), asked: Asked = ALL) -> Table:
    """The table of all ways of a mesh, or of some.

    Args:
        ends: The ends of its ways.
        meant: What its owner has declared.
        without: Uids of pods that do not count at either end.
        asked: The ways to count.
    """
    counting = _Counting(ends, meant, frozenset(without), asked.servers)
    for group in _groups(ends, frozenset(without), asked.clients):
        counting.count(group)
    return Table(ends.classes.classes, counting.rows(), dict(counting.unpredictable))


@dataclass(frozen=True, slots=True)
class _Group:
    """Proxies of one class and namespace, all gateways or all sidecars, that share a destination."""

    of: ProxyClass
    namespace: str
    is_gateway: bool
    destination: Destination
    pods: tuple[PodRef, ...]


def _groups(ends: Ends, without: frozenset[str], clients: frozenset[str]) -> Iterator[_Group]:
    """Clients by class, namespace and destination. Equal destinations count as one where they are one object."""
    alike: dict[tuple[int, str, bool], list[ProxyTls]] = defaultdict(list)
    for proxy in ends.tls.values():
        of = ends.classes.of.get(proxy.pod.uid)
        if of is not None and proxy.pod.uid not in without and (not clients or proxy.pod.uid in clients):
            alike[of.number, proxy.pod.namespace, proxy.pod.is_gateway].append(proxy)
    for (number, namespace, is_gateway), proxies in alike.items():
        views: dict[int, list[ProxyTls]] = defaultdict(list)
        for proxy in proxies:
            views[id(proxy.destinations)].append(proxy)
        holding: dict[int, list[int]] = defaultdict(list)
        destinations: dict[int, Destination] = {}
        for view, alike_in_all in views.items():
            for destination in alike_in_all[0].destinations:
                holding[id(destination)].append(view)
                destinations[id(destination)] = destination
        pods: dict[tuple[int, ...], tuple[PodRef, ...]] = {}
        for key, destination in destinations.items():
            held_by = tuple(holding[key])
            if held_by not in pods:
                pods[held_by] = tuple(proxy.pod for view in held_by for proxy in views[view])
            yield _Group(ends.classes.classes[number - 1], namespace, is_gateway, destination, pods[held_by])


@dataclass(frozen=True, slots=True)
class _Far:
    """Endpoints of one destination that are alike: what takes the connection, and their pods."""

    unit: ServerUnit
    server: Server
    socket: Socket
    is_expected: bool
    namespace: str
    pods: tuple[PodRef, ...]
    uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class _FarSide:
    """All endpoints of one destination."""

    predictable: tuple[_Far, ...]
    others: Counter[Unpredictable]


@dataclass(slots=True)
class _Count:
    ways: int = 0
    clients: dict[int, tuple[PodRef, ...]] = field(default_factory=dict)
    servers: set[str] = field(default_factory=set)
    services: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    examples: list[Way] = field(default_factory=list)
    refusing: dict[int, tuple[PodRef, ...]] = field(default_factory=dict)


_Key = tuple[ClientUnit, ServerUnit, Prediction, bool]


class _Counting:
    """The rows while they are counted. What is far does not depend on the client's class, so it is looked at once."""

    def __init__(self, ends: Ends, meant: Meant, without: frozenset[str], servers: frozenset[str]) -> None:
        self.unpredictable: Counter[Unpredictable] = Counter()
        self._without = without
        self._servers = servers
        self._ends = ends
        self._meant = meant
        self._counts: dict[_Key, _Count] = defaultdict(_Count)
        self._far_sides: dict[int, _FarSide] = {}
        self._shapes: dict[int, Socket] = {}
        self._same_shape: dict[Socket, Socket] = {}
        self._predictions: dict[tuple[int, int, int, int, bool, bool], Prediction | Unpredictable] = {}

    def count(self, group: _Group) -> None:
        """Counts the ways of a group of clients to their destination."""
        far_side = self._far_sides.get(id(group.destination))
        if far_side is None:
            far_side = self._far_sides[id(group.destination)] = self._far_side(group.destination)
        for kind, number in far_side.others.items():
            self.unpredictable[kind] += number * len(group.pods)
        for far in far_side.predictable:
            ways = len(group.pods) * len(far.pods)
            prediction = self._predicted(group.of, far)
            if isinstance(prediction, Unpredictable):
                self.unpredictable[prediction] += ways
                continue
            shape = self._shape(far.socket).tls or TlsContext()
            client = ClientUnit(
                group.of.number, far.socket.layer, shape.certificate, shape.validation, far.is_expected, group.is_gateway
            )
            is_closed = (group.namespace, far.namespace) in self._meant.closed
            count = self._counts[client, far.unit, prediction, is_closed]
            count.ways += ways
            count.clients[id(group.pods)] = group.pods
            count.servers |= far.uids
            if prediction.side is not None:
                refusing = group.pods if prediction.side is Side.CLIENT else far.pods
                count.refusing[id(refusing)] = refusing
            cluster = group.destination.cluster
            count.services[cluster.service] += ways
            if len(count.examples) < EXAMPLES:
                count.examples.append(
                    Way(group.pods[0], far.pods[0], cluster.host, cluster.port, far.socket, far.server.socket)
                )

    def _far_side(self, destination: Destination) -> _FarSide:
        kind = unpredictable_kind(destination)
        if kind is not None:
            return _FarSide((), Counter([] if self._servers else [kind]))
        others: Counter[Unpredictable] = Counter()
        alike: dict[tuple[ServerUnit, int, int, bool, str], list[tuple[Pod, Server, Socket]]] = defaultdict(list)
        for endpoint in destination.endpoints:
            pod = self._ends.at(endpoint.address)
            if self._servers and (pod is None or pod.uid not in self._servers):
                continue
            if pod is None:
                others[Unpredictable.NO_POD] += 1
            elif pod.uid not in self._without:
                socket = destination.socket_to(endpoint)
                server = self._ends.server(pod, endpoint.port, socket)
                if isinstance(server, Unpredictable):
                    others[server] += 1
                    continue
                of, takes = self._ends.classes.of[pod.uid].number, self._ends.takes(pod, endpoint.port)
                unit = ServerUnit(of, endpoint.port, takes, pod.is_gateway)
                is_expected = self._ends.is_expected(pod, socket)
                key = (unit, id(server.socket), id(socket), is_expected, pod.namespace)
                alike[key].append((pod, server, socket))
        fars = [
            _Far(
                unit=key[0],
                server=each[0][1],
                socket=each[0][2],
                is_expected=key[3],
                namespace=key[4],
                pods=tuple(PodRef.of(pod) for pod, _, _ in each),
                uids=frozenset(pod.uid for pod, _, _ in each),
            )
            for key, each in alike.items()
        ]
        return _FarSide(tuple(fars), others)

    def _predicted(self, of: ProxyClass, far: _Far) -> Prediction | Unpredictable:
        of_mesh = far.socket.tls is not None and far.socket.tls.is_of_the_mesh  # its server name tells, among other things
        key = (of.number, id(self._shape(far.socket)), far.unit.of, id(far.server.socket), far.is_expected, of_mesh)
        if key not in self._predictions:
            self._predictions[key] = predict(Client(far.socket, of.peer, far.is_expected), far.server)
        return self._predictions[key]

    def _shape(self, socket: Socket) -> Socket:
        """A transport without what differs by service and decides nothing else: the server's name and the expected names."""
        if id(socket) not in self._shapes:
            made = replace(socket, tls=replace(socket.tls, names=(), sni="")) if socket.tls else socket
            self._shapes[id(socket)] = self._same_shape.setdefault(made, made)
        return self._shapes[id(socket)]

    def rows(self) -> tuple[Row, ...]:
        """The rows, most frequent first."""
        rows = [
            Row(
                *key,
                ways=count.ways,
                clients=len({pod.uid for pods in count.clients.values() for pod in pods}),
                servers=len(count.servers),
                services=dict(count.services),
                examples=tuple(count.examples),
                refusing=tuple({pod.uid: pod for pods in count.refusing.values() for pod in pods}.values()),
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
