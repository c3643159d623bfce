"""The summary on the terminal: one line a requirement, causes with their remedies, the rest, the result and its scope."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from judge.guide_defects import Presence
from judge.verdict import Verdict
from reporting.model import Report
from reporting.writing.causes import (
    NAMED,
    because_of,
    causes_found,
    causes_of,
    explains,
    indented,
    remedy_in_lines,
    seen_off_page,
)
from reporting.writing.measured import measured
from reporting.writing.printable import printable
from reporting.writing.register import lines_of, register
from reporting.writing.words import (
    HOW_TO_READ_STEPS,
    LOOKS,
    PAIRS,
    advice_on,
    asides_of,
    authority_in_words,
    certified_in_words,
    checks_in_words,
    first_line,
    guide_defects_of,
    last_line_of,
    look_of_run,
    result_in_words,
    scope_in_words,
    unexplained,
    way_on,
    word_of,
    word_of_cause,
    word_of_way,
)

Line = tuple[str, Mapping[str, bool]]

_COLOURS: Mapping[str, str] = {"good": "green", "bad": "red", "unsure": "yellow", "quiet": "cyan"}
"""By tone."""


WIDTH = 100
"""Columns of a line; a single word that is longer, such as a path, stays whole."""
_SIGNS = re.escape("".join(dict.fromkeys(sign for sign, _tone in LOOKS.values())))
_BEFORE = re.compile(rf" *(?:[{_SIGNS}] )?(?:[A-Z]+-\d+ +|[a-z]+: {{2,}}|\d+\. )?")
"""What stands before the text of a line; where it goes on in further lines, they begin below the text."""


def summary(report: Report, directory: Path, exit_code: int | None = None) -> tuple[Line, ...]:
    """The lines to print, each with its markup (as `TerminalWriter` takes it), and printable; `wrapped` cuts long ones.

    Args:
        directory: Directory that it was written to.
        exit_code: Of the process, where that is not the result's: pytest's own take precedence.
    """
    code = report.exit_code if exit_code is None else exit_code
    return tuple((_told(line), markup) for line, markup in _lines(report, directory, code))


def wrapped(lines: Iterable[Line]) -> Iterator[Line]:
    """The same in lines of at most `WIDTH` columns, with hanging indents."""
    for text, markup in lines:
        for line in text.split("\n"):
            before = _BEFORE.match(line)
            indent = len(before[0]) if before else 0
            yield from ((cut, markup) for cut in _cut(line, indent))


def _cut(line: str, indent: int) -> list[str]:
    cut = textwrap.wrap(
        line[indent:],
        WIDTH - indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        expand_tabs=False,
    )
    return [line[:indent] + first for first in cut[:1]] + [" " * indent + other for other in cut[1:]] or [line]


def _told(line: str) -> str:
    """A line as it is printed. What was read may hold line breaks: it must not look like a line of the suite's own."""
    return printable(line).replace("\n", f"\n{'':<8}")


def _lines(report: Report, directory: Path, exit_code: int) -> Iterator[Line]:
    for profile in dict.fromkeys(j.requirement.profile for j in report.judged):
        yield from (("", {}), (profile, {"bold": True}), ("-" * len(profile), {}))
        for judged in report.judged:
            if judged.requirement.profile == profile:
                word = word_of(report, judged)
                yield _signed(word, f"{judged.requirement.id:<8}{judged.requirement.sentence}{asides_of(report, judged)}")
                if numbers := measured(report.findings_of(judged.requirement.id)):
                    yield f"{'':<10}{'; '.join(map(str, numbers))}", {}
    yield from _headed("Who can shake hands with whom", _handshakes(report))
    yield from _headed("Causes, and what to do", _causes(report))
    yield from _headed("What else fails, or could not be determined", _unexplained(report))
    yield from _headed("What the guide gets wrong", _guide_defects(report))
    yield from _headed("Errors outside any requirement", (_signed("error", error) for error in report.run_errors))
    waivers = lines_of(register(report), NAMED)
    yield from _headed("Waivers", (_signed(word, line) for word, line in waivers))
    yield "", {}
    look = {_COLOURS[look_of_run(report)[1]]: True, "bold": True}
    yield certified_in_words(report), look
    yield checks_in_words(report), {}
    yield f"result:    {report.result.value}: {result_in_words(report)}", {}
    yield f"authority: {authority_in_words(report.authority, report.scope.claimed)}", {}
    yield f"scope:     {scope_in_words(report.scope)}", {}
    if causes := [each.cause.id for each in causes_found(report) if each.harms]:
        yield f"causes:    {', '.join(causes)}; what to do stands above", {}
    yield f"report:    {directory / 'report.html'}", {}
    yield last_line_of(report, exit_code), look


