"""The summary on the terminal: one line per requirement by profile, what failed last, then the result and its scope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from judge.verdict import Judged, Result, Verdict
from reporting.model import Report
from reporting.words import authority_in_words, remedy_of, scope_in_words

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
    to_mend = [j for j in report.judged if j.verdict in (Verdict.ERROR, Verdict.FAIL)]
    if to_mend:
        yield "", {}
        yield "What does not hold, or could not be told", {"bold": True}
        for judged in sorted(to_mend, key=lambda j: j.verdict is Verdict.FAIL):
            yield from _to_mend(report, judged)
    for error in report.run_errors:
        yield "", {}
        yield f"! the run: {error}", {"yellow": True}
    yield "", {}
    yield f"{report.headline}: {report.result.value}", _RESULTS[report.result]
    yield f"authority: {authority_in_words(report.authority)}", {}
    yield f"scope:     {scope_in_words(report.scope)}", {}
    yield f"report:    {directory / 'report.html'}", {}


def _to_mend(report: Report, judged: Judged) -> Iterator[Line]:
    sign, markup = _SIGNS[judged.verdict]
    yield "", {}
    yield f"{sign} {judged.requirement.id} {judged.requirement.sentence}", markup
    for reason in judged.reasons:
        yield f"    {reason}", {}
    yield f"    hint: {remedy_of(report, judged)}", {}
