"""Problems of a load between two pods."""

from __future__ import annotations

from facts.finding import Problem
from judge.traffic.load import Traffic


def load_problem(traffic: Traffic, said: str, cause: str = "") -> Problem:
    """A problem of the server, as one client met it."""
    return Problem(traffic.pair.server.ref, f"asked by {traffic.pair.client.name}: {said}", cause, traffic.evidence)
