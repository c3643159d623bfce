"""Putting back what was taken away: tried until it is so, because the proxies that live from it depend on it."""

from __future__ import annotations

from collections.abc import Callable

from facts.errors import ProvisioningFailed
from observe.wait import NotYet, Pace, eventually


def put_back(what: str, change: Callable[[], object], pace: Pace, *, by_hand: str) -> None:
    """Makes a change that puts something back, again where the API server does not take it.

    Args:
        what: What is so then, as in "tbot may run on every node".
        change: The change; harmless where it is made twice.
        pace: Patience.
        by_hand: The command with which a person puts it back.

    Raises:
        CouldNotTell: It was refused to the end; says the command.
    """

    def attempt() -> None:
        try:
            change()
        except ProvisioningFailed as error:
            raise NotYet(f"{error.seen} ({error.where})") from error

    eventually(what, attempt, pace, remedy=f"put it back by hand: {by_hand}")
