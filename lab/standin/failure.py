"""Errors in Teleport's manner: a kind, and messages from the outermost layer to the innermost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any


class Kind(Enum):
    """What sort of refusal it is; the value is the HTTP status between our programs."""

    BAD_PARAMETER = 400
    ACCESS_DENIED = 403
    NOT_FOUND = 404
    ALREADY_EXISTS = 409
    COMPARE_FAILED = 412
    LIMIT_EXCEEDED = 429
    NOT_IMPLEMENTED = 501
    CONNECTION_PROBLEM = 503

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        return self.value


class Refusal(Exception):
    """Something was asked that cannot be granted.

    Attributes:
        kind: the sort of refusal.
        messages: the texts, outermost layer first.
    """

    def __init__(self, kind: Kind, *messages: str) -> None:
        super().__init__(tree(messages))
        self.kind = kind
        self.messages = messages

    def within(self, message: str) -> Refusal:
        """The same refusal as seen one layer further out."""
        return Refusal(self.kind, message, *self.messages)

    def on_terminal(self) -> str:
        """The text that a program ends with: its prefix is red whether a terminal reads it or not, an empty line follows."""
        return f"\x1b[31mERROR: \x1b[0m{self}\n"

    def to_document(self) -> dict[str, Any]:
        """The refusal as JSON for the wire."""
        return {"kind": self.kind.name, "messages": list(self.messages)}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Refusal:
        """The refusal that :meth:`to_document` described."""
        return cls(Kind[document["kind"]], *document["messages"])


def tree(messages: Sequence[str]) -> str:
    """The layers of an error, each on a line of its own and one tab further in than the one around it."""
    return "\n".join("\t" * depth + message for depth, message in enumerate(messages))


@contextmanager
def within(message: str) -> Iterator[None]:
    """Put ``message`` in front of any refusal raised inside."""
    try:
        yield
    except Refusal as refusal:
        raise refusal.within(message) from refusal
