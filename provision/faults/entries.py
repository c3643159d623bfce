"""Entries: the faults as data, in YAML files beside the code that some of them refer to.

An entry has the attributes of `Fault`. A set of requirements may name sets of ``reach.py`` beside ids, and leave out an id
(``not INST-14``). `touches` and `undo` follow from the steps of `inject`; an entry has them only where it says more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from facts.errors import BadInput
from provision.faults import reach
from provision.faults.fault import Fault
from provision.faults.steps import Place, Steps, taken, together

SETS: Mapping[str, frozenset[str]] = {name: each for name, each in vars(reach).items() if name.isupper()}
"""The named sets of requirements."""

_ID = re.compile(r"[A-Z]+-[0-9]+")
_LEFT_OUT = "not "


def _requirements(value: object) -> object:
    """Return the ids that a list of ids and names of sets stands for."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError("expected a list of requirements, and of sets of provision/faults/reach.py")
    ids, left_out = set[str](), set[str]()
    for word in value:
        named = word.removeprefix(_LEFT_OUT)
        if not (named in SETS or _ID.fullmatch(named)):
            raise ValueError(f"{word!r} is neither a requirement nor a set of provision/faults/reach.py")
        (left_out if word.startswith(_LEFT_OUT) else ids).update(SETS.get(named, {named}))
    return frozenset(ids - left_out)


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.]*(-[a-z0-9.]+)*$")]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Sentence = Annotated[str, StringConstraints(pattern=r"^[\w].*\.$")]
Requirements = Annotated[frozenset[str], BeforeValidator(_requirements)]


class Entry(BaseModel):
    """One fault; `Fault` describes its attributes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)

    name: Name
    description: Sentence
    cause: Id
    further_causes: Annotated[frozenset[Id], Field(strict=False)] = frozenset()
    breaks: Requirements
    blinds: Requirements = frozenset()
    denies: bool = False
    reach: Requirements = frozenset()
    standing: bool = False
    by_session: bool = False
    by_doctor_alone: bool = False
    short: bool = False
    touches: str = ""
    undo: Sentence | None = None
    inject: Steps

    @property
    def fault(self) -> Fault:
        """The fault.

        Raises:
            ValueError: It does not say what it touches or how it is undone, and its steps do not tell.
        """
        touches = self.touches or "; ".join(dict.fromkeys(together(step.told for step in self.inject).touches or ()))
        changes = reversed([step for step in self.inject if not step.is_act])
        undo = self.undo or _sentence(together(step.told for step in changes).undo or ())
        if not (touches and undo):
            raise ValueError(f"its steps do not tell {'what it touches' if not touches else 'how it is undone'}; say it")
        said = self.model_dump(exclude={"touches", "undo", "inject"})
        return Fault(**said, touches=touches, undo=undo, inject=partial(taken, self.inject))


def _sentence(clauses: Sequence[str]) -> str:
    """Return what the suite does, one thing after the other, as a sentence; empty for nothing."""
    if not clauses:
        return ""
    *before, last = clauses
    comma = "," if len(before) > 1 else ""
    return f"The suite {', '.join(before)}{comma}{' and ' if before else ''}{last}."


_ENTRIES = TypeAdapter(Annotated[tuple[dict[str, Any], ...], Field(strict=False)])


def parse_faults(
    document: Any, place: Place, where: str, *, causes: Collection[str], requirements: Collection[str]
) -> list[Fault]:
    """Read faults from their parsed YAML.

    Args:
        document: A list of mappings; the keys are the attributes of `Entry`.
        place: Where they stand.
        where: Name of the file, for error messages.
        causes: Ids of all causes.
        requirements: Ids of all requirements.

    Raises:
        BadInput: An entry does not have that form, or names something that does not exist, or entries of one cause stand
            apart.
    """
    faults: list[Fault] = []
    try:
        entries = _ENTRIES.validate_python(document)
    except ValidationError as error:
        raise _bad("; ".join(each["msg"] for each in error.errors()), where) from error
    for number, given in enumerate(entries, 1):
        at = f"{where}: {given.get('name', f'entry {number}')}"
        try:
            fault = Entry.model_validate(given, context={"place": place}).fault
        except ValidationError as error:
            told = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            raise _bad("; ".join(told), at) from error
        except ValueError as error:
            raise _bad(str(error), at) from error
        for cause in (fault.cause, *sorted(fault.further_causes)):
            if cause not in causes:
                raise _bad(f"the cause {cause}, which is not in judge/explain/causes", at)
        if unknown := sorted(fault.judged.difference(requirements)):
            raise _bad(f"{', '.join(unknown)}, which is not in features/catalogue.yaml", at)
        if faults and fault.cause != faults[-1].cause and any(each.cause == fault.cause for each in faults):
            raise _bad(f"the cause {fault.cause}, whose other entries stand further up: put them beside each other", at)
        faults.append(fault)
    return faults


def _bad(seen: str, where: str) -> BadInput:
    return BadInput(
        expected="faults as provision/faults/entries.py and verbs.py describe them",
        seen=seen,
        where=where,
        remedy="correct the entry",
    )


def read_faults(file: Path, place: Place, *, causes: Collection[str], requirements: Collection[str]) -> list[Fault]:
    """Read the faults of a file.

    Raises:
        BadInput: See `parse_faults`.
    """
    return parse_faults(
        yaml.safe_load(file.read_text(encoding="utf-8")), place, str(file), causes=causes, requirements=requirements
    )
