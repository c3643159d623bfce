"""No sink prints a control or invisible character, wherever in a report a hostile text stands."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporting.model import Report
from reporting.writing.document import from_json, from_plain, to_json, to_plain
from reporting.writing.html import to_html
from reporting.writing.junit import to_junit
from reporting.writing.printable import in_json, printable, tellable
from reporting.writing.terminal import summary
from tests.unit.reporting.sample import BODIES, report
from tests.unit.thoroughness import examples

INVISIBLE = "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u180b\u180f\ufe00\ufe0f\U000e0100"
"""Letters and marks by their category, of which nothing is seen all the same."""

ANYTHING = st.text(
    st.one_of(st.characters(categories=("Cc", "Cf", "Zl", "Zp")), st.sampled_from(INVISIBLE), st.characters()), max_size=12
)

OPEN = frozenset(
    {
        "argument",
        "api_server",
        "command_line",
        "component",
        "context",
        "error",
        "expected",
        "feature",
        "guide_says",
        "justification",
        "keyword",
        "kind",
        "markers",
        "message",
        "name",
        "namespace",
        "node_versions",
        "owner",
        "paths",
        "question",
        "reason",
        "reasons",
        "reference",
        "rule",
        "run_errors",
        "said",
        "settle",
        "source",
        "text",
        "uid",
        "where",
    }
)
"""Fields of a report that hold text of others, or that a defect might let it into."""


def harmful(text: str) -> set[str]:
    """The characters of a text that act or that are not seen, by their category and not by the pattern of the writer."""
    return {
        c
        for c in text
        if (unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\t\n" and not _is_seen(c))
        or c in INVISIBLE
    }


def _is_seen(character: str) -> bool:
    """Some marks of category Cf are printed: signs that enclose numbers in Arabic, Syriac, Kaithi, and hieroglyphs."""
    seen = ((0x600, 0x605), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0x110BD, 0x110CD))
    return any(first <= ord(character) <= last for first, last in (*seen, (0x13430, 0x1343F)))


def with_text_of_others(text: str) -> Report:
    """The sample report, with the text behind each text of `OPEN`."""

    def marked(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {k: marked(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [marked(v, key) for v in value]
        return value + text if isinstance(value, str) and key in OPEN else value

    return from_plain(marked(to_plain(report()), ""))


@given(ANYTHING)
def test_nothing_that_acts_or_is_not_seen_is_left(text: str) -> None:
    assert harmful(printable(text)) == set()
    assert printable(printable(text)) == printable(text)


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), exclude_characters=INVISIBLE)))
def test_what_is_seen_stays(text: str) -> None:
    assert printable(f"{text}\n\t") == f"{text}\n\t"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[31m\x00", r"\x1b[31m\x00"),
        ("a\rb\r\n", r"a\rb\r" + "\n"),
        ("nimda\u202e", r"nimda\u202e"),
        ("ad\u200bmin\ufeff", r"ad\u200bmin\ufeff"),
        ("\x9b\x7f", r"\x9b\x7f"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_the_escape_names_the_character(text: str, told: str) -> None:
    assert printable(text) == told.replace(r"\r", r"\x0d")


@given(ANYTHING)
def test_json_says_the_same_and_is_printable(text: str) -> None:
    written = in_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert harmful(written) == set()
    assert json.loads(written) == {text: [text]}


@settings(max_examples=examples(25))
@given(ANYTHING)
def test_no_sink_prints_any_of_them(text: str) -> None:
    hostile = with_text_of_others(text)
    sinks = {
        "terminal": "\n".join(line for line, _markup in summary(hostile, Path("reports/r"))),
        "page": to_html(hostile, {name: body + text for name, body in BODIES.items()}),
        "junit": to_junit(hostile),
        "json": to_json(hostile),
    }
    assert {name: harmful(said) for name, said in sinks.items()} == {name: set() for name in sinks}
    # What a parser makes of the file, escapes of XML included.
    for element in ET.fromstring(sinks["junit"]).iter():  # noqa: S314 - our own output
        assert harmful((element.text or "") + "".join(element.attrib.values())) == set()
    assert from_json(sinks["json"]) == hostile


def test_the_text_of_others_stands_where_people_read_it() -> None:
    """What the test above looks for would be there."""
    hostile = with_text_of_others("\x1b")
    for sink in (to_html(hostile, BODIES), to_junit(hostile), "".join(line for line, _ in summary(hostile, Path("r")))):
        assert sink.count("\\x1b") > 5


def test_a_line_break_of_others_makes_no_line_of_the_suites_own() -> None:
    lines = "\n".join(line for line, _ in summary(with_text_of_others("\n√ A-2 holds"), Path("r"))).splitlines()
    assert [line for line in lines if line.startswith("√ A-2")] == []
    assert [line for line in lines if line.strip() == "√ A-2 holds"]


def test_what_is_told_of_an_error_has_no_secret_either() -> None:
    assert tellable("password: hunter2hunter2 \x1b[2J a-named-secret", ("a-named-secret",)) == (
        r"password: [redacted] \x1b[2J [redacted]"
    )
