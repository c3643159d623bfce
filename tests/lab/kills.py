"""Kills of a disruptive run: when each comes, from a seed, and which of them have passed already, from a file."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROFILES = ("core", "resilience")
"""Profiles that are killed in turn. Not ca-rotation: it replaces an authority for good."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill.

    Attributes:
        number: Its place in the sequence, from 0.
        profile: Profile of the run that is killed.
        fraction: Moment, as a fraction of the time that an uninterrupted run of this profile takes.
    """

    number: int
    profile: str
    fraction: float


def planned(seed: int, count: int) -> tuple[Kill, ...]:
    """Return the kills of a seed: the same each time, and the same first ones whatever the count."""
    moments = random.Random(seed)  # noqa: S311 - a sequence that can be repeated
    return tuple(Kill(number, PROFILES[number % len(PROFILES)], moments.random()) for number in range(count))


class Progress:
    """What is known of a seed's kills, in a file: an interrupted test goes on where it was.

    Args:
        file: The file.
        seed: The seed.
    """

    def __init__(self, file: Path, seed: int) -> None:
        self._file = file
        self._seed = str(seed)

    def duration(self, profile: str) -> float | None:
        """Return the seconds that an uninterrupted run took; None where none has been measured."""
        found = self._read().get("durations", {}).get(profile)
        return float(found) if found is not None else None

    def note_duration(self, profile: str, seconds: float) -> None:
        """Note the seconds that an uninterrupted run took."""
        known = self._read()
        known.setdefault("durations", {})[profile] = round(seconds, 1)
        self._write(known)

    def has_passed(self, kill: Kill) -> bool:
        """Return True where an earlier run of the test has seen this kill pass."""
        return str(kill.number) in self._read().get("passed", {}).get(self._seed, {})

    def note_passed(self, kill: Kill, what: str) -> None:
        """Note that a kill passed.

        Args:
            kill: The kill.
            what: What was undone and removed, in words.
        """
        known = self._read()
        known.setdefault("passed", {}).setdefault(self._seed, {})[str(kill.number)] = what
        self._write(known)

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        return found

    def _write(self, known: dict[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
        partial.replace(self._file)
