"""The catalogue of requirements and of the guide's own defects: its types and its parser.

The file is ``features/catalogue.yaml``; callers load it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import ConfigDict, Field, Strict

from facts.declared import Declared, ListOf, Many, Read, read
from facts.errors import BadInput, CouldNotTell

T = TypeVar("T")

Line = Annotated[str, Read(str, lambda text: " ".join(text.split()))]


OURS = ConfigDict(strict=True, extra="forbid")
"""For our own document, in which an unknown key is a mistake."""


class Level(StrEnum):
    """The weight of a requirement."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class About(StrEnum):
    """The subject of a requirement. Only INSTALL counts for the verdict of a run."""

    INSTALL = "install"
    ISTIO = "istio"
    SUITE = "suite"


class Need(StrEnum):
    """An input that somebody who may only read the cluster does not have."""

    SESSION = "session"
    """An admin session at Teleport."""
    EXEC = "exec"
    """The right to run programs in containers."""
    AUDIT_EVENTS = "audit-events"
    """Teleport's audit events."""


NEEDED = {
    Need.SESSION: "an admin session at Teleport",
    Need.EXEC: "the right to run programs in containers",
    Need.AUDIT_EVENTS: "Teleport's audit events",
}
"""Each need in words."""

NEEDS_CHANGES = "pods of the suite's own, or changes"
"""What a requirement needs in words, some of whose scenarios do more than read."""

CORE = "core"
"""The group of profiles that is certified by default."""

MESH = "mesh"
"""The profile for a user who may read the cluster and nothing else: the requirements of `CORE` whose scenarios only read,
and that need no further input (`Need`)."""


@dataclass(frozen=True, slots=True)
class Requirement(Declared):
    """One promise.

    Attributes:
        id: Stable id, e.g. ``CHK-9``.
        sentence: The promise as one sentence.
        level: MUST or SHOULD.
        about: Subject: install, istio or suite.
        profile: The profile it belongs to, e.g. ``checklist``.
        source: Where the promise comes from (a step of the guide, a specification).
        really_known_by: The means by which the suite verifies it.
        guide_words: The guide's own words on it, verbatim; empty where it says nothing, or where they are enough.
        guide_section: The section of the guide that has them.
        not_enough: Why the guide is not enough here; empty where it is.
        not_applicable_when: Conditions under which it does not apply; each is a sentence.
        needs: Inputs without which it cannot be judged, besides the role for reading.
        premise: It is about the tools and credentials of the person who runs the suite. On a cluster that the suite did not
            make it is no promise of the install but a premise of the run: shown, and not counted.
    """

    __pydantic_config__: ClassVar[ConfigDict] = OURS

    id: str
    sentence: Line
    level: Annotated[Level, Strict(False)]
    about: Annotated[About, Strict(False)]
    profile: str
    source: Line
    really_known_by: Line
    guide_words: Line = ""
    guide_section: Line = ""
    not_enough: Line = ""
    not_applicable_when: ListOf[Line] = ()
    needs: ListOf[Annotated[Need, Strict(False)]] = ()
    premise: bool = False


