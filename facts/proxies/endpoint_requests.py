"""Requests that a proxy has sent, by endpoint, as any Envoy counts them: for proxies without Istio's metrics.

Source: Envoy's admin documentation, ``/clusters``. An Envoy counts for each endpoint of each cluster, whatever statistics
Istio lets it keep. The counts of an endpoint begin with it, and go with it: of a pod that was replaced nothing is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from facts.document import counter, mappings, maybe, need
from facts.masks import NAME, Fields, Items, at, keeps
from facts.proxies.envoy import STATISTICS
from facts.proxies.requests import Called, SentRequests

ENDPOINTS = r"/clusters?format=json&filter=^outbound\|"
"""The question for Envoy's admin interface. Of each endpoint the answer takes some 2 kB."""

_COUNTED = ("rq_total", "cx_connect_fail")
"""Requests that got a connection (of TCP: connections), and connections that failed, on which no request was counted."""
_WHERE = "/clusters of the proxy"
_ENDPOINT = STATISTICS.merged(at("address.socket_address", Fields({"address": NAME})))


@keeps(at("cluster_statuses[]", Fields({"host_statuses": Items(_ENDPOINT)})))
def parse_endpoint_requests(document: Any, read_at: datetime, evidence: tuple[str, ...] = ()) -> SentRequests:
    """Reads an answer to `ENDPOINTS`; an Envoy counts these always.

    Args:
        document: The decoded answer.
        read_at: UTC time of the answer.
        evidence: Ids of the readings.

    Raises:
        CouldNotTell: It is damaged.
    """
    need(document, "cluster_statuses", list, _WHERE)
    sent: Counter[Called] = Counter()
    for cluster in mappings(document, "cluster_statuses", _WHERE):
        for host in mappings(cluster, "host_statuses", _WHERE):
            address = maybe(host, "address.socket_address.address", "", _WHERE)
            if address:
                sent[Called(address=address)] += sum(_counts(host))
    return SentRequests(True, {called: number for called, number in sent.items() if number}, frozenset(), read_at, evidence)


def _counts(host: Mapping[str, Any]) -> Iterator[int]:
    for stat in mappings(host, "stats", _WHERE):
        if maybe(stat, "name", "", _WHERE) in _COUNTED:
            yield counter(stat.get("value", 0), _WHERE)
