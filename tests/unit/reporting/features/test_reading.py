"""The profile mesh, made of the catalogue and the features, and what the suite's own one holds."""

from __future__ import annotations

from pathlib import Path

from facts.catalogue import MESH, Level, Need
from reporting.features.reading import judged_by_reading, read_catalogue, safety_classes

FEATURES = Path(__file__).parents[4] / "features"

CATALOGUE = """
profiles: {core: [install]}
requirements:
  - &r
    {id: A-1, sentence: It holds., level: MUST, about: install, profile: install, source: the guide,
     really_known_by: looking}
  - {<<: *r, id: A-2}
  - {<<: *r, id: A-3, needs: [session]}
  - {<<: *r, id: A-4}
"""

FEATURE = """@profile:install
Feature: F
  @requirement:A-1 @requirement:A-3 @safety:read-only
  Scenario: One
    Given it
  @requirement:A-2 @safety:read-only
  Scenario: Two
    Given it
  @requirement:A-2 @safety:namespaced
  Scenario: Three
    Given it
  @requirement:A-4
  Scenario: Four
    Given it
"""


def test_only_what_every_scenario_reads_and_needs_nothing_is_in_mesh(tmp_path: Path) -> None:
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    (tmp_path / "a.feature").write_text(FEATURE)
    (tmp_path / "b.feature").write_text("no Gherkin")
    assert safety_classes(tmp_path) == {
        "A-1": {"read-only"},
        "A-2": {"read-only", "namespaced"},
        "A-3": {"read-only"},
        "A-4": {""},
    }
    assert read_catalogue(tmp_path).mesh == {"A-1"}


def test_what_reading_alone_judges_depends_on_what_the_reader_has(tmp_path: Path) -> None:
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    (tmp_path / "a.feature").write_text(FEATURE)
    assert judged_by_reading(tmp_path) == {"A-1"}
    assert judged_by_reading(tmp_path, {Need.SESSION}) == {"A-1", "A-3"}


def test_the_suites_own_mesh() -> None:
    catalogue, classes = read_catalogue(FEATURES), safety_classes(FEATURES)
    mesh = catalogue.chosen((MESH,))
    core = {r.id for r in catalogue.chosen(("core",))}
    assert {r.id for r in mesh} == {
        *(r.id for r in catalogue if r.id in core and classes.get(r.id) == frozenset({"read-only"}) and not r.needs)
    }
    # A run of it can pass: it has MUSTs about the install that are no premises.
    counted = {r.id for r in mesh if r.level is Level.MUST and not r.premise}
    assert {"INST-05", "INST-06", "INST-13", "CHK-6", "ID-01", "ID-03", "ID-06", "ID-11", "ROT-01", "ROT-07"} <= counted
    left_out = {each for ids in catalogue.left_out((MESH,)).values() for each in ids}
    assert left_out | {r.id for r in mesh} == core
    assert not left_out & {r.id for r in mesh}


def test_what_the_suites_own_requirements_need() -> None:
    """Each was found by running without the input: the requirement is then not-evaluated."""
    catalogue = read_catalogue(FEATURES)
    by_need = {need: {r.id for r in catalogue if need in r.needs} for need in Need}
    assert {"INST-03", "INST-10", "INST-11", "INST-12", "CHK-2", "CHK-3", "CHK-4"} <= by_need[Need.SESSION]
    assert by_need[Need.EXEC] == {"CHK-8", "ID-12"}
    assert by_need[Need.AUDIT_EVENTS] == {"ID-10"}


def test_the_premises_are_what_concerns_tools_rights_and_sessions() -> None:
    assert [r.id for r in read_catalogue(FEATURES) if r.premise] == ["INST-01", "INST-02", "INST-03"]
