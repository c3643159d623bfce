"""Paths of HTTP requests: their form under each normalization of Istio, and their meaning to an application.

Sources: Istio, the reference of authorization policy normalization and of ``pathNormalization``; Envoy, ``normalize_path``,
``merge_slashes`` and ``path_with_escaped_slashes_action``; RFC 3986, section 6.2.2. Each normalization was seen live.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote


class Mode(StrEnum):
    """Istio's normalizations, from the loosest to the strictest. Istio's ``DEFAULT`` acts as ``BASE``."""

    NONE = "NONE"
    BASE = "BASE"
    MERGE_SLASHES = "MERGE_SLASHES"
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"


class Reader(StrEnum):
    """Applications that read a path in different ways."""

    USUAL = "an application that decodes a path once, takes a backslash for a slash and follows the dots"
    DECODES_TWICE = "an application that decodes a path twice"
    CUTS_PARAMETERS = "an application that cuts off what stands behind a semicolon"


_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_ENCODED_SLASH = re.compile(r"%(2[Ff]|5[Cc])")
_PARAMETERS = re.compile(r";[^/]*")


def normalized(path: str, mode: Mode) -> str:
    """The path that a policy is compared with, and that the application is sent.

    Args:
        path: As it was asked for; a query behind it is left as it is.
        mode: In force in the proxy.
    """
    made, question, query = path.partition("?")
    if mode is Mode.DECODE_AND_MERGE_SLASHES:
        made = _ENCODED_SLASH.sub(lambda found: chr(int(found[1], 16)), made)
    if mode is not Mode.NONE:
        made = _without_dots(_ENCODED.sub(_unreserved, made).replace("\\", "/"))
    if mode in (Mode.MERGE_SLASHES, Mode.DECODE_AND_MERGE_SLASHES):
        made = re.sub("/{2,}", "/", made)
    return made + question + query


def meant(target: str, reader: Reader = Reader.USUAL) -> str:
    """Return the path as an application understands it.

    Args:
        target: As it arrived; a query behind it does not count.
        reader: The application's way to read a path.
    """
    read = target.partition("?")[0]
    if reader is Reader.CUTS_PARAMETERS:
        read = _PARAMETERS.sub("", read)
    read = unquote(read)
    if reader is Reader.DECODES_TWICE:
        read = unquote(read)
    return _without_dots(re.sub("/{2,}", "/", read.replace("\\", "/")))


@dataclass(frozen=True, slots=True)
class Bounds:
    """The paths that policies let in, each as a prefix that ends in a slash.

    Attributes:
        allowed: The policies let in the paths below it,
        closed: except the paths below this.
    """

    allowed: str
    closed: str

    def hold(self, path: str) -> bool:
        """Tell whether the policies let a path in."""
        return path.startswith(self.allowed) and not path.startswith(self.closed)

    def let_out(self, path: str, reader: Reader = Reader.USUAL) -> tuple[Mode, ...]:
        """The normalizations under which policies let a path in that means something outside.

        Args:
            path: As it is asked for.
            reader: The application's way to read a path.
        """
        arrivals = {mode: normalized(path, mode) for mode in Mode}
        return tuple(mode for mode, at in arrivals.items() if self.hold(at) and not self.hold(meant(at, reader)))

    def __str__(self) -> str:
        return f"{self.allowed} but {self.closed}"


def _unreserved(found: re.Match[str]) -> str:
    """A character that needs no encoding, decoded; any other as it is."""
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0]


def _without_dots(path: str) -> str:
    """A path without ``.`` and ``..``, which takes the part before it away, be it an empty one between two slashes."""
    made: list[str] = []
    first, *parts = path.split("/")
    for part in parts:
        if part == "..":
            del made[-1:]
        elif part != ".":
            made.append(part)
    if parts and parts[-1] in (".", ".."):
        made.append("")  # a directory
    return "/".join([first, *made])
