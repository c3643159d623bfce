"""Limits on answers: the bytes that one may have, and the error for more. An answer is taken whole or not at all."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator

from facts.errors import CouldNotTell

PIECE = 64 * 1024
"""Bytes that are read at a time."""


class TooLarge(CouldNotTell):
    """An answer was larger than the suite takes. It stopped reading there, and uses no part of the answer."""


def too_large(limit: int, setting: str, where: str) -> TooLarge:
    """The error for an answer with more bytes than allowed.

    Args:
        limit: Bytes.
        setting: Field of `settings.Sizes` that has the limit.
        where: Who answered what.
    """
    return TooLarge(
        expected=f"an answer of at most {limit:,} bytes",
        seen="more than that; the suite stopped reading and used no part of it",
        where=where,
        remedy="see why the answer is so large, and who writes it; if it is right, raise"
        f" `{setting}` in conformance.toml, [sizes]",
    )


def pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body of an answer in pieces.

    Raises:
        http.client.IncompleteRead: The connection ended before the body did.
    """
    while piece := response.read(PIECE):
        yield piece
    if response.length:  # what is still to come; read(PIECE) ends silently where the connection does
        raise http.client.IncompleteRead(b"", response.length)


def joined(pieces: Iterator[bytes], limit: int, too_large: Callable[[], TooLarge]) -> bytes:
    """The pieces of an answer together.

    Args:
        pieces: In their order.
        limit: Bytes that they may have.
        too_large: Makes the error.

    Raises:
        TooLarge: They have more; the rest is not asked for.
    """
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limit:
            raise too_large()
    return bytes(body)
