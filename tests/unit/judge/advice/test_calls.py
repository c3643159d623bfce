"""Who calls whom, and how often, by what proxies have counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.proxies.requests import Called, SentRequests
from judge.advice.calls import OFF, SILENT, UNREAD, Calls, calls_of
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW
from tests.unit.judge.mtls.meshes import Workload, ends

UPTIME = 600
"""Seconds for which each proxy of the builders has run."""


def calls(*workloads: Workload, without: tuple[str, ...] = (), **sent: SentRequests) -> Calls:
    """The calls of a mesh, of whose pods these have sent so much; a proxy that is not named could not be read."""
    return calls_of(ends(*workloads), {f"uid-{name}": of for name, of in sent.items()}, without)


def weights(found: Calls) -> Mapping[str, float]:
    return {str(way).replace("shop/", ""): way.weight for way in found.ways}


IDLE = make.sent()
TWO = (Workload("a"), Workload("b"))
THREE = (*TWO, Workload("c"))


def test_a_way_weighs_its_requests_a_second_and_one_without_nothing() -> None:
    found = calls(*TWO, a=make.sent({"shop/b": 3 * UPTIME}), b=IDLE)
    assert weights(found) == {"a → b": 3, "b → a": 0}
    assert [str(way) for way in found.counted] == ["shop/a → shop/b"]
    assert [str(way) for way in found.unused] == ["shop/b → shop/a"]
    assert (found.guessed, found.assumed, found.counted_for) == ((), {}, (UPTIME, UPTIME))


def test_a_proxy_that_started_an_hour_ago_counts_by_its_hour() -> None:
    def fresh(pod: Any) -> Any:
        return make.proxy(pod, uptime=60)

    found = calls(Workload("a", identity=fresh), Workload("b"), a=make.sent({"shop/b": 60}), b=make.sent({"shop/a": 60}))
    assert weights(found) == {"a → b": 1, "b → a": pytest.approx(0.1)}
    assert found.counted_for == (60, UPTIME)


def test_the_time_ends_when_the_requests_are_read_and_is_never_shorter_than_envoy_tells_it() -> None:
    later = make.sent({"shop/b": UPTIME + 200}, read_at=NOW + timedelta(seconds=200))
    assert weights(calls(*TWO, a=later, b=IDLE))["a → b"] == 1

    def just_started(pod: Any) -> Any:
        return make.proxy(pod, uptime=0)

    found = calls(Workload("a", identity=just_started), Workload("b"), a=make.sent({"shop/b": 10}), b=IDLE)
    assert weights(found)["a → b"] == 2


def test_a_request_that_reached_no_workload_counts_on_the_ways_to_its_service() -> None:
    failed = make.sent(sent={Called("", "b.shop.svc.cluster.local"): UPTIME, Called("shop/b", ""): UPTIME})
    assert weights(calls(*THREE, a=failed, b=IDLE, c=IDLE))["a → b"] == 2
    gone = make.sent(sent={Called("shop/before", "b.shop.svc.cluster.local"): UPTIME})
    assert weights(calls(*THREE, a=gone, b=IDLE, c=IDLE))["a → b"] == 1


def test_a_workload_that_istio_names_otherwise_is_found_by_its_endpoints() -> None:
    named = make.sent({"shop/nightly": UPTIME})
    found = calls(Workload("a"), Workload("b", istios_name="nightly"), a=named, b=IDLE)
    assert weights(found)["a → b"] == 1


def test_requests_by_endpoint_count_for_the_pod_behind_it_since_both_are_there() -> None:
    made_later = Workload("b", pod={"created_at": "2026-03-01T11:59:00Z"})
    by_endpoint = {Called(address="10.0.0.2"): 60, Called(address="10.0.0.3"): UPTIME, Called(address="10.9.9.9"): 5}
    found = calls(Workload("a"), made_later, Workload("c"), a=make.sent(sent=by_endpoint), b=IDLE, c=IDLE)
    assert weights(found)["a → b"] == weights(found)["a → c"] == 1
    assert found.counted_for == (UPTIME, UPTIME)


def test_what_is_no_way_of_the_mesh_does_not_count() -> None:
    outside = {
        Called("", "api.example.com"): 5,
        Called("", ""): 5,
        Called("other/db", "db.other.svc.cluster.local"): 5,
        Called("shop/a", "a.shop.svc.cluster.local"): 5,
        Called("shop/plain", "plain.shop.svc.cluster.local"): 5,
    }
    found = calls(*TWO, Workload("plain", marked=False), a=make.sent(sent=outside), b=IDLE, plain=IDLE)
    assert not found.counted
    assert len(found.unused) == 4


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({}, UNREAD),
        ({"b": make.sent(is_counting=False)}, OFF),
        ({"b": IDLE, "c": make.sent(callers=frozenset({"shop/b"}))}, SILENT),
    ],
)
def test_calls_that_are_not_counted_weigh_as_much_as_the_average(sent: dict[str, SentRequests], why: str) -> None:
    counting = make.sent({"shop/b": 2 * UPTIME, "shop/c": 4 * UPTIME})
    found = calls_of(ends(*THREE), {f"uid-{name}": of for name, of in {"a": counting, "c": IDLE, **sent}.items()})
    assert found.assumed == {"shop/b": why}
    assert weights(found) == {"a → b": 2, "a → c": 4, "b → a": 3, "b → c": 3, "c → a": 0, "c → b": 0}
    assert [str(way) for way in found.guessed] == ["shop/b → shop/a", "shop/b → shop/c"]


def test_a_workload_counts_only_if_each_of_its_proxies_does() -> None:
    twins = tuple(Workload(name, pod={"owner": "StatefulSet/twins"}) for name in ("twin-0", "twin-1"))
    of_both = make.sent({"shop/b": UPTIME})
    sent = {"uid-twin-0": of_both, "uid-b": IDLE}
    mesh = ends(*twins, Workload("b"))
    assert calls_of(mesh, sent).assumed == {"shop/twins": UNREAD}
    assert weights(calls_of(mesh, {**sent, "uid-twin-1": of_both}))["twins → b"] == 2


def test_where_none_counts_every_way_weighs_as_much_as_any_other() -> None:
    found = calls(*THREE)
    assert {*weights(found).values()} == {1}
    assert (found.counted_for, {*found.assumed.values()}, len(found.guessed)) == (None, {UNREAD}, 6)
    assert found.is_guessed
    assert not calls().is_guessed


def test_where_no_request_was_counted_there_is_no_average_for_a_workload_that_does_not_count() -> None:
    found = calls(*TWO, a=IDLE)
    assert weights(found) == {"a → b": 0, "b → a": 1}
    assert found.is_guessed
    assert not calls(*TWO, a=make.sent({"shop/b": 1})).is_guessed
    assert not calls(*TWO, a=IDLE, b=IDLE).is_guessed


def test_pods_that_do_not_count_are_nowhere() -> None:
    found = calls(*THREE, without=("uid-c",), a=make.sent({"shop/c": 5}), b=IDLE)
    assert weights(found) == {"a → b": 0, "b → a": 0}
    assert found.assumed == {}


def test_a_proxy_of_which_half_was_read_calls_nobody() -> None:
    found = calls(Workload("a"), Workload("b", identity=None), a=make.sent({"shop/b": 5}), b=IDLE)
    assert (found.ways, found.assumed) == ((), {})
    other = {Called("", "b.shop.svc.cluster.local"): 5}
    found = calls(Workload("a", configured=False), Workload("b"), a=make.sent(sent=other), b=make.sent({"shop/a": UPTIME}))
    assert (weights(found), found.assumed) == ({"b → a": 1}, {})


def test_a_request_in_a_very_long_time_still_weighs_something() -> None:
    def old(pod: Any) -> Any:
        return make.proxy(pod, uptime=1500 * 366 * 86400)

    found = calls(Workload("a", identity=old), Workload("b"), a=make.sent({"shop/b": 1}), b=IDLE)
    assert weights(found)["a → b"] == 2**-30


@given(st.lists(st.integers(0, 10**9), min_size=6, max_size=6), st.permutations(range(6)))
def test_weights_add_up_to_the_same_in_any_order_and_no_request_is_lost(numbers: list[int], order: list[int]) -> None:
    a, b, c, d, e, f = numbers
    found = calls(
        *THREE,
        a=make.sent({"shop/b": a, "shop/c": b}),
        b=make.sent({"shop/a": c, "shop/c": d}),
        c=make.sent({"shop/a": e, "shop/b": f}),
    )
    each = [way.weight for way in found.ways]
    assert sum(each[at] for at in order) == sum(each) == pytest.approx(sum(numbers) / UPTIME)
    assert len(found.counted) == sum(number > 0 for number in numbers)
