"""Fields of decoded JSON or YAML, read one by one: a damaged document is said to be damaged, never guessed at.

For parsers that follow a document's own structure; one that takes fields from fixed places is declared (`facts.declared`).

Every parser of this package takes what was read as its first argument: the decoded document where the body is JSON, the
text otherwise (`decoded` makes the one or the other of a stored body, so that stored evidence can be parsed again). Where
the body is a Kubernetes list, evidence names the parser of its items (`parse_items`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import yaml

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.masks import SafeYaml, json_or_text, yaml_document, yaml_documents
from facts.redaction import beginning, ending

T = TypeVar("T")
Path = str | Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer, ready for a parser.

    Attributes:
        document: The decoded JSON, or the text of an answer that is not JSON; None when there is no such thing (404).
        evidence: Id of the evidence that holds the answer.
        read_at: UTC time of the answer.
    """

    document: Any
    evidence: str
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Absent:
    """The answer that something does not exist; it is no error.

    Attributes:
        subject: The thing that is not there.
        evidence: Ids of the readings that say so.
    """

    subject: ObjectRef
    evidence: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.subject} does not exist"


def decoded(body: str) -> Any:
    """A stored body as a parser wants it: decoded where it is JSON, as text where it is not."""
    return json_or_text(body)


_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def plain(text: str) -> str:
    """Text that a program wrote, without the colors for a terminal."""
    return _COLOR.sub("", text)


def damaged(expected: str, seen: str, where: str) -> CouldNotTell:
    """The error of a parser that met something it cannot understand."""
    return CouldNotTell(
        expected=expected,
        seen=seen,
        where=where,
        remedy="read the object by hand; if it is as documented, this suite does not know its version yet",
    )


def _keys(path: Path) -> Sequence[str | int]:
    return path.split(".") if isinstance(path, str) else path


def _shown(path: Path) -> str:
    return ".".join(str(key) for key in _keys(path))


def _walk(document: Any, path: Path) -> Any:
    """The value at a path; None where it is missing or null."""
    here = document
    for key in _keys(path):
        if isinstance(key, int):
            if not isinstance(here, list) or len(here) <= key:
                return None
            here = here[key]
        elif isinstance(here, Mapping) and key in here:
            here = here[key]
        else:
            return None
    return here


def _of_kind(value: Any, kind: type[T], path: Path, where: str) -> T:
    right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if not right:
        raise damaged(f"the field {_shown(path)} to be {_KINDS.get(kind, kind.__name__)}", f"{type(value).__name__}", where)
    return value  # type: ignore[no-any-return]


_KINDS: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false", dict: "a mapping", list: "a list"}


def need(document: Any, path: Path, kind: type[T], where: str) -> T:
    """The field at `path`, which must be there and of `kind`.

    Args:
        document: Decoded JSON or YAML.
        path: Keys joined by dots, or a sequence of keys where a key holds a dot or is an index.
        kind: str, int, bool, dict or list.
        where: The object, for the message.

    Raises:
        CouldNotTell: It is missing or of another kind.
    """
    value = _walk(document, path)
    if value is None:
        raise damaged(f"the field {_shown(path)}", "it is missing", where)
    return _of_kind(value, kind, path, where)


def maybe(document: Any, path: Path, default: T, where: str) -> T:
    """The field at `path`, or `default` when it is missing or null; of the kind of `default`.

    Raises:
        CouldNotTell: It is there and of another kind.
    """
    value = _walk(document, path)
    if value is None:
        return default
    return _of_kind(value, type(default), path, where)


_DIGITS = re.compile(r"[0-9]{1,20}")


def counter(value: Any, where: str) -> int:
    """A counter of 64 bits: a whole number, or a text of its digits as protocol buffers write it in JSON.

    Raises:
        CouldNotTell: It is neither.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise damaged("a counter of 64 bits", beginning(repr(value), 80), where)
    return value


def texts(document: Any, path: Path, where: str) -> tuple[str, ...]:
    """A list of texts, empty when missing; a single text counts as a list of one (Teleport writes both)."""
    value = _walk(document, path)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise damaged(f"the field {_shown(path)} to be a list of texts", repr(type(value).__name__), where)
    return tuple(value)


def mappings(document: Any, path: Path, where: str) -> Iterator[dict[str, Any]]:
    """The items of a list of mappings, none when missing."""
    for item in maybe(document, path, list[Any](), where):
        if not isinstance(item, dict):
            raise damaged(f"the field {_shown(path)} to be a list of mappings", type(item).__name__, where)
        yield item


def parse_items(document: Any, parse: Callable[..., T], evidence: tuple[str, ...], where: str) -> tuple[T, ...]:
    """The items of a Kubernetes list, each through its parser.

    Raises:
        CouldNotTell: It is no list, or an item is damaged.
    """
    need(document, "items", list, where)
    return tuple(parse(item, evidence) for item in mappings(document, "items", where))


SKEW = timedelta(seconds=30)
"""Tolerance for the difference of two clocks: a certificate must be valid that long already, and still."""


def when(text: str, where: str) -> datetime:
    """An RFC 3339 time, with any number of digits of a second, as UTC.

    Raises:
        CouldNotTell: It is no such time.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            raise damaged("a time with its zone", repr(text), where)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # an overflow: 0001-01-01T00:00:00+23:59 is before the first year
        raise damaged("a time such as 2025-12-14T19:53:56Z", repr(text), where) from error


def decoded_in(document: Any, key: str, decode: Callable[[str, str], Any], where: str) -> Any:
    """The decoded text under a key; evidence keeps such texts decoded, except those that cannot be.

    Args:
        document: A mapping.
        key: Of the text, or of what was decoded from it.
        decode: Takes the text and `where`, and says in a CouldNotTell what is wrong with a text that it cannot decode.
        where: The object, for the message.

    Raises:
        CouldNotTell: It is missing, or not what it should be.
    """
    found = _walk(document, [key])
    if found is None:
        raise damaged(f"the field {key}", "it is missing", where)
    return decode(found, where) if isinstance(found, str) else found


def parse_json(text: str, where: str) -> Any:
    """One JSON document.

    Raises:
        CouldNotTell: It is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged("one JSON document", ending(text, 400) or "nothing", where) from error


def parse_yaml(text: str, where: str) -> Any:
    """One YAML document.

    Raises:
        CouldNotTell: It is not YAML, whatever it is instead.
    """
    try:
        return yaml_document(text)
    except ValueError as error:
        raise damaged("YAML", str(error), where) from error


def yaml_of_ours(text: str) -> Any:
    """A YAML file of the suite's own, which is well formed; by libyaml where PyYAML has it, in a tenth of the time."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - either is a safe loader


class _AsWritten(SafeYaml):
    """Makes a text of every single value, whatever its tag; merges mappings as the format says."""

    yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # noqa: RUF012

    def _of_any_tag(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return node.value

    yaml_constructors = {None: _of_any_tag}  # noqa: RUF012


def yaml_as_written(text: str) -> list[Any]:
    """The documents of a YAML text, with every single value as it is written there (``007`` is no number).

    Raises:
        ValueError: It is not YAML, or is nested too deeply to be any program's.
    """
    return yaml_documents(text, _AsWritten)
