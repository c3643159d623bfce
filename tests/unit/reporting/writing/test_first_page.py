"""Every failed requirement has its cause and remedy on page and terminal, or the sentence that no cause is known."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from facts.catalogue import About
from judge.verdict import Authority, Judged, Result, Verdict
from reporting.model import Report, RunFacts
from reporting.writing.html import to_html
from reporting.writing.terminal import WIDTH, summary, wrapped
from reporting.writing.words import LOOKS, clock, word_of
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


@pytest.mark.parametrize("report", REPORTS)
def test_a_requirement_has_the_colour_of_its_word(report: Report) -> None:
    html = to_html(report, bodies(report))
    seen = {ident: tone for tone, ident in re.findall(r'<article class="(\w+)" aria-labelledby="([^"]+)"', html)}
    assert seen == {j.requirement.id: LOOKS[word_of(report, j)][1] for j in report.judged}


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
    certified, holds, *last = on_the_terminal(REPORTS[0]).splitlines()[-8:]
    assert (certified, holds) == ("Certified: no", "53 of 64 checks hold; 1 does not apply")
    assert [line.split(":")[0] for line in last] == ["result", "authority", "scope", "causes", "report", "65"]
    assert last[0] == "result:    fail: Not conformant"
    words = "53 pass · 5 fail · 3 error · 1 not-evaluated · 1 recommendation · 1 waived · 1 not-applicable"
    assert re.fullmatch(rf"65: {words} · [\dhm]+s · exit 1", last[-1])


def told_of(result: Result, authority: Authority) -> Report:
    plain = sample.report()
    return replace(plain, facts=RunFacts(authority=authority, teleport_version="18.6.4"), result=result, exit_code=0)


@pytest.mark.parametrize("result", Result)
@pytest.mark.parametrize("authority", Authority)
def test_the_first_line_says_certified_of_a_pass_with_teleport_alone_and_only_that_is_green(
    result: Result, authority: Authority
) -> None:
    report = told_of(result, authority)
    is_one = (result, authority) == (Result.PASS, Authority.TELEPORT)
    words = "yes" if is_one else "no (a rehearsal against a stand-in)" if authority is Authority.STAND_IN else "no"

    html = to_html(report, sample.BODIES)
    (title,) = re.findall("<h1>.*</h1>", html)
    (tone,) = re.findall('<header class="top (.*)">', html)
    lines = [(text, markup) for text, markup in summary(report, Path("r")) if text.startswith("Certified: ")]

    assert Page(title).text.endswith(f"Certified: {words}")
    assert f'{title}\n<p class="holds">1 of 6 checks hold; 1 does not apply</p>' in html
    assert (tone == "good") is is_one
    assert [text for text, _markup in lines] == [f"Certified: {words}"]
    assert lines[0][1].get("green", False) is is_one


def test_the_version_of_a_stand_in_is_the_one_that_it_imitates() -> None:
    for authority, said in ((Authority.STAND_IN, "stand-in, imitates 18.6.4"), (Authority.TELEPORT, "Teleport 18.6.4")):
        assert said in Page(to_html(told_of(Result.PASS, authority), sample.BODIES)).text


def test_the_page_promises_no_more_of_its_sums_than_they_hold() -> None:
    said = Page(to_html(sample.report(), sample.BODIES)).text
    assert "detects accidental change. The report is unsigned" in said


@pytest.mark.parametrize("report", REPORTS)
def test_a_line_of_the_terminal_has_at_most_100_columns_and_goes_on_below_its_text(report: Report) -> None:
    logical = [*summary(report, Path("r")), ("✕ ID-03   " + "word " * 40, {}), ("scope:     " + "a, " * 90, {"bold": True})]
    printed = list(wrapped(logical))
    assert max(len(line) for line, _ in printed) <= WIDTH
    assert " ".join(w for line, _ in printed for w in line.split()) == " ".join(w for t, _ in logical for w in t.split())
    at = [line for line, _ in printed].index("✕ ID-03   " + " ".join(["word"] * 18))
    assert printed[at + 1][0].startswith(" " * 10 + "word")
    assert printed[-1][0].startswith(" " * 11 + "a, ")
    assert printed[-1][1] == {"bold": True}


def test_a_word_that_is_longer_than_a_line_stays_whole() -> None:
    path = f"report:    {'/a' * 60}/report.html"
    assert list(wrapped([(path, {})])) == [(path, {})]


def test_a_line_names_three_subjects_and_the_place_of_the_others() -> None:
    said = on_the_terminal(REPORTS[0])
    assert re.search(r"and \d+ more, see report\.html#[A-Z]+-\d+: ", said)
    assert not re.search(r"and \d+ more:", said)
    assert "see report.html#" not in Page(to_html(REPORTS[0], broken.BODIES)).text
    assert all(line.count("Pod shop/") <= 3 for line in said.splitlines())


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0s"), (59.9, "59s"), (242, "4m02s"), (3661, "1h01m01s")])
def test_a_time_is_short(seconds: float, said: str) -> None:
    assert clock(seconds) == said


def test_the_last_line_has_the_exit_code_of_the_process() -> None:
    interrupted, ended = (summary(REPORTS[0], Path("r"), code)[-1][0] for code in (2, None))
    assert (interrupted[-7:], ended[-7:]) == (" exit 2", " exit 1")
