"""The one error that ends a lab command with a sentence instead of a traceback."""

from __future__ import annotations


class LabError(Exception):
    """Says what was expected, what was seen and what to do next; its text is shown to the user as it is."""
