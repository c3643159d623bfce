"""The benchmark of redaction: which times it takes for too slow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bench.redaction import MIB, WORST, Timed, redacted_texts


@pytest.mark.parametrize(
    ("half", "whole", "too_slow"),
    [(0.2, 0.4, False), (0.2, 0.5, True), (0.001, 0.01, False), (0.6, 1.1, True)],
)
def test_a_text_is_too_slow_that_grows_faster_or_takes_too_long(half: float, whole: float, too_slow: bool) -> None:
    timed = Timed("text", half, whole)
    assert timed.too_slow is too_slow
    assert ("TOO SLOW" in timed.line()) is too_slow


@pytest.mark.parametrize(("growth", "too_slow"), [(1, False), (2, True)])
def test_a_quadratic_pattern_would_show(growth: int, too_slow: bool) -> None:
    def seconds(text: str) -> float:
        return float((len(text) / MIB) ** growth) / 2

    timed = list(redacted_texts(1, seconds))
    assert [each.name for each in timed] == list(WORST)
    assert {each.too_slow for each in timed} == {too_slow}


def test_the_fastest_round_counts() -> None:
    times = iter([0.3, 0.9, 0.1, 0.2] * len(WORST))
    take: Callable[[str], float] = lambda _text: next(times)  # noqa: E731 - a double of one expression
    assert {(each.half, each.whole) for each in redacted_texts(2, take)} == {(0.1, 0.2)}
