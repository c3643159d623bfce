"""Both ends of every way of a mesh: the pod behind an address, what its ports take, and the class of its proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.kubernetes.objects import Pod
from facts.kubernetes.redirection import Redirection, redirection_of
from facts.proxies.envoy import ROOT
from facts.proxies.identity import Fleet, PodRef
from facts.proxies.tls.context import PLAIN, Layer, Socket, TlsContext, expects
from facts.proxies.tls.inbound import Connection
from facts.proxies.tls.proxy import ProxyTls, TlsOfFleet
from judge.mtls.peers import Peer, classified
from judge.mtls.prediction import Server, Unpredictable

OF_THE_MESH = ("istio-http/1.1", "istio-peer-exchange", "istio")
"""Protocols that a proxy of the mesh offers in a handshake."""

SPEAKS_TLS = Socket(Layer.TLS, TlsContext(alpn=OF_THE_MESH))
"""The transport of a client of the mesh, as far as it decides which filter chain of a sidecar takes the connection."""


class Takes(StrEnum):
    """What a port takes."""

    TLS = "TLS"
    BOTH = "TLS and plain text"
    ONE_SIDED = "TLS that asks clients for no identity"
    PLAIN = "plain text"
    NOTHING = "nothing"
    PAST = "what goes past the proxy"
    UNTOLD = "what its damaged settings do not tell"


@dataclass(frozen=True, slots=True)
class MeshTls:
    """A mesh with everything that decides its handshakes.

    Attributes:
        pods: Its living pods, those without a proxy included: endpoints are told by their addresses.
        identities: What its proxies present and hold.
        tls: What its proxies are configured to speak.
        evidence: Ids of the readings of all pods.
    """

    pods: Sequence[Pod]
    identities: Fleet
    tls: TlsOfFleet
    evidence: tuple[str, ...]

    @property
    def fleet(self) -> Fleet:
        """The proxies; unread are those of which one of the two readings failed."""
        failed = {u.pod.uid: u for u in (*self.tls.unread, *self.identities.unread)}
        gone = {left.pod.uid: left for left in (*self.tls.left_out, *self.identities.left_out)}
        read = tuple(p for p in self.identities.proxies if p.pod.uid not in {*failed, *gone})
        return Fleet(read, tuple(u for u in failed.values() if u.pod.uid not in gone), tuple(gone.values()))

    def fleet_of(self, pods: Iterable[Pod], gone: Callable[[PodRef], bool] = lambda _pod: True) -> Fleet:
        """Some of the proxies, with those that went away.

        Args:
            pods: The pods of those that are wanted. What went away is not among the pods of the mesh any more.
            gone: Tells of a pod that went away whether it would be one of them.
        """
        fleet, wanted = self.fleet, {pod.uid for pod in pods}
        return Fleet(
            tuple(p for p in fleet.proxies if p.pod.uid in wanted),
            tuple(u for u in fleet.unread if u.pod.uid in wanted),
            tuple(left for left in fleet.left_out if gone(left.pod)),
        )

    @property
    def injected(self) -> tuple[Pod, ...]:
        """Its pods with a proxy."""
        return tuple(pod for pod in self.pods if pod.is_injected)

    @property
    def all_evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return (*self.evidence, *readings(self.identities, self.tls))


class Ends:
    """The ends of a mesh's ways.

    Attributes:
        pods: Its pods by uid.
        tls: The TLS of each proxy that was read and whose pod is there, by uid of its pod.
        identities: The identity of each such proxy, by uid of its pod.
        classes: The classes of its proxies.
    """

    def __init__(self, mesh: MeshTls) -> None:
        self.mesh = mesh
        self.pods = {pod.uid: pod for pod in mesh.pods}
        # A pod that went away after its proxy was read has no ways any more.
        self.tls = {proxy.pod.uid: proxy for proxy in mesh.tls.proxies if proxy.pod.uid in self.pods}
        self.identities = {proxy.pod.uid: proxy for proxy in mesh.identities.proxies if proxy.pod.uid in self.pods}
        servers = set(_server_contexts(self.tls.values()))
        contexts = {*servers, *_client_contexts(self.tls.values())}
        also = {authority for c in contexts for _, held in c.inline.authorities for authority in held}
        self.classes = classified(tuple(self.identities.values()), {c.names for c in servers if c.names}, also)
        self._at = _addresses(mesh.pods)
        self._redirections: dict[str, Redirection | CouldNotTell] = {}
        self._doors: dict[tuple[int, int, str, str, tuple[str, ...], bool], Socket | None] = {}
        self._told_apart_by: dict[int, tuple[bool, bool]] = {}
        self._takes: dict[tuple[str, int], Takes] = {}

    def at(self, address: str) -> Pod | None:
        """The pod with an address; None where none of the cluster has it."""
        return self._at.get(address)

    def peer(self, pod: Pod) -> Peer | None:
        """A pod's proxy as a peer; None where it was not read."""
        of = self.classes.of.get(pod.uid)
        return of.peer if of else None

    def is_expected(self, pod: Pod, by: Socket) -> bool:
        """Tell whether a client that speaks a transport expects a name that a pod's proxy presents."""
        proxy = self.identities.get(pod.uid)
        return by.tls is None or proxy is None or expects(by.tls.names, proxy.spiffe_ids)

    def is_read(self, pod: Pod) -> bool:
        """Tell whether both readings of a pod's proxy succeeded."""
        return pod.uid in self.tls and pod.uid in self.identities

    def server(self, pod: Pod, port: int, client: Socket) -> Server | Unpredictable:
        """The server's end of a way to a port of a pod, for a client that speaks a transport."""
        if not pod.is_injected:
            return Unpredictable.NO_PROXY
        if not self.is_read(pod):
            return Unpredictable.UNREAD
        if pod.is_gateway and self.tls[pod.uid].listener_at(port) is None:
            return Unpredictable.NO_LISTENER
        past = self.goes_past(pod, port)
        if past is None:
            return Unpredictable.UNREAD
        if past:
            return Server(PLAIN, None)
        door = self._door(pod, port, client)
        if door is None and client == PLAIN and self._may_be_the_applications(pod, port):
            # What the client's proxy passes on may be the application's own TLS, for which the port is there.
            return Unpredictable.OTHER_TLS
        return Server(door, self.peer(pod))

    def _may_be_the_applications(self, pod: Pod, port: int) -> bool:
        """Whether a port is there for TLS of the applications; that of a gateway may ask for a server name."""
        takes = self.takes(pod, port)
        return takes is Takes.ONE_SIDED or (pod.is_gateway and takes is Takes.NOTHING)

    def takes(self, pod: Pod, port: int) -> Takes:
        """What a port of a pod takes, whose proxy was read."""
        key = (pod.uid, port)
        if key not in self._takes:
            self._takes[key] = self._takes_at(pod, port)
        return self._takes[key]

    def _takes_at(self, pod: Pod, port: int) -> Takes:
        past = self.goes_past(pod, port)
        if past is None:
            return Takes.UNTOLD
        if past:
            return Takes.PAST
        encrypted = self._door(pod, port, SPEAKS_TLS)
        tls = encrypted is not None and encrypted.layer is Layer.TLS
        if encrypted is not None and encrypted.tls is not None and not _asks_for_an_identity(encrypted.tls):
            # Plain text beside it would make no difference: either way the client shows nothing.
            return Takes.ONE_SIDED
        plain = self._door(pod, port, PLAIN) == PLAIN
        return Takes.BOTH if tls and plain else Takes.TLS if tls else Takes.PLAIN if plain else Takes.NOTHING

    def redirection(self, pod: Pod) -> Redirection | CouldNotTell:
        """The redirection of a pod's inbound ports to its proxy, or what is damaged in the pod's settings of them.

        Those are the pod's own words: they must not keep other pods from being judged.
        """
        if pod.uid not in self._redirections:
            try:
                self._redirections[pod.uid] = redirection_of(pod)
            except CouldNotTell as error:
                self._redirections[pod.uid] = error
        return self._redirections[pod.uid]

    def goes_past(self, pod: Pod, port: int) -> bool | None:
        """Whether connections to a port reach the application without the proxy; None where the pod's settings are damaged.

        A gateway has no application.
        """
        if pod.is_gateway:
            return False
        redirection = self.redirection(pod)
        return None if isinstance(redirection, CouldNotTell) else redirection.bypasses(port)

    def _door(self, pod: Pod, port: int, client: Socket) -> Socket | None:
        """The transport of the filter chain that takes such a connection; None where none does."""
        proxy, tls = self.tls[pod.uid], client.tls or TlsContext()
        by_address, by_name = self._criteria(proxy)
        address, sni = pod.ip if by_address else "", tls.sni if by_name else ""
        key = (id(proxy.listeners), port, address, sni, tls.alpn, client.tls is not None)
        if key not in self._doors:
            chain = proxy.taking(Connection(port, client.tls is not None, address, sni, tls.alpn))
            self._doors[key] = chain.socket if chain else None
        return self._doors[key]

    def _criteria(self, proxy: ProxyTls) -> tuple[bool, bool]:
        """Whether a proxy tells connections apart by their address, and by their server name."""
        key = id(proxy.listeners)
        if key not in self._told_apart_by:
            chains = [chain for listener in proxy.listeners for chain in listener.all_chains]
            self._told_apart_by[key] = any(c.prefixes for c in chains), any(c.server_names for c in chains)
        return self._told_apart_by[key]


