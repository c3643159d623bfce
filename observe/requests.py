"""The number of requests that readers make. Each is counted where it is made."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Kind(StrEnum):
    """Who is asked."""

    API_SERVER = "API server"
    """A stream to a pod counts as one request, whatever goes through it."""
    PROXIES = "Envoy and its agent"
    TELEPORT = "Teleport's proxy"
    TCTL = "tctl"


class Requests:
    """A count by kind. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: Counter[Kind] = Counter()

    def count(self, kind: Kind) -> None:
        """Counts one request, at the moment at which it is made."""
        with self._lock:
            self._made[kind] += 1

    def made(self) -> Mapping[str, int]:
        """The numbers so far, by kind."""
        with self._lock:
            return {kind.value: self._made[kind] for kind in Kind if self._made[kind]}
