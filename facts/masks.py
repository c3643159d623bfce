"""Masks: the parts of a document that evidence keeps, and what happens to every text in them.

A mask stands beside the parser that reads the document (`keeps`), and is derived from the declared fields where there are
such (`facts.declared.mask_of`). What no mask names leaves no trace. Each text is looked through for secrets by itself, so
that what one text says never changes what is kept of another.

A mask changes values, not their kinds: where the document has something else than the parser expects, it still has so
afterwards, and the parser refuses it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, ClassVar, TypeVar

import yaml

from facts.redaction import DEEPEST, Hiding
from facts.secret_forms import is_secret

F = TypeVar("F", bound=Callable[..., object])


class Mask(ABC):
    """What is kept of a value.

    Attributes:
        is_of_text: It takes an answer as the text that came, even where that happens to be JSON.
    """

    __slots__ = ()

    is_of_text: ClassVar[bool] = False

    def kept(self, value: Any, hiding: Hiding) -> Any:
        """The value as it is kept.

        Args:
            value: Decoded JSON or YAML.
            hiding: Hides secrets in texts, and counts them.
        """
        return self._kept(value, hiding)

    def merged(self, other: Mask) -> Mask:
        """A mask that keeps what either keeps, for two fields of a fact that stand in the same place.

        Raises:
            TypeError: They contradict each other.
        """
        if self == other or isinstance(other, _Presence):
            return self
        if isinstance(self, _Presence):
            return other
        both = other._merged(self) if isinstance(other, Prepared) else self._merged(other)
        if both is None:
            raise TypeError(f"{self} and {other} are declared for the same place of a document")
        return both

    @abstractmethod
    def _kept(self, value: Any, hiding: Hiding) -> Any: ...

    def _merged(self, _other: Mask) -> Mask | None:
        """The two in one; None where they contradict each other."""
        return None


def _empty(value: Any) -> Any:
    """A mapping or list without its contents; a parser that expects something else there still refuses it."""
    return {} if isinstance(value, Mapping) else [] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class _Text(Mask):
    """A text or another single value. A name that identifies an object stays as it is; that of a token may be a secret."""

    identifies: bool = False
    joins: bool = False

    def _merged(self, other: Mask) -> Mask | None:
        return _Text(self.identifies or other.identifies, self.joins or other.joins) if isinstance(other, _Text) else None

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        if self.joins and hiding.named and not isinstance(value, Mapping | list | None):
            # YAML makes a number of some names, and what it was made of is no longer known.
            return hiding.whole(str(value)) if not isinstance(value, str) or value in hiding.named else hiding.name(value)
        if isinstance(value, str):
            return hiding.name(value) if self.identifies else hiding.text(value)
        # YAML has times as well, which JSON writes as text.
        return _empty(value) if isinstance(value, Mapping | list | bool | int | float | None) else hiding.text(str(value))


LEAF = _Text()
"""A single value; secrets in a text are hidden."""
NAME = _Text(identifies=True)
"""A name that identifies an object."""
JOIN_NAME = _Text(identifies=True, joins=True)
"""The name of a join token: hidden where it is a named secret, however short."""


@dataclass(frozen=True, slots=True)
class KnownNames(Mask):
    """The name of a join token in a list of all of them: every name is hidden but those that are known already.

    Attributes:
        known: Names that stay, unless they are named secrets.
    """

    known: frozenset[str] = frozenset()

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        if isinstance(value, Mapping | list | None):
            return JOIN_NAME.kept(value, hiding)
        return value if value in self.known and value not in hiding.named else hiding.whole(str(value))

    def _merged(self, other: Mask) -> Mask | None:
        return self if other == JOIN_NAME else None


@dataclass(frozen=True, slots=True)
class NamesIn(Mask):
    """Several names of objects in one text, with a separator between; they stay as a name does."""

    separator: str

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        return hiding.names(value, self.separator) if isinstance(value, str) else LEAF.kept(value, hiding)


@dataclass(frozen=True, slots=True)
class _Presence(Mask):
    """That something is there, without its contents."""

    truth: bool = False

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        if isinstance(value, Mapping | list):
            return bool(value) if self.truth else _empty(value)
        if isinstance(value, str):
            return hiding.text(value) if self.truth else ""
        return value if self.truth else None


KEY = _Presence()
"""The key, and the kind of its value where that is a mapping, a list or a text."""
GIVEN = _Presence(truth=True)
"""Whether there is something that is not empty; a single value is kept."""


TOO_DEEP = "[nested too deeply]"
"""Stands for a mapping or list that lies deeper than anything an API writes."""


@dataclass(frozen=True, slots=True)
class _Whole(Mask):
    """Everything down to `DEEPEST` levels, each text by itself; `TOO_DEEP` stands for what lies deeper."""

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        return self._down_to(value, hiding, DEEPEST)

    def _down_to(self, value: Any, hiding: Hiding, levels: int) -> Any:
        if levels < 0 and isinstance(value, Mapping | list):
            return TOO_DEEP
        if isinstance(value, Mapping):
            return {hiding.text(str(key)): self._down_to(each, hiding, levels - 1) for key, each in value.items()}
        if isinstance(value, list):
            return [self._down_to(each, hiding, levels - 1) for each in value]
        return hiding.text(value) if isinstance(value, str) else value


WHOLE = _Whole()


@dataclass(frozen=True, slots=True)
class _Words(Mask):
    """A command line: what follows the flag of a secret is hidden as well."""

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return hiding.words(value)
        return LEAF.kept(value, hiding)


WORDS = _Words()


@dataclass(frozen=True, slots=True)
class Items(Mask):
    """A list, each item under the same mask; a single value that stands for a list of one is kept."""

    each: Mask

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        if isinstance(value, list):
            return [self.each.kept(item, hiding) for item in value]
        return LEAF.kept(value, hiding)

    def _merged(self, other: Mask) -> Mask | None:
        return Items(self.each.merged(other.each)) if isinstance(other, Items) else None


@dataclass(frozen=True, slots=True)
class Fields(Mask):
    """A mapping.

    Attributes:
        known: The mask of each key that is named.
        others: Mask of the other keys; None drops them.
        by_key: A text under another key is hidden where its key says that it is a secret.
    """

    known: Mapping[str, Mask] = field(default_factory=dict)
    others: Mask | None = None
    by_key: bool = False

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        if not isinstance(value, Mapping):
            return LEAF.kept(value, hiding)
        found = {}
        for key, each in value.items():
            if key in self.known:
                found[key] = self.known[key].kept(each, hiding)
            elif self.others is not None:
                hides = self.by_key and isinstance(each, str) and is_secret(str(key), each)
                found[hiding.text(str(key))] = hiding.whole(each) if hides else self.others.kept(each, hiding)
        return found

    def _merged(self, other: Mask) -> Mask | None:
        if not isinstance(other, Fields):
            return None
        both = {k: m.merged(other.known[k]) if k in other.known else m for k, m in self.known.items()}
        others = self.others or other.others
        if self.others is not None and other.others is not None:
            others = self.others.merged(other.others)
        return Fields({**other.known, **both}, others, self.by_key or other.by_key)


KEYS = Fields(others=KEY)
"""The keys of a mapping alone."""
OPEN = Fields(others=NAME, by_key=True)
"""A mapping with any keys, each with a single value. For labels: a selector may name any of them, with its value. So what
could be a name stays, even in the form of a short token, unless the key says that it is a secret."""


def merged(*masks: Mask) -> Mask:
    """A mask that keeps what any of several keeps."""
    return reduce(lambda all_before, mask: all_before.merged(mask), masks)


def at(path: str, mask: Mask) -> Fields:
    """A mask under keys joined by dots; ``[]`` behind a key stands for each item of a list."""
    first, _dot, rest = path.partition(".")
    inner = at(rest, mask) if rest else mask
    return Fields({first.removesuffix("[]"): Items(inner) if first.endswith("[]") else inner})


def only(*keys: str) -> Fields:
    """Those keys of an open mapping, each with a single value."""
    return Fields(dict.fromkeys(keys, LEAF))


@dataclass(frozen=True, slots=True)
class Prepared(Mask):
    """A value that is changed before its mask is applied, for what depends on several fields of it.

    Attributes:
        change: Takes any value; leaves alone what it does not understand.
        mask: The mask of the outcome.
    """

    change: Callable[[Any], Any]
    mask: Mask

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        return self.mask.kept(self.change(value), hiding)

    def _merged(self, other: Mask) -> Mask | None:
        if isinstance(other, Prepared):
            return replace(self, mask=self.mask.merged(other.mask)) if self.change == other.change else None
        return replace(self, mask=self.mask.merged(other))


@dataclass(frozen=True, slots=True)
class Decoded(Mask):
    """A text that the parser decodes: it is kept decoded. One that cannot be decoded stays a text.

    Attributes:
        decode: Raises ValueError for a text that it does not understand.
        mask: Mask of the decoded document.
    """

    decode: Callable[[str], Any]
    mask: Mask

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        if not isinstance(value, str):
            return self.mask.kept(value, hiding)
        try:
            document = self.decode(value)
        except (ValueError, RecursionError):
            return hiding.text(value)
        return hiding.text(value) if document is None else self.mask.kept(document, hiding)


MOST_VALUES = 1_000_000
"""Values of a YAML text with all its aliases followed; a file of a mebibyte, as a ConfigMap may hold, has fewer."""
_LONGEST_NUMBER = 1024
"""Bits of a whole number in YAML. Python cannot write one of many thousands, which YAML has in other bases than ten."""
_ODD = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises: beside its own errors those of a value that is not what its form or its tag promises, such as
``2020-13-45``, ``!!timestamp x`` or ``!!int ""``."""