def _asks_for_an_identity(server: TlsContext) -> bool:
    # With an authority to validate them, Envoy asks clients for a certificate also where it lets them in without one.
    return server.demands_certificate or server.validation == ROOT


def _addresses(pods: Sequence[Pod]) -> dict[str, Pod]:
    """Pods by each of their addresses: in a cluster with two families, endpoints have the one of their Service.

    Pods in the network of their node share its addresses; an injected one has its own.
    """
    found: dict[str, Pod] = {}
    for pod in pods:
        for address in {pod.ip, *pod.ips} - {""}:
            if address not in found or not pod.spec.host_network:
                found[address] = pod
    return found


def _server_contexts(proxies: Iterable[ProxyTls]) -> Iterator[TlsContext]:
    for listeners in {id(proxy.listeners): proxy.listeners for proxy in proxies}.values():
        for listener in listeners:
            for chain in listener.all_chains:
                if chain.socket.tls:
                    yield chain.socket.tls


def _client_contexts(proxies: Iterable[ProxyTls]) -> Iterator[TlsContext]:
    views = {id(proxy.destinations): proxy.destinations for proxy in proxies}
    clusters = {id(each): each.cluster for destinations in views.values() for each in destinations}
    for cluster in clusters.values():
        for socket in cluster.sockets:
            if socket.tls:
                yield socket.tls
