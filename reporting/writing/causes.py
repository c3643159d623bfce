"""Causes for people: those that were found, what each does, the steps against it, and the sentence where none is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from facts.errors import WHAT_TO_DO, WHAT_WOULD_SETTLE_IT
from facts.finding import Finding, Problem, Remark
from judge.explain.cause import Cause
from judge.explain.found import Does, FoundCause, OnRequirement
from judge.verdict import Judged, Verdict
from reporting.model import Report


def causes_found(report: Report) -> tuple[FoundCause, ...]:
    """Every cause that a finding names, in the order in which to mend them.

    Those that fail a requirement come first. Among them the one that explains most others leads, and what others explain
    comes last, because it goes with them.
    """
    found = []
    effects: dict[str, list[str]] = {}
    for effect, causes in report.explained_by.items():
        for each in causes:
            effects.setdefault(each, []).append(effect)
    failing = {judged.requirement.id for judged in report.judged if judged.verdict is Verdict.FAIL}
    for cause in report.causes:
        all_of_it = (_on(judged, cause.id, report.findings_of(judged.requirement.id)) for judged in report.judged)
        if on := sorted(filter(None, all_of_it), key=lambda each: [*Does].index(each.does)):
            shown = tuple(dict.fromkeys(problem for each in on for problem in each.shown))
            harms = any(each.does is Does.BREAKS and each.requirement in failing for each in on)
            above, below = report.explained_by.get(cause.id, ()), effects.get(cause.id, ())
            found.append(FoundCause(cause, shown, tuple(on), harms, explained_by=above, explains=tuple(below)))
    places = {judged.requirement.id: place for place, judged in enumerate(report.judged)}

    def order(each: FoundCause) -> tuple[bool, bool, int, int]:
        return not each.harms, bool(each.explained_by), -len(each.explains), places[each.on[0].requirement]

    return tuple(sorted(found, key=order))


def _on(judged: Judged, cause: str, findings: Iterable[Finding]) -> OnRequirement | None:
    """What a cause does to a requirement whose findings show it."""
    showing = [f for f in findings if f.showing(cause)]
    if not showing:
        return None
    is_unclear = any(p.cause == cause for f in showing for p in f.unclear)
    is_accepted = any(p.cause == cause for f in showing for p in f.problems)
    open_or_not = Does.LEAVES_OPEN if is_unclear else Does.WAIVED_IN if is_accepted else Does.SEEN_BY
    does = Does.BREAKS if cause in judged.causes else open_or_not
    return OnRequirement(judged.requirement.id, does, tuple(p for f in showing for p in f.showing(cause)))


def seen(on: OnRequirement) -> str:
    """Everything that shows a cause in the findings of a requirement, in one sentence."""
    return in_short(on.shown)


def seen_off_page(on: OnRequirement) -> str:
    """The same for a reader who has the page elsewhere."""
    return in_short(on.shown, page=place_on_page(on.requirement))


def because_of(found: FoundCause) -> str:
    """What people read of a cause that shows only because of others; empty for any other."""
    if not found.explained_by:
        return ""
    return f"It shows because of {' or '.join(found.explained_by)}: remove that first, then run again."


def explains(found: FoundCause) -> str:
    """What people read of a cause that explains others; empty for any other."""
    return f"It explains {', '.join(found.explains)}." if found.explains else ""


def causes_of(report: Report, judged: Judged) -> tuple[Cause, ...]:
    """The causes that keep a requirement from holding."""
    by_id = {cause.id: cause for cause in report.causes}
    return tuple(by_id[each] for each in judged.causes if each in by_id)


def numbered(steps: Iterable[str]) -> tuple[str, ...]:
    """Steps, each with its number."""
    return tuple(f"{number}. {step}" for number, step in enumerate(steps, 1))


def remedy_block(cause: Cause, steps: Sequence[str] = ()) -> Iterator[str]:
    """A heading with the steps below it, and the check that the cause is gone.

    Args:
        steps: What to do in this case; the remedy of the cause without them.
    """
    yield f"{WHAT_TO_DO}:"
    yield from indented(numbered(steps or cause.remedy), 2)
    yield f"Check again: {cause.check}"


def remedy_in_lines(cause: Cause, steps: Sequence[str] = ()) -> tuple[str, ...]:
    """The same without a line for the heading; a single step has no number."""
    steps = steps or cause.remedy
    first, *others = numbered(steps) if len(steps) > 1 else steps
    return (f"{WHAT_TO_DO}: {first}", *others, f"Check again: {cause.check}")


def indented(lines: Iterable[str], columns: int) -> Iterator[str]:
    """Lines with blanks before them."""
    yield from (f"{'':<{columns}}{line}" for line in lines)


def cause_unknown(report: Report, judged: Judged) -> str:
    """The sentence on a requirement that fails without a known cause: what to remove first, and what would settle it."""
    breaking = [found for found in causes_found(report) if found.harms]
    others = ", ".join(f"{found.cause.id} ({found.on[0].requirement})" for found in breaking)
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


def place_on_page(requirement: str) -> str:
    """The place of a requirement on the page, from outside of it."""
    return f"report.html#{requirement}"


def in_short(statements: Iterable[Problem | Remark], where: str = "", *, page: str = "") -> str:
    """Statements in one line, the same of several subjects once.

    Args:
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