@dataclass(frozen=True, slots=True)
class GuideDefect(Declared):
    """A defect of the guide itself.

    Attributes:
        name: Its name in lists and for ``--repair``.
        sentence: The step that the guide gets wrong or leaves out.
        cause: Id of the cause that findings name where it shows, and that has its remedy.
        caught_by: Ids of the requirements that catch it.
        stops: The result that it prevents; empty where the rest goes on.
        hides: Ids of the requirements that cannot hold before its repair, and so have no verdict of their own.
    """

    __pydantic_config__: ClassVar[ConfigDict] = OURS

    name: str
    sentence: Line
    cause: str
    caught_by: ListOf[str]
    stops: Line = ""
    hides: ListOf[str] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All requirements, in the order of the file.

    Attributes:
        requirements: By id.
        profiles: Names of profiles, each with the profiles it includes (itself first). ``core`` and ``all`` are such names.
        guide_defects: Defects of the guide; an earlier one may hide a later one.
        mesh: Ids of the requirements of the profile `MESH`; empty in a catalogue that was read without the features.
    """

    requirements: Mapping[str, Requirement]
    profiles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guide_defects: tuple[GuideDefect, ...] = ()
    mesh: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Requirement]:
        return iter(self.requirements.values())

    def __getitem__(self, requirement_id: str) -> Requirement:
        return self.requirements[requirement_id]

    def __contains__(self, requirement_id: object) -> bool:
        return requirement_id in self.requirements

    def raised(self, ids: Iterable[str]) -> Catalogue:
        """The same catalogue in which those requirements are of level MUST.

        Raises:
            BadInput: There is no such requirement.
        """
        raised = dict(self.requirements)
        for each in ids:
            if each not in raised:
                raise BadInput(
                    expected="the id of a requirement, such as ROT-06",
                    seen=repr(each),
                    where="--must",
                    remedy="`conformance plan` lists the requirements of a profile",
                )
            raised[each] = replace(raised[each], level=Level.MUST)
        return replace(self, requirements=raised)

    def for_readers(self, read_only: Collection[str]) -> Catalogue:
        """The same catalogue with the profile `MESH`.

        Args:
            read_only: Ids of the requirements that every scenario judges by reading alone.
        """
        core = self.chosen((CORE,)) if CORE in self.profiles else ()
        return replace(self, mesh=frozenset(r.id for r in core if r.id in read_only and not r.needs))

    def left_out(self, profiles: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
        """Ids of the requirements that `MESH` leaves out and no other chosen profile has, by what they need."""
        if MESH not in profiles:
            return {}
        chosen = {r.id for r in self.chosen(profiles)}
        by_need: dict[str, list[str]] = {}
        for r in self.chosen((CORE,)):
            if r.id not in chosen:
                by_need.setdefault(" and ".join(map(NEEDED.__getitem__, r.needs)) or NEEDS_CHANGES, []).append(r.id)
        return {need: tuple(ids) for need, ids in by_need.items()}

    def chosen(self, profiles: tuple[str, ...]) -> tuple[Requirement, ...]:
        """The requirements of `profiles`, groups such as ``core`` resolved, in catalogue order.

        Raises:
            BadInput: A profile of that name does not exist.
        """
        wanted: set[str] = set()
        for name in profiles:
            if name == MESH and self.mesh:
                continue
            if name not in self.profiles:
                raise BadInput(
                    expected=f"one of the profiles {', '.join(sorted({*self.profiles, *([MESH] if self.mesh else [])}))}",
                    seen=repr(name),
                    where="--profile",
                    remedy="choose one of those, or several separated by commas",
                )
            wanted.update(self.profiles[name])
        return tuple(r for r in self if r.profile in wanted or (MESH in profiles and r.id in self.mesh))


@dataclass(frozen=True, slots=True)
class _File(Declared):
    __pydantic_config__: ClassVar[ConfigDict] = OURS

    requirements: ListOf[dict[str, Any]]
    profiles: Annotated[Mapping[str, ListOf[str]], Field(default={})]
    guide_defects: Many[dict[str, Any]]


def parse_catalogue(document: Any, where: str = "features/catalogue.yaml") -> Catalogue:
    """Reads the catalogue from its parsed YAML.

    Args:
        document: ``{"profiles": {group: [profile, …]}, "requirements": [{…}, …], "guide_defects": [{…}, …]}``.
        where: Name of the file, for messages.

    Raises:
        BadInput: A key is missing or unknown, a value is of the wrong kind, or an id or the name of a profile is used twice.
    """
    file = _read(_File, document, where)
    requirements: dict[str, Requirement] = {}
    for entry in file.requirements:
        requirement = _read(Requirement, entry, f"{where}, requirement {entry.get('id')}")
        if requirement.id in requirements:
            raise _bad(where, "each id once", f"{requirement.id} twice")
        requirements[requirement.id] = requirement
    single = {r.profile: (r.profile,) for r in requirements.values()}
    for name, members in file.profiles.items():
        if name in single or name == MESH:
            raise _bad(where, "a name for the group that no profile has", name)
        if unknown := set(members) - set(single):
            raise _bad(where, f"known profiles in the group {name}", f"{sorted(unknown)}")
    defects = tuple(_defect(entry, requirements, where) for entry in file.guide_defects)
    return Catalogue(requirements, {**single, **file.profiles}, defects)


def _defect(entry: Any, requirements: Mapping[str, Requirement], where: str) -> GuideDefect:
    defect = _read(GuideDefect, entry, f"{where}, the guide's defect {entry.get('name')}")
    hidden = tuple(i for word in defect.hides for i in _ids(word, requirements))
    if strange := {*defect.caught_by, *hidden} - set(requirements):
        raise _bad(where, f"known requirements or profiles in the guide's defect {defect.name}", f"{sorted(strange)}")
    return replace(defect, hides=hidden)


def _ids(word: str, requirements: Mapping[str, Requirement]) -> tuple[str, ...]:
    """The ids of a profile's requirements, or the word itself."""
    return tuple(r.id for r in requirements.values() if r.profile == word) or (word,)


def _read(kind: type[T], document: Any, where: str) -> T:
    try:
        return read(kind, document, where)
    except CouldNotTell as error:
        raise _bad(where, error.expected, error.seen) from None


def _bad(where: str, expected: str, seen: str) -> BadInput:
    return BadInput(
        expected=expected,
        seen=seen,
        where=where,
        remedy="mend the catalogue; its keys are documented in facts/catalogue.py",
    )
