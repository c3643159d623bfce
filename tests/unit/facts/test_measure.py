"""Measured numbers beside what was promised."""

from __future__ import annotations

import pytest

from facts.measure import Measure


@pytest.mark.parametrize(
    ("measure", "kept", "told"),
    [
        (Measure("failed requests", 0, at_most=0), True, "failed requests: 0 (at most 0)"),
        (Measure("failed requests", 2, at_most=0), False, "failed requests: 2 (at most 0)"),
        (Measure("rotations", 2, at_least=3), False, "rotations: 2 (at least 3)"),
        (Measure("new certificate after", 20.456, "s", at_most=25), True, "new certificate after: 20.46 s (at most 25 s)"),
        (Measure("requests", 5123), True, "requests: 5123"),
        (Measure("requests", 12345678), True, "requests: 12345678"),
        (Measure("clock ahead", -0.001, "s"), True, "clock ahead: 0 s"),
    ],
)
def test_a_number_is_told_with_its_promise(measure: Measure, kept: bool, told: str) -> None:
    assert measure.is_kept is kept
    assert str(measure) == told
