"""The rows of the matrix, as the features have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_bdd.feature import get_features
from pytest_bdd.parser import Feature, ScenarioTemplate

from judge.doctor import Kind
from provision.faults import Fault

FOLDER = "8_diagnosis"
WITHOUT_ROW = "without-row.txt"
"""File beside the features: names of faults that no row has, one a line, each with its reason after a ``#``."""

PAIRS = 6
"""Pairs of faults that the matrix has at least."""


@dataclass(frozen=True, slots=True)
class Row:
    """One state of the install that the doctor is asked about.

    Attributes:
        kind: What the suite does to the install.
        name: Name of the row, as reports have it.
        parts: Names of its faults, or of its red herring.
    """

    kind: Kind
    name: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """One feature of the profile.

    Attributes:
        requirement: Id of its requirement.
        title: Its name.
        prose: Its description.
        rows: Its rows, in order.
    """

    requirement: str
    title: str
    prose: str
    rows: tuple[Row, ...]


def chapters(features: Path) -> tuple[Chapter, ...]:
    """Return the features of the profile, in the order of their files.

    Args:
        features: Directory of all features.

    Raises:
        LookupError: A feature is not about exactly one requirement.
    """
    found = sorted(get_features([str(features / FOLDER)]), key=lambda feature: feature.filename)
    return tuple(_chapter(feature) for feature in found)


def _chapter(feature: Feature) -> Chapter:
    tags = {tag for scenario in feature.scenarios.values() for tag in scenario.tags}
    ids = {tag.removeprefix("requirement:") for tag in tags if tag.startswith("requirement:")}
    if len(ids) != 1:
        raise LookupError(f"{feature.filename} is about {sorted(ids) or 'no requirement'}; expected one")
    (requirement,) = ids
    rows = tuple(row for scenario in feature.scenarios.values() for row in _rows(scenario, requirement))
    return Chapter(requirement, feature.name, " ".join(feature.description.split()), rows)


def _rows(scenario: ScenarioTemplate, requirement: str) -> Iterator[Row]:
    contexts = [context for examples in scenario.examples for context in examples.as_contexts()]
    if not contexts:
        yield Row(Kind.HEALTHY, f"healthy after {requirement}")
    for context in contexts:
        parts = tuple(str(value) for value in context.values())
        kind = Kind.HERRING if "herring" in context else Kind.PAIR if len(parts) > 1 else Kind.FAULT
        yield Row(kind, " + ".join(parts), parts)


def lint_rows(
    found: Sequence[Chapter], faults: Mapping[str, Fault], herrings: Collection[str], without: Mapping[str, str]
) -> Iterator[str]:
    """Yield what is wrong with the rows, one sentence each.

    Args:
        found: The features of the profile.
        faults: All faults by name.
        herrings: Names of all red herrings.
        without: Reasons by fault that no row has.
    """
    rows = [row for chapter in found for row in chapter.rows]
    for name, times in Counter(row.name for row in rows).items():
        if times > 1:
            yield f"the row {name} is there {times} times"
    for row in rows:
        yield from _lint_parts(row, faults, herrings)
    if (pairs := sum(row.kind is Kind.PAIR for row in rows)) < PAIRS:
        yield f"{pairs} pairs of faults, expected {PAIRS} at least"
    yield from _lint_coverage({row.name for row in rows}, faults, herrings, without)
    for chapter in found:
        if [row.kind for row in chapter.rows].count(Kind.HEALTHY) != 1:
            yield f"{chapter.requirement}: the sound install must be looked at once, at the end"


def _lint_parts(row: Row, faults: Mapping[str, Fault], herrings: Collection[str]) -> Iterator[str]:
    known = herrings if row.kind is Kind.HERRING else faults
    for part in row.parts:
        if part not in known:
            yield f"the row {row.name} names {part}, which is no {'red herring' if row.kind is Kind.HERRING else 'fault'}"
    if row.kind is Kind.PAIR and len({faults[part].cause for part in row.parts if part in faults}) == 1:
        yield f"the row {row.name} does not have two causes"


def _lint_coverage(
    there: Collection[str], faults: Collection[str], herrings: Collection[str], without: Mapping[str, str]
) -> Iterator[str]:
    for name in (*faults, *herrings):
        if name not in there and name not in without:
            yield f"no feature in {FOLDER} has a row {name}: write one, or list it in {WITHOUT_ROW}"
    for name, reason in without.items():
        if name in there:
            yield f"{WITHOUT_ROW}: {name} has a row; take it off the list"
        if name not in faults:
            yield f"{WITHOUT_ROW}: there is no fault {name}"
        if not reason:
            yield f"{WITHOUT_ROW}: {name} is listed without a reason: write it behind a #"
