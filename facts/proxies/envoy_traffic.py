"""Services that an Envoy calls, hosts that it has routes for, and its counters of connections, handshakes and refusals.

Sources: Envoy's admin documentation (``/clusters``, ``/config_dump``, ``/stats``) and its statistics of clusters, listeners
and RBAC filters;
Istio's names of clusters (``outbound|PORT||HOST``) and its inbound port, 15006.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facts.document import mappings, maybe, need, texts
from facts.masks import NAME, Fields, Items, at, keeps, only
from facts.proxies.envoy import STATISTICS

HOSTS = r"/clusters?format=json&filter=^outbound\|(8080|9090)\|"
ROUTES = "/config_dump?resource=dynamic_route_configs"
COUNTERS = (
    r"/stats?format=json&filter=(^cluster\.outbound\|(8080|9090)\|.*(upstream_(cx_total|rq_total|rq_retry)|ssl\.\w+)"
    r"|^listener\..*15006\W.*(no_filter_chain_match|ssl\.(handshake|session_reused|connection_error|fail_verify_\w+))"
    r"|rbac\.(allowed|denied))$"
)


_HOST = Fields(
    {
        "health_status": only("eds_health_status"),
        "address": Fields({"socket_address": only("address", "port_value")}),
    }
)


@keeps(Fields({"cluster_statuses": Items(only("name").merged(Fields({"host_statuses": Items(_HOST)})))}))
def hosts_of(document: Any) -> frozenset[tuple[str, int]]:
    """IP addresses and ports that an Envoy would send to.

    Args:
        document: The decoded answer to `HOSTS`.

    Raises:
        CouldNotTell: It is damaged.
    """
    where = "clusters of the proxy"
    found = set()
    for cluster in mappings(document, "cluster_statuses", where):
        for host in mappings(cluster, "host_statuses", where):
            if maybe(host, "health_status.eds_health_status", "HEALTHY", where) == "HEALTHY":
                address = need(host, "address.socket_address", dict, where)
                found.add((need(address, "address", str, where), need(address, "port_value", int, where)))
    return frozenset(found)


@keeps(at("configs[].route_config.virtual_hosts[].domains", Items(NAME)))
def parse_domains(document: Any) -> frozenset[str]:
    """Reads the domains of all virtual hosts of a dump of routes.

    Their routes are not kept: they hold the headers that any team adds to requests.

    Args:
        document: The decoded answer to `ROUTES`.

    Returns:
        Each domain as Envoy has it, e.g. ``shop.example.com``, ``shop.example.com:*`` or ``*``.

    Raises:
        CouldNotTell: It is damaged.
    """
    where = "routes of the proxy"
    return frozenset(
        domain
        for config in mappings(document, "configs", where)
        for virtual_host in mappings(config, "route_config.virtual_hosts", where)
        for domain in texts(virtual_host, "domains", where)
    )


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of a proxy since its start, or between two readings.

    Attributes:
        values: By Envoy's name.
        evidence: Ids of the readings.
    """

    values: Mapping[str, int]
    evidence: tuple[str, ...]

    def since(self, before: Counters) -> Counters:
        """The counts since an earlier reading of the same proxy."""
        return Counters(
            {name: value - before.values.get(name, 0) for name, value in self.values.items()},
            (*before.evidence, *self.evidence),
        )

    def outbound(self, service: str, namespace: str, port: int, name: str) -> int | None:
        """A counter of the cluster of a service; None where the proxy does not keep it.

        Args:
            service: Its name.
            name: E.g. ``upstream_rq_total``.
        """
        return self._sum(rf"cluster\.outbound\|{port}\|\|{re.escape(f'{service}.{namespace}.')}.*\.{re.escape(name)}")

    def inbound(self, name: str) -> int | None:
        """A counter of the listener of everything that comes in, e.g. ``no_filter_chain_match``."""
        return self._sum(rf"listener\..*15006\W(.*\W)?{re.escape(name)}")

    def rbac(self, decision: str, *, tcp: bool) -> int:
        """Decisions of the authorization filters: requests over HTTP, connections over TCP.

        Args:
            decision: ``allowed`` or ``denied``.
            tcp: Those of the network filter.
        """
        prefix = r"tcp\." if tcp else r"http\..*\W"
        # Envoy makes the counters with the first policy, so that none means none was denied or allowed.
        return self._sum(rf"{prefix}rbac\.{decision}") or 0

    def _sum(self, pattern: str) -> int | None:
        found = [value for name, value in self.values.items() if re.fullmatch(pattern, name)]
        return sum(found) if found else None


@keeps(STATISTICS)
def parse_counters(document: Any, evidence: tuple[str, ...] = ()) -> Counters:
    """Reads an answer to `COUNTERS`.

    Raises:
        CouldNotTell: It is damaged.
    """
    where = "statistics of the proxy"
    need(document, "stats", list, where)
    values = {
        need(stat, "name", str, where): need(stat, "value", int, where)
        for stat in mappings(document, "stats", where)
        if "name" in stat
    }
    return Counters(values, evidence)
