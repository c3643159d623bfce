"""The one writer that makes text printable. Whatever a person reads goes through it: terminal, page, JUnit, JSON, errors.

What the suite reads was written by others. A terminal obeys escape sequences in it, a carriage return hides what stands
before it, a mark for text from right to left shows a name as another one, and a character without width makes two names look
alike.
"""

from __future__ import annotations

import re
from typing import Any

from facts.redaction import redact

_UNPRINTABLE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters; tab and line break stay
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # order of bidirectional text
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # characters that are not seen
    "\u2028\u2029\ufff0-\ufffb"  # other line breaks, annotations
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # no characters: XML and HTML cannot hold them, UTF-8 not all of them
    "]"
)


def printable(text: str) -> str:
    r"""The text in which a visible escape stands for each control or invisible character: ``\x1b``, ``\u202e``.

    Tabs and line breaks stay. A text that has been through it is left as it is.
    """
    return _UNPRINTABLE.sub(_escape, text)


def in_json(document: str) -> str:
    """A JSON document likewise, with the escapes of JSON: it says the same to a program."""
    return _UNPRINTABLE.sub(_escape_in_json, document)


def tellable(text: str, named_secrets: tuple[str, ...] = ()) -> str:
    """A text for a person: without secrets, and printable.

    Args:
        text: Anything, such as the message of an error.
        named_secrets: Further values to hide, see `facts.redaction.redact`.
    """
    return printable(redact(text, named_secrets).text)


def redacted(plain: Any, named_secrets: tuple[str, ...] = ()) -> Any:
    """Plain data (mappings, lists, texts, numbers) in which every text is without secrets, keys of mappings included.

    Each text is redacted by itself: in a whole document, its quotation marks would hide the end of a secret.

    Args:
        plain: The data.
        named_secrets: Further values to hide, see `facts.redaction.redact`.
    """
    match plain:
        case str():
            return redact(plain, named_secrets).text
        case dict():
            return {redacted(key, named_secrets): redacted(value, named_secrets) for key, value in plain.items()}
        case list() | tuple():
            return [redacted(each, named_secrets) for each in plain]
    return plain


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_in_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
