"""Requests that a proxy has sent, by endpoint, from Envoy's counters of clusters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.proxies.endpoint_requests import ENDPOINTS, parse_endpoint_requests
from facts.proxies.requests import Called, SentRequests
from tests.data import document

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def host(address: str, **stats: object) -> dict[str, Any]:
    """An endpoint as an Envoy writes it, which leaves out a count of 0."""
    return {
        "address": {"socket_address": {"address": address, "port_value": 8080}},
        "stats": [{"name": name, **({"value": value} if value else {})} for name, value in stats.items()],
        "health_status": {"eds_health_status": "HEALTHY"},
        "hostname": "x",
    }


def clusters(*hosts: dict[str, Any]) -> dict[str, Any]:
    """An answer with a cluster for each endpoint, and one without any."""
    each = [{"name": f"outbound|80||{at}.shop", "host_statuses": [one]} for at, one in enumerate(hosts)]
    return {"cluster_statuses": [{"name": "outbound|80||none.shop", "added_via_api": True}, *each]}


def test_the_question_is_for_what_the_proxy_calls() -> None:
    assert ENDPOINTS == r"/clusters?format=json&filter=^outbound\|"


def test_requests_and_failed_connections_add_up_by_address() -> None:
    made = clusters(
        host("10.0.0.1", rq_total="5", cx_connect_fail="2", cx_total="9", rq_error="4", rq_success="1"),
        host("10.0.0.1", rq_total="1"),
        host("10.0.0.2", rq_total=0, cx_total="3"),
        host("10.0.0.3", cx_connect_fail="7"),
        {"address": {"pipe": {"path": "/socket"}}, "stats": [{"name": "rq_total", "value": "8"}]},
    )
    kept = evidence_of("GET", ObjectRef("Pod", "web", "shop"), json.dumps(made), read_at=NOW, parser=parse_endpoint_requests)
    assert "hostname" not in kept.body
    found = parse_endpoint_requests(json.loads(kept.body), NOW, ("ev-1",))
    assert found == SentRequests(
        True, {Called(address="10.0.0.1"): 8, Called(address="10.0.0.3"): 7}, frozenset(), NOW, ("ev-1",)
    )


def test_connections_that_fail_for_a_certificate_count_in_a_real_answer() -> None:
    """A caller of two: one refuses its certificate, the other has been restarted 10 s ago and takes it."""
    found = parse_endpoint_requests(document("requests/endpoints.json"), NOW)
    assert found.sent == {Called(address="10.244.1.99"): 34, Called(address="10.244.1.103"): 20}


def test_a_proxy_without_endpoints_has_sent_nothing() -> None:
    found = parse_endpoint_requests({"cluster_statuses": []}, NOW)
    assert (found.is_counting, found.sent) == (True, {})


@pytest.mark.parametrize(
    "damage",
    [{}, "text", {"cluster_statuses": {}}, clusters(host("10.0.0.1", rq_total="many")), clusters(host("1", rq_total=-1))],
)
def test_a_damaged_answer_is_not_guessed_at(damage: Any) -> None:
    with pytest.raises(CouldNotTell):
        parse_endpoint_requests(damage, NOW)
