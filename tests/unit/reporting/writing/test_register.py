"""The register of waivers: each with its people, its days and what it covers, on the page and on the terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from judge.verdict import Verdict
from judge.waivers import Waiver
from reporting.model import Report
from reporting.writing.document import from_json, to_json
from reporting.writing.html import to_html
from reporting.writing.register import EXPIRED, UNUSED, USED, register
from reporting.writing.terminal import summary
from tests.unit.reporting import broken, sample
from tests.unit.reporting.test_writers import Page

LAST = date(2026, 12, 1)  # the sample's run ended on 24 November
NEEDED = Waiver("B-2", "platform-team", "until release 12", last_day=LAST, approver="A. Person", ticket="OPS-42")


def with_waivers(*waivers: Waiver) -> Report:
    return replace(sample.report(), waivers=waivers)


def on_the_terminal(report: Report) -> list[str]:
    lines = [line for line, _ in summary(report, Path("r"))]
    return lines[lines.index("Waivers") + 1 : lines.index("Waivers") + 1 + len(report.waivers)]


def on_the_page(report: Report) -> str:
    html = to_html(report, sample.BODIES | broken.BODIES)
    assert html.count('id="waivers"') == 1
    assert html.index('id="waivers"') < html.index('class="overview"'), "on the first page"
    start = html.index('<table class="waivers">')
    return Page(html[start : html.index("</table>", start) + 8]).text


def test_a_waiver_in_use_names_its_people_its_days_and_its_subjects() -> None:
    report = with_waivers(NEEDED)
    (entry,) = register(report)
    assert (entry.state, entry.covers, entry.days_left) == (USED, ("ConfigMap x/y",), 7)
    assert on_the_terminal(report) == [
        "~ B-2     in use, until 2026-12-01, 7 days left; owner platform-team, approved by A. Person, ticket OPS-42; "
        "covers ConfigMap x/y: until release 12"
    ]
    said = on_the_page(report)
    for words in ("B-2", "in use", "2026-12-01, 7 days left", "platform-team", "A. Person", "OPS-42", "ConfigMap x/y"):
        assert words in said
    assert from_json(to_json(report)).waivers == (NEEDED,)


@pytest.mark.parametrize(
    ("waiver", "state", "until"),
    [
        (replace(NEEDED, requirement="A-1"), UNUSED, "7 days left"),
        (replace(NEEDED, requirement="Z-9", last_day=date(2026, 11, 25)), UNUSED, "1 day left"),
        (replace(NEEDED, last_day=date(2026, 11, 23), expired=True), EXPIRED, "1 day ago"),
        (Waiver("A-1", "o", "j"), UNUSED, "no last day is known"),
    ],
)
def test_a_waiver_that_is_not_in_use_covers_nothing(waiver: Waiver, state: str, until: str) -> None:
    report = with_waivers(waiver)
    (entry,) = register(report)
    assert (entry.state, entry.covers) == (state, ())
    for said in (on_the_terminal(report)[0], on_the_page(report)):
        assert state in said
        assert until in said
        assert "nothing in this run" in said


def test_a_waiver_by_subject_shows_what_it_covers_and_which_pattern_matches_nothing() -> None:
    report = with_waivers(replace(NEEDED, subjects=("ConfigMap x/*", "Pod shop/cart-*")))
    (entry,) = register(report)
    assert (entry.state, entry.covers, entry.idle) == (USED, ("ConfigMap x/y",), ("Pod shop/cart-*",))
    for said in (on_the_terminal(report)[0], on_the_page(report)):
        assert "ConfigMap x/y (nothing fails in this run that is called Pod shop/cart-*)" in said


@pytest.mark.parametrize("waiver", [NEEDED, replace(NEEDED, requirement="Z-9")])
def test_a_waiver_by_subject_that_matches_nothing_is_told(waiver: Waiver) -> None:
    report = with_waivers(replace(waiver, subjects=("Pod shop/cart-*",)))
    (entry,) = register(report)
    assert (entry.state, entry.covers, entry.idle) == (UNUSED, (), ("Pod shop/cart-*",))
    for said in (on_the_terminal(report)[0], on_the_page(report)):
        assert "unused" in said
        assert "nothing in this run (nothing fails in this run that is called Pod shop/cart-*)" in said


def test_a_waiver_that_covers_only_some_of_what_fails_is_in_use() -> None:
    report = sample.report()
    (judged,) = (j for j in report.judged if j.requirement.id == "B-2")
    failing = tuple(replace(j, verdict=Verdict.FAIL) if j is judged else j for j in report.judged)
    (entry,) = register(replace(report, judged=failing, waivers=(replace(NEEDED, subjects=("x/y",)),)))
    assert (entry.state, entry.covers) == (USED, ("ConfigMap x/y",))


def test_a_line_of_the_terminal_names_three_subjects_and_the_page_all() -> None:
    report = broken.report()
    (waived,) = (j for j in report.judged if j.verdict is Verdict.WAIVED)
    (entry,) = register(report)
    assert entry.waiver.requirement == waived.requirement.id
    (line,) = on_the_terminal(report)
    assert f"and {len(entry.covers) - 3} more, see report.html#{waived.requirement.id}" in line or len(entry.covers) <= 3
    assert all(subject in on_the_page(report) for subject in entry.covers)


def test_without_waivers_there_is_no_register() -> None:
    report = with_waivers()
    assert 'id="waivers"' not in to_html(report, sample.BODIES)
    assert "Waivers" not in [line for line, _ in summary(report, Path("r"))]
