"""Causes for people: those that were found, what each does, the steps against it, and the sentence where none is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from facts.errors import WHAT_TO_DO, WHAT_WOULD_SETTLE_IT
from facts.finding import Finding, Problem, Remark
from judge.explain.cause import Cause
from judge.verdict import Judged, Verdict
from reporting.model import Report

BREAKS, LEAVES_OPEN, WAIVED_IN, SEEN_BY = "breaks", "leaves open", "waived in", "seen without harm by"


@dataclass(frozen=True, slots=True)
class Effect:
    """A requirement whose findings show a cause.

    Attributes:
        does: What the cause does to it: `BREAKS`, `LEAVES_OPEN`, `WAIVED_IN` or `SEEN_BY`.
        judged: The requirement.
        shown: Everything in its findings that shows the cause.
    """

    does: str
    judged: Judged
    shown: tuple[Problem, ...]

    @property
    def seen(self) -> str:
        """The same in one sentence."""
        return in_short(self.shown)

    @property
    def seen_off_page(self) -> str:
        """The same for a reader who has the page elsewhere."""
        return in_short(self.shown, page=place_on_page(self.judged))


@dataclass(frozen=True, slots=True)
class FoundCause:
    """A cause that a finding of this run names.

    Attributes:
        cause: The cause.
        effects: On each requirement whose findings show it, in the order of the catalogue, those that it breaks first.
    """

    cause: Cause
    effects: tuple[Effect, ...]

    @property
    def breaks(self) -> bool:
        """True if a requirement fails because of it, and no waiver accepts that."""
        return any(e.does == BREAKS and e.judged.verdict is Verdict.FAIL for e in self.effects)


def causes_found(report: Report) -> tuple[FoundCause, ...]:
    """Every cause that a finding names: those that fail a requirement first, each list in the order of the catalogue."""
    found = []
    order = (BREAKS, LEAVES_OPEN, WAIVED_IN, SEEN_BY)
    for cause in report.causes:
        all_of_it = (_effect(judged, cause.id, report.findings_of(judged.requirement.id)) for judged in report.judged)
        if effects := sorted(filter(None, all_of_it), key=lambda e: order.index(e.does)):
            found.append(FoundCause(cause, tuple(effects)))
    return tuple(sorted(found, key=lambda each: (not each.breaks, report.judged.index(each.effects[0].judged))))


def _effect(judged: Judged, cause: str, findings: Iterable[Finding]) -> Effect | None:
    showing = [f for f in findings if f.showing(cause)]
    if not showing:
        return None
    is_unclear = any(p.cause == cause for f in showing for p in f.unclear)
    is_accepted = any(p.cause == cause for f in showing for p in f.problems)
    does = BREAKS if cause in judged.causes else LEAVES_OPEN if is_unclear else WAIVED_IN if is_accepted else SEEN_BY
    return Effect(does, judged, tuple(p for f in showing for p in f.showing(cause)))


def causes_of(report: Report, judged: Judged) -> tuple[Cause, ...]:
    """The causes that keep a requirement from holding."""
    by_id = {cause.id: cause for cause in report.causes}
    return tuple(by_id[each] for each in judged.causes if each in by_id)


def remedy_of(cause: Cause) -> tuple[str, ...]:
    """The steps against a cause, and the check that it is gone, as lines of text."""
    steps = cause.remedy if len(cause.remedy) == 1 else [f"{n}. {step}" for n, step in enumerate(cause.remedy, 1)]
    return (f"{WHAT_TO_DO}: {steps[0]}", *steps[1:], f"Check again: {cause.check}")


def cause_unknown(report: Report, judged: Judged) -> str:
    """The sentence on a requirement that fails without a known cause: what to remove first, and what would settle it."""
    breaking = [found for found in causes_found(report) if found.breaks]
    others = ", ".join(f"{found.cause.id} ({found.effects[0].judged.requirement.id})" for found in breaking)
    first = f" First remove the causes that break other requirements, then run the suite again: {others}." if others else ""
    settles = dict.fromkeys(f.settle for f in report.findings_of(judged.requirement.id) if f.settle)
    settle = "; ".join(settles) or "read the evidence of this requirement in the report, the deciding reading first"
    return f"The cause is not known.{first} {WHAT_WOULD_SETTLE_IT}: {settle}."


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


NAMED = 3
"""Subjects that a line names; the others are a number in it, and the requirement's own place on the page has them all."""


def place_on_page(judged: Judged) -> str:
    """The place of a requirement on the page, from outside of it."""
    return f"report.html#{judged.requirement.id}"


def in_short(statements: Iterable[Problem | Remark], where: str = "", *, page: str = "") -> str:
    """Statements in one line, the same of several subjects once.

    Args:
        statements: The statements.
        where: A single subject of this name is not named again.
        page: The place that has all subjects, for a reader who is not there.
    """
    see = f", see {page}" if page else ""
    parts = []
    for each in alike(statements):
        names = [*dict.fromkeys(str(s.subject) for s in each.statements)]
        more = f" and {len(names) - NAMED} more{see}" if len(names) > NAMED else ""
        parts.append(each.said if names == [where] else f"{', '.join(names[:NAMED])}{more}: {each.said}")
    return "; ".join(parts)


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
