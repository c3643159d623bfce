"""A timeline on the page: everything in it is drawn, everything drawn is said, and it stays small."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.catalogue import Catalogue
from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.over_time.timeline import Action, Failures, Timeline, draw_up, parse_timeline
from reporting.assemble import RunPlan, assemble, stored
from reporting.collecting.store import Store
from reporting.model import Report, StepState, StoredTimeline
from reporting.writing.html import to_html
from reporting.writing.svg import LETTER, Label, Rows
from reporting.writing.timeline_svg import draw, spans_of
from reporting.writing.timeline_words import at_home, clocks_in_words, letters_of, rows_of, sentence_of
from tests.unit.reporting import sample
from tests.unit.reporting.test_writers import Page
from tests.unit.reporting.timelines import after, calling, outage, renewing, rotation

OUTAGE, ROTATION = outage(), rotation()


def elements(timeline: Timeline, name: str, look: str) -> Iterator[ET.Element]:
    root = ET.fromstring(draw(timeline).svg)  # noqa: S314  our own output
    return (e for e in root.iter(name) if look in e.get("class", "").split())


def width(element: ET.Element) -> float:
    return float(element.get("width", "0"))


def kept(timeline: Timeline) -> Evidence:
    return evidence_of(
        f"timeline of {timeline.title}",
        ObjectRef("Timeline", timeline.title),
        json.dumps(timeline.as_document()),
        read_at=timeline.ended,
        parser=parse_timeline,
    )


def report_with(timeline: Timeline) -> tuple[Report, dict[str, str]]:
    """A report in which two requirements rest on one scenario that has drawn up a timeline."""
    evidence = kept(timeline)
    watched = replace(
        sample.scenario("A-1", sample.step(StepState.PASSED, evidence=(evidence,))), requirements=("A-1", "A-2")
    )
    told = sample.report(
        scenarios=(watched,),
        evidence=tuple(map(stored, (sample.LONG, evidence))),
        timelines=(StoredTimeline(evidence.id, timeline),),
    )
    return told, {**sample.BODIES, evidence.id: evidence.body}


@pytest.fixture(scope="module")
def html() -> str:
    return to_html(*report_with(OUTAGE))


class TestDrawing:
    def test_each_certificate_has_its_lifetime_and_its_time_in_the_proxy(self) -> None:
        assert len(list(elements(ROTATION, "rect", "valid"))) == len(ROTATION.svids)
        assert len(list(elements(ROTATION, "rect", "held"))) == len(ROTATION.svids)
        assert not list(elements(ROTATION, "rect", "over"))
        titles = [t.text or "" for t in ET.fromstring(draw(ROTATION).svg).iter("title")]  # noqa: S314  our own output
        for svid in ROTATION.svids:
            assert any(f"serial {svid.serial}, valid {svid.not_before:%H:%M:%S} to" in title for title in titles)

    def test_a_certificate_that_is_held_after_its_end_shows(self) -> None:
        assert len(list(elements(OUTAGE, "rect", "over"))) == 2

    def test_no_bar_leaves_the_drawing_or_has_no_width(self) -> None:
        for timeline in (ROTATION, OUTAGE):
            drawing = draw(timeline)
            for rect in ET.fromstring(drawing.svg).iter("rect"):  # noqa: S314  our own output
                assert width(rect) > 0
                assert 0 <= float(rect.get("x", "")) <= drawing.width - width(rect) + 0.1
                assert 0 <= float(rect.get("y", "")) <= drawing.height - float(rect.get("height", ""))

    def test_one_failed_request_of_thousands_is_seen(self) -> None:
        hour = draw_up("an hour", loads=[calling("a", "b", 3600, rate=2, fails=[1800])])
        (mark,) = elements(hour, "rect", "failed")
        assert width(mark) >= 3
        assert "1 failed" in ET.tostring(mark, encoding="unicode")
        assert len(list(elements(hour, "path", "failed"))) == 1

    def test_what_did_not_fail_is_not_drawn_as_failed(self) -> None:
        assert not list(elements(ROTATION, "rect", "failed"))
        assert not list(elements(ROTATION, "path", "failed"))

    def test_a_silence_and_a_lost_stream_are_told_apart(self) -> None:
        assert len(list(elements(OUTAGE, "rect", "silent"))) == 1
        assert len(list(elements(OUTAGE, "rect", "cut"))) == 2

    def test_labels_of_actions_do_not_lie_on_each_other(self) -> None:
        crowd = draw_up("a crowd", actions=[Action(f"action number {n} of many", after(n), after(n)) for n in range(20)])
        labels = list(elements(crowd, "text", "label"))
        assert len({(label.get("x"), label.get("y")) for label in labels}) == 20
        for one in labels:
            for other in labels:
                if one is not other and one.get("y") == other.get("y"):
                    apart = abs(float(one.get("x", "")) - float(other.get("x", "")))
                    assert apart >= LETTER * min(len(one[0].tail or ""), len(other[0].tail or "")) - 12

    def test_ten_minutes_of_four_loads_stay_small(self) -> None:
        one = calling("c0", "s0", 600, fails=range(300, 400))
        loads = [one, one, one, one]
        long = draw_up("long", histories=[renewing("c0", 600)] * 4, loads=loads)
        assert len(draw(long).svg) < 60_000
        assert len(json.dumps(long.as_document())) < 250_000

    @given(st.lists(st.tuples(st.floats(0, 900), st.floats(0, 300)), max_size=25))
    def test_what_is_in_one_row_does_not_overlap(self, spans: list[tuple[float, float]]) -> None:
        rows = Rows(10)
        placed: list[tuple[int, float]] = []
        for begins, length in sorted(spans):
            top = rows.place(begins, begins + length)
            assert all(until <= begins for row, until in placed if row == top)
            placed.append((top, begins + length))

    @given(st.floats(0, 900), st.floats(0, 900), st.text(min_size=1, max_size=200))
    def test_a_label_stays_in_the_drawing(self, one: float, other: float, words: str) -> None:
        label = Label.beside((10 + min(one, other), 10 + max(one, other)), words, (10, 930))
        length = len(label.words) * LETTER
        begins = label.x - length if label.is_before else label.x
        assert begins >= 10 - LETTER
        assert begins + length <= 930 + LETTER


def test_failures_in_seconds_that_follow_each_other_are_one_span() -> None:
    def failures(second: float, count: int, reason: str) -> Failures:
        return Failures(after(second), after(second + 0.9), count, reason)

    spans = spans_of([failures(0, 3, "reset"), failures(1, 2, "timeout"), failures(2, 5, "reset"), failures(9, 1, "reset")])

    assert [(s.first, s.count, s.reason) for s in spans] == [
        (after(0), 10, "reset ×8, timeout ×2"),
        (after(9), 1, "reset ×1"),
    ]


class TestWords:
    def test_the_table_says_all_that_is_drawn_in_the_order_of_time(self) -> None:
        rows = rows_of(OUTAGE)

        assert [r.at for r in rows] == sorted(r.at for r in rows)
        said = "\n".join(f"{r.subject} {r.words}" for r in rows)
        for expected in (
            *(s.serial for s in OUTAGE.svids),
            *(a.words for a in OUTAGE.actions),
            *(f"{h.of} {h.words}" for h in OUTAGE.happenings),
            "expired, in the proxy until",
            "trusts A (",
            "B (c0ffee",
            "mesh/alpha 0 SDS streams",
            "mesh/beta 3 looks failed until +62.4 s: HTTP 500: connection refused",
            "connection refused",
            "timeout",
            "4800 sent, 4240 answered, 560 failed",
        ):
            assert expected in said, expected
        failed = sum(int(r.words.split(": ")[1].split()[0]) for r in rows if r.words.startswith("to http"))
        assert failed == sum(load.failed for load in OUTAGE.loads)

    def test_what_is_wrong_has_its_tone(self) -> None:
        assert {r.tone for r in rows_of(ROTATION)} == {""}
        assert {r.tone for r in rows_of(OUTAGE)} == {"", "bad", "unsure"}

    def test_the_sentence_counts(self) -> None:
        assert sentence_of(ROTATION) == (
            "In 90.3 s from 08:30:00 UTC 2 proxies had 7 new certificates, 4050 requests were sent and 0 of them failed."
        )

    def test_clocks_are_said_once_each(self) -> None:
        assert clocks_in_words(OUTAGE.clocks) == (
            "Pod mesh/alpha 12 ms ahead (± 4 ms)",
            "Pod mesh/beta 12 ms ahead (± 4 ms)",
            "Node node-2 210 ms behind (± 20 ms)",
        )

    def test_an_authority_has_one_letter_everywhere(self) -> None:
        assert list(letters_of(OUTAGE).values()) == ["A", "B"]


class TestPage:
    def test_it_is_drawn_once_and_referred_to_afterwards(self, html: str) -> None:
        assert html.count("<figure") == 1
        assert html.count("drawn above") == 1
        (link,) = re.findall(r'href="#(timeline-ev-\w+)"', html)
        assert f'id="{link}"' in html

    def test_the_page_stays_well_formed_offline_and_escaped(self, html: str) -> None:
        page = Page(html)
        assert page.open == []
        assert sorted(set(page.ids)) == sorted(page.ids)
        assert "script" not in page.elements
        assert not re.search(r"@import|url\(", html)
        assert "<& comes back>" not in html
        assert "tbot is gone for longer than a certificate lives &lt;&amp; comes back&gt;" in html

    def test_it_says_what_the_drawing_shows(self, html: str) -> None:
        text = Page(html).text
        for words in ("The same as a table", "tbot is stopped on both nodes", "Node node-2 210 ms behind (± 20 ms)"):
            assert words in text, words

    def test_control_characters_of_a_log_do_not_reach_it(self) -> None:
        odd = draw_up("odd", actions=[Action("an escape \x1b[31m and a \x00", after(0), after(1))])
        html = to_html(*report_with(odd))
        assert r"an escape \x1b[31m and a \x00" in html
        assert not {"\x00", "\x1b"} & {*html}


class TestAssembly:
    def assembled(self, *evidence: Evidence) -> Report:
        store = Store()
        for each in evidence:
            store.record(each)
        told = sample.report()
        plan = RunPlan(Catalogue({}), (), frozenset(), Path(), "1", told.scope, ())
        return assemble(plan, store)

    def test_a_timeline_among_the_evidence_is_in_the_report(self) -> None:
        evidence = kept(OUTAGE)

        (found,) = self.assembled(sample.ONE, evidence).timelines

        assert found == StoredTimeline(evidence.id, parse_timeline(json.loads(evidence.body)))

    def test_one_that_cannot_be_read_is_said_and_not_dropped(self) -> None:
        broken = evidence_of(
            "timeline of x",
            ObjectRef("Timeline", "x"),
            "{}",
            read_at=sample.NOW,
            parser=parse_timeline,
        )

        told = self.assembled(broken)

        assert told.timelines == ()
        assert f"timeline of x ({broken.id}) cannot be drawn: expected" in told.run_errors[0]


# Names.


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("run-1/alpha → http://beta.run-1:8080/: 9 sent", "alpha → http://beta:8080/: 9 sent"),
        ("Pod run-1/alpha 9 ms ahead", "Pod alpha 9 ms ahead"),
        ("spiffe://example/ns/run-1/sa/alpha", "spiffe://example/ns/run-1/sa/alpha"),
        ("another-run-1/alpha", "another-run-1/alpha"),
    ],
)
def test_where_all_live_in_one_namespace_it_is_said_once(text: str, short: str) -> None:
    assert at_home(text, "run-1") == short
    assert at_home(text, "") == text
