"""Answers to the guide's own commands, kept beside the truth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GuideAnswer:
    """The answer to a command of the guide, run as it is written (with this install's names).

    Attributes:
        asked: The command line.
        said: The conclusion of a person who follows the guide, in a sentence.
        healthy: The guide would call this healthy.
        evidence: Ids of the readings.
    """

    asked: str
    said: str
    healthy: bool
    evidence: tuple[str, ...]
