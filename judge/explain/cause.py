"""Causes: defects of an install, with the signs that show them and the remedies.

The data is in the folder ``causes`` beside this module, one file a topic. A finding names a cause by its id; certification
and the doctor print the same remedy for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
)

from facts.document import yaml_of_ours
from facts.errors import BadInput, CouldNotTell
from facts.versions import Version

DIRECTORIES = (Path(__file__).with_name("causes"),)
"""The directories with files of causes."""


def _version(value: object) -> object:
    try:
        return Version.parse(value) if isinstance(value, str) else value
    except CouldNotTell as error:
        raise ValueError(error.seen) from error


def _pairs(value: object) -> object:
    """Turns ``{cause: text}``, as the file has it, into a list of `LooksLike`."""
    return [{"cause": key, "told_by": text} for key, text in value.items()] if isinstance(value, dict) else value


Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
RequirementId = Annotated[str, StringConstraints(pattern=r"^[A-Z]+-\d{2}$")]
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


class LastsAs(_Strict):
    """The cause for which the signs of another one are still there after it has been mended.

    Attributes:
        until_seen_at: Kind of the objects that show the other one only as long as it is so: where one of them does, it is.
    """

    cause: Id
    until_seen_at: Text


class Symptom(_Strict):
    """What fails because of each of some causes without naming it.

    Attributes:
        because: The reason, as a clause.
        requirements: Ids of the requirements that fail.
        shown_at: Kind of the object at which a cause has to show; empty for any. A join token that lets in no tbot harms
            only a tbot that has to join, whose pod shows it.
    """

    because: Text
    requirements: Annotated[tuple[RequirementId, ...], Field(strict=False, min_length=1)]
    shown_at: str = ""


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
        symptoms: Names of what fails because of it without naming it.
        lasts_as: Of a cause that leaves its signs behind when it is mended: the cause that they show from then on.
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
    # Not in reports: what was found together is theirs to say, and these are about what may be.
    explains: Annotated[tuple[Id, ...], Field(strict=False, exclude=True)] = ()
    settled_by: Annotated[Text | None, Field(exclude=True)] = None
    symptoms: Annotated[tuple[Id, ...], Field(strict=False, exclude=True)] = ()
    lasts_as: Annotated[LastsAs | None, Field(exclude=True)] = None

    @property
    def clause(self) -> str:
        """The sentence, as part of another one."""
        return self.sentence[:1].lower() + self.sentence[1:].rstrip(".")


class Topic(_Strict):
    """One file of causes.

    Attributes:
        place: Where its causes stand among those of the other files; a smaller number first.
        symptoms: By name; the causes of any file may refer to them.
        causes: Its causes, in their order.
    """

    place: int
    symptoms: Mapping[Id, Symptom] = {}
    causes: Annotated[tuple[Cause, ...], Field(strict=False, min_length=1)]


class Causes(Mapping[str, Cause]):
    """All causes by id, in the order of their files.

    Attributes:
        symptoms: All symptoms by name.
    """

    def __init__(self, causes: Mapping[str, Cause], symptoms: Mapping[str, Symptom]) -> None:
        self._causes = dict(causes)
        self.symptoms = dict(symptoms)

    def __getitem__(self, cause_id: str) -> Cause:
        """The cause of an id.

        Raises:
            LookupError: No cause has that id; also from `get`, because a misspelt id would hide a remedy.
        """
        if cause_id not in self._causes:
            near = get_close_matches(cause_id, self._causes)
            raise LookupError(f"no cause {cause_id!r} in {WHERE}{f'; did you mean {near[0]!r}?' if near else ''}")
        return self._causes[cause_id]

    def __contains__(self, cause_id: object) -> bool:
        return cause_id in self._causes

    def __iter__(self) -> Iterator[str]:
        return iter(self._causes)

    def __len__(self) -> int:
        return len(self._causes)


WHERE = "judge/explain/causes"
"""The directory of causes, for people."""


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


def parse_causes(documents: Mapping[str, Any]) -> Causes:
    """Read causes from the parsed YAML of all their files.

    Args:
        documents: By name of the file, for error messages: a mapping whose keys are the attributes of `Topic`.

    Raises:
        BadInput: One does not have that form, two files have the same place, two causes or two symptoms share a name,
            `told_from`, `explains`, `lasts_as` or `symptoms` names what does not exist, no cause has a symptom, or
            `explains` leads in a circle.
    """
    topics = sorted(((_topic(document, where), where) for where, document in documents.items()), key=lambda at: at[0].place)
    for (topic, where), (other, before) in zip(topics[1:], topics, strict=False):
        if topic.place == other.place:
            raise _bad(f"place {topic.place} is that of {before} as well", where)
    homes = _homes((cause.id, where, "cause") for topic, where in topics for cause in topic.causes)
    symptom_homes = _homes((name, where, "symptom") for topic, where in topics for name in topic.symptoms)
    causes = {cause.id: cause for topic, _where in topics for cause in topic.causes}
    symptoms = {name: symptom for topic, _where in topics for name, symptom in topic.symptoms.items()}
    for cause in causes.values():
        if wrong := _names_nothing(cause, causes, symptoms):
            raise _bad(wrong, homes[cause.id])
    used = {name for cause in causes.values() for name in cause.symptoms}
    for name in symptoms:
        if name not in used:
            raise _bad(f"no cause has the symptom {name}", symptom_homes[name])
    if circle := in_a_circle({cause.id: cause.explains for cause in causes.values()}):
        where = ", ".join(dict.fromkeys(homes[each] for each in circle))
        raise _bad(f"explains leads from {', '.join(circle)} back to the same cause", where)
    return Causes(causes, symptoms)


def _topic(document: Any, where: str) -> Topic:
    try:
        return Topic.model_validate(document)
    except ValidationError as error:
        problems = [f"{_path(document, each['loc'])}: {each['msg']}" for each in error.errors()]
        raise _bad("; ".join(problems), where) from error


def _homes(named: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """By name: the file that has it, of names, files, and words for what is named.

    Raises:
        BadInput: A name is there twice.
    """
    homes: dict[str, str] = {}
    for name, where, word in named:
        if name in homes:
            before = f"; {homes[name]} has it" if homes[name] != where else ""
            raise _bad(f"more than one {word} {name}{before}", where)
        homes[name] = where
    return homes


def _names_nothing(cause: Cause, causes: Collection[str], symptoms: Collection[str]) -> str:
    """The sentence on a name in an entry that nothing has; empty where all of them are right."""
    others = {*causes} - {cause.id}
    left = [cause.lasts_as.cause] if cause.lasts_as else []
    named = {"told_from": [each.cause for each in cause.told_from], "explains": cause.explains, "lasts_as": left}
    for key, names in named.items():
        for name in names:
            if name not in others:
                return f"{key} of {cause.id} names {name!r}, which is not another cause"
    for name in cause.symptoms:
        if name not in symptoms:
            return f"symptoms of {cause.id} names {name!r}, which is no symptom"
    if len({*cause.symptoms}) < len(cause.symptoms):
        return f"symptoms of {cause.id} names one twice"
    return ""


def _path(document: Any, parts: tuple[int | str, ...]) -> str:
    """The place of an error: the id of its cause if it has one, else its position in the list, and the key."""
    if parts[:1] == ("causes",) and len(parts) > 1 and isinstance(at := parts[1], int):
        entry = document["causes"][at]
        named = entry.get("id", at) if isinstance(entry, dict) else at
        parts = (named, *parts[2:])
    return ".".join(str(part) for part in parts) or "the file"


def _bad(seen: str, where: str) -> BadInput:
    expected = "causes as judge/explain/cause.py describes them"
    return BadInput(expected=expected, seen=seen, where=where, remedy="correct the file")


def read_causes(directories: Sequence[Path]) -> Causes:
    """Read all files of causes in some directories.

    Raises:
        BadInput: As `parse_causes`; or a directory has no such file.
    """
    documents: dict[str, Any] = {}
    for directory in directories:
        files = sorted(directory.glob("*.yaml"))
        if not files:
            raise _bad("no file of causes", str(directory))
        documents |= {str(file): yaml_of_ours(file.read_text(encoding="utf-8")) for file in files}
    return parse_causes(documents)


CAUSES = read_causes(DIRECTORIES)
"""All causes by id; an unknown id raises `LookupError`."""


def causes_of_release(component: str, version: Version) -> tuple[Cause, ...]:
    """The known defects that a version of ``tbot`` or ``istio`` has."""
    return tuple(c for c in CAUSES.values() if c.versions and c.versions.component == component and version in c.versions)
