"""The limit on requests to the public endpoints, by address of the caller, as Teleport's proxy has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.standin.failure import Kind, Refusal

_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate and what may come at once."""

    a_minute: float
    burst: float


LIMITS: Mapping[str, Limit] = {
    "/webapi/spiffe/bundle.json": Limit(20, 40),
    "/webapi/ping": Limit(120, 480),
}


class Limiter:
    """A bucket of tokens for each path and address: full in the beginning, a request takes one, time brings them back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, path: str, address: str) -> None:
        """Count one request; paths without a limit are not counted.

        Raises:
            Refusal: there were too many.
        """
        limit = LIMITS.get(path)
        if limit is None:
            return
        now = self._clock()
        left, since = self._left.get((path, address), (limit.burst, now))
        left = min(limit.burst, left + (now - since) * limit.a_minute / _MINUTE)
        if left < 1:
            self._left[path, address] = (left, now)
            raise Refusal(Kind.LIMIT_EXCEEDED, "rate limit exceeded")
        self._left[path, address] = (left - 1, now)
