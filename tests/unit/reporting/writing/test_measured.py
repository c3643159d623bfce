"""Measured numbers wherever a run tells of them: the page, the terminal, JUnit and the document."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from facts.finding import Holds
from facts.measure import Measure
from judge.verdict import Ending
from reporting.model import Report, StepState
from reporting.writing.document import from_json, to_json
from reporting.writing.html import to_html
from reporting.writing.junit import to_junit
from reporting.writing.measured import measured
from reporting.writing.terminal import summary
from tests.unit.reporting.sample import BODIES, ONE, TWO, finding, report, scenario, step
from tests.unit.reporting.test_writers import Page

KEPT = (
    Measure("failed requests", 0, at_most=0),
    Measure("new certificate after", 20.3, "s", at_most=25),
    Measure("requests", 5123),
)
ELSEWHERE = (Measure("new certificate after", 24.907, "s", at_most=25),)
LOST = (Measure("failed requests", 612, at_most=0),)


@pytest.fixture(scope="module")
def told() -> Report:
    good = scenario(
        "A-1",
        step(
            StepState.PASSED,
            finding("A-1", Holds.YES, ONE, measures=KEPT),
            finding("A-1", Holds.YES, TWO, measures=ELSEWHERE),
            evidence=(ONE, TWO),
        ),
    )
    bad = scenario(
        "A-2",
        step(StepState.VIOLATED, finding("A-2", Holds.NO, TWO, measures=LOST), evidence=(TWO,), error="A-2"),
        ending=Ending.VIOLATED,
    )
    return report(scenarios=(good, bad))


def test_numbers_of_one_name_and_promise_are_one_line() -> None:
    told = measured([finding("A-1", Holds.YES, ONE, measures=KEPT), finding("A-1", Holds.YES, TWO, measures=ELSEWHERE)])

    assert [str(m) for m in told] == [
        "failed requests 0 (at most 0)",
        "new certificate after 20.3 to 24.91 s (at most 25 s)",
        "requests 5123",
    ]
    assert [m.is_kept for m in told] == [True] * 3


def test_one_that_is_not_kept_among_many_is_told() -> None:
    (told,) = measured([finding("A-1", Holds.NO, ONE, measures=(*LOST, KEPT[0]))])

    assert not told.is_kept
    assert told.amounts == "0 to 612"


def test_the_terminal_has_a_short_line_under_the_requirement(told: Report) -> None:
    lines = [line for line, _markup in summary(told, Path("reports/r"))]

    (at,) = (i for i, line in enumerate(lines) if line.startswith("✓ A-1"))
    assert lines[at + 1] == (
        "          failed requests 0 (at most 0); new certificate after 20.3 to 24.91 s (at most 25 s); requests 5123"
    )
    assert not any(line.startswith("          ") for line in (line for line, _ in summary(report(), Path("reports/r"))))


def test_junit_has_each_number_as_a_property_of_its_case(told: Report) -> None:
    cases = {c.get("name", "").split()[0]: c for c in ET.fromstring(to_junit(told)).iter("testcase")}  # noqa: S314

    found = {p.get("name"): p.get("value") for p in cases["A-1"].iter("property")}
    assert found == {
        "failed requests": "0",
        "failed requests, promised": "at most 0",
        "new certificate after, least [s]": "20.3",
        "new certificate after, most [s]": "24.91",
        "new certificate after, promised": "at most 25 s",
        "requests": "5123",
    }
    assert next(iter(cases["A-2"])).tag == "properties"
    assert cases["B-1"].find("properties") is None


def test_the_page_has_them_beside_the_sentence_and_on_top(told: Report) -> None:
    page = Page(to_html(told, BODIES))

    assert page.open == []
    assert "Measured Number Budget" in page.text
    assert "new certificate after (2 times) 20.3 to 24.91 s ✓ at most 25 s" in page.text
    assert "failed requests 612 ✕ at most 0, not kept" in page.text
    assert "it is violated 125 ms ✕ failed requests 612 (at most 0)" in page.text
    assert "Measured Number Budget" not in Page(to_html(report(), BODIES)).text


def test_the_document_keeps_them(told: Report) -> None:
    assert from_json(to_json(told)) == told
