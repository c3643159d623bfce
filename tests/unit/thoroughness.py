"""How thorough the unit tests are: quick by default, all that they have with `make test-nightly`."""

from __future__ import annotations

import os

NIGHTLY = os.environ.get("THOROUGHNESS") == "nightly"


def examples(whole: int) -> int:
    """Examples of a property test which has so many at night: a quarter of them by default."""
    return whole if NIGHTLY else max(1, whole // 4)


def rounds(whole: int) -> range:
    """Rounds of a test of a race, from 1 on, which has so many at night: two of them by default."""
    return range(1, 1 + (whole if NIGHTLY else min(whole, 2)))