class SafeYaml(yaml.SafeLoader):
    """A loader for texts that others wrote: merged mappings (``<<``) do not multiply without end."""

    _pairs = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """As of any loader; counts what it merges, before the mapping that it is merged into grows."""
        super().flatten_mapping(node)
        self._pairs += len(node.value)
        if self._pairs > MOST_VALUES:
            raise _too_many()


def yaml_document(text: str) -> Any:
    """One YAML document: a tree of values, of which each is written in the text or follows from it in few steps.

    Raises:
        ValueError: It is not YAML, or no program's; says why, and where, without words of the text.
    """
    (document,) = yaml_documents(text, SafeYaml, one=True)
    return document


def yaml_documents(text: str, loader: type[SafeYaml], *, one: bool = False) -> list[Any]:
    """The documents of a YAML text.

    Args:
        text: Anything.
        loader: Makes the values.
        one: There must not be several; none is null.

    Raises:
        ValueError: See `yaml_document`.
    """
    try:
        found = [yaml.load(text, loader)] if one else [*yaml.load_all(text, loader)]  # noqa: S506 - each derives from SafeLoader
        _expanded(found, {})
    except _ODD as error:
        raise ValueError(_why_no_yaml(error)) from error
    return found


def _expanded(value: Any, known: dict[int, int | None]) -> int:
    """Number of values in a document whose aliases are followed; looks at each part once.

    Raises:
        ValueError: There are too many, or one that holds itself, or a number that Python cannot write.
    """
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        raise ValueError("a whole number of thousands of digits")
    if not isinstance(value, dict | list | tuple):
        return 1
    if id(value) not in known:
        known[id(value)] = None
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_expanded(part, known) for part in parts)
    number = known[id(value)]
    if number is None:
        raise ValueError("a value that holds itself")
    if number > MOST_VALUES:
        raise _too_many()
    return number


