"""The canaries of one run of the tests."""

from __future__ import annotations

from facts.secret_forms import Canary
from provision.canaries import make_canaries

CANARIES = make_canaries()


def left_in(text: str, canary: Canary) -> tuple[str, ...]:
    """Parts of a secret that a text still has."""
    return canary.left_in(text)
