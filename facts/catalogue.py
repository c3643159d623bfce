"""The catalogue of requirements and of the guide's own defects: its types and its parser.

The file is ``features/catalogue.yaml``; callers load it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from facts.errors import BadInput


class Level(StrEnum):
    """How much a requirement weighs."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class About(StrEnum):
    """What a requirement is a statement about. Only INSTALL counts for the verdict of a run."""

    INSTALL = "install"
    ISTIO = "istio"
    SUITE = "suite"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One promise.

    Attributes:
        id: Stable id, e.g. ``CHK-9``.
        sentence: The promise as one sentence.
        level: MUST or SHOULD.
        about: Subject: install, istio or suite.
        profile: The profile it belongs to, e.g. ``checklist``.
        source: Where the promise comes from (a step of the guide, a specification).
        guide_claims: What the guide says, where the truth differs; empty where it does not.
        really_known_by: How one really knows.
        not_applicable_when: Conditions under which it does not apply; each is a sentence.
    """

    id: str
    sentence: str
    level: Level
    about: About
    profile: str
    source: str
    really_known_by: str
    guide_claims: str = ""
    not_applicable_when: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuideDefect:
    """Something that the guide itself gets wrong.

    Attributes:
        name: What lists and ``--repair`` call it.
        sentence: What the guide does, or leaves out.
        cause: Id of the cause that findings name where it shows, and that has its remedy.
        caught_by: Ids of the requirements that catch it.
        stops: What cannot come about because of it; empty where the rest goes on.
        hides: Ids of the requirements that cannot hold before it is mended, and so say nothing of their own.
    """

    name: str
    sentence: str
    cause: str
    caught_by: tuple[str, ...]
    stops: str = ""
    hides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All requirements, in the order of the file.

    Attributes:
        requirements: By id.
        profiles: Names of profiles, each with the profiles it includes (itself first). ``core`` and ``all`` are such names.
        guide_defects: What the guide gets wrong, in the order in which one stands before the next.
    """

    requirements: Mapping[str, Requirement]
    profiles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guide_defects: tuple[GuideDefect, ...] = ()

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

    def chosen(self, profiles: tuple[str, ...]) -> tuple[Requirement, ...]:
        """The requirements of `profiles`, groups such as ``core`` resolved, in catalogue order.

        Raises:
            BadInput: A profile of that name does not exist.
        """
        wanted: set[str] = set()
        for name in profiles:
            if name not in self.profiles:
                raise BadInput(
                    expected=f"one of the profiles {', '.join(sorted(self.profiles))}",
                    seen=repr(name),
                    where="--profile",
                    remedy="choose one of those, or several separated by commas",
                )
            wanted.update(self.profiles[name])
        return tuple(r for r in self if r.profile in wanted)


_KEYS = {"id", "sentence", "level", "about", "profile", "source", "really_known_by"}
_OPTIONAL = {"guide_claims", "not_applicable_when"}


def parse_catalogue(document: Any, where: str = "features/catalogue.yaml") -> Catalogue:
    """Reads the catalogue from its parsed YAML.

    Args:
        document: ``{"profiles": {group: [profile, …]}, "requirements": [{…}, …]}``.
        where: Name of the file, for messages.

    Raises:
        BadInput: A key is missing or unknown, a value is of the wrong kind, or an id or the name of a profile is used twice.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("requirements"), list):
        raise _bad(where, "a mapping with `profiles` and a list of `requirements`", f"a {type(document).__name__}")
    requirements: dict[str, Requirement] = {}
    for entry in document["requirements"]:
        if not isinstance(entry, Mapping):
            raise _bad(where, "each requirement to be a mapping", repr(entry))
        keys = set(entry)
        if missing := _KEYS - keys:
            raise _bad(where, f"the keys {sorted(missing)} in requirement {entry.get('id')}", "they are missing")
        if unknown := keys - _KEYS - _OPTIONAL:
            raise _bad(where, f"only known keys in requirement {entry['id']}", f"{sorted(unknown)}")
        if not isinstance(entry.get("not_applicable_when", []), list):
            raise _bad(where, f"a list of conditions in requirement {entry['id']}", repr(entry["not_applicable_when"]))
        if entry["id"] in requirements:
            raise _bad(where, "each id once", f"{entry['id']} twice")
        try:
            requirement = Requirement(
                id=entry["id"],
                sentence=_line(entry["sentence"]),
                level=Level(entry["level"]),
                about=About(entry["about"]),
                profile=entry["profile"],
                source=_line(entry["source"]),
                really_known_by=_line(entry["really_known_by"]),
                guide_claims=_line(entry.get("guide_claims", "")),
                not_applicable_when=tuple(_line(c) for c in entry.get("not_applicable_when", ())),
            )
        except ValueError as error:
            raise _bad(where, f"known values in requirement {entry['id']}", str(error)) from error
        requirements[requirement.id] = requirement
    single = {r.profile: (r.profile,) for r in requirements.values()}
    groups = {name: tuple(members) for name, members in (document.get("profiles") or {}).items()}
    for name, members in groups.items():
        if name in single:
            raise _bad(where, "a name for the group that no profile has", name)
        if unknown_members := set(members) - set(single):
            raise _bad(where, f"known profiles in the group {name}", f"{sorted(unknown_members)}")
    defects = tuple(_defect(entry, requirements, where) for entry in document.get("guide_defects") or ())
    return Catalogue(requirements, {**single, **groups}, defects)


def _defect(entry: Any, requirements: Mapping[str, Requirement], where: str) -> GuideDefect:
    if not isinstance(entry, Mapping) or not {"name", "sentence", "cause", "caught_by"} <= set(entry):
        raise _bad(where, "name, sentence, cause and caught_by in each of the guide's defects", repr(entry))
    if unknown := set(entry) - {"name", "sentence", "cause", "caught_by", "stops", "hides"}:
        raise _bad(where, f"only known keys in the guide's defect {entry['name']}", f"{sorted(unknown)}")
    hidden = [i for word in entry.get("hides", ()) for i in _ids(word, requirements)]
    if strange := {*entry["caught_by"], *hidden} - set(requirements):
        raise _bad(where, f"known requirements or profiles in the guide's defect {entry['name']}", f"{sorted(strange)}")
    return GuideDefect(
        name=entry["name"],
        sentence=_line(entry["sentence"]),
        cause=entry["cause"],
        caught_by=tuple(entry["caught_by"]),
        stops=_line(entry.get("stops", "")),
        hides=tuple(hidden),
    )


def _ids(word: str, requirements: Mapping[str, Requirement]) -> tuple[str, ...]:
    """The ids of a profile's requirements, or the word itself."""
    return tuple(r.id for r in requirements.values() if r.profile == word) or (word,)


def _line(text: str) -> str:
    return " ".join(str(text).split())


def _bad(where: str, expected: str, seen: str) -> BadInput:
    return BadInput(
        expected=expected,
        seen=seen,
        where=where,
        remedy="mend the catalogue; its keys are documented in facts/catalogue.py",
    )
