"""What a proxy knows of services, and what it counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.proxies.envoy_traffic import ROUTES, Counters, hosts_of, parse_counters, parse_domains


def host(address: str, port: int, health: str = "HEALTHY") -> dict[str, Any]:
    socket = {"address": address, "port_value": port}
    return {"address": {"socket_address": socket}, "health_status": {"eds_health_status": health}}


def test_hosts_are_those_that_are_healthy() -> None:
    clusters = [
        {"name": "outbound|8080||beta.run.svc.cluster.local", "host_statuses": [host("10.0.0.1", 8080)]},
        {"name": "outbound|9090||beta.run.svc.cluster.local", "host_statuses": [host("10.0.0.2", 9090, "UNHEALTHY")]},
        {"name": "outbound|8080||none.run.svc.cluster.local"},
    ]
    assert hosts_of({"cluster_statuses": clusters}) == {("10.0.0.1", 8080)}
    assert hosts_of({}) == frozenset()


def test_of_routes_only_the_domains_are_kept_and_no_header_of_any_team() -> None:
    added = [{"header": {"key": "x-tenant", "value": "hunter2-of-the-shop"}}]
    host = {"name": "shop", "domains": ["shop.example.com", "*"], "request_headers_to_add": added, "routes": [{"name": "r"}]}
    raw = {"configs": [{"version_info": "1", "route_config": {"name": "http.80", "virtual_hosts": [host]}}, {}]}
    at = datetime(2026, 3, 1, tzinfo=UTC)
    body = evidence_of(ROUTES, ObjectRef("Pod", "gate"), json.dumps(raw), read_at=at, parser=parse_domains).body
    of_host = {"domains": ["shop.example.com", "*"]}
    assert json.loads(body) == {"configs": [{"route_config": {"virtual_hosts": [of_host]}}, {}]}
    assert parse_domains(raw) == parse_domains(json.loads(body)) == {"shop.example.com", "*"}
    assert parse_domains({}) == frozenset()


@pytest.mark.parametrize("hosts", [{}, ["x"], [{"domains": {}}], [{"domains": [1]}]])
def test_damaged_routes_are_said_to_be_damaged(hosts: Any) -> None:
    with pytest.raises(CouldNotTell):
        parse_domains({"configs": [{"route_config": {"virtual_hosts": hosts}}]})


def counters(**values: int) -> Counters:
    stats: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in values.items()]
    return parse_counters({"stats": [*stats, {"histograms": {}}]}, ("ev-counters",))


def test_counters_are_found_by_service_and_decision() -> None:
    found = counters(
        **{
            "cluster.outbound|8080||beta.run.svc.cluster.local;.upstream_rq_total": 3,
            "cluster.outbound|8080||beta-far.run.svc.cluster.local;.upstream_rq_total": 4,
            "cluster.outbound|9090||beta.run.svc.cluster.local.upstream_cx_total": 5,
            "listener.0.0.0.0_15006.no_filter_chain_match": 6,
            "listener.0.0.0.0_15006.ssl.handshake": 7,
            "http.inbound_0.0.0.0_8080;.rbac.allowed": 8,
            "tcp.rbac.allowed": 9,
            "tcp.rbac.denied": 1,
        }
    )
    assert found.outbound("beta", "run", 8080, "upstream_rq_total") == 3
    assert found.outbound("beta-far", "run", 8080, "upstream_rq_total") == 4
    assert found.outbound("beta", "run", 9090, "upstream_cx_total") == 5
    assert found.outbound("beta", "run", 9090, "upstream_rq_total") is None
    assert found.inbound("no_filter_chain_match") == 6
    assert found.inbound("ssl.handshake") == 7
    assert found.inbound("ssl.session_reused") is None
    assert (found.rbac("allowed", tcp=False), found.rbac("allowed", tcp=True)) == (8, 9)
    assert (found.rbac("denied", tcp=False), found.rbac("denied", tcp=True)) == (0, 1)


def test_what_was_counted_between_two_readings() -> None:
    before = Counters({"tcp.rbac.denied": 2}, ("ev-1",))
    after = Counters({"tcp.rbac.denied": 5, "tcp.rbac.allowed": 1}, ("ev-2",))
    assert after.since(before) == Counters({"tcp.rbac.denied": 3, "tcp.rbac.allowed": 1}, ("ev-1", "ev-2"))


@pytest.mark.parametrize("document", ["", {}, {"stats": [{"name": "x", "value": "1"}]}])
def test_damaged_statistics_are_said_to_be_damaged(document: Any) -> None:
    with pytest.raises(CouldNotTell):
        parse_counters(document)