def _signed(word: str, text: str) -> tuple[str, dict[str, bool]]:
    """A line with the sign and the colour of a verdict, a presence or a result."""
    sign, tone = LOOKS[word]
    return f"{sign} {text}", {_COLOURS[tone]: True}


def _headed(heading: str, lines: Iterator[Line]) -> Iterator[Line]:
    """Lines under a heading; nothing where there are none."""
    for number, line in enumerate(lines):
        if not number:
            yield from (("", {}), (heading, {"bold": True}))
        yield line


def _handshakes(report: Report) -> Iterator[Line]:
    told = report.handshakes
    if told is None:
        return
    yield told.in_short, {}
    for pair in told.refused[:PAIRS]:
        port = f"port {pair.port}" if pair.port else "any other port"
        why = f"the {pair.refused_by} refuses: {pair.reason}"
        yield _signed(word_of_way(pair.outcome, pair.reason), f"class {pair.client} to class {pair.server}, {port}: {why}")
        yield f"    {pair.ways} ways, such as {pair.examples[0]}{f'; cause: {pair.cause}' if pair.cause else ''}", {}
    if len(told.refused) > PAIRS:
        yield f"    and {len(told.refused) - PAIRS} more in report.json", {}
    for each in told.plain_text:
        numbers = {"beside mutual TLS": each.beside, "only": each.only, "past the proxy": each.past}
        counted = ", ".join(f"{number} {how}" for how, number in numbers.items() if number)
        yield _signed("finding", f"namespace {each.namespace}: of {each.pods} pods, these take plain text: {counted}")


def _causes(report: Report) -> Iterator[Line]:
    found = causes_found(report)
    if found:
        yield HOW_TO_READ_STEPS, {}
    for each in found:
        yield "", {}
        word = word_of_cause(report, each)
        aside = "" if word == Verdict.FAIL else f" [{word}]"
        yield _signed(word, f"{each.cause.id}: {each.cause.sentence}{aside}")
        yield from ((f"    {line}", {}) for line in (explains(each), because_of(each)) if line)
        yield from ((f"    {on.does} {on.requirement}: {first_line(seen_off_page(on))}", {}) for on in each.on)
        yield from ((line, {}) for line in indented(remedy_in_lines(each.cause, each.remedy), 4))


def _unexplained(report: Report) -> Iterator[Line]:
    for word, reasons, several in unexplained(report, off_page=True):
        alone = several[0].requirement.sentence if len(several) == 1 else ""
        yield "", {}
        aside = "" if word == Verdict.FAIL else f" [{word}]"
        yield _signed(word, f"{', '.join(j.requirement.id for j in several)} {alone}".rstrip() + aside)
        causes = dict.fromkeys(f"Cause: {c.sentence} ({c.id})" for j in several for c in causes_of(report, j))
        yield from ((f"    {line}", {}) for line in (*reasons, *causes, *advice_on(report, several)))


def _guide_defects(report: Report) -> Iterator[Line]:
    for each in guide_defects_of(report):
        yield _signed(each.presence, f"{each.defect.name:<20}{each.defect.sentence}")
        seen = first_line(each.seen)
        if each.presence is not Presence.FOUND:
            yield f"    {each.presence.value}: {seen}", {}
            continue
        yield f"    {', '.join(each.shown_by)}: what to do stands under the cause {each.defect.cause}", {}
        if each.defect.stops:
            yield f"    {each.defect.stops}", {}
        if option := way_on(report, each):
            yield f"    to see what it hides: {option}", {}
