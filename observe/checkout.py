"""The checkout that the suite runs from."""

from __future__ import annotations

from pathlib import Path

from facts.errors import CouldNotTell
from observe.command import run

PATIENCE = 10.0
"""Seconds for git."""


def revision(root: Path) -> str:
    """Return the git commit of a checkout, with ``-dirty`` where files of it were changed; empty where there is none."""
    try:
        asked = run(["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"], timeout=PATIENCE)
    except CouldNotTell:  # no git here
        return ""
    return asked.stdout.strip() if asked.exit_code == 0 else ""
