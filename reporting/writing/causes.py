"""Causes as people read them: which were found, what to do about each, and what to say where none could be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from facts.finding import Finding, Problem, Remark
from judge.verdict import Judged, Verdict
from reporting.model import Report, StoredCause


@dataclass(frozen=True, slots=True)
class FoundCause:
    """A cause that findings of the run name.

    Attributes:
        cause: The cause.
        breaks: Ids of the requirements that do not hold because of it.
        leaves_open: Ids of the requirements that could not be determined because of it.
        beside: Ids of the requirements whose findings show it and that it does not harm.
    """

    cause: StoredCause
    breaks: tuple[str, ...]
    leaves_open: tuple[str, ...]
    beside: tuple[str, ...]

    @property
    def does(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Its effects, each with the requirements that it has the effect on."""
        all_of_it = (("breaks", self.breaks), ("leaves open", self.leaves_open), ("seen without harm by", self.beside))
        return tuple((words, ids) for words, ids in all_of_it if ids)


def causes_found(report: Report) -> tuple[FoundCause, ...]:
    """Every cause that a finding names: those that break a requirement first, each list in the order of the catalogue."""
    found = []
    order = [judged.requirement.id for judged in report.judged]
    for cause in report.causes:
        shown = [i for i in order if any(f.showing(cause.id) for f in report.findings_of(i))]
        breaks = tuple(j.requirement.id for j in report.judged if cause.id in j.causes)
        leaves_open = tuple(i for i in shown if i not in breaks and _is_unclear(report, i, cause))
        beside = tuple(i for i in shown if i not in (*breaks, *leaves_open))
        if shown:
            found.append(FoundCause(cause, breaks, leaves_open, beside))
    return tuple(sorted(found, key=lambda each: (not each.breaks, order.index(each.does[0][1][0]))))


def _is_unclear(report: Report, requirement: str, cause: StoredCause) -> bool:
    return any(p.cause == cause.id for f in report.findings_of(requirement) for p in f.unclear)


def causes_of(report: Report, several: Iterable[Judged]) -> tuple[StoredCause, ...]:
    """The causes that keep requirements from holding, each once."""
    by_id = {cause.id: cause for cause in report.causes}
    named = dict.fromkeys(cause for judged in several for cause in judged.causes)
    return tuple(by_id[each] for each in named if each in by_id)


def in_words(cause: StoredCause) -> str:
    """A cause in one line."""
    return f"Cause: {cause.sentence} ({cause.id})"


def remedy_of(cause: StoredCause) -> tuple[str, ...]:
    """The steps against a cause, and the check that it is gone, as lines of text."""
    steps = cause.remedy if len(cause.remedy) == 1 else [f"{n}. {step}" for n, step in enumerate(cause.remedy, 1)]
    return (*(f"What to do: {step}" for step in steps[:1]), *steps[1:], f"Check again: {cause.check}")


def where_else(report: Report, judged: Judged) -> str:
    """The sentence on a requirement that fails without a cause: which requirements name one, or what would settle it."""
    seen: set[str] = set()
    others = []
    for other in report.judged:
        fresh = [cause for cause in other.causes if cause not in seen]
        if fresh and other.verdict in (Verdict.FAIL, Verdict.WAIVED):
            others.append(f"{other.requirement.id}, which names {', '.join(fresh)}")
            seen.update(fresh)
    if others:
        see = "; ".join(others)
        return (
            f"The cause could not be told from this finding. It is probably one that another requirement names: see {see}."
        )
    settles = dict.fromkeys(f.settle for f in report.findings_of(judged.requirement.id) if f.settle)
    settle = "; ".join(settles) or "the readings of each subject, of which the first one decides"
    return f"The cause could not be told from this finding. What would settle it: {settle}."


@dataclass(frozen=True, slots=True)
class Alike:
    """Statements that say the same of several subjects.

    Attributes:
        said: What they say.
        cause: Id of the cause that they name; empty without one.
        statements: Each of them.
    """

    said: str
    cause: str
    statements: tuple[Problem | Remark, ...]


def alike(statements: Iterable[Problem | Remark]) -> tuple[Alike, ...]:
    """Statements put together where they say the same, in the order in which each was said first."""
    groups: dict[tuple[str, str], list[Problem | Remark]] = {}
    for each in statements:
        groups.setdefault((each.said, each.cause if isinstance(each, Problem) else ""), []).append(each)
    return tuple(Alike(said, cause, tuple(members)) for (said, cause), members in groups.items())


def counts_of(finding: Finding) -> str:
    """The numbers of subjects that a finding read, and of those that held, are wrong, could not be read or were left out."""

    def subjects(statements: Iterable[Problem | Remark]) -> set[str]:
        return {str(each.subject) for each in statements}

    wrong = subjects(finding.problems)
    unread = subjects(finding.unclear) - wrong
    held = subjects(finding.held) - wrong - unread
    numbers = (
        (len(wrong | held), "read"),
        (len(held), "held"),
        (len(wrong), "wrong"),
        (len(unread), "could not be read"),
        (len(subjects(finding.left_out)), "left out"),
    )
    return ", ".join(f"{number} {word}" for number, word in numbers if number)