def _too_many() -> ValueError:
    return ValueError(f"aliases that make more than {MOST_VALUES:,} values of it")


def _why_no_yaml(error: Exception) -> str:
    """The reason why a text is not YAML, with its place; not the line of the text, which may be cut within a secret."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        return f"{error.problem or error.context}{place}"
    kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
    return f"{kind}{error}".replace("\n", " ")


@dataclass(frozen=True, slots=True)
class OneOrMany(Mask):
    """A document, or a list of such."""

    each: Mask

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        return (Items(self.each) if isinstance(value, list) else self.each).kept(value, hiding)


@dataclass(frozen=True, slots=True)
class Lines(Mask):
    """A text of lines, each a JSON document under the same mask."""

    is_of_text: ClassVar[bool] = True

    each: Mask

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        if not isinstance(value, str):
            return LEAF.kept(value, hiding)
        return "".join(f"{self._line(line, hiding)}\n" for line in lines(value) if line.strip())

    def _line(self, line: str, hiding: Hiding) -> str:
        kept = Decoded(json.loads, self.each).kept(line, hiding)
        return kept if isinstance(kept, str) else as_json(kept)


@dataclass(frozen=True, slots=True)
class PlainText(Mask):
    """An answer that is text, whatever it looks like."""

    is_of_text: ClassVar[bool] = True

    def _kept(self, value: Any, hiding: Hiding) -> Any:
        return hiding.text(str(value))


TEXT = PlainText()

_OF_PARSERS: dict[Callable[..., object], Mask] = {}


def keeps(mask: Mask) -> Callable[[F], F]:
    """Declare what evidence keeps of the documents that a parser reads."""

    def declared(parser: F) -> F:
        _OF_PARSERS[parser] = mask
        return parser

    return declared


def kept_for(parser: Callable[..., object]) -> Mask:
    """The mask that a parser was declared with.

    Raises:
        TypeError: It has none, so that nobody has said which parts of its documents may be kept.
    """
    if parser not in _OF_PARSERS:
        raise TypeError(
            f"{parser.__module__}.{parser.__qualname__} does not declare what evidence keeps: use facts.masks.keeps"
        )
    return _OF_PARSERS[parser]


def kept_of(raw: str, mask: Mask | None, hiding: Hiding) -> str:
    """The part of an answer that evidence keeps.

    Args:
        raw: The answer as it came.
        mask: What to keep; None where no parser says it: everything, with secrets told by the names of fields as well. Of an
            answer that should be a document and is none (cut off, or with a warning before it) it can tell no part, so
            nothing is kept but its length.
        hiding: Hides the secrets, and counts them.
    """
    if mask is not None and mask.is_of_text:
        return str(mask.kept(raw, hiding))
    document = json_or_text(raw)
    if isinstance(document, str):
        return hiding.text(document) if mask in (None, WHOLE) or not raw.strip() else no_document(raw)
    kept = hiding.document(document) if mask is None else mask.kept(document, hiding)
    return as_json(kept)


def no_document(raw: str) -> str:
    """What evidence has instead of an answer of which a mask should have kept parts, and that is not JSON."""
    return f"[no JSON: the suite kept none of its {len(raw)} characters]"


def unfinished(printed: str) -> str:
    """What evidence has instead of the output of a command that failed, where a mask should have kept parts of it."""
    return f"[the command failed: the suite kept none of the {len(printed)} characters that it printed]"


def json_or_text(raw: str) -> Any:
    """An answer, decoded where it is JSON; as text where it is not, or is nested too deeply to be any API's."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw


def lines(text: str) -> list[str]:
    """The lines of a text that others wrote. Only a line feed ends one.

    ``str.splitlines`` also splits at U+0085, U+2028 and others, which JSON, paths and messages may hold as they are.
    """
    return text.removesuffix("\n").split("\n") if text else []


def as_json(document: Any) -> str:
    """A document as evidence holds it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
