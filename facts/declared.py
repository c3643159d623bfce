"""Parsers by declaration: the fields of a fact say where they stand in a document.

A fact is a frozen dataclass that derives from `Declared`. A field without `At` has the document's own name for it. A field
that the document may leave out has a default, in its annotation (`Text`, `Flag`, `Many`) or as a dataclass has it; an
explicit null counts as missing. Nothing is converted: a number in quotes is no number. Only `read` applies these rules;
code that makes a fact by hand is not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache, partial, reduce
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from facts.document import damaged, when
from facts.errors import CouldNotTell
from facts.masks import GIVEN, LEAF, NAME, Fields, Items, Mask, merged
from facts.redaction import beginning, prose

T = TypeVar("T")


class Declared:
    """A fact whose annotations say how it is read. Keys of the document that it does not name are passed over."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore")

    @classmethod
    def kept_with(cls, fields: Mask) -> Mask:
        """What evidence keeps of such a document, where that is not just the declared fields."""
        return fields

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Takes a mapping for the fact, null for a missing value, and only mappings on the way to a value."""
        schema = handler(source)
        made: Any = handler.resolve_ref_schema(schema)
        made["strict"] = False  # of the dataclass alone: a mapping will do
        arguments, ways = made["schema"], set[tuple[str, ...]]()
        for field in arguments["fields"]:
            if (optional := field["schema"])["type"] == "default":
                make = optional.get("default_factory") or partial(optional.get, "default")
                optional["schema"] = _null_is(make, optional["schema"])
            alias = field.get("validation_alias", ())
            for path in alias if alias and isinstance(alias[0], list) else [alias]:
                ways.update(tuple(path[:length]) for length in range(1, len(path)) if not isinstance(path, str))
        if ways:
            made["schema"] = core_schema.no_info_before_validator_function(_Ways(sorted(ways)), arguments)
        return schema


def _null_is(default: Callable[[], Any], schema: CoreSchema) -> CoreSchema:
    def read_or_default(value: Any, read_it: Callable[[Any], Any]) -> Any:
        return default() if value is None else read_it(value)

    return core_schema.no_info_wrap_validator_function(read_or_default, schema)


class _Ways:
    """Refuses a document in which something else than a mapping stands on the way to a field."""

    def __init__(self, ways: Sequence[tuple[str, ...]]) -> None:
        self._ways = ways

    def __call__(self, document: Any) -> Any:
        for way in self._ways:
            here = document
            for key in way:
                here = here.get(key) if isinstance(here, Mapping) else None
            if here is not None and not isinstance(here, Mapping):
                raise ValidationError.from_exception_data("", [InitErrorDetails(type="dict_type", loc=way, input=here)])
        return document


def At(*paths: str) -> Any:  # noqa: N802 - it stands in annotations, like a type
    """The place of a value: keys joined by dots; of several places the first that is there."""
    found = [AliasPath(*path.split(".")) for path in paths]
    return Field(validation_alias=found[0] if len(found) == 1 else AliasChoices(*found))


@dataclass(frozen=True)
class Read:
    """A value that is made of something else in the document.

    Attributes:
        wire: Type in the document.
        make: The value from that; what it raises as CouldNotTell or ValueError is the damage of this field.
    """

    wire: Any
    make: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The document's type, followed by the function."""
        return core_schema.no_info_after_validator_function(_telling(self.make), handler.generate_schema(self.wire))


