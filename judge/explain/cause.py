"""Causes: defects of an install, with the signs that show them and the remedies.

The data is ``judge/causes.yaml``. A finding names a cause by its id; certification and the doctor print the
same remedy for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from facts.errors import BadInput, CouldNotTell
from facts.versions import Version

FILE = Path(__file__).parents[1] / "causes.yaml"


def _version(value: object) -> object:
    try:
        return Version.parse(value) if isinstance(value, str) else value
    except CouldNotTell as error:
        raise ValueError(error.seen) from error


def _pairs(value: object) -> object:
    """Turns ``{cause: text}``, as the file has it, into a list of `LooksLike`."""
    return [{"cause": key, "told_by": text} for key, text in value.items()] if isinstance(value, dict) else value


Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^\S(.*\S)?$")]
ParsedVersion = Annotated[Version, BeforeValidator(_version), PlainSerializer(str)]
Steps = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]


class _Strict(BaseModel):
    """A frozen model that refuses unknown keys and converts nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class Affected(_Strict):
    """A range of versions with a defect: at least `since`, before `fixed`.

    A pre-release of `since` may have the defect already, and one of `fixed` may have it still: both count. Any other suffix
    of a version names a variant of that release, such as ``1.24.4-distroless``.
    """

    since: ParsedVersion
    fixed: ParsedVersion

    def __contains__(self, version: Version) -> bool:
        return self.since <= version.release and version.stands_for < self.fixed


class Releases(_Strict):
    """The releases of one component that have a defect.

    Attributes:
        component: ``tbot`` or ``istio``.
        affected: Ranges of versions, oldest first.
    """

    component: Literal["tbot", "istio"]
    affected: Annotated[tuple[Affected, ...], Field(strict=False, min_length=1)]

    def __contains__(self, version: Version) -> bool:
        return any(version in each for each in self.affected)

    @property
    def fixed_in(self) -> str:
        """The versions to upgrade to, newest line first: ``18.6.4 or 17.7.14``."""
        return " or ".join(str(each.fixed) for each in reversed(self.affected))


class LooksLike(_Strict):
    """Another cause with the same symptoms.

    Attributes:
        cause: Its id.
        told_by: The sign that tells it from this one.
    """

    cause: Id
    told_by: Text


def _word(value: object) -> object:
    """Turns YAML's own reading of ``yes`` and ``no`` back into the words."""
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


class InGuide(_Strict):
    """A cause beside the troubleshooting of the guide.

    Attributes:
        chapter: Chapter whose symptom the cause has, from 1; `CERTIFICATE_ERRORS` for what the guide says nothing about.
        helps: Whether the chapter's own remedy helps.
        why: Why, in one sentence.
    """

    chapter: Annotated[int, Field(ge=1, le=7)]
    helps: Annotated[Literal["yes", "no", "partly"], BeforeValidator(_word)]
    why: Text


CERTIFICATE_ERRORS = 7
"""Chapter after the guide's own six: certificate errors between services."""


class Cause(_Strict):
    """One thing that can be wrong.

    Attributes:
        id: Name by which findings and faults refer to it.
        sentence: The defect, in one sentence.
        shown_by: Signs that show it.
        told_from: Causes that look alike, each with the sign that tells it apart.
        guide: The guide's troubleshooting on its symptom; None where no chapter has it.
        remedy: Steps, in order; commands stand between backticks.
        check: Command or sign that shows that the defect is gone.
        references: An issue (``istio/istio#41308``), a file of this repository, or an address.
        versions: The releases that have it, if it is a defect of releases.
        explains: Causes that show because of this one, by mechanism, wherever it is so.
        settled_by: For a cause that reading alone does not tell from others: what would.
    """

    id: Id
    sentence: Text
    shown_by: Text
    told_from: Annotated[tuple[LooksLike, ...], BeforeValidator(_pairs), Field(strict=False)] = ()
    # Not in reports: docs/troubleshooting.md is made of it.
    guide: Annotated[InGuide | None, Field(exclude=True)] = None
    remedy: Steps
    check: Text
    references: Steps
    versions: Releases | None = None
    # Not in reports: what was found together is theirs to say, and these two are about what may be.
    explains: Annotated[tuple[Id, ...], Field(strict=False, exclude=True)] = ()
    settled_by: Annotated[Text | None, Field(exclude=True)] = None

    @property
    def clause(self) -> str:
        """The sentence, as part of another one."""
        return self.sentence[:1].lower() + self.sentence[1:].rstrip(".")


