"""A diagnosis for a terminal: one line a check, by section; then the causes, and last what an engineer at night must see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from doctor.pod import Story
from facts.errors import WHAT_WOULD_SETTLE_IT
from facts.evidence import ObjectRef
from facts.finding import Remark
from facts.redaction import beginning
from judge.explain.diagnosis import Diagnosis
from judge.explain.found import FoundCause, OneOf, Undetermined, statements_of, subjects_of
from judge.explain.results import CheckResult, Outcome
from reporting.writing.causes import NAMED, indented, remedy_block
from reporting.writing.words import HOW_TO_READ_STEPS, LOOKS, first_line

_LOOKED_LIKE = {
    Outcome.HOLDS: "pass",
    Outcome.PROBLEM: "fail",
    Outcome.UNKNOWN: "error",
    Outcome.NOT_APPLICABLE: "not-applicable",
    Outcome.NOT_RUN: "not-run",
}
"""The word whose mark stands for an answer."""

SHOWN = 160
"""Characters of what a check says that its line has; the causes at the end say it by subject."""


def lines_of(diagnosis: Diagnosis, story: Story | None = None) -> Iterator[str]:
    """The lines to print. What was read stands in them as it is: they must be made printable.

    Args:
        story: The pod that the question is about; None without one.
    """
    section = ""
    for check in diagnosis.checks:
        if check.section != section:
            section = check.section
            yield from ("", section, "-" * len(section))
        yield _of_check(check)
    if story is not None:
        yield from ("", f"{story.pod}: who issued its certificate", *_story(story))
    if diagnosis.waiting:
        yield from ("", "Not examined: pods that still wait for their own init containers", *_waiting(diagnosis.waiting))
    if diagnosis.undetermined:
        yield from ("", "What could not be determined", *_unknown(diagnosis.undetermined))
    if diagnosis.roots:
        yield from ("", "Causes, and what to do", HOW_TO_READ_STEPS)
    for found in diagnosis.roots:
        yield ""
        yield from _cause(found, diagnosis) if isinstance(found, FoundCause) else _class(found, diagnosis)
    yield ""
    yield f"authority: {diagnosis.authority}"
    yield requests_line(diagnosis.requests, diagnosis.seconds)
    yield _last(diagnosis)


def mark_of(outcome: Outcome, *, harms: bool = True) -> str:
    """The mark of an answer; a risk has another one than harm."""
    word = "finding" if outcome is Outcome.PROBLEM and not harms else _LOOKED_LIKE[outcome]
    return LOOKS[word][0]


def _story(story: Story) -> Iterator[str]:
    for line in story.lines:
        word = "fail" if line.wanted else "not-evaluated" if line.settle else "pass"
        yield f"{LOOKS[word][0]} {line.title}: {line.said}"
        if line.wanted:
            yield f"    wanted: {line.wanted}"
        if line.settle:
            yield f"    {WHAT_WOULD_SETTLE_IT}: {line.settle}"


def _of_check(check: CheckResult) -> str:
    said = _shortened(check.said) if check.outcome is not Outcome.HOLDS else ""
    requirement = f" ({check.requirement})" if check.requirement else ""
    word = f"{check.outcome.value}: " if check.outcome in (Outcome.UNKNOWN, Outcome.NOT_RUN, Outcome.NOT_APPLICABLE) else ""
    return f"{mark_of(check.outcome, harms=check.harms)} {check.title}{requirement}" + (f": {word}{said}" if said else "")


def _shortened(said: str) -> str:
    line = first_line(said)
    return line if len(line) <= SHOWN else f"{beginning(line, SHOWN)} …"


def _unknown(undetermined: Iterable[Undetermined]) -> Iterator[str]:
    for each in undetermined:
        yield f"{LOOKS['error'][0]} {each.said}"
        yield f"    {WHAT_WOULD_SETTLE_IT}: {each.settle}"


def _waiting(waiting: Iterable[Remark]) -> Iterator[str]:
    yield from (f"{LOOKS['not-evaluated'][0]} {each.subject}: {each.said}" for each in waiting)


def _cause(found: FoundCause, diagnosis: Diagnosis) -> Iterator[str]:
    yield f"{LOOKS['fail' if found.harms else 'finding'][0]} {found.cause.id}: {found.cause.sentence}"
    yield from _shown(found, diagnosis.proxies)
    if found.felt:
        by = grouped(subjects_of(found.felt), diagnosis.proxies)
        yield f"    Felt by {by}: {first_line(statements_of(found.felt)[0])}"
    yield from _explains(found, diagnosis)
    if found.rests_on:
        yield "    Rests on:"
        yield from (f"      {each.question}" for each in found.rests_on)
    if found.otherwise:
        yield "    It would have been another cause:"
        yield from (f"      {other.cause}: {other.told_by}" for other in found.otherwise)
    yield from indented(remedy_block(found.cause, found.remedy), 4)
    yield f"    See: {', '.join(found.cause.references)}"


def _class(found: OneOf, diagnosis: Diagnosis) -> Iterator[str]:
    yield f"{LOOKS['fail'][0]} One of these, which the readings do not tell apart: {', '.join(found.ids)}"
    yield from _shown(found.causes[0], diagnosis.proxies)
    yield from _explains(found, diagnosis)
    yield f"    {WHAT_WOULD_SETTLE_IT}: {found.settled_by}"
    for each in found.causes:
        yield f"  {each.cause.id}: {each.cause.sentence}"
        yield from indented(remedy_block(each.cause, each.remedy), 4)


def _explains(found: FoundCause | OneOf, diagnosis: Diagnosis) -> Iterator[str]:
    """The effects of a cause, each with what shows it. The remedy of the cause is theirs as well."""
    for effect in diagnosis.effects:
        if not {*effect.explained_by}.isdisjoint(found.ids):
            where = grouped(effect.subjects, diagnosis.proxies)
            yield f"    It explains {effect.cause.id}: {effect.cause.clause} ({where})."


def _shown(found: FoundCause, proxies: Collection[str]) -> Iterator[str]:
    """What shows it, by statement, each with its subjects."""
    statements = statements_of(found.shown)
    for said in statements[:NAMED]:
        about = subjects_of(problem for problem in found.shown if problem.said == said)
        yield f"    {grouped(about, proxies)}: {first_line(said)}"
    if len(statements) > NAMED:
        rest = [problem for problem in found.shown if problem.said not in statements[:NAMED]]
        yield f"    and {len(statements) - NAMED} more about {grouped(subjects_of(rest), proxies)}"


def grouped(subjects: Sequence[ObjectRef], proxies: Collection[str] = ()) -> str:
    """Subjects in short: up to three by name, more of them as a number with three names.

    Args:
        subjects: Each once.
        proxies: Names of all pods with a proxy; where the subjects are some of them, their number stands beside it.
    """
    names = [str(subject) for subject in subjects]
    if len(names) <= NAMED:
        return ", ".join(names)
    of_all = f"{len(names)} of {len(proxies)} proxies" if proxies and {*names} <= {*proxies} else f"{len(names)} objects"
    return f"{of_all} ({', '.join(names[:NAMED])} and {len(names) - NAMED} more)"


def requests_line(requests: Mapping[str, int], seconds: float) -> str:
    """The line about what was asked, and how long that took."""
    by_kind = ", ".join(f"{number} to {kind}" for kind, number in requests.items())
    return f"requests:  {sum(requests.values())}{f' ({by_kind})' if by_kind else ''}, in {seconds:.1f} s"


def _last(diagnosis: Diagnosis) -> str:
    ids = [each.cause.id if isinstance(each, FoundCause) else " or ".join(each.ids) for each in diagnosis.roots]
    rest = f"; {len(diagnosis.undetermined)} could not be determined" if diagnosis.undetermined else ""
    code = f"exit {diagnosis.exit_code}"
    if ids:
        first, *others = ids
        more = f", then {', '.join(others)}" if others else ""
        if diagnosis.is_explained:
            return f"{LOOKS['fail'][0]} begin with {first}{more}; what to do stands above{rest} · {code}"
        if diagnosis.exit_code == 0:
            return f"{LOOKS['finding'][0]} nothing is broken; by design: {', '.join(ids)} · {code}"
        if not diagnosis.undetermined:
            return f"{LOOKS['finding'][0]} nothing is broken; at risk by {first}{more}; what to do stands above · {code}"
        return f"{LOOKS['error'][0]} no cause is known, only risks: {first}{more}{rest} · {code}"
    if diagnosis.undetermined:
        return f"{LOOKS['error'][0]} no cause is known{rest} · {code}"
    return f"{LOOKS['pass'][0]} nothing found · {code}"
