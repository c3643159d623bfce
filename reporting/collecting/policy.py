"""The safety policy: the scenarios that a run must not execute on a cluster."""

from __future__ import annotations

from collections.abc import Iterable

from _pytest.outcomes import Skipped  # pytest.skip.Exception is this class, but no type to inherit from

READ_ONLY = "read-only"
NAMESPACED = "namespaced"
DISRUPTIVE = "disruptive"
SAFETY_CLASSES = (READ_ONLY, NAMESPACED, DISRUPTIVE)


class SkippedByPolicy(Skipped):
    """The safety policy forbade a scenario. Any other skip means *we could not tell*."""


def forbidden(declared: Iterable[str], allowed: frozenset[str]) -> str:
    """Returns why a scenario must not run, or an empty string if it may.

    Args:
        declared: Its safety classes. A scenario without any counts as disruptive: no tag says that it is harmless.
        allowed: The classes that this run allows.
    """
    refused = [name for name in (tuple(declared) or (DISRUPTIVE,)) if name not in allowed]
    if not refused:
        return ""
    return f"needs --allow {refused[0]}; this run allows {', '.join(n for n in SAFETY_CLASSES if n in allowed) or 'nothing'}"
