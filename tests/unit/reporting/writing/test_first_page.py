"""Every failed requirement has its cause and remedy on page and terminal, or the sentence that no cause is known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facts.catalogue import About
from judge.verdict import Judged, Verdict
from reporting.model import Report
from reporting.writing.html import to_html
from reporting.writing.terminal import summary
from tests.unit.reporting import broken, sample
from tests.unit.reporting.test_writers import Page

REPORTS = (broken.report(), sample.report())
FAILED = [
    pytest.param(report, judged, id=judged.requirement.id)
    for report in REPORTS
    for judged in report.judged
    if judged.verdict in (Verdict.FAIL, Verdict.WAIVED)
]


def plain(text: str) -> str:
    return re.sub(r"\W+", " ", text)


def bodies(report: Report) -> dict[str, str]:
    return broken.BODIES | sample.BODIES


def on_the_page(report: Report, requirement: str) -> str:
    """The words of the article of a requirement."""
    html = to_html(report, bodies(report))
    start = html.index(f'aria-labelledby="{requirement}"')
    return Page(f"<p>{html[start : html.index('</article>', start)]}").text


def summary_of(report: Report) -> str:
    """The words of the summary of the page."""
    html = to_html(report, bodies(report))
    return Page(html[html.index('<h2 id="summary">') : html.index('class="overview"')]).text


def on_the_terminal(report: Report) -> str:
    return "\n".join(line for line, _ in summary(report, Path("r")))


@pytest.mark.parametrize(("report", "judged"), FAILED)
def test_a_failed_requirement_has_its_cause_and_remedy_or_says_that_the_cause_is_not_known(
    report: Report, judged: Judged
) -> None:
    causes = {cause.id: cause for cause in report.causes}
    texts = [on_the_page(report, judged.requirement.id)]
    if judged.causes or judged.verdict is Verdict.FAIL:  # the terminal asks for nothing where a failure is waived
        texts.append(on_the_terminal(report))
    for text in texts:
        for cause in (causes[each] for each in judged.causes):
            for words in (cause.sentence, *cause.remedy, cause.check):
                assert plain(words) in plain(text)
        if not judged.causes:
            assert "The cause is not known." in text
            assert "What would settle it:" in text


def test_the_sample_has_failures_with_and_without_a_cause() -> None:
    report, other = REPORTS
    failed = [j for j in report.judged if j.verdict is Verdict.FAIL]
    assert [bool(j.causes) for j in failed].count(False) == 1
    assert {j.verdict for each in (report, other) for j in each.judged} == set(Verdict)
    assert all(j.requirement.about is About.INSTALL for j in failed)
    assert report.timelines
    assert report.guide_defects


def test_the_first_page_has_one_row_for_each_cause_and_for_each_open_question() -> None:
    (report, _) = REPORTS
    html = to_html(report, broken.BODIES)
    rows = re.findall(r"<tr class.*?</tr>", html[html.index('class="brief"') : html.index('id="causes"')], re.DOTALL)
    named = [re.findall(r'href="#([A-Z]+-\d+)"', row) for row in rows]

    bad = {j.requirement.id for j in report.judged if j.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.NOT_EVALUATED)}
    assert bad <= {requirement for row in named for requirement in row}
    assert len(rows) == 9
    assert "tbot-distroless:18" in summary_of(report)
    assert "Find out why the probe pod did not run" in Page(f"<table>{''.join(rows)}</table>").text
    assert "with --audit-events" in Page(f"<table>{''.join(rows)}</table>").text


def test_the_last_lines_of_the_terminal_are_the_result_its_scope_and_the_causes() -> None:
    last = on_the_terminal(REPORTS[0]).splitlines()[-6:]
    assert [line.split(":")[0] for line in last] == ["Not conformant", "result", "authority", "scope", "causes", "report"]
    assert last[0] == "Not conformant: 5 fail, 3 error, 1 not-evaluated, 1 finding, 1 waived, 1 not-applicable, 47 pass"
