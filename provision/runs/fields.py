"""Fields of an object before a change of the suite, after it, and now: which of them can be restored, and how. Pure.

A change is a patch as `Objects.patch` takes it: mappings are merged key by key, null removes a key, and anything else,
lists included, replaces what was there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from facts.redaction import redact
from providers.teleport.facts.tbot_config import join_secrets, public_join_names

Document = Mapping[str, Any]


class Missing(Enum):
    """The value of a field that an object does not have."""

    MISSING = "missing"

    def __str__(self) -> str:
        return "nothing"


MISSING = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Field:
    """A field that the suite changed.

    Attributes:
        path: Keys that lead to it.
        was: Its value before the change; `MISSING` for none.
        ours: Its value after the change; `MISSING` for none.
        made: Number of leading keys that lead to the first mapping that the object did not have before; 0 where it had all.
            Such a mapping goes again when it is empty.
    """

    path: tuple[str, ...]
    was: Any
    ours: Any
    made: int = 0

    def __str__(self) -> str:
        return ".".join(self.path)


class Standing(Enum):
    """What a field holds now."""

    OURS = "as the run left it"
    ORIGINAL = "as it was before the run"
    OTHERS = "changed by another user since"


def changed_fields(before: Document, change: Document) -> tuple[Field, ...]:
    """Return the fields that a patch would change.

    Args:
        before: Object before the change.
        change: Patch.
    """
    return tuple(_changed(before, change, (), 0))


def _changed(before: Any, change: Document, path: tuple[str, ...], made: int) -> Iterable[Field]:
    for key, wanted in change.items():
        here = (*path, key)
        was = before.get(key, MISSING) if isinstance(before, Mapping) else MISSING
        if isinstance(wanted, Mapping) and wanted and (was is MISSING or isinstance(was, Mapping)):
            yield from _changed(was, wanted, here, made or (len(here) if was is MISSING else 0))
            continue
        ours = MISSING if wanted is None else _without_nulls(wanted)
        if ours != was:
            yield Field(here, copy.deepcopy(was), ours, made)


def _without_nulls(wanted: Any) -> Any:
    """Return the value that a patch leaves where there was no mapping before."""
    if isinstance(wanted, Mapping):
        return {key: _without_nulls(value) for key, value in wanted.items() if value is not None}
    return copy.deepcopy(wanted)


def standing(field: Field, now: Document) -> Standing:
    """Tell what a field holds now. An empty value counts as none: API servers leave out empty ones."""
    value = _settled(value_at(now, field.path))
    if value == _settled(field.was):
        return Standing.ORIGINAL
    return Standing.OURS if value == _settled(field.ours) else Standing.OTHERS


def value_at(document: Document, path: Iterable[str]) -> Any:
    """Return the value at a path; `MISSING` for none."""
    here: Any = document
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return MISSING
        here = here[key]
    return here


def _settled(value: Any) -> Any:
    """Return a value without its empty parts; `MISSING` where nothing is left."""
    if isinstance(value, Mapping):
        parts = {key: _settled(part) for key, part in value.items()}
        kept = {key: part for key, part in parts.items() if part is not MISSING}
        return kept or MISSING
    if isinstance(value, list | tuple):
        return [_settled(part) for part in value] or MISSING
    return MISSING if value is None or value == "" else value


def restored(now: Document, fields: Iterable[Field]) -> dict[str, Any]:
    """Return an object with those fields as they were that are still as the run left them; all others stay.

    Args:
        now: Object as it is now.
        fields: Fields that the run changed.
    """
    wanted = copy.deepcopy(dict(now))
    for field in fields:
        if standing(field, now) is Standing.OURS:
            _put(wanted, field)
    return wanted


def _put(document: dict[str, Any], field: Field) -> None:
    *parents, last = field.path
    here = document
    if field.was is MISSING:
        for key in parents:
            here = here.get(key) or {}
        here.pop(last, None)
        _prune(document, field)
        return
    for key in parents:
        if not isinstance(here.get(key), dict):
            here[key] = {}
        here = here[key]
    here[last] = copy.deepcopy(field.was)


def _prune(document: dict[str, Any], field: Field) -> None:
    """Remove mappings that the change made and that are empty now, the innermost first."""
    for length in range(len(field.path) - 1, max(field.made, 1) - 1, -1) if field.made else ():
        parent = value_at(document, field.path[: length - 1])
        if not isinstance(parent, dict) or parent.get(field.path[length - 1], MISSING) != {}:
            return
        del parent[field.path[length - 1]]


def patch_to(now: Document, wanted: Document) -> dict[str, Any]:
    """Return the patch that makes one object of another; empty where they are equal."""
    change: dict[str, Any] = {}
    for key in {**now, **wanted}:
        here, there = now.get(key, MISSING), wanted.get(key, MISSING)
        if here == there:
            continue
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            change[key] = patch_to(here, there)
        else:
            change[key] = None if there is MISSING else copy.deepcopy(there)
    return change


def secrets_in(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Return the fields whose value, before the change or after it, holds a secret and so must not be stored."""
    return tuple(f for f in fields if _holds_secret(f.path[-1], f.was) or _holds_secret(f.path[-1], f.ours))


def _holds_secret(key: str, value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_secret(str(name), part) for name, part in value.items())
    if isinstance(value, list | tuple):
        return any(_holds_secret(key, part) for part in value)
    if not isinstance(value, str):
        return False
    if join_secrets(value):
        return True
    for name in public_join_names(value):
        value = value.replace(name, "name")
    # With its key, as "password: …" is a secret that the value alone does not show.
    return any(redact(text).count for text in (value, f"{key}: {value}"))
