"""The trial of an order of restarts, as far as it needs no lab: what orders cost, and what a ledger shows of each way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.traffic.ledger import Outcome, Request
from tests.lab.migration import (
    FRONT,
    GAP,
    LEAST,
    NAMES,
    SETTLES,
    WAYS,
    CalledWay,
    Moved,
    Plan,
    Restart,
    broken_between,
    cost_of,
)

BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ORDER = ("cart", "stock", "price", "mail")
IN_STOCK, TO_STOCK = CalledWay("stock", "price", 2), CalledWay("cart", "stock", 3)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_the_order_decides_and_no_order_is_cheaper_than_the_one_that_is_tried() -> None:
    costs = {order: cost_of(order) for order in permutations(ORDER)}
    assert costs[ORDER] == min(costs.values()) == 8
    assert costs[ORDER[::-1]] == 17
    assert broken_between({FRONT}) == {way for way in WAYS if way.client == FRONT}
    assert broken_between(NAMES) == broken_between(()) == frozenset()


def test_between_two_restarts_there_is_time_to_look() -> None:
    assert GAP > SETTLES + LEAST


def request(seconds: float, outcome: Outcome) -> Request:
    return Request(f"{seconds}", "http://x", at(seconds), 0.1, "", outcome, 0, "", None)


def moved(outcome: Callable[[CalledWay, float], Outcome]) -> Moved:
    """A mesh that was moved, with a request a second over each way from 10 s before."""
    gap = GAP.total_seconds()
    restarts = tuple(Restart(name, at(n * gap + 10), at((n + 1) * gap)) for n, name in enumerate(ORDER))
    seconds = range(-10, round(gap * len(ORDER)) + 5)
    requests: Mapping[CalledWay, Sequence[Request]] = {
        way: [request(second, outcome(way, second)) for second in seconds] for way in WAYS
    }
    return Moved(ORDER, at(-10), BEGAN, restarts, requests, refused=7)


def told_by_plan(way: CalledWay, second: float) -> Outcome:
    done = max(0, int(second // GAP.total_seconds()) + 1)
    return Outcome.TLS_ERROR if way in broken_between({FRONT, *ORDER[:done]}) else Outcome.ANSWERED


def test_ways_that_do_not_work_are_seen_in_the_ledger() -> None:
    found = moved(told_by_plan)
    assert found.at_first == broken_between({FRONT})
    assert found.after_each == tuple(broken_between({FRONT, *ORDER[:number]}) for number in range(1, 5))
    assert len(found.sent) == len(WAYS) * len(ORDER) * GAP.total_seconds()
    gap = round(GAP.total_seconds())
    assert len(found.lost) == 5 * gap  # of one request a second over each way
    said = f"{5 * gap} lost, 7 of them for the issuer of a certificate (200 by the plan)"
    assert said in found.told()
    assert f"\n    {5 * gap} × 503 for a TLS error" in found.told()


def test_a_restart_may_lose_requests_and_the_time_after_it_may_not() -> None:
    def while_restarted(way: CalledWay, second: float) -> Outcome:
        return Outcome.TIMEOUT if 0 <= second < 11 else told_by_plan(way, second)

    assert moved(while_restarted).after_each == moved(told_by_plan).after_each

    def later(way: CalledWay, second: float) -> Outcome:
        return Outcome.NO_UPSTREAM if second == 20 else told_by_plan(way, second)

    with pytest.raises(CouldNotTell, match="1 503 without a connection to the server"):
        _ = moved(later).after_each


def test_a_way_without_requests_shows_nothing() -> None:
    found = moved(told_by_plan)
    without = replace(found, requests={**found.requests, TO_STOCK: []})
    with pytest.raises(CouldNotTell, match=r"no request \(cart → stock"):
        _ = without.after_each


def way(client: str, server: str, weight: float = 1) -> dict[str, Any]:
    return {"client": f"ns/{client}", "server": f"ns/{server}", "weight": weight}


def test_the_plan_is_read_with_its_ways_in_use() -> None:
    document = {
        "today": [way(FRONT, "cart"), way("cart", FRONT, 0), way("stock", "elsewhere", 0)],
        "steps": [
            {"workload": "ns/cart", "breaks": [way("cart", "stock")], "heals": [way(FRONT, "cart")]},
            {"workload": "ns/stock", "breaks": [way("stock", "price")], "heals": [way("cart", "stock")]},
        ],
        "calls": {"counted": [way("stock", "price")], "assumed": [{"workload": "ns/mail"}, {"workload": "other/mail"}]},
    }
    found = Plan.read(document, "ns")
    assert found == Plan(
        order=("cart", "stock"),
        today=frozenset({CalledWay(FRONT, "cart", 4)}),
        after_each=(frozenset({TO_STOCK}), frozenset({IN_STOCK})),
        counted=frozenset({IN_STOCK}),
        assumed=frozenset({"ns/mail"}),
    )
    with pytest.raises(KeyError):
        Plan.read({**document, "today": [way("stock", "elsewhere")]}, "ns")
