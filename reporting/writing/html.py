"""``report.html``: one file for people, readable offline and without JavaScript."""

from __future__ import annotations

import hashlib
import html
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from facts.finding import Holds
from judge.verdict import Judged, Verdict
from reporting.model import Phase, Report, ScenarioRecord, StoredEvidence, StoredTimeline
from reporting.writing.causes import alike, causes_found, causes_of, counts_of
from reporting.writing.measured import measured
from reporting.writing.timeline_svg import draw
from reporting.writing.timeline_words import at_home, clocks_in_words, home_of, letters_of, offset, rows_of, sentence_of
from reporting.writing.words import (
    FINDING,
    advice_on,
    authority_in_words,
    guide_defects_of,
    printable,
    reasons_besides_findings,
    scope_in_words,
    to_mend,
    way_on,
    word_of,
)

CAP = 64 * 1024
"""Characters of one body that the page shows; the rest is in the file beside it."""

# How each verdict, ending, state, answer, presence and result looks, by its word: a sign, so that colour is never the only
# difference, and the tone that the style sheet colours.
_LOOKS: Mapping[str, tuple[str, str]] = {
    "pass": ("✓", "good"),
    "fail": ("✕", "bad"),
    "finding": ("▲", "unsure"),
    "error": ("!", "unsure"),
    "inconclusive": ("!", "unsure"),
    "not-evaluated": ("?", "unsure"),
    "partial": ("–", "quiet"),
    "waived": ("~", "quiet"),
    "skipped": ("–", "quiet"),
    "not-applicable": ("○", "quiet"),
    "completed": ("✓", "good"),
    "passed": ("✓", "good"),
    "violated": ("✕", "bad"),
    "broke": ("!", "unsure"),
    "skipped-by-policy": ("–", "quiet"),
    "skipped-by-test": ("!", "unsure"),
    "not-run": ("·", "quiet"),
    "yes": ("✓", "good"),
    "no": ("✕", "bad"),
    "unknown": ("!", "unsure"),
    "found": ("✕", "bad"),
    "hidden": ("?", "unsure"),
    "repaired": ("~", "quiet"),
    "absent": ("✓", "good"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A reading at one place of the page.

    Attributes:
        stored: The reading.
        body: Its body, up to `CAP`; empty where an earlier place of the page shows it.
        earlier: Whether an earlier place shows it.
        cut: Whether the body is longer than what is shown.
    """

    stored: StoredEvidence
    body: str
    earlier: bool
    cut: bool


class _Page:
    """What the template asks while it goes from top to bottom: each reading and scenario is shown once, then referred to."""

    def __init__(self, report: Report, bodies: Mapping[str, str]) -> None:
        self._stored = {e.id: e for e in report.evidence}
        self._bodies = bodies
        self._readings: set[str] = set()
        self._scenarios: set[str] = set()
        self._timelines: set[str] = set()

    def question(self, evidence_id: str) -> str:
        return self._stored[evidence_id].question

    def readings(self, ids: Iterable[str]) -> list[Shown]:
        shown = []
        for evidence_id in ids:
            earlier, body = evidence_id in self._readings, self._bodies[evidence_id]
            shown.append(Shown(self._stored[evidence_id], "" if earlier else body[:CAP], earlier, len(body) > CAP))
            self._readings.add(evidence_id)
        return shown

    def is_drawn(self, stored: StoredTimeline) -> bool:
        drawn = stored.evidence in self._timelines
        self._timelines.add(stored.evidence)
        return drawn

    def is_new(self, scenario: ScenarioRecord) -> bool:
        new = scenario.id not in self._scenarios
        self._scenarios.add(scenario.id)
        return new


def to_html(report: Report, bodies: Mapping[str, str]) -> str:
    """The report as one HTML page.

    Args:
        report: The report.
        bodies: Bodies of its evidence, by id.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,  # Markup is a str that is done already
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        anchor=_anchor,
        at_home=at_home,
        code=_code,
        content=_content,
        duration=_duration,
        linked=_linked,
        reference=_reference,
        utc=_utc,
        sign=lambda word: _LOOKS[word][0],
        tone=lambda word: _LOOKS[word][1],
    )
    page = _Page(report, bodies)
    by_profile: dict[str, list[Judged]] = {}
    for judged in report.judged:
        by_profile.setdefault(judged.requirement.profile, []).append(judged)
    told = {s.id for j in report.judged for s in report.scenarios_of(j.requirement.id)}
    return environment.get_template("report.html.j2").render(
        report=report,
        page=page,
        by_profile=by_profile,
        numbers=_numbers(report),
        others=[s for s in report.scenarios if s.id not in told],
        authority=authority_in_words(report.authority),
        scope=scope_in_words(report.scope),
        clocks_in_words=clocks_in_words,
        draw=draw,
        letters_of=letters_of,
        home_of=home_of,
        measured=measured,
        offset=offset,
        rows_of=rows_of,
        sentence_of=sentence_of,
        reasons_besides_findings=reasons_besides_findings,
        advice_on=advice_on,
        alike=alike,
        causes=causes_found(report),
        causes_of=causes_of,
        counts_of=counts_of,
        described={cause.id for cause in report.causes},
        anchors={cause.id: f"cause-{cause.id}" for cause in report.causes}
        | {j.requirement.id: j.requirement.id for j in report.judged},
        guide_defects=guide_defects_of(report),
        way_on=way_on,
        to_mend=[(word, *group) for word in WORST_FIRST for group in to_mend(report, word)],
        word_of=word_of,
        bars=_bars(report.timeline),
        Holds=Holds,
        Verdict=Verdict,
        command=shlex.join(report.command_line),
    )


WORST_FIRST = ("fail", "error", "not-evaluated", FINDING)
"""The words that ask for something to be done."""


def _numbers(report: Report) -> list[tuple[str, int]]:
    """How many requirements have each verdict, worst first, without those that none has."""
    words = [word_of(report, judged) for judged in report.judged]
    order = (*WORST_FIRST, "waived", "skipped", "not-applicable", "pass")
    return [(word, number) for word in order if (number := words.count(word))]


def _bars(timeline: Iterable[Phase]) -> list[tuple[Phase, float, float]]:
    """Each phase with where its bar begins and how long it is, in percent of the whole."""
    phases = tuple(timeline)
    if not phases:
        return []
    begin = min(p.started for p in phases)
    ends = [(p.started - begin).total_seconds() + p.seconds for p in phases]
    whole = max(ends) or 1.0
    return [(p, 100 * (p.started - begin).total_seconds() / whole, 100 * p.seconds / whole) for p in phases]


def _anchor(scenario: ScenarioRecord) -> str:
    return f"scenario-{hashlib.sha256(scenario.id.encode()).hexdigest()[:12]}"


def _code(text: str) -> Markup:
    """Prose of the catalogue and of findings, its `backticks` as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick that stands alone
        return escape(text)
    return Markup().join(escape(p) if i % 2 == 0 else Markup("<code>{}</code>").format(p) for i, p in enumerate(parts))


def _content(text: str) -> Markup:
    """A text as the content of an element: quotes mean nothing there, and readings in JSON are a sixth of them, escaped."""
    return Markup(html.escape(printable(text), quote=False))  # noqa: S704  what has a meaning in content is escaped


def _linked(text: Markup, anchors: Mapping[str, str]) -> Markup:
    """Prose in which the ids of requirements and causes of this page lead to their places."""
    return Markup(  # noqa: S704  what is put in is an id of the catalogue or of a cause
        re.sub(r"[\w-]+", lambda m: f'<a href="#{anchors[m[0]]}">{m[0]}</a>' if m[0] in anchors else m[0], text)
    )


def _reference(text: str) -> Markup:
    """Where a cause is written down: an address or an issue as a link, a file of the suite as code."""
    repository, _, number = text.partition("#")
    if text.startswith("https://"):
        return Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(text)
    if number.isdigit():
        return Markup('<a href="https://github.com/{}/issues/{}" rel="noreferrer">{}</a>').format(repository, number, text)
    return Markup("<code>{}</code>").format(text)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
