"""Assertions about findings."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from facts.catalogue import Catalogue, parse_catalogue
from facts.finding import Finding, Holds

ROOT = Path(__file__).parents[3]


@cache
def catalogue() -> Catalogue:
    """The project's own catalogue."""
    return parse_catalogue(yaml.safe_load((ROOT / "features" / "catalogue.yaml").read_text(encoding="utf-8")))


def holds(finding: Finding, requirement: str, *evidence: str) -> None:
    """The finding says yes, and stands on those readings."""
    assert finding.holds is Holds.YES, finding.seen
    assert finding.requirement == requirement
    assert finding.seen
    _complete(finding, evidence)


def violated(
    finding: Finding, requirement: str, *words: str, evidence: tuple[str, ...] = (), causes: tuple[str, ...] | None = None
) -> None:
    """The finding says no with those words, and of exactly those causes where they are given."""
    assert finding.holds is Holds.NO, finding.seen
    assert finding.requirement == requirement
    _says(finding, words)
    if causes is not None:
        assert finding.causes == causes
    _complete(finding, evidence)


def unknown(finding: Finding, requirement: str, *words: str, evidence: tuple[str, ...] = ()) -> None:
    """The finding says what could not be determined, and the next step."""
    assert finding.holds is Holds.UNKNOWN, finding.seen
    assert finding.requirement == requirement
    _says(finding, words)
    assert finding.settle
    _complete(finding, evidence)


def inapplicable(finding: Finding, requirement: str, *evidence: str) -> None:
    """The finding says that the requirement does not apply, for a condition that the catalogue has."""
    assert finding.holds is Holds.NOT_APPLICABLE, finding.seen
    assert finding.requirement == requirement
    assert finding.condition in catalogue()[requirement].not_applicable_when
    _complete(finding, evidence)


def _says(finding: Finding, words: tuple[str, ...]) -> None:
    missing = [w for w in words if w not in finding.seen]
    assert not missing, f"{missing} not in: {finding.seen}"


def _complete(finding: Finding, evidence: tuple[str, ...]) -> None:
    assert finding.expected
    assert finding.where
    assert set(evidence) <= set(finding.evidence)
    assert len(set(finding.evidence)) == len(finding.evidence)
