"""Questions for Envoy's admin interface about its destinations: masked, filtered, and in slices where there are many.

Envoy's main thread writes a dump, and does nothing else meanwhile. So a proxy is first asked how many clusters it has. A
proxy with more than `SLICE` is then asked for their names, and for so many clusters at a time.

Sources: Envoy's admin documentation, ``/config_dump``. A mask reaches into a cluster, not into its transport sockets. Names
are compared as a whole, so a pattern has to fit a name from start to end.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facts.document import damaged, mappings, maybe, need
from facts.masks import keeps
from facts.proxies.envoy import STATISTICS
from facts.proxies.tls.outbound import PASSTHROUGH

SLICE = 200
"""Clusters in one answer, at most. A cluster takes some 2.7 kB and each of its endpoints 1 kB: together 750 kB."""

COUNT = "/stats?format=json&filter=^cluster_manager.active_clusters$"
_CLUSTERS = "/config_dump?resource=dynamic_active_clusters&name_regex="
_ENDPOINTS = "/config_dump?include_eds&resource=dynamic_endpoint_configs&name_regex="
_NAMES_MASK = "&mask=cluster.name"
_CLUSTERS_MASK = "&mask=cluster.name,cluster.type,cluster.transport_socket,cluster.transport_socket_matches"
_ENDPOINTS_MASK = "&mask=endpoint_config.cluster_name,endpoint_config.endpoints"
_OUTBOUND = r"^outbound\|"
_ALL = rf"{_OUTBOUND}.*$"
NAMES = f"{_CLUSTERS}{_ALL}{_NAMES_MASK}"
"""The question for the names of all outbound clusters."""


@dataclass(frozen=True, slots=True)
class Part:
    """The questions for some of the destinations.

    Attributes:
        clusters: The question for the clusters.
        endpoints: The question for their endpoints.
    """

    clusters: str
    endpoints: str

    @classmethod
    def named(cls, pattern: str, also: str = "") -> Part:
        """The questions for clusters whose names fit a pattern.

        Args:
            pattern: RE2.
            also: A pattern of clusters that have no endpoints to ask for.
        """
        both = f"{pattern}|{also}" if also else pattern
        return cls(f"{_CLUSTERS}{both}{_CLUSTERS_MASK}", f"{_ENDPOINTS}{pattern}{_ENDPOINTS_MASK}")


WHOLE = Part.named(_ALL, f"^{PASSTHROUGH}$")
"""The questions for all destinations at once."""


def is_of_clusters(question: str) -> bool:
    """Tell whether a question is one for clusters."""
    return question.startswith(_CLUSTERS) and question.endswith(_CLUSTERS_MASK)


def is_of_endpoints(question: str) -> bool:
    """Tell whether a question is one for endpoints."""
    return question.startswith(_ENDPOINTS)


@keeps(STATISTICS)
def parse_count(document: Any) -> int:
    """Reads the number of clusters, inbound ones included, from an answer to `COUNT`.

    Raises:
        CouldNotTell: The statistic is missing.
    """
    for stat in mappings(document, "stats", "/stats"):
        if maybe(stat, "name", "", "/stats") == "cluster_manager.active_clusters":
            return need(stat, "value", int, "/stats: cluster_manager.active_clusters")
    raise damaged("the statistic cluster_manager.active_clusters", "none", "/stats")


def parts(names: Iterable[str], at_most: int = SLICE) -> tuple[Part, ...]:
    """The questions that yield all these clusters, each for at most so many of them.

    Only the clusters of one host stay together, whatever their number.

    Args:
        names: Names of outbound clusters, ``outbound|PORT|SUBSET|HOST``.
        at_most: The most clusters of one part.
    """
    clusters: dict[str, int] = defaultdict(int)
    for name in names:
        clusters[name.rpartition("|")[2]] += 1
    found = [
        Part.named(rf"{_OUTBOUND}[^|]*\|[^|]*\|({'|'.join(group)})$")
        for group in _groups(_beginnings(clusters, at_most), at_most)
    ]
    return (*found, Part.named(f"^{PASSTHROUGH}$"))


def _beginnings(hosts: Mapping[str, int], at_most: int, length: int = 0) -> list[tuple[str, int]]:
    """Patterns of hosts by their first letters, each with the number of its clusters, in the order of the letters.

    Args:
        hosts: Number of clusters of each host; all begin with the same `length` letters.
        at_most: The most clusters of a pattern that more than one host fits.
        length: Letters that they share.
    """
    total = sum(hosts.values())
    first = next(iter(hosts), "")
    if len(hosts) == 1:
        return [(re.escape(first), total)]
    if total <= at_most:
        return [(f"{re.escape(first[:length])}.*", total)] if hosts else []
    by_next: dict[str, dict[str, int]] = defaultdict(dict)
    for host, number in hosts.items():
        by_next[host[: length + 1]][host] = number
    found = []
    for beginning in sorted(by_next):
        # A host that ends here is the beginning of the others, and must not fetch them again.
        ended = len(beginning) == length
        group = by_next[beginning]
        found += [(re.escape(beginning), group[beginning])] if ended else _beginnings(group, at_most, length + 1)
    return found


def _groups(patterns: Sequence[tuple[str, int]], at_most: int) -> list[list[str]]:
    """The patterns in groups that have at most so many clusters; one that has more stays alone."""
    groups: list[list[str]] = []
    room = 0
    for pattern, number in patterns:
        if number > room:
            groups.append([])
            room = at_most
        groups[-1].append(pattern)
        room -= number
    return groups
