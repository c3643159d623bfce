"""``report.html``: one file for people, readable offline and without JavaScript."""

from __future__ import annotations

import hashlib
import html
import re
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from facts.finding import Holds
from judge.explain.found import Does
from judge.verdict import Judged, Verdict
from reporting.model import Phase, Report, ScenarioRecord
from reporting.writing import causes, timeline_words, words
from reporting.writing.measured import measured
from reporting.writing.printable import printable
from reporting.writing.register import register
from reporting.writing.timeline_svg import draw

CAP = 64 * 1024
"""Characters of one body that the page shows; the rest is in the file beside it."""


def to_html(report: Report, bodies: Mapping[str, str]) -> str:
    """The report as one HTML page.

    Args:
        bodies: Bodies of its evidence, by id.
    """
    by_profile: dict[str, list[Judged]] = {}
    for judged in report.judged:
        by_profile.setdefault(judged.requirement.profile, []).append(judged)
    told = {s.id for j in report.judged for s in report.scenarios_of(j.requirement.id)}
    seen: set[str] = set()

    def is_new(key: str) -> bool:
        """True the first time: the template goes from top to bottom, and shows each thing once."""
        new = key not in seen
        seen.add(key)
        return new

    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            by_profile=by_profile,
            stored={e.id: e for e in report.evidence},
            bodies=bodies,
            cap=CAP,
            is_new=is_new,
            others=[s for s in report.scenarios if s.id not in told],
            anchors={cause.id: f"cause-{cause.id}" for cause in report.causes}
            | {j.requirement.id: j.requirement.id for j in report.judged},
            bars=_bars(report.timeline),
            causes=causes,
            entries=register(report),
            words=words,
            timeline=timeline_words,
            draw=draw,
            measured=measured,
            Does=Does,
            Holds=Holds,
            Verdict=Verdict,
            command=shlex.join(report.command_line),
        )
    )
    # Here, where no filter of the template can go around it.
    return printable(page)


@cache
def _environment() -> Environment:
    """Made once: a run writes its page many times, and to compile the templates takes longer than to fill them in."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        anchor=_anchor,
        at_home=timeline_words.at_home,
        code=_code,
        content=_content,
        duration=_duration,
        linked=_linked,
        reference=_reference,
        utc=_utc,
        sign=lambda word: words.LOOKS[word][0],
        tone=lambda word: words.LOOKS[word][1],
    )
    return environment


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
    return Markup(html.escape(text, quote=False))  # noqa: S704  what has a meaning in content is escaped


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
