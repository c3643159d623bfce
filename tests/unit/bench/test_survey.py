"""The benchmark of surveys: what a pod of a large fleet costs beside one of a small fleet."""

from __future__ import annotations

import json

import pytest

from facts.proxies.tls import questions
from facts.proxies.tls.outbound import parse_endpoints
from observe.proxies.envoy import _quoted
from tests.bench.figures import Figure
from tests.bench.survey import Surveyed, growth, speak_tls
from tests.unit.observe.simulated_fleet import simulated


def surveyed(size: int, *processor: float) -> Surveyed:
    mtls = Figure("", [18.0]), Figure("", [each + 0.5 for each in processor])
    return Surveyed(size, Figure("", [9.0]), Figure("", list(processor)), *mtls)


@pytest.mark.parametrize(("of_80", "times"), [(0.8, 1), (1.6, 2), (0.4, 0.5)])
def test_the_cost_of_one_pod_is_compared(of_80: float, times: float) -> None:
    assert growth([surveyed(10, 0.1), surveyed(80, of_80)]) == pytest.approx(times)


def test_the_fastest_round_counts() -> None:
    made = surveyed(10, 0.3, 0.1, 0.2)
    assert made.line() == (
        "survey of 10 simulated pods: 9.00 s, 10.0 ms of the processor a pod;"
        " with mtls 18.00 s, 2.00 times as long, 0.50 s more of the processor"
    )


def test_a_simulated_fleet_speaks_tls_to_every_pod_of_itself() -> None:
    with simulated(3) as fleet:
        speak_tls(fleet)
        addresses = {pod.item["status"]["podIP"] for pod in fleet.pods.values()}
        answers = {path: answer for pod in fleet.pods.values() for path, answer in pod.answers.items()}
    assert addresses == {"10.1.0.1", "10.1.0.2", "10.1.0.3"}
    told = parse_endpoints(json.loads(answers[_quoted(questions.WHOLE.endpoints)].body))
    assert {endpoint.address for endpoints in told.values() for endpoint in endpoints} == addresses
