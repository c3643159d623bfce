"""Judgments on the doctor: what it said of an install beside what the suite had broken there.

A row of the matrix is one state of the install: a fault, two of them, a red herring, or none of these. Its looks are the
answers of the doctor to this state, from the way that may do least to the one that may do most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from facts.doctor.answer import CAUSE_NAMED, NOT_DETERMINED, NOTHING_FOUND, Look, Way
from facts.finding import Finding, Problem, Remark
from facts.measure import Measure
from facts.redaction import Own
from judge.findings import Claim, listed, place

AT_MOST = 20.0
"""Seconds in which a doctor that only reads answers about an install of the size of the lab."""


class Kind(StrEnum):
    """What the suite did to the install."""

    FAULT = "fault"
    PAIR = "pair of faults"
    HERRING = "red herring"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class State:
    """A state of the install, as the suite made it.

    Attributes:
        kind: What the suite did.
        name: Name of the row: those of its faults, or of the red herring.
        causes: Causes that the doctor must name first, in any order; one for each fault, none where nothing is broken.
        further: Further causes that are true, of the faults or of the install itself; the doctor may name them after the
            others, or explain them by these.
        shown: By the ways that only read: the causes that something shows which this way can read.
    """

    kind: Kind
    name: str
    causes: tuple[str, ...] = ()
    further: frozenset[str] = frozenset()
    shown: Mapping[Way, frozenset[str]] | None = None

    def must_be_named(self, way: Way) -> frozenset[str]:
        """Return the causes that the doctor must at least narrow down to a class, asked in this way."""
        if self.shown is None or way not in self.shown:
            return frozenset(self.causes)
        return self.shown[way].intersection(self.causes)


class Grade(StrEnum):
    """How far one answer goes, where nothing in it is wrong."""

    NAMED = "named"
    """It names every cause."""
    CLASS = "class"
    """It narrows the causes that it does not name down to classes."""
    NOT_DETERMINED = "not determined"
    """It says that something is wrong, or that it could not read all."""
    NOTHING = "nothing"
    """It says that nothing is wrong, apart from further causes that are true."""
    WRONG = "wrong"
    """It names a cause that is not so, or names one in the wrong place, or raises a false alarm."""


@dataclass(frozen=True, slots=True)
class ToldLook:
    """One answer, as the report holds it.

    Attributes:
        way: How the doctor was asked.
        first: The cause that it named first; empty where it named none.
        also: The other causes that it named.
        classes: Causes that it could not tell apart.
        undetermined: Number of things that it could not tell at all.
        grade: How far the answer goes.
        right: It is what it must be.
        exit_code: Of the doctor.
        seconds: From the doctor's start to its answer.
        requests: Number of requests that it made.
    """

    way: Own[Way]
    first: str
    also: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...]
    undetermined: int
    grade: Own[Grade]
    right: bool
    exit_code: int
    seconds: float
    requests: int


@dataclass(frozen=True, slots=True)
class ToldRow:
    """One row of the matrix, as the report holds it.

    Attributes:
        requirement: Id of the requirement that it belongs to.
        kind: What the suite did to the install.
        name: Name of the row.
        causes: The causes that the doctor had to name first.
        looks: Its answers.
        right: All of them are what they must be.
    """

    requirement: Own[str]
    kind: Own[Kind]
    name: Own[str]
    causes: Own[tuple[str, ...]]
    looks: tuple[ToldLook, ...]
    right: bool


def names_the_causes(requirement: str, state: State, looks: Sequence[Look]) -> Finding:
    """DX-1 to DX-9: the doctor names every cause first and none that is not so; of a sound install it says nothing.

    A way that only reads may leave open what nothing shows that it can read, and what cannot be told apart by reading; the
    last way must name the causes themselves.

    Args:
        requirement: Id of the requirement.
        state: The state of the install.
        looks: The answers of the doctor, from the way that may do least to the one that may do most.
    """
    problems = [
        Problem(place(_place(state, look)), said, evidence=look.answer.evidence)
        for look in looks
        for said in wrong_with(state, look, is_last=look is looks[-1])
    ]
    told = f"names {listed(state.causes)} first, and no cause that is not so" if state.causes else "names nothing"
    claim = Claim(
        requirement,
        expected=f"a doctor that {told}",
        where=f"the install with {_words(state)}" if state.kind is not Kind.HEALTHY else "the sound install",
        evidence=[each for look in looks for each in look.answer.evidence],
    )
    held = [Remark(place(_place(state, look)), _said(look)) for look in looks]
    return claim.judged(problems, held=held, measures=[*_measures(looks)])


def told(requirement: str, state: State, looks: Sequence[Look]) -> ToldRow:
    """Return the row of the matrix that `names_the_causes` judges, as plain data."""
    seen = tuple(
        ToldLook(
            way=look.way,
            first=next(iter(_named(look)), ""),
            also=_named(look)[1:],
            classes=tuple(each.ids for each in look.answer.classes),
            undetermined=len(look.answer.undetermined),
            grade=grade(state, look),
            right=not [*wrong_with(state, look, is_last=look is looks[-1])],
            exit_code=look.exit_code,
            seconds=round(look.answer.seconds, 2),
            requests=look.answer.requests,
        )
        for look in looks
    )
    return ToldRow(requirement, state.kind, state.name, state.causes, seen, all(look.right for look in seen))


def grade(state: State, look: Look) -> Grade:
    """Return how far one answer goes."""
    if [*_untrue(state, look)]:
        return Grade.WRONG
    missing = {*state.causes}.difference(_named(look))
    if state.causes and not missing:
        return Grade.NAMED
    if look.answer.classes and missing <= _in_classes(look):
        return Grade.CLASS
    quiet = not (look.answer.classes or look.answer.undetermined) and look.exit_code != NOT_DETERMINED
    return Grade.NOTHING if quiet else Grade.NOT_DETERMINED


def is_settled(state: State, look: Look) -> bool:
    """Return True where a way that may do more has nothing to add to an answer: it names all, or is wrong already."""
    reached = grade(state, look)
    return reached in (Grade.NAMED, Grade.WRONG) or (not state.causes and reached is Grade.NOTHING)


def wrong_with(state: State, look: Look, *, is_last: bool) -> Iterator[str]:
    """Yield what is wrong with one answer, in words.

    Args:
        state: The state of the install.
        look: The answer.
        is_last: No way that may do more was tried, so that this answer must name the causes.
    """
    untrue = [*_untrue(state, look)]
    yield from untrue
    reached = grade(state, look)
    if not state.causes:
        if not untrue and reached is not Grade.NOTHING:
            yield f"it exits with {look.exit_code}, although nothing is wrong: {_said(look)}"
        return
    missing = {*state.causes}.difference(_named(look))
    if missing and (is_last or not missing.isdisjoint(state.must_be_named(look.way) - _in_classes(look))):
        yield f"it does not name {listed(missing)}: {_said(look)}"


def _untrue(state: State, look: Look) -> Iterator[str]:
    """Yield what an answer says that is not so."""
    true, named = {*state.causes, *state.further}, _named(look)
    if strange := [cause for cause in named if cause not in true]:
        yield f"it names {', '.join(strange)}, which is not so"
    elif any(cause not in state.causes for cause in named[: len({*state.causes}.intersection(named))]):
        yield f"it names {named[0]} before {listed({*state.causes}.intersection(named))}"
    for each in look.answer.classes:
        if true.isdisjoint(each.ids):
            yield f"it takes {' or '.join(each.ids)} for possible, none of which is so"
    found = bool(named or look.answer.classes)
    # A risk explains nothing that is broken, so the doctor is not sure where it knows no more than that.
    is_unsure = look.exit_code == NOT_DETERMINED and look.answer.undetermined and {*state.causes}.isdisjoint(named)
    if (look.exit_code == NOTHING_FOUND and found) or (look.exit_code == CAUSE_NAMED and not found):
        yield f"it exits with {look.exit_code}, which contradicts what it says: {_said(look)}"
    elif named and look.exit_code != CAUSE_NAMED and not is_unsure:
        yield f"it exits with {look.exit_code}, although it names a cause: {_said(look)}"


def _named(look: Look) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cause.id for cause in look.answer.causes))


def _in_classes(look: Look) -> set[str]:
    return {cause for each in look.answer.classes for cause in each.ids}


def _said(look: Look) -> str:
    """Return an answer in one sentence."""
    said = [f"it names {', '.join(_named(look))}"] if look.answer.causes else []
    said += [f"it cannot tell {', '.join(each.ids)} apart" for each in look.answer.classes]
    said += [f"it could not determine this: {each.said}" for each in look.answer.undetermined]
    return "; ".join(said) or ("it names nothing" if look.exit_code == NOTHING_FOUND else "it names nothing and is not sure")


def _place(state: State, look: Look) -> str:
    return f"{state.name}, {look.way.value}"


def _words(state: State) -> str:
    return f"the {state.kind.value} {state.name}"


def _measures(looks: Sequence[Look]) -> Iterator[Measure]:
    for look in looks:
        at_most = None if look.way is Way.PROBES else AT_MOST
        yield Measure(f"time of the doctor, {look.way.value}", look.answer.seconds, "s", at_most=at_most)
        yield Measure(f"requests of the doctor, {look.way.value}", look.answer.requests)
