"""The summary on the terminal: one line per requirement by profile, what failed last, then the result and its scope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from judge.guide_defects import Presence
from judge.verdict import Result, Verdict
from reporting.model import Report
from reporting.writing.causes import causes_found, causes_of, in_words, remedy_of
from reporting.writing.measured import measured
from reporting.writing.words import (
    FINDING,
    advice_on,
    authority_in_words,
    guide_defects_of,
    scope_in_words,
    to_mend,
    way_on,
    word_of,
)

Line = tuple[str, Mapping[str, bool]]

_SIGNS: Mapping[str, tuple[str, Mapping[str, bool]]] = {
    Verdict.PASS: ("√", {"green": True}),
    Verdict.FAIL: ("×", {"red": True}),
    FINDING: ("▲", {"yellow": True}),
    Verdict.ERROR: ("!", {"yellow": True}),
    Verdict.NOT_EVALUATED: ("!", {"yellow": True}),
    Verdict.WAIVED: ("–", {"cyan": True}),
    Verdict.SKIPPED: ("–", {"cyan": True}),
    Verdict.NOT_APPLICABLE: ("–", {}),
}
_PRESENCES: Mapping[Presence, tuple[str, Mapping[str, bool]]] = {
    Presence.FOUND: ("×", {"red": True}),
    Presence.HIDDEN: ("!", {"yellow": True}),
    Presence.UNKNOWN: ("!", {"yellow": True}),
    Presence.REPAIRED: ("–", {"cyan": True}),
    Presence.ABSENT: ("√", {"green": True}),
}
_RESULTS: Mapping[Result, Mapping[str, bool]] = {
    Result.PASS: {"green": True, "bold": True},
    Result.FAIL: {"red": True, "bold": True},
    Result.INCONCLUSIVE: {"yellow": True, "bold": True},
    Result.PARTIAL: {"cyan": True, "bold": True},
}


def summary(report: Report, directory: Path) -> tuple[Line, ...]:
    """The lines to print, each with its markup (as `TerminalWriter` takes it).

    Args:
        report: The report.
        directory: Where it was written.
    """
    return tuple(_lines(report, directory))


def _lines(report: Report, directory: Path) -> Iterator[Line]:
    for profile in dict.fromkeys(j.requirement.profile for j in report.judged):
        yield "", {}
        yield profile, {"bold": True}
        yield "-" * len(profile), {}
        for judged in report.judged:
            if judged.requirement.profile == profile:
                word = word_of(report, judged)
                sign, markup = _SIGNS[word]
                aside = "" if word in (Verdict.PASS, Verdict.FAIL) else f" [{word}]"
                yield f"{sign} {judged.requirement.id:<8}{judged.requirement.sentence}{aside}", markup
                numbers = measured(report.findings_of(judged.requirement.id))
                if numbers:
                    yield f"{'':<10}{'; '.join(map(str, numbers))}", {}
    yield from _to_mend(report)
    yield from _causes(report)
    yield from _guide_defects(report)
    for error in report.run_errors:
        yield "", {}
        yield f"! the run: {error}", {"yellow": True}
    yield "", {}
    yield report.headline, _RESULTS[report.result]
    yield f"result:    {report.result.value}", {}
    yield f"authority: {authority_in_words(report.authority)}", {}
    yield f"scope:     {scope_in_words(report.scope)}", {}
    yield f"report:    {directory / 'report.html'}", {}


def _to_mend(report: Report) -> Iterator[Line]:
    """What failed comes last, where the eye is."""
    words = (FINDING, Verdict.NOT_EVALUATED, Verdict.ERROR, Verdict.FAIL)
    groups = [(word, *group) for word in words for group in to_mend(report, word)]
    if groups:
        yield "", {}
        further = " else" if guide_defects_of(report) else ""
        yield f"What{further} could not be determined, and what does not hold", {"bold": True}
    for word, reasons, several in groups:
        sign, markup = _SIGNS[word]
        alone = several[0].requirement.sentence if len(several) == 1 else ""
        yield "", {}
        yield f"{sign} {', '.join(j.requirement.id for j in several)} {alone}".rstrip(), markup
        for reason in reasons:
            yield f"    {reason.splitlines()[0]}", {}
        yield from ((f"    {in_words(cause)}", {}) for cause in causes_of(report, several))
        yield from ((f"    {line}", {}) for line in advice_on(report, several))


def _causes(report: Report) -> Iterator[Line]:
    """The causes behind it, each once with its remedy."""
    found = causes_found(report)
    if found:
        yield "", {}
        yield "Causes found, and what to do", {"bold": True}
    for each in found:
        sign, markup = _SIGNS[Verdict.FAIL if each.breaks else FINDING]
        yield "", {}
        yield f"{sign} {each.cause.id}: {each.cause.sentence}", markup
        yield "    " + "; ".join(f"{words} {', '.join(ids)}" for words, ids in each.does), {}
        yield from ((f"    {line}", {}) for line in remedy_of(each.cause))


def _guide_defects(report: Report) -> Iterator[Line]:
    """What the guide gets wrong, one entry a defect, the one that stands before the others first."""
    told = guide_defects_of(report)
    if told:
        yield "", {}
        yield "What the guide gets wrong", {"bold": True}
    for each in told:
        sign, markup = _PRESENCES[each.presence]
        found = each.presence is Presence.FOUND
        yield f"{sign} {each.defect.name:<20}{each.defect.sentence}", markup
        if not found:
            yield f"    {each.presence.value}: {each.seen.splitlines()[0]}", {}
            continue
        yield f"    {', '.join(each.shown_by)}: {each.seen.splitlines()[0]}", {}
        if each.defect.stops:
            yield f"    {each.defect.stops}", {}
        yield f"    what to do: see the cause {each.defect.cause}", {}
        if option := way_on(report, each):
            yield f"    what comes after it: {option}", {}
