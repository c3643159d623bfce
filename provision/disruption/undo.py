"""Restoring what an outage took away: retried until it succeeds, because proxies depend on it."""

from __future__ import annotations

from collections.abc import Callable

from facts.errors import ProvisioningFailed
from observe.wait import NotYet, Pace, eventually


def put_back(what: str, change: Callable[[], object], pace: Pace, *, by_hand: str) -> None:
    """Make a change that restores something, and retry it where the API server refuses.

    Args:
        what: State after the change, as in "tbot may run on every node".
        change: Change; harmless where it is made twice.
        pace: Pace of the retries.
        by_hand: Command with which a person restores it.

    Raises:
        CouldNotTell: The API server refused until the time was over; the remedy names the command.
    """

    def attempt() -> None:
        try:
            change()
        except ProvisioningFailed as error:
            raise NotYet(f"{error.seen} ({error.where})") from error

    eventually(what, attempt, pace, remedy=f"restore it by hand: {by_hand}")
