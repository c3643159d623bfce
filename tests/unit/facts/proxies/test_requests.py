"""Requests that a proxy has sent, from its metrics in Prometheus' text format."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, evidence_of
from facts.proxies.requests import REQUESTS, Called, SentRequests, parse_requests

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BUILD = 'istio_build{component="proxy",tag="1.31.0"} 1'
CART = Called("shop/cart", "cart.shop.svc.cluster.local")


def line(number: object, metric: str = "istio_requests_total", **labels: str) -> str:
    """A line as a proxy of Istio writes it; with labels that nobody reads."""
    every = {
        "reporter": "source",
        "source_workload": "web",
        "source_workload_namespace": "shop",
        "source_principal": "spiffe://td/ns/shop/sa/web",
        "destination_workload": "cart",
        "destination_workload_namespace": "shop",
        "destination_service": "cart.shop.svc.cluster.local",
        "request_protocol": "http",
        "response_code": "200",
        **labels,
    }
    written = ",".join(f'{name}="{text}"' for name, text in every.items())
    return f"{metric}{{{written}}} {number}"


def read(*lines: str) -> SentRequests:
    """What is read of such lines, over what evidence keeps of them."""
    raw = "".join(f"{each}\n" for each in lines)
    kept = evidence_of("GET", ObjectRef("Pod", "web", "shop"), raw, read_at=NOW, parser=parse_requests)
    return parse_requests(kept.body, NOW, ("ev-1",))


def test_the_question_is_for_metrics_that_are_used_and_needed() -> None:
    assert REQUESTS.startswith("/stats/prometheus?usedonly&filter=istio_(")


def test_requests_add_up_by_their_far_end_whatever_came_of_them() -> None:
    found = read(
        f"# TYPE istio_requests_total counter\n{BUILD}",
        line(3),
        line(4, response_code="503"),
        line(2, metric="istio_tcp_connections_opened_total"),
        line(7, destination_workload="db"),
        line(100, metric="istio_request_bytes_sum"),
    )
    assert found == SentRequests(True, {CART: 9, Called("shop/db", CART.service): 7}, frozenset(), NOW, ("ev-1",))


@pytest.mark.parametrize("unknown", ["unknown", ""])
def test_a_request_that_reached_no_workload_has_its_service(unknown: str) -> None:
    found = read(line(5, destination_workload=unknown, destination_workload_namespace=unknown))
    assert found.sent == {Called("", CART.service): 5}
    outside = read(line(5, destination_workload=unknown, destination_service=unknown))
    assert outside.sent == {Called("", ""): 5}


def test_of_what_a_server_counts_only_the_callers_are_read() -> None:
    found = read(line(5, reporter="destination"), line(6, reporter="waypoint"), line(1, reporter="destination"))
    assert found == SentRequests(True, {}, frozenset({"shop/web"}), NOW, ("ev-1",))
    unknown = read(line(5, reporter="destination", source_workload="unknown"))
    assert unknown.callers == frozenset()


def test_a_proxy_that_counts_and_has_sent_nothing_differs_from_one_that_does_not_count() -> None:
    assert read(BUILD).is_counting
    assert not read(BUILD).sent
    assert not read().is_counting
    assert not read("istio_build 1").is_counting  # no line of Istio's
    assert not read("envoy_server_uptime{} 5", 'istio_agent_pilot_xds{version="1"} 1').is_counting


def test_evidence_keeps_the_labels_that_are_read_and_a_secret_in_none() -> None:
    token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
    raw = f"{BUILD}\n{line(3)}\n{line(1, destination_service=token)}\nenvoy_secret{{token='{token}'}} 1\n"
    kept = evidence_of("GET", ObjectRef("Pod", "web", "shop"), raw, read_at=NOW, parser=parse_requests)
    assert token not in kept.body
    assert "spiffe://" not in kept.body
    first, second, _third = kept.body.splitlines()
    assert first == "istio_build{} 1"
    assert second == (
        'istio_requests_total{reporter="source",destination_workload_namespace="shop",destination_workload="cart",'
        'destination_service="cart.shop.svc.cluster.local"} 3'
    )


def test_labels_are_read_with_whatever_stands_in_them() -> None:
    odd = r"a\"b\\c},reporter=\"destination\"\n"
    found = read(line(3, destination_service=odd))
    assert found.sent == {Called("shop/cart", 'a"b\\c},reporter="destination"\n'): 3}


@pytest.mark.parametrize("damage", [{}, [], None, line("many"), line("-1"), line("1.5"), line("")])
def test_a_damaged_answer_is_not_guessed_at(damage: Any) -> None:
    with pytest.raises(CouldNotTell, match="istio_requests_total"):
        parse_requests(damage, NOW)
