"""What the guide says: the answers to its own commands, kept beside the truth, and what it gets wrong itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Defect(StrEnum):
    """The guide's own defects, by the names that the catalogue describes them under, and repairs take them away under."""

    BOT = "bot"
    TEMPLATE = "template"
    NODE_SELECTOR = "node-selector"
    GATEWAY = "gateway"
    TBOT_TAG = "tbot-tag"
    WRITABLE_MOUNT = "writable-mount"
    SOCKET_NAME = "socket-name"
    PATH_NORMALIZATION = "path-normalization"


@dataclass(frozen=True, slots=True)
class GuideAnswer:
    """The answer to a command of the guide, run as it is written (with this install's names).

    Attributes:
        asked: The command line.
        said: What a person following the guide would conclude from the answer, in a sentence.
        healthy: Whether the guide would call this healthy.
        evidence: Ids of the readings.
    """

    asked: str
    said: str
    healthy: bool
    evidence: tuple[str, ...]
