"""Answers of a proxy that its owner made up: each parser reads them or calls them damaged, and raises nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from facts.document import counter, when
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.kubernetes.objects import parse_pod
from facts.kubernetes.redirection import redirection_of
from facts.masks import TOO_DEEP, json_or_text
from facts.proxies import envoy, envoy_traffic, policies, pushes
from facts.proxies.tls import inbound, outbound, questions
from facts.redaction import DEEPEST
from tests.data import document
from tests.unit.facts import tls_dumps

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BAD: tuple[object, ...] = (
    "abc",
    "²",
    "+Inf",
    "\ud800",
    "0001-01-01T00:00:00+23:59",
    None,
    True,
    -1,
    2.5,
    1e400,
    10**30,
    [],
    {},
    [1],
    ["a"],
    {"a": 1},
)
PLACES = 300
"""Places that are looked at in one document, spread over it."""

STATISTICS = {
    "stats": [
        {"name": "server.uptime", "value": 3},
        {"name": "cluster_manager.active_clusters", "value": 4},
        {"name": "sds.default.version_text", "value": "2025-12-14T19:53:56Z"},
    ]
}
HOSTS = {
    "cluster_statuses": [
        {
            "name": "sds-grpc",
            "host_statuses": [
                {
                    "health_status": {"eds_health_status": "HEALTHY"},
                    "stats": [{"name": "cx_active", "value": "1"}],
                    "address": {"socket_address": {"address": "192.0.2.1", "port_value": 80}},
                }
            ],
        }
    ]
}
POD = {
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "b", "annotations": {"traffic.sidecar.istio.io/includeInboundPorts": "80"}},
    "spec": {"containers": [{"name": "istio-proxy", "image": "i", "args": ["a"]}]},
    "status": {"phase": "Running", "containerStatuses": [{"name": "istio-proxy", "state": {"running": {"startedAt": "x"}}}]},
}

HOST = "cart.shop.svc.cluster.local"
INBOUND = tls_dumps.virtual_inbound(tls_dumps.permissive(8080), tls_dumps.strict())
CLUSTERS = tls_dumps.dump(tls_dumps.auto_mutual(HOST, 80, ["spiffe://example.org/ns/shop/sa/cart"]))
ENDPOINTS = tls_dumps.dump(tls_dumps.endpoints(HOST, 80, tls_dumps.endpoint("192.0.2.1", 8080)))


def rbac(principal: Any) -> dict[str, Any]:
    """A listeners dump with one policy."""
    policy = {"ns[a]-policy[b]-rule[0]": {"permissions": [{"any": True}], "principals": [principal]}}
    typed = {"@type": "t/envoy.extensions.filters.network.rbac.v3.RBAC", "rules": {"action": "DENY", "policies": policy}}
    chain = {"filters": [{"name": "rbac", "typed_config": typed}]}
    return tls_dumps.dump(
        {"@type": "t/ListenersConfigDump.DynamicListener", "active_state": {"listener": {"filter_chains": [chain]}}}
    )


def parse_policies(listeners: Any) -> object:
    return policies.parse_policies(listeners, "a/b"), policies.principals_in(listeners)


Parser = Callable[..., Any]


def places(here: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every value of a document; of a list the first three items."""
    yield path
    inner = here.items() if isinstance(here, dict) else enumerate(here[:3]) if isinstance(here, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


def with_bad(whole: Any, path: tuple[str | int, ...], bad: object) -> Any:
    if not path:
        return bad
    changed = here = copy.deepcopy(whole)
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = bad
    return changed


def last_push(statistics: Any) -> object:
    found = pushes.parse_pushes(statistics)
    return found and found.last


def outcomes_of(parser: Parser, whole: Any, read: Parser) -> tuple[int, int]:
    """How many changed documents could be read, and how many were damaged; any other error is the test's failure."""
    succeeded = failed = 0
    every = list(places(whole))
    for path in every[:: len(every) // PLACES + 1]:
        for bad in BAD:
            raw = json.dumps(with_bad(whole, path, bad))
            body = evidence_of("q", ObjectRef("Pod", "x"), raw, read_at=NOW, parser=parser).body
            try:
                read(json_or_text(body))
                succeeded += 1
            except CouldNotTell:
                failed += 1
    return succeeded, failed


@pytest.mark.parametrize(
    ("parser", "whole", "read"),
    [
        (envoy.parse_uptime, STATISTICS, envoy.parse_uptime),
        (questions.parse_count, STATISTICS, questions.parse_count),
        (pushes.parse_pushes, STATISTICS, last_push),
        (envoy_traffic.parse_counters, STATISTICS, envoy_traffic.parse_counters),
        (envoy.parse_streams, HOSTS, envoy.parse_streams),
        (envoy_traffic.hosts_of, HOSTS, envoy_traffic.hosts_of),
        (parse_pod, POD, lambda pod: redirection_of(parse_pod(pod))),
        (envoy.parse_secrets, "healthy/active_secrets.json", envoy.parse_secrets),
        (envoy.parse_bootstrap, "healthy/bootstrap.json", envoy.parse_bootstrap),
        (envoy.parse_normalization, "healthy/inbound_listeners.json", envoy.parse_normalization),
        (policies.parse_policies, rbac({"not_id": {"any": True}}), parse_policies),
        (inbound.parse_listeners, INBOUND, inbound.parse_listeners),
        (outbound.parse_cluster_names, CLUSTERS, outbound.parse_cluster_names),
        (outbound.parse_clusters, CLUSTERS, outbound.parse_clusters),
        (outbound.parse_endpoints, ENDPOINTS, outbound.parse_endpoints),
    ],
)
def test_a_bad_value_anywhere_is_read_or_damaged(parser: Parser, whole: Any, read: Parser) -> None:
    outcomes = outcomes_of(parser, document(whole) if isinstance(whole, str) else whole, read)
    assert min(outcomes) > 0, "the document was never damaged, or the parser refuses it as it is"


@pytest.mark.parametrize("value", ["abc", "+Inf", "NaN", "-1", "1e999", "²"])
def test_a_metric_of_the_agent_that_is_no_count(value: str) -> None:
    with pytest.raises(CouldNotTell):
        envoy.parse_agent_metrics(f'istio_agent_num_outgoing_requests{{request_type="csr"}} {value}\n')


@pytest.mark.parametrize("value", ["", "²", "٣", "-1", "9" * 20, "9" * 5000, 2**64, -1, 1.0, True, None, [1]])
def test_no_counter_of_64_bits(value: object) -> None:
    with pytest.raises(CouldNotTell):
        counter(value, "here")


def test_a_counter_as_json_has_it() -> None:
    assert [counter(value, "here") for value in (0, "0", str(2**64 - 1))] == [0, 0, 2**64 - 1]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_outside_all_years(text: str) -> None:
    with pytest.raises(CouldNotTell):
        when(text, "here")
    assert pushes.pushed_at(text) is None


def test_principals_that_are_nested_without_end_are_cut() -> None:
    nested: Any = {"any": True}
    for _ in range(800):
        nested = {"not_id": nested}
    raw = json.dumps(rbac(nested))
    body = evidence_of("q", ObjectRef("Pod", "x"), raw, read_at=NOW, parser=policies.parse_policies).body
    assert policies.principals_in(json_or_text(body)) == {TOO_DEEP}
    assert body.count("not_id") == DEEPEST
