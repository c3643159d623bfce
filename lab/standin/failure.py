"""Errors in Teleport's manner: a kind, and messages from the outermost layer to the innermost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any


class Kind(Enum):
    """What sort of refusal it is, with the gRPC code a workload sees and the HTTP status between our programs."""

    BAD_PARAMETER = (3, 400)
    NOT_FOUND = (5, 404)
    ALREADY_EXISTS = (6, 409)
    ACCESS_DENIED = (7, 403)
    COMPARE_FAILED = (9, 412)
    NOT_IMPLEMENTED = (12, 501)
    CONNECTION_PROBLEM = (14, 503)

    @property
    def grpc_code(self) -> int:
        """The gRPC status code."""
        return self.value[0]

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        return self.value[1]


class Refusal(Exception):
    """Something was asked that cannot be granted.

    Attributes:
        kind: the sort of refusal.
        messages: the texts, outermost layer first.
    """

    def __init__(self, kind: Kind, *messages: str) -> None:
        super().__init__("\n\t".join(messages))
        self.kind = kind
        self.messages = messages

    def within(self, message: str) -> Refusal:
        """The same refusal as seen one layer further out."""
        return Refusal(self.kind, message, *self.messages)

    def to_document(self) -> dict[str, Any]:
        """The refusal as JSON for the wire."""
        return {"kind": self.kind.name, "messages": list(self.messages)}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Refusal:
        """The refusal that :meth:`to_document` described."""
        return cls(Kind[document["kind"]], *document["messages"])


@contextmanager
def within(message: str) -> Iterator[None]:
    """Put ``message`` in front of any refusal raised inside."""
    try:
        yield
    except Refusal as refusal:
        raise refusal.within(message) from refusal
