"""The benchmark of surveys: what a pod of a large fleet costs beside one of a small fleet."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figure
from tests.bench.survey import Surveyed, growth


def surveyed(size: int, *processor: float) -> Surveyed:
    return Surveyed(size, Figure("", [9.0]), Figure("", list(processor)))


@pytest.mark.parametrize(("of_80", "times"), [(0.8, 1), (1.6, 2), (0.4, 0.5)])
def test_the_cost_of_one_pod_is_compared(of_80: float, times: float) -> None:
    assert growth([surveyed(10, 0.1), surveyed(80, of_80)]) == pytest.approx(times)


def test_the_fastest_round_counts() -> None:
    made = surveyed(10, 0.3, 0.1, 0.2)
    assert made.line() == "survey of 10 simulated pods: 9.00 s, 10.0 ms of the processor a pod"
