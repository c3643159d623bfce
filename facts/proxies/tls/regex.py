"""The regular expressions for names that the suite understands.

Envoy evaluates ``safe_regex`` with RE2, whose time is linear in the name. Python's ``re`` backtracks: with it, a tenant's
expression such as ``(a|a)*b`` would stop the judgment of every proxy. So the suite evaluates, one character at a time and
without going back, the few forms that names of workloads need, and understands no other.

Source: RE2's syntax. A dot matches all but a line break, and Envoy compares the whole name.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 512
"""The number of characters of the longest expression that the suite understands."""

_PIECE = re.compile(r"(?P<any>\.\*)|(?P<segment>\[\^/\]\+)|\\(?P<escaped>[!-/:-@\[-^`{-~])|(?P<plain>[^\\.+*?()|\[\]{}^$])")


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression: literal characters, ``[^/]+`` and at most one ``.*``, one after the other.

    Bit N of each number stands for piece N of the expression.

    Attributes:
        literals: The pieces that are a given character.
        any: The piece ``.*``, or 0.
        segments: The pieces ``[^/]+``.
        end: The bit behind the last piece.
    """

    literals: dict[str, int]
    any: int
    segments: int
    end: int

    def matches(self, name: str) -> bool:
        """Tell whether it matches a whole name, in time linear in the name."""
        # A bit is set where the pieces before it match what was read so far; `.*` may be passed over.
        reached = 1 | (1 & self.any) << 1
        for character in name:
            accepting = self.literals.get(character, 0)
            accepting |= self.any if character != "\n" else 0
            accepting |= self.segments if character != "/" else 0
            passed = reached & accepting
            reached = passed << 1 | passed & (self.any | self.segments)
            reached |= (reached & self.any) << 1
            if not reached:
                return False
        return bool(reached & self.end)


@lru_cache(maxsize=256)
def parse_regex(text: str) -> Regex | None:
    """Read a regular expression; None for one that is damaged, or of a form that the suite does not understand."""
    if len(text) > LONGEST:
        return None
    literals: Counter[str] = Counter()
    repeated: Counter[str] = Counter()
    at, bit = 0, 1
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None or (piece["any"] and repeated["any"]):
            return None
        if character := piece["escaped"] or piece["plain"]:
            literals[character] |= bit
        else:
            repeated[str(piece.lastgroup)] |= bit
        at, bit = piece.end(), bit << 1
    return Regex(dict(literals), repeated["any"], repeated["segment"], bit)
