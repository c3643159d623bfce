"""Listeners of an Envoy with their filter chains, and the chain that takes a connection.

Sources: Envoy's API reference, ``FilterChainMatch``, whose criteria are compared one after the other, the most specific
first and never again once decided; Istio's listener ``virtualInbound``, which tells ports apart by the original destination.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facts.document import damaged, mappings, maybe, texts
from facts.masks import KEY, LEAF, NAME, Fields, Items, at, keeps, merged, only
from facts.proxies.envoy import INBOUND_LISTENERS, configs, dump_of_listeners
from facts.proxies.tls.context import SOCKET, Socket, parse_socket

OF_SIDECAR = INBOUND_LISTENERS + "&mask=name,active_state.listener"
OF_ROUTER = "/config_dump?resource=dynamic_listeners&mask=name,active_state.listener"
"""The questions that yield the listeners: of a sidecar the one for all that comes in, of a gateway or waypoint all."""

VIRTUAL_INBOUND = "virtualInbound"

WHERE = "listeners dump"


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection as a listener sees it before it decides.

    Attributes:
        port: The port that the client dialled.
        encrypted: It begins with a TLS handshake.
        address: The address that the client dialled; empty where it does not matter.
        sni: The server name of the handshake.
        alpn: The protocols that the handshake offers, in the client's order.
    """

    port: int
    encrypted: bool
    address: str = ""
    sni: str = ""
    alpn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterChain:
    """A filter chain.

    Attributes:
        name: Its name; several chains may share it.
        port: Original destination that it is for; None for any.
        prefixes: Addresses that it is for, as CIDR; none for any.
        server_names: Server names that it is for; a leading ``*.`` stands for any subdomain; none for any.
        transport: ``tls``, ``raw_buffer``, or empty for any.
        alpn: Protocols of the handshake that it is for; none for any.
        socket: The transport that it speaks.
    """

    name: str
    port: int | None
    prefixes: tuple[str, ...]
    server_names: tuple[str, ...]
    transport: str
    alpn: tuple[str, ...]
    socket: Socket

    @property
    def is_for_the_mesh(self) -> bool:
        """It is for handshakes that offer a protocol of Istio's own, as proxies of the mesh do."""
        return any(protocol.startswith("istio") for protocol in self.alpn)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener.

    Attributes:
        port: The port that it is bound to; 0 for one that only Envoy itself connects to.
        default: The chain that takes what none of them takes; None where Envoy closes such a connection.
    """

    name: str
    port: int
    chains: tuple[FilterChain, ...]
    default: FilterChain | None = None

    @property
    def all_chains(self) -> tuple[FilterChain, ...]:
        """Its filter chains and the default one."""
        return (*self.chains, *((self.default,) if self.default else ()))

    @property
    def is_virtual(self) -> bool:
        """It takes what iptables redirect, whatever the port."""
        return self.name == VIRTUAL_INBOUND

    def taking(self, connection: Connection) -> FilterChain | None:
        """The chain that takes a connection; None where Envoy closes it at once."""
        left = [c for c in self.chains if not self.is_virtual or c.port in (None, connection.port)]
        steps: tuple[Callable[[FilterChain], int | None], ...] = (
            lambda c: 0 if c.port is None else 1,
            lambda c: _prefix(c.prefixes, connection.address),
            lambda c: _server_name(c.server_names, connection.sni),
            lambda c: _exactly(c.transport, "tls" if connection.encrypted else "raw_buffer"),
            lambda c: _protocol(c.alpn, connection.alpn),
        )
        for step in steps:
            left = _most_specific(left, step)
        return left[0] if left else self.default


def _most_specific(chains: Sequence[FilterChain], rank: Callable[[FilterChain], int | None]) -> list[FilterChain]:
    ranked = [(rank(chain), chain) for chain in chains]
    best = max((each for each, _ in ranked if each is not None), default=None)
    return [chain for each, chain in ranked if each == best and each is not None]


def _prefix(prefixes: Sequence[str], address: str) -> int | None:
    if not prefixes:
        return -1
    if not address:
        return None
    at = ipaddress.ip_address(address)
    networks = [ipaddress.ip_network(prefix, strict=False) for prefix in prefixes]
    return max((n.prefixlen for n in networks if n.version == at.version and at in n), default=None)


def _server_name(names: Sequence[str], sni: str) -> int | None:
    if not names:
        return 0
    lower = sni.lower()
    fitting = [
        # A name that is meant exactly is more specific than any that only ends alike.
        len(lower) * 2 if name == lower else len(name)
        for name in map(str.lower, names)
        if name == lower or (name.startswith("*.") and lower.endswith(name[1:]))
    ]
    return max(fitting, default=None)


def _exactly(wanted: str, there: str) -> int | None:
    return 0 if not wanted else 1 if wanted == there else None


def _protocol(wanted: Sequence[str], offered: Sequence[str]) -> int | None:
    if not wanted:
        return 0
    # The client's first protocol that any chain is for decides; a higher rank is an earlier one.
    places = [offered.index(protocol) for protocol in wanted if protocol in offered]
    return len(offered) - min(places) if places else None


_MATCH = Fields(
    {
        "destination_port": LEAF,
        "prefix_ranges": Items(Fields({"address_prefix": NAME, "prefix_len": LEAF})),
        "server_names": Items(NAME),
        "transport_protocol": LEAF,
        "application_protocols": Items(LEAF),
    }
)
# A chain that matches everything, and has nothing else that is read, is still a chain.
_CHAIN = Fields({"name": NAME, "filter_chain_match": _MATCH, "transport_socket": SOCKET}, others=KEY)
_LISTENER = merged(
    Fields({"name": NAME}, others=KEY),
    at("address.socket_address", only("port_value")),
    Fields({"filter_chains": Items(_CHAIN), "default_filter_chain": _CHAIN}),
)


@keeps(dump_of_listeners(_LISTENER))
def parse_listeners(document: Any) -> tuple[Listener, ...]:
    """Reads the listeners of a dump, those that are active.

    Args:
        document: The decoded answer to `OF_SIDECAR` or `OF_ROUTER`.

    Raises:
        CouldNotTell: It is no dump, or a field is damaged.
    """
    found = []
    for config in configs(document, WHERE):
        for entry in [config, *mappings(config, "dynamic_listeners", WHERE)]:
            listener = maybe(entry, "active_state.listener", dict[str, Any](), WHERE)
            if listener:
                found.append(_listener(listener))
    return tuple(found)


def _listener(document: Mapping[str, Any]) -> Listener:
    name = maybe(document, "name", "", WHERE)
    default = maybe(document, "default_filter_chain", dict[str, Any](), WHERE)
    return Listener(
        name=name,
        port=maybe(document, "address.socket_address.port_value", 0, WHERE),
        chains=tuple(_chain(chain, f"listener {name}") for chain in mappings(document, "filter_chains", WHERE)),
        default=_chain(default, f"listener {name}") if default else None,
    )


def _chain(document: Mapping[str, Any], where: str) -> FilterChain:
    match = maybe(document, "filter_chain_match", dict[str, Any](), where)
    return FilterChain(
        name=maybe(document, "name", "", where),
        port=maybe(match, "destination_port", 0, where) or None,
        prefixes=tuple(_cidr(each, where) for each in mappings(match, "prefix_ranges", where)),
        server_names=texts(match, "server_names", where),
        transport=maybe(match, "transport_protocol", "", where),
        alpn=texts(match, "application_protocols", where),
        socket=parse_socket(document.get("transport_socket"), where),
    )


def _cidr(document: Mapping[str, Any], where: str) -> str:
    text = f"{maybe(document, 'address_prefix', '', where)}/{maybe(document, 'prefix_len', 0, where)}"
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise damaged("an address prefix", repr(text), where) from error
    return text
