"""What was found: a cause, several of which one is so, or something without a known cause.

The report and the doctor have the same types: what one says of a cause, the other can say as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from facts.evidence import ObjectRef
from facts.finding import Problem
from judge.explain.cause import Cause, LooksLike


class Does(StrEnum):
    """What a cause does to a requirement whose findings show it."""

    BREAKS = "breaks"
    LEAVES_OPEN = "leaves open"
    WAIVED_IN = "waived in"
    SEEN_BY = "seen without harm by"


@dataclass(frozen=True, slots=True)
class OnRequirement:
    """A requirement whose findings show a cause.

    Attributes:
        requirement: Its id.
        does: What the cause does to it.
        shown: Everything in its findings that shows the cause.
    """

    requirement: str
    does: Does
    shown: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Decisive:
    """One reading that a cause rests on.

    Attributes:
        question: The command line, API path or URL, as a person could repeat it.
        about: Its object.
    """

    question: str
    about: str


@dataclass(frozen=True, slots=True)
class FoundCause:
    """A cause that judgments name.

    Attributes:
        shown: Every problem that names it and is about an object that has it, each once; where nothing looks at that
            object, the problems of those who feel it.
        on: What it does to each requirement whose judgments name it.
        harms: Something fails because of it. The doctor counts what a MUST says, and the report what no waiver accepts.
        felt: The problems of those who feel it, where others show it.
        rests_on: The readings that decide it, the most decisive one first.
        explains: Ids of the causes that were found and that it explains.
        explained_by: Of an effect: ids of the causes that explain it, all members of a class among them.
        caution: What to make sure of before the remedy, where it would harm another mesh; empty where none is near.
    """

    cause: Cause
    shown: tuple[Problem, ...]
    on: tuple[OnRequirement, ...]
    harms: bool
    felt: tuple[Problem, ...] = ()
    rests_on: tuple[Decisive, ...] = ()
    explains: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()
    caution: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """Its id alone; a class has several."""
        return (self.cause.id,)

    @property
    def members(self) -> tuple[FoundCause, ...]:
        """Itself alone; a class has several."""
        return (self,)

    @property
    def requirements(self) -> tuple[str, ...]:
        """Ids of the requirements whose judgments name it."""
        return tuple(each.requirement for each in self.on)

    @property
    def subjects(self) -> tuple[ObjectRef, ...]:
        """The objects that it is about, each once."""
        return subjects_of(self.shown)

    @property
    def said(self) -> tuple[str, ...]:
        """What is said about them, each statement once, that about the most subjects first."""
        return statements_of(self.shown)

    @property
    def remedy(self) -> tuple[str, ...]:
        """The steps that remove it, in order; the first one shows how to make sure, where that is needed."""
        return (*filter(None, [self.caution]), *self.cause.remedy)

    @property
    def otherwise(self) -> tuple[LooksLike, ...]:
        """The causes that look alike, with the sign that would have shown them instead."""
        return self.cause.told_from


@dataclass(frozen=True, slots=True)
class OneOf:
    """A class of causes: the readings do not tell them apart, and one of them is so.

    Attributes:
        causes: Each of them.
        settled_by: What would tell them apart.
        explains: Ids of the causes that were found and that each of them would explain.
    """

    causes: tuple[FoundCause, ...]
    settled_by: str
    explains: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the causes."""
        return tuple(each.cause.id for each in self.causes)

    @property
    def members(self) -> tuple[FoundCause, ...]:
        """The causes."""
        return self.causes


@dataclass(frozen=True, slots=True)
class Undetermined:
    """Something that is wrong without a known cause, or that could not be read.

    Attributes:
        said: The statement, with its subjects.
        settle: What would settle it.
        subjects: Them, each once; none for a reading that failed.
    """

    said: str
    settle: str
    subjects: tuple[ObjectRef, ...] = ()


def subjects_of(problems: Iterable[Problem]) -> tuple[ObjectRef, ...]:
    """The subjects of some problems, each once."""
    return tuple({str(problem.subject): problem.subject for problem in problems}.values())


def statements_of(problems: Iterable[Problem]) -> tuple[str, ...]:
    """What some problems say, each statement once, that about the most subjects first."""
    about: dict[str, set[str]] = {}
    for problem in problems:
        about.setdefault(problem.said, set()).add(str(problem.subject))
    return tuple(sorted(about, key=lambda said: -len(about[said])))