def _telling(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same function, which tells what it cannot understand as pydantic wants it told."""

    def made(value: Any) -> Any:
        try:
            return make(value)
        except CouldNotTell as error:
            raise PydanticCustomError("damaged", "{expected}", {"expected": error.expected, "seen": error.seen}) from None

    return made


def Only(kind: type, wanted: Callable[[Mapping[str, Any]], bool]) -> Read:  # noqa: N802 - it stands in annotations
    """Those of a list of mappings that are wanted, each read as `kind`; the others are not looked at."""

    def or_none(entry: Any) -> Any:
        if not isinstance(entry, Mapping):
            raise PydanticCustomError("dict_type", "a mapping")
        return entry if wanted(entry) else None

    wire = ListOf[Annotated[kind | None, BeforeValidator(or_none)]]  # type: ignore[valid-type]
    return Read(wire, lambda items: tuple(item for item in items if item is not None))


def _one_or_many(value: Any) -> Any:
    return () if value is None else (value,) if isinstance(value, str) else value


ListOf = Annotated[tuple[T, ...], Strict(False)]
"""A list."""
Many = Annotated[tuple[T, ...], Strict(False), Field(default=())]
"""A list, empty when missing."""
Text = Annotated[str, Field(default="")]
"""A text, empty when missing."""
Flag = Annotated[bool, Field(default=False)]
"""A truth value, false when missing."""
Count = Annotated[int, Field(default=0)]
"""A whole number, 0 when missing."""
InProse = AfterValidator(prose)
"""Marks a text as words that are told, and compared with nothing."""
Words = Annotated[str, InProse, Field(default="")]
"""Such a text, empty when missing."""
TextMap = Annotated[Mapping[str, str], Field(default={})]
"""A mapping of text to text, empty when missing."""
OneOrMany = Annotated[tuple[str, ...], Strict(False), BeforeValidator(_one_or_many)]
"""A list of texts; a single text counts as a list of one (Teleport writes both)."""
Texts = Annotated[OneOrMany, Field(default=())]
"""Such a list, empty when missing."""
Selector = Annotated[Mapping[str, OneOrMany], Field(default={}), Fields(others=Items(LEAF))]
"""Labels of Teleport, for each key the values that match; empty when missing."""
Time = Annotated[datetime, BeforeValidator(_telling(lambda text: when(text, "") if isinstance(text, str) else text))]
"""An RFC 3339 time, as UTC."""
Given = Annotated[bool, Field(default=False), Read(Any, bool), GIVEN]
"""True where something is there that is not empty."""


_IDENTIFYING = ("name", "namespace", "uid", "nodeName", "serviceAccountName", "serviceAccount")
"""Keys of Kubernetes under which the name of an object stands."""


def mask_of(*kinds: type[Declared]) -> Mask:
    """The mask that keeps the fields which facts of some kinds are read from; several kinds for several looks at a document.

    A field that says in its annotation what is kept (a `Mask`) has that; of another the type says it, in the document.

    Raises:
        TypeError: A field is a mapping with keys of any kind, and does not say which of them are kept.
    """
    return merged(*(_mask_of_kind(kind) for kind in kinds))


def _mask_of_kind(kind: type[Declared]) -> Mask:
    hints = get_type_hints(kind, include_extras=True)
    found: Mask = Fields()
    for field in fields(kind):  # type: ignore[arg-type]  # each of them is a dataclass
        mask = _mask_of(hints[field.name], f"{kind.__name__}.{field.name}")
        paths: list[tuple[str, ...]] = [(field.name,)]
        for extra in getattr(hints[field.name], "__metadata__", ()):
            if isinstance(extra, FieldInfo) and extra.validation_alias is not None:
                alias = extra.validation_alias
                choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
                paths = [(choice,) if isinstance(choice, str) else tuple(map(str, choice.path)) for choice in choices]
        for path in paths:
            named = NAME if mask == LEAF and path[-1] in _IDENTIFYING else mask
            found = found.merged(reduce(lambda inner, key: Fields({key: inner}), reversed(path), named))
    return kind.kept_with(found)


def _mask_of(kind: Any, where: str) -> Mask:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        said = [extra for extra in kind.__metadata__ if isinstance(extra, Mask)]
        wire = [extra.wire for extra in kind.__metadata__ if isinstance(extra, Read)]
        return said[-1] if said else _mask_of(wire[-1] if wire else inner[0], where)
    if origin in (Union, UnionType):
        return merged(*(_mask_of(each, where) for each in inner if each is not type(None)))
    if origin in (tuple, list, Sequence):
        return Items(_mask_of(inner[0], where))
    if origin in (dict, Mapping) or kind in (dict, Mapping):
        raise TypeError(f"{where} is a mapping with any keys: say in its annotation which of them evidence keeps")
    return mask_of(kind) if isinstance(kind, type) and issubclass(kind, Declared) else LEAF


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def part(kind: type[T], document: Any) -> T:
    """A fact from a part of a document, for functions that `read` calls: an error names the whole path."""
    made: T = _adapter(kind).validate_python(document, by_alias=True, by_name=False)
    return made


def read(kind: type[T], document: Any, where: str, **given: Any) -> T:
    """Reads a fact from a decoded document.

    Args:
        kind: A class derived from `Declared`.
        document: Decoded JSON or YAML.
        where: The object, for messages.
        given: Fields of the fact that are not in the document, such as the ids of the readings.

    Raises:
        CouldNotTell: It is no mapping, or a field is missing or damaged.
    """
    if not isinstance(document, Mapping):
        raise damaged("a mapping", type(document).__name__, where)
    try:
        return part(kind, {**document, **given})
    except ValidationError as error:
        raise damaged(*explained(error), where) from None  # the original holds parts of the document


_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "datetime_type": "a time",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "dataclass_type": "a mapping",
}


def explained(error: ValidationError) -> tuple[str, str]:
    """Return what the first damaged field was expected to be, and what stands there instead."""
    first = error.errors(include_url=False)[0]
    kind, seen, field = first["type"], first["input"], ".".join(str(key) for key in first["loc"])
    if kind == "missing":
        return f"the field {field}", "it is missing"
    if kind == "extra_forbidden":
        return "only known fields", field
    if kind == "damaged":
        return f"the field {field} to be {first['ctx']['expected']}", str(first["ctx"]["seen"])
    words = _KINDS.get(kind) or first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    shown = "it is missing" if seen is None else type(seen).__name__ if kind in _KINDS else beginning(repr(seen), 80)
    return f"the field {field} to be {words}", shown
