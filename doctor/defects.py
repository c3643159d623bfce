"""Defects of the suite itself, as the doctor tells them."""

from __future__ import annotations

import traceback

REPORT_IT = "report it; the other lines are not touched by it"
"""The next step where the suite has a defect."""


def defect(error: Exception) -> str:
    """A defect of the suite, in words, with its place. It must not hide the answers of other checks."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"a defect in the suite: {type(error).__name__}: {error} (in {place.name}, {place.filename}:{place.lineno})"
