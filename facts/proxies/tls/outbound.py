"""Destinations of an Envoy: its outbound clusters with their endpoints, and the transport that it speaks to each.

Sources: Envoy's API reference, ``Cluster`` and ``ClusterLoadAssignment``; Istio's names of clusters
(``outbound|PORT|SUBSET|HOST``) and the metadata of its endpoints: ``envoy.transport_socket_match`` decides which of a
cluster's transport sockets an endpoint gets, ``istio`` names its workload.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from facts.document import damaged, mappings, maybe, need
from facts.masks import LEAF, NAME, OPEN, Fields, Items, NamesIn, at, keeps, merged
from facts.proxies.envoy import configs
from facts.proxies.tls.context import SOCKET, Socket, parse_socket

T = TypeVar("T")
Shared = Callable[[T], T]
"""Returns, for equal values, the same object. A fleet whose proxies agree then takes the memory of one proxy."""

PASSTHROUGH = "PassthroughCluster"
_METADATA = "metadata.filter_metadata"
_CLUSTERS, _ENDPOINTS = "clusters dump", "endpoints dump"


class Discovery(StrEnum):
    """The way in which a cluster gets its endpoints."""

    EDS = "from istiod"
    DNS = "by DNS"
    ORIGINAL_DST = "by the address that the application dials"
    OTHER = "otherwise"


_DISCOVERY = {
    "EDS": Discovery.EDS,
    "STRICT_DNS": Discovery.DNS,
    "LOGICAL_DNS": Discovery.DNS,
    "ORIGINAL_DST": Discovery.ORIGINAL_DST,
}


@dataclass(frozen=True, slots=True)
class SocketMatch:
    """One of a cluster's transport sockets.

    Attributes:
        name: E.g. ``tlsMode-istio``.
        labels: What an endpoint must carry to get it; without any, every endpoint does.
    """

    name: str
    labels: frozenset[tuple[str, str]]
    socket: Socket


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster without its endpoints.

    Attributes:
        name: As Envoy has it.
        port: Of the service; 0 for a cluster of no service.
        subset: Of a DestinationRule; empty for none.
        host: Of the service; empty for a cluster of no service.
        discovery: Where its endpoints come from.
        socket: The socket of an endpoint that none of `matches` is for.
        matches: Sockets by the labels of an endpoint; the first that fits is taken.
    """

    name: str
    port: int
    subset: str
    host: str
    discovery: Discovery
    socket: Socket
    matches: tuple[SocketMatch, ...]

    @property
    def service(self) -> str:
        """The service, as ``HOST:PORT``."""
        return f"{self.host}:{self.port}"

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """All sockets that an endpoint may get."""
        return (*(match.socket for match in self.matches), self.socket)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint.

    Attributes:
        address: IP address; empty for one that is none, such as the start of a tunnel.
        port: The port of the pod.
        labels: Its labels for the choice of a transport socket, e.g. ``tlsMode`` is ``istio``.
        workload: ``namespace/name`` of its workload, as Istio says; empty where it does not.
    """

    address: str
    port: int
    labels: frozenset[tuple[str, str]]
    workload: str


@dataclass(frozen=True, slots=True)
class Destination:
    """A cluster with its endpoints.

    Attributes:
        endpoints: Sorted by address and port; none where istiod does not tell them.
    """

    cluster: Cluster
    endpoints: tuple[Endpoint, ...]

    def socket_to(self, endpoint: Endpoint) -> Socket:
        """The transport that Envoy speaks to an endpoint."""
        fitting = (match.socket for match in self.cluster.matches if match.labels <= endpoint.labels)
        return next(fitting, self.cluster.socket)


_OF_CLUSTER = NamesIn("|")
_CLUSTER = Fields(
    {
        "name": _OF_CLUSTER,
        "type": LEAF,
        "transport_socket": SOCKET,
        "transport_socket_matches": Items(Fields({"name": LEAF, "match": OPEN, "transport_socket": SOCKET})),
    }
)
_OF_ENDPOINT = Fields({"istio": Fields({"workload": NamesIn(";")}), "envoy.transport_socket_match": OPEN})
_ENDPOINT = merged(
    at("endpoint.address.socket_address", Fields({"address": NAME, "port_value": LEAF})), at(_METADATA, _OF_ENDPOINT)
)


@keeps(at("configs[].cluster", _CLUSTER))
def parse_clusters(document: Any) -> tuple[Cluster, ...]:
    """Reads the clusters of a dump.

    Args:
        document: The decoded answer to a question of `facts.proxies.tls.questions`.

    Raises:
        CouldNotTell: It is no dump, or a field is damaged.
    """
    return tuple(_cluster(need(entry, "cluster", dict, _CLUSTERS)) for entry in configs(document, _CLUSTERS))


@keeps(at("configs[].cluster.name", _OF_CLUSTER))
def parse_cluster_names(document: Any) -> tuple[str, ...]:
    """Reads only the names of the clusters of a dump.

    Raises:
        CouldNotTell: It is no dump, or a name is missing.
    """
    return tuple(need(entry, "cluster.name", str, _CLUSTERS) for entry in configs(document, _CLUSTERS))


@keeps(
    merged(
        at("configs[].endpoint_config.cluster_name", _OF_CLUSTER),
        at("configs[].endpoint_config.endpoints[].lb_endpoints[]", _ENDPOINT),
    )
)
def parse_endpoints(document: Any) -> Mapping[str, tuple[Endpoint, ...]]:
    """Reads the endpoints of a dump, by the name of their cluster.

    Raises:
        CouldNotTell: It is no dump, or a field is damaged.
    """
    found: dict[str, tuple[Endpoint, ...]] = {}
    for entry in configs(document, _ENDPOINTS):
        of = need(entry, "endpoint_config", dict, _ENDPOINTS)
        name = need(of, "cluster_name", str, _ENDPOINTS)
        each = {
            _endpoint(endpoint, name)
            for locality in mappings(of, "endpoints", name)
            for endpoint in mappings(locality, "lb_endpoints", name)
        }
        found[name] = tuple(sorted(each, key=lambda e: (e.address, e.port, e.workload, sorted(e.labels))))
    return found


def joined(
    clusters: tuple[Cluster, ...], endpoints: Mapping[str, tuple[Endpoint, ...]], shared: Shared[Any] = lambda value: value
) -> tuple[Destination, ...]:
    """Clusters with their endpoints, in the order of their names.

    Args:
        endpoints: By the name of their cluster.
        shared: Makes equal destinations, and equal lists of them, one object.
    """
    made = tuple(
        shared(Destination(cluster, endpoints.get(cluster.name, ()))) for cluster in sorted(clusters, key=lambda c: c.name)
    )
    same: tuple[Destination, ...] = shared(made)
    return same


def _cluster(document: Mapping[str, Any]) -> Cluster:
    name = need(document, "name", str, _CLUSTERS)
    port, subset, host = _of_service(name)
    return Cluster(
        name=name,
        port=port,
        subset=subset,
        host=host,
        discovery=_DISCOVERY.get(maybe(document, "type", "", name), Discovery.OTHER),
        socket=parse_socket(document.get("transport_socket"), f"cluster {name}"),
        matches=tuple(
            SocketMatch(
                name=maybe(match, "name", "", name),
                labels=_labels(maybe(match, "match", dict[str, Any](), name), name),
                socket=parse_socket(match.get("transport_socket"), f"cluster {name}"),
            )
            for match in mappings(document, "transport_socket_matches", name)
        ),
    )


def _of_service(name: str) -> tuple[int, str, str]:
    parts = name.split("|")
    if len(parts) != 4 or not parts[1].isdigit():
        if name == PASSTHROUGH:
            return 0, "", ""
        raise damaged("outbound|PORT|SUBSET|HOST", repr(name), "name of a cluster")
    return int(parts[1]), parts[2], parts[3]


def _endpoint(document: Mapping[str, Any], where: str) -> Endpoint:
    address = maybe(document, "endpoint.address.socket_address", dict[str, Any](), where)
    metadata = maybe(document, _METADATA, dict[str, Any](), where)
    workload = maybe(metadata, ["istio", "workload"], "", where)
    name, namespace, *_ = [*workload.split(";"), "", ""]
    return Endpoint(
        address=maybe(address, "address", "", where),
        port=maybe(address, "port_value", 0, where),
        labels=_labels(maybe(metadata, ["envoy.transport_socket_match"], dict[str, Any](), where), where),
        workload=f"{namespace}/{name}" if name and namespace else "",
    )


def _labels(struct: Mapping[str, Any], where: str) -> frozenset[tuple[str, str]]:
    return frozenset((key, need(struct, [key], str, where)) for key in struct)