class Causes(Mapping[str, Cause]):
    """All causes by id, in the order of the file."""

    def __init__(self, causes: Mapping[str, Cause]) -> None:
        self._causes = dict(causes)

    def __getitem__(self, cause_id: str) -> Cause:
        """The cause of an id.

        Raises:
            LookupError: No cause has that id; also from `get`, because a misspelt id would hide a remedy.
        """
        if cause_id not in self._causes:
            near = get_close_matches(cause_id, self._causes)
            raise LookupError(f"no cause {cause_id!r} in {FILE.name}{f'; did you mean {near[0]!r}?' if near else ''}")
        return self._causes[cause_id]

    def __contains__(self, cause_id: object) -> bool:
        return cause_id in self._causes

    def __iter__(self) -> Iterator[str]:
        return iter(self._causes)

    def __len__(self) -> int:
        return len(self._causes)


Explains = Mapping[str, Collection[str]]
"""By the id of a cause: the ids of the causes that it makes show."""


def reachable(start: Iterable[str], explains: Explains) -> frozenset[str]:
    """Ids of everything that some causes explain, over any number of steps."""
    reached: set[str] = set()
    left = [each for cause in start for each in explains.get(cause, ())]
    while left:
        cause = left.pop()
        if cause not in reached:
            reached.add(cause)
            left.extend(explains.get(cause, ()))
    return frozenset(reached)


def in_a_circle(explains: Explains) -> tuple[str, ...]:
    """Ids of the causes that explain themselves, sorted; none where the relation has an order."""
    return tuple(sorted(cause for cause in explains if cause in reachable([cause], explains)))


_ENTRIES = TypeAdapter(Annotated[tuple[Cause, ...], Field(strict=False)])


def parse_causes(document: Any, where: str = str(FILE)) -> Causes:
    """Read the causes from their parsed YAML.

    Args:
        document: A list of mappings; the keys are the attributes of `Cause`.
        where: Name of the file, for error messages.

    Raises:
        BadInput: It does not have that form, two causes share an id, or `told_from` or `explains` names a cause that does
            not exist, or `explains` leads in a circle.
    """
    try:
        entries = _ENTRIES.validate_python(document)
    except ValidationError as error:
        problems = [f"{_path(document, each['loc'])}: {each['msg']}" for each in error.errors()]
        raise _bad("; ".join(problems), where) from error
    causes = {entry.id: entry for entry in entries}
    ids = [entry.id for entry in entries]
    if doubles := sorted({each for each in ids if ids.count(each) > 1}):
        raise _bad(f"more than one cause {', '.join(doubles)}", where)
    for entry in entries:
        for other in entry.told_from:
            if other.cause not in causes or other.cause == entry.id:
                raise _bad(f"told_from of {entry.id} names {other.cause!r}, which is not another cause", where)
        for effect in entry.explains:
            if effect not in causes or effect == entry.id:
                raise _bad(f"explains of {entry.id} names {effect!r}, which is not another cause", where)
    if circle := in_a_circle({entry.id: entry.explains for entry in entries}):
        raise _bad(f"explains leads from {', '.join(circle)} back to the same cause", where)
    return Causes(causes)


def _path(document: Any, parts: tuple[int | str, ...]) -> str:
    """The place of an error: the id of its cause if it has one, else its position in the list, and the key."""
    first, *rest = parts or ("the file",)
    entry = document[first] if isinstance(first, int) else None
    named = entry.get("id", first) if isinstance(entry, dict) else first
    return ".".join(str(part) for part in (named, *rest))


def _bad(seen: str, where: str) -> BadInput:
    return BadInput(
        expected="causes as judge/explain/cause.py describes them", seen=seen, where=where, remedy="correct the file"
    )


CAUSES: Mapping[str, Cause] = parse_causes(yaml.safe_load(FILE.read_text(encoding="utf-8")))
"""All causes by id; an unknown id raises `LookupError`."""


def causes_of_release(component: str, version: Version) -> tuple[Cause, ...]:
    """The known defects that a version of ``tbot`` or ``istio`` has."""
    return tuple(c for c in CAUSES.values() if c.versions and c.versions.component == component and version in c.versions)
