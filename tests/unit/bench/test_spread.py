"""The spread of measured numbers over several runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from facts.measure import Measure
from tests.bench.spread import spreads


def report(*measures: Measure) -> dict[str, Any]:
    finding = {"requirement": "ROT-03", "measures": [asdict(m) for m in measures]}
    return {"scenarios": [{"steps": [{"findings": []}, {"findings": [finding, {"requirement": "ROT-05"}]}]}]}


def test_each_number_has_its_least_median_and_most_over_all_runs() -> None:
    failed = [Measure("failed requests", value, at_most=0) for value in (0, 0, 2)]
    slowest = [Measure("slowest request", value, "s") for value in (0.5, 0.25, 1.5)]
    first, second = spreads(report(*both) for both in zip(failed, slowest, strict=True))
    assert first.line().split() == ["ROT-03", "failed", "requests", "0", "0", "2", "at", "most", "0", "NOT", "KEPT"]
    assert second.line().split() == ["ROT-03", "slowest", "request", "0.25", "0.5", "1.5", "s"]


def test_one_name_with_two_promises_is_two_numbers() -> None:
    numbers = spreads([report(Measure("time", 1, at_most=2), Measure("time", 3, at_most=4))])
    assert [len(each.measures) for each in numbers] == [1, 1]
