"""The summary on the terminal: one line per requirement by profile, what failed last, then the result and its scope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from judge.verdict import Result, Verdict
from reporting.model import Report
from reporting.words import authority_in_words, hints_of, scope_in_words, to_mend

Line = tuple[str, Mapping[str, bool]]

_SIGNS: Mapping[Verdict, tuple[str, Mapping[str, bool]]] = {
    Verdict.PASS: ("√", {"green": True}),
    Verdict.FAIL: ("×", {"red": True}),
    Verdict.ERROR: ("!", {"yellow": True}),
    Verdict.NOT_EVALUATED: ("!", {"yellow": True}),
    Verdict.WAIVED: ("–", {"cyan": True}),
    Verdict.SKIPPED: ("–", {"cyan": True}),
    Verdict.NOT_APPLICABLE: ("–", {}),
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
                sign, markup = _SIGNS[judged.verdict]
                word = "" if judged.verdict in (Verdict.PASS, Verdict.FAIL) else f" [{judged.verdict.value}]"
                yield f"{sign} {judged.requirement.id:<8}{judged.requirement.sentence}{word}", markup
    yield from _to_mend(report)
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
    groups = [g for v in (Verdict.NOT_EVALUATED, Verdict.ERROR, Verdict.FAIL) for g in to_mend(report, v)]
    if groups:
        yield "", {}
        yield "What could not be told, and what does not hold", {"bold": True}
    for reasons, several in groups:
        sign, markup = _SIGNS[several[0].verdict]
        alone = several[0].requirement.sentence if len(several) == 1 else ""
        yield "", {}
        yield f"{sign} {', '.join(j.requirement.id for j in several)} {alone}".rstrip(), markup
        for reason in reasons:
            yield f"    {reason.splitlines()[0]}", {}
        yield from ((f"    hint: {hint}", {}) for hint in hints_of(report, reasons, several))
