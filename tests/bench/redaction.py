"""Times of redaction over the worst texts that anybody could write into a cluster: linear, and a second for each MiB.

Half of each text is timed beside the whole, so that a quadratic pattern shows whatever the machine does.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from facts.redaction import redact

MIB = 1 << 20
LONGEST = 1.0
"""Seconds for 1 MiB."""
STEEPEST = 2.3
"""Times that twice the text may take."""
TOO_SHORT = 0.02
"""Seconds below which a time says nothing."""

_MARKER = "-----{} PRIVATE KEY-----"
_LINE = "A" * 64 + "\n"

WORST: Mapping[str, str] = {
    "backslashes after a name": "password" + "\\" * MIB,
    "names": "password:",
    "names and quotes": 'password:"',
    "names and escaped quotes": 'password:\\"',
    "names of tokens": "token ",
    "variables": "token value:",
    "flags": "--db-api-",
    "beginnings of keys": _MARKER.format("BEGIN"),
    "beginnings of keys, one a line": _MARKER.format("BEGIN") + "\n",
    "beginnings of keys with a line each": _MARKER.format("BEGIN") + " " + _LINE,
    "ends of one key": _LINE * 400 + _MARKER.format("END") * 40_000,
    "lines of base64": _LINE,
    "one run of base64": "A" * 4096,
    "runs of base64": "A" * 40 + " ",
    "first lines of keys": "MIGHAgEA" + "A" * 56 + "\n",
    "base64 of base64 of base64": base64.b64encode(base64.b64encode(base64.b64encode(b"password = x " * 400))).decode(),
    "beginnings of tokens": "eyJ",
    "tokens": "eyJ" + "a" * 12 + ".",
    "addresses": "://a:",
    "bearers": "bearer ",
    "token resources": "join_method name: ",
    "plain words": "warming: SDS outcome accepted, version 7; ",
}
"""The piece that each text consists of, by what it is."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One text.

    Attributes:
        name: The text.
        half: Seconds for its first half, the least of some rounds.
        whole: Seconds for 1 MiB of it.
    """

    name: str
    half: float
    whole: float

    @property
    def steepness(self) -> float:
        """Times that the whole takes as long as the half."""
        return self.whole / self.half

    @property
    def too_slow(self) -> bool:
        """It takes longer than it may, or grows faster than the text."""
        return self.whole > LONGEST or (self.half > TOO_SHORT and self.steepness > STEEPEST)

    def line(self) -> str:
        """For people."""
        said = "  TOO SLOW" if self.too_slow else ""
        return f"redaction of 1 MiB of {self.name:<42}{self.whole:>7.2f} s {self.steepness:>5.1f} × the half{said}"


def redacted_texts(rounds: int, seconds: Callable[[str], float] | None = None) -> Iterator[Timed]:
    """Times each of the worst texts.

    Args:
        rounds: Times that each is redacted; the fastest counts, which the machine disturbed least.
        seconds: Times one redaction.
    """
    timed = seconds or _seconds
    for name, piece in WORST.items():
        text = (piece * (MIB // len(piece) + 1))[:MIB]
        halves, wholes = zip(*((timed(text[: MIB // 2]), timed(text)) for _ in range(rounds)), strict=True)
        yield Timed(name, min(halves), min(wholes))


def _seconds(text: str) -> float:
    began = time.process_time()
    redact(text)
    return time.process_time() - began
