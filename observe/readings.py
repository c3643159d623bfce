"""Readings that are made once: when first asked for, and attached wherever they are used.

A reading that failed is not tried again in the same run: every requirement that needs it gets the same *could not tell*, and
a cluster that does not answer costs one timeout, not twenty-five. Who changes what was read says so with `outdated`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from facts.errors import ConformanceError
from facts.evidence import Recorder

T = TypeVar("T")


class Readings:
    """Keeps what was read.

    Args:
        recorder: Takes readings that are made again by attaching them.
        need: Called with the part of the installation that a reading is about, before it is made.
    """

    def __init__(self, recorder: Recorder, need: Callable[[str], None]) -> None:
        self._recorder = recorder
        self._need = need
        self._lock = threading.RLock()
        self._read: dict[str, tuple[Any, tuple[str, ...]] | ConformanceError] = {}

    def seen(self, key: str) -> Any:
        """A reading that was made and did not fail, by its key; None otherwise. Reads nothing."""
        with self._lock:
            kept = self._read.get(key)
            return None if kept is None or isinstance(kept, ConformanceError) else kept[0]

    def outdated(self, *keys: str) -> None:
        """Forgets readings whose subject somebody has changed since: who asks for them again gets new ones.

        Args:
            keys: Of the readings; with each go those that are it and something more: ``fleet after 5 s`` with ``fleet``.
        """
        with self._lock:
            for kept in [k for k in self._read if any(k == key or k.startswith(f"{key} ") for key in keys)]:
                del self._read[kept]

    def _once(self, key: str, read: Callable[[], T], evidence: Callable[[T], Iterable[str]]) -> T:
        """A reading by its key: made at the first call, attached to the running step at every later one."""
        with self._lock:
            kept = self._read.get(key)
            if isinstance(kept, ConformanceError):
                raise kept
            if kept is None:
                try:
                    value = read()
                except ConformanceError as error:
                    self._read[key] = error
                    raise
                self._read[key] = (value, tuple(evidence(value)))
                return value
            value, ids = kept
            self._recorder.attach(ids)
            return value


def all_of(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The ids of several readings, each once."""
    return tuple(dict.fromkeys(e for group in groups for e in group))
