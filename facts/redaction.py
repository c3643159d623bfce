"""Removal of secrets from what was read, at the moment of reading, before anything else sees it.

The forms are in `facts.secret_forms`: private keys, tokens, headers, and the values of fields, flags and variables that are
named like secrets; besides, whatever values the caller names. Public things (certificates, JWKS, SPIFFE IDs, serials) stay:
they are the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import Annotated, Any, TypeVar, get_type_hints

from facts.secret_forms import MARK, MARK_IN_PROSE, Span, is_flag, is_secret, is_secret_flag, material, values

T = TypeVar("T")

_OWN = "the suite's own words"
Own = Annotated[T, _OWN]
"""A field of a dataclass whose texts the suite writes itself: ids, names of its parsers, sentences of its catalogue. A
secret never is among them. A word that both have stays there, since the report finds its parts by them."""

SHORTEST = 8
"""Characters below which a named value is hidden only where it names a token: elsewhere it would hide ordinary words."""

DEEPEST = 100
"""Levels of a document below which nothing is kept; no API nests so deeply."""

PASSES = 8
"""Times that a text is looked through, since what is left of it may look like a secret again; then it is hidden whole."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.:_-]{0,251}[a-z0-9])?")
"""What Kubernetes takes for the name of an object."""
_BESIDE_NAMES = re.compile(r"[A-Za-z]{0,16}:?")
"""What may stand between names in a text of several: nothing, a word, the scheme of a URI."""
_BETWEEN_LINES = re.compile(r"(?:\s|\\{1,8}[nr]){0,16}")
_TOKEN_IS = r"""(?<![\w-])(token(?:/|\\?["']?\s{0,8}:\s{0,8}\\?["']?))"""
"""What stands before the name of a token, in the reference of a resource or as a field."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_JWK_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k", "oth")


def is_too_deep(value: Any) -> bool:
    """Return True where a decoded document has more than `DEEPEST` levels, whoever wrote it."""
    level = [value]
    for _ in range(DEEPEST):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class Redacted:
    """Text without secrets.

    Attributes:
        text: The text, each secret replaced by ``[redacted]``.
        count: Number of replaced secrets.
    """

    text: str
    count: int


def redact(text: str, named_secrets: Iterable[str] = (), *, certain: bool = False) -> Redacted:
    """Replaces every secret in `text`; idempotent.

    Args:
        text: Anything that was read: a log, a command's output, one text of a document.
        named_secrets: Further values to hide wherever they stand; `without_named` says which of the short ones.
        certain: Only what tells by itself, whatever stands before it: no name of an object looks like that.
    """
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)  # no file could hold it
    count = 0
    for _ in range(PASSES):
        if not (spans := _merged(text, [*material(text), *(() if certain else values(text))])):
            break
        text, count = _replaced(text, spans), count + len(spans)
    else:
        text = MARK
    named = without_named(text, named_secrets)
    return Redacted(named.text, count + named.count)


def beginning(text: str, most: int) -> str:
    """The first characters of a text, for a message. All of it is looked through for secrets before it is cut."""
    return prose(redact(text.strip()).text)[:most]


def ending(text: str, most: int) -> str:
    """The last characters of a text, for a message. All of it is looked through for secrets before it is cut."""
    return prose(redact(text.strip()).text)[-most:]


def prose(text: str) -> str:
    """Words of others that are told and not compared with anything: a secret among them leaves no judgment open.

    Elsewhere the mark stands for a value, and a judgment that meets it could not compare that value (`hides_a_value`).
    """
    return text.replace(MARK, MARK_IN_PROSE)


def hides_a_value(said: str) -> bool:
    """A statement names a value that was taken out, so that it compared the mark and not the value."""
    return MARK in said


def _merged(text: str, found: Iterable[Span]) -> list[Span]:
    """Spans in their order; those that touch or overlap, or that only a line break divides, are one secret."""
    merged: list[Span] = []
    for start, end in sorted(found):
        if merged and (start <= merged[-1][1] or _BETWEEN_LINES.fullmatch(text, merged[-1][1], start)):
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _replaced(text: str, spans: Iterable[Span]) -> str:
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], MARK]
        at = end
    return "".join([*pieces, text[at:]])


@dataclass(slots=True)
class Hiding:
    """Hides secrets, one text at a time, and counts them.

    Attributes:
        named: Further values to hide.
        count: Number of secrets hidden so far.
    """

    named: tuple[str, ...] = ()
    count: int = 0

    def text(self, text: str) -> str:
        """Any text without its secrets."""
        return self._counted(redact(text, self.named))

    def name(self, text: str) -> str:
        """A name that identifies an object: it stays, unless it is a named secret, or could not be a name."""
        return self._named(text) if _NAME.fullmatch(text) else self.text(text)

    def names(self, text: str, separator: str) -> str:
        """Several names in one text: it stays, unless one of them is a named secret, or could not be a name."""
        parts = text.split(separator)
        names = all(_NAME.fullmatch(part) or _BESIDE_NAMES.fullmatch(part) for part in parts)
        return self._named(text) if names else self.text(text)

    def _named(self, text: str) -> str:
        """One or several names; what the last look at a report takes for a secret goes here already."""
        if any(True for _ in material(text)):
            return self.text(text)
        return self._counted(without_named(text, self.named))

    def words(self, words: Iterable[str]) -> list[str]:
        """A command line, the words after flags of secrets hidden."""
        found, hide = [], False
        for word in words:
            hide = hide and not word.startswith("/") and not is_flag(word)
            found.append(self.whole(word) if hide else self.text(word))
            hide = is_secret_flag(word)
        return found

    def document(self, value: Any, depth: int = 0) -> Any:
        """A document of which no parser says what to keep: each text by itself, under the name that it has there."""
        if depth > DEEPEST:
            return self.whole("")  # not its text, which costs a level of Python's stack for each of its own
        if isinstance(value, list):
            if all(isinstance(each, str) for each in value):
                return self.words(value)
            return [self.document(each, depth + 1) for each in value]
        if isinstance(value, Mapping):
            return {self.text(str(key)): each for key, each in self._fields(value, depth)}
        return self.text(value) if isinstance(value, str) else value

    def _fields(self, fields: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
        # The name of a value stands beside it: of a variable under `name`, of a header under `key`.
        names = [each for each in (fields.get("name"), fields.get("key")) if isinstance(each, str)]
        for key, each in fields.items():
            secret = isinstance(each, str) and (
                is_secret(str(key), each)
                or (key == "value" and any(is_secret(name, each, sure=True) for name in names))
                or (key in _JWK_PRIVATE and "kty" in fields)
            )
            yield key, self.whole(each) if secret else self.document(each, depth + 1)

    def whole(self, text: str) -> str:
        """The mark instead of a text that is a secret as a whole."""
        self.count += text != MARK
        return MARK

    def _counted(self, clean: Redacted) -> str:
        self.count += clean.count
        return clean.text


def without_named(text: str, named_secrets: Iterable[str]) -> Redacted:
    """Replaces named secrets alone, the longest first, since one may hold another; see `redact`.

    A short one goes where it names a token (``token/NAME``, ``token: NAME``), and nowhere else.
    """
    count = 0
    for secret in sorted(filter(None, named_secrets), key=len, reverse=True):
        if secret not in text:
            continue
        if len(secret) >= SHORTEST:
            count += text.count(secret)
            text = text.replace(secret, MARK)
        else:
            text, number = re.subn(rf"{_TOKEN_IS}{re.escape(secret)}(?![\w./-])", rf"\g<1>{MARK}", text)
            count += number
    return Redacted(text, count)


def hidden_in(value: T, named_secrets: Collection[str]) -> T:
    """The same value with named secrets taken out of every text in it, but `Own` ones: see `with_texts`."""
    if not named_secrets:
        return value
    return with_texts(value, lambda text, _place: without_named(text, named_secrets).text)


def with_texts(value: T, change: Callable[[str, str], str], place: str = "") -> T:
    """The same value with every text changed that others may have written.

    Args:
        value: Dataclasses, lists, tuples and mappings with texts at any depth. Enums and `Own` fields stay as they are.
        change: Takes a text and its place; returns what stands there instead.
        place: The place of the value, to which the names of fields and the numbers of items are added with dots.
    """
    changed: T = _with_texts(value, change, place)
    return changed


def _with_texts(value: Any, change: Callable[[str, str], str], place: str) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return change(value, place)
    if isinstance(value, tuple | list):
        return type(value)(_with_texts(each, change, f"{place}.{i}") for i, each in enumerate(value))
    if isinstance(value, Mapping):
        return {_with_texts(key, change, place): _with_texts(each, change, f"{place}.{key}") for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        names = _others_fields(type(value))
        return replace(value, **{name: _with_texts(getattr(value, name), change, f"{place}.{name}") for name in names})
    return value


@cache
def _others_fields(kind: type) -> tuple[str, ...]:
    """Names of the fields of a dataclass that may hold words of others."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(f.name for f in fields(kind) if f.init and _OWN not in getattr(hints[f.name], "__metadata__", ()))
