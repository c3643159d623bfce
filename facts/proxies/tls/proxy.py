"""One proxy's TLS in both directions, and the proxies of a fleet that could not be asked for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from facts.evidence import ObjectRef, readings
from facts.proxies.envoy import LEAF, ROOT
from facts.proxies.identity import LeftOut, PodRef, Unread
from facts.proxies.tls.context import Socket
from facts.proxies.tls.inbound import Connection, FilterChain, Listener
from facts.proxies.tls.outbound import Destination


@dataclass(frozen=True, slots=True)
class ProxyTls:
    """The TLS that one proxy is configured to speak.

    Attributes:
        pod: The pod it runs in.
        listeners: What it accepts.
        destinations: What it sends to, in the order of their names. Proxies that agree may share the object.
        evidence: Ids of the readings.
    """

    pod: PodRef
    listeners: tuple[Listener, ...]
    destinations: tuple[Destination, ...]
    evidence: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """Its pod, as the subject of a finding."""
        return self.pod.ref

    @property
    def asks_for_secrets(self) -> bool:
        """Something in its configuration names a secret of the identity provider, so that its Envoy asks for it."""
        of_listeners = (each.socket for listener in self.listeners for each in listener.all_chains)
        of_clusters = (socket for destination in self.destinations for socket in destination.cluster.sockets)
        return any(map(_names_a_secret, of_listeners)) or any(map(_names_a_secret, of_clusters))

    def listener_at(self, port: int) -> Listener | None:
        """The listener that takes connections to a port; None where none does."""
        virtual = next((each for each in self.listeners if each.is_virtual), None)
        return virtual or next((each for each in self.listeners if each.port == port), None)

    def taking(self, connection: Connection) -> FilterChain | None:
        """The filter chain that takes a connection; None where the proxy refuses it."""
        listener = self.listener_at(connection.port)
        return None if listener is None else listener.taking(connection)


def _names_a_secret(socket: Socket) -> bool:
    return socket.tls is not None and (socket.tls.certificate == LEAF or socket.tls.validation == ROOT)


@dataclass(frozen=True, slots=True)
class TlsOfFleet:
    """The TLS of all proxies that were asked for, in the order of the pods: read, unread, or gone meanwhile."""

    proxies: tuple[ProxyTls, ...]
    unread: tuple[Unread, ...]
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def of(cls, found: Iterable[ProxyTls | Unread | LeftOut]) -> TlsOfFleet:
        """The fleet of these outcomes."""
        each = tuple(found)
        return cls(
            tuple(f for f in each if isinstance(f, ProxyTls)),
            tuple(f for f in each if isinstance(f, Unread)),
            tuple(f for f in each if isinstance(f, LeftOut)),
        )

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        of_proxies = tuple(i for proxy in self.proxies for i in proxy.evidence)
        return (*of_proxies, *readings(*self.left_out))
