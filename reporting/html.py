"""``report.html``: one file for people, readable offline and without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reporting.model import Report
from reporting.words import authority_in_words, remedy_of, scope_in_words

CAP = 64 * 1024


def to_html(report: Report, bodies: Mapping[str, str]) -> str:
    """The report as one HTML page.

    Args:
        report: The report.
        bodies: Bodies of its evidence, by id; those longer than `CAP` characters are shown up to there.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.j2").render(
        report=report,
        bodies=bodies,
        cap=CAP,
        evidence={e.id: e for e in report.evidence},
        authority=authority_in_words(report.authority),
        scope=scope_in_words(report.scope),
        remedy_of=remedy_of,
    )
