"""The stand-in's limit on requests, by path and address, with a clock of the test's own."""

from __future__ import annotations

import pytest

from lab.standin.auth.limiter import LIMITS, Limiter
from lab.standin.failure import Kind, Refusal

BUNDLE, PING = "/webapi/spiffe/bundle.json", "/webapi/ping"


@pytest.mark.parametrize(("path", "at_once", "seconds_for_one"), [(BUNDLE, 40, 3.0), (PING, 480, 0.5)])
def test_so_many_at_once_and_then_one_at_a_time(path: str, at_once: int, seconds_for_one: float) -> None:
    now = 0.0
    limiter = Limiter(clock=lambda: now)
    for _ in range(at_once):
        limiter.take(path, "10.0.0.1")
    with pytest.raises(Refusal) as refused:
        limiter.take(path, "10.0.0.1")
    assert refused.value.kind is Kind.LIMIT_EXCEEDED
    assert refused.value.kind.http_status == 429
    limiter.take(path, "10.0.0.2")
    now += seconds_for_one
    limiter.take(path, "10.0.0.1")
    with pytest.raises(Refusal):
        limiter.take(path, "10.0.0.1")
    now += 10_000
    for _ in range(at_once):
        limiter.take(path, "10.0.0.1")
    with pytest.raises(Refusal):
        limiter.take(path, "10.0.0.1")


def test_other_paths_have_no_limit() -> None:
    limiter = Limiter(clock=lambda: 0.0)
    for _ in range(1000):
        limiter.take("/standin/v1/issue", "10.0.0.1")
    assert {*LIMITS} == {BUNDLE, PING}
