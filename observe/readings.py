"""The cache of readings that all facets of an install share: it makes each reading once and attaches it at every use.

The cache does not repeat a failed reading: every requirement that needs it gets the same *could not tell*, and a cluster
that does not answer costs one timeout, not twenty-five. Code that changes the subject of a reading calls `outdated`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast

from facts.evidence import Shown, readings
from facts.recorder import Recorder

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """The name of one reading, with the type of what is read.

    Attributes:
        name: Unique among the readings of an install.
        evidence: Returns the ids of the evidence that a value of this reading rests on.
        parts: The parts of the installation that the reading is about.
    """

    name: str
    evidence: Callable[[T], Iterable[str]]
    parts: tuple[str, ...] = ()

    def narrowed(self, detail: str) -> Key[T]:
        """The key of a reading of the same kind that depends on a detail; it becomes outdated with this one."""
        return replace(self, name=f"{self.name} {detail}")


Kept = tuple[object, tuple[str, ...]] | Exception
"""A value with the ids of its evidence, or the reason why there is none: mostly a `ConformanceError`, else a defect of the
suite, which another attempt would meet again."""


class Readings:
    """The cache; safe to use from several threads.

    Attributes:
        recorder: Keeps the readings, and attaches a cached one to the running step.
        need: Called with the part of the installation that a reading is about, before it is made.
    """

    def __init__(self, recorder: Recorder, need: Callable[[str], None]) -> None:
        self.recorder = recorder
        self.need = need
        self._lock = threading.Lock()
        # One for each reading: others go on meanwhile, and whoever wants the same one waits for it. A reading is made of
        # others and never of itself, so no two wait for each other.
        self._reading: dict[str, threading.RLock] = {}
        self._read: dict[str, Kept] = {}

    def seen(self, key: Key[T]) -> T | None:
        """A successful reading of the past; None without one. Reads nothing."""
        with self._lock:
            kept = self._read.get(key.name)
            return None if kept is None or isinstance(kept, Exception) else cast("T", kept[0])

    def asked(self, key: Key[T]) -> bool:
        """Whether a reading was tried, with or without success."""
        with self._lock:
            return key.name in self._read

    def outdated(self, *keys: str) -> None:
        """Forgets readings whose subject has changed since; the next caller gets new ones.

        Args:
            keys: Names of the keys; each takes with it the keys that were narrowed from it.
        """
        with self._lock:
            for kept in [k for k in self._read if any(k == key or k.startswith(f"{key} ") for key in keys)]:
                del self._read[kept]

    def renew(self, key: Key[T], value: T) -> None:
        """Puts a later reading in the place of an earlier one, after a second look at its subject."""
        with self._lock:
            self._read[key.name] = (value, tuple(key.evidence(value)))

    def once(self, key: Key[T], read: Callable[[], T]) -> T:
        """A reading by its key: made at the first call, attached to the running step at every later one."""
        for part in key.parts:
            self.need(part)
        with self._lock:
            reading = self._reading.setdefault(key.name, threading.RLock())
        with reading:
            kept = self._kept(key.name)
            if kept is None:
                kept = self._made(key, read)
        if isinstance(kept, Exception):
            raise kept
        known, ids = kept
        # Also where it was made just now: out of another cached reading, which recorded it in an earlier step.
        self.recorder.attach(ids)
        # Only `once` with the same key puts a value there.
        return cast("T", known)

    def _kept(self, name: str) -> Kept | None:
        with self._lock:
            return self._read.get(name)

    def _made(self, key: Key[T], read: Callable[[], T]) -> Kept:
        kept: Kept
        try:
            value = read()
            kept = (value, tuple(key.evidence(value)))
        except Exception as error:  # also a defect: every use is told of it, and none makes the reading again
            kept = error
        with self._lock:
            self._read[key.name] = kept
        return kept


def of_each(facts: Iterable[Shown]) -> tuple[str, ...]:
    """The ids of the readings that show several facts, each once."""
    return readings(*facts)


AT_ONCE = 8
"""Looks at the same time: each is answered by another proxy, but all of them go through one API server."""


def at_once(look: Callable[[S], T], subjects: Iterable[S]) -> tuple[T, ...]:
    """A look at each subject, several at the same time; the answers are in the order of the subjects."""
    return tuple(each_at_once(look, subjects))


def each_at_once(look: Callable[[S], T], subjects: Iterable[S]) -> Iterator[T]:
    """As `at_once`, each answer as soon as it and those before it are there."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look") as pool:
        yield from pool.map(look, subjects)
