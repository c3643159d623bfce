"""The lint of features finds mistakes, and the project's own features have none."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from facts.catalogue import Catalogue, parse_catalogue
from reporting.features.feature_lint import lint_features, main
from tests.unit.reporting.sample import requirement

CATALOGUE = Catalogue({r.id: r for r in (requirement("A-1"), requirement("B-1"))})
GOOD = """@profile:a @safety:read-only
Feature: F
  @requirement:A-1
  Scenario: S
    Given x
"""
ROOT = Path(__file__).parents[4]


@pytest.fixture
def features(tmp_path: Path) -> Path:
    (tmp_path / "not-evaluated.txt").write_text("# not yet\nB-1  # soon\n")
    (tmp_path / "a.feature").write_text(GOOD)
    return tmp_path


def test_good_features_are_good(features: Path) -> None:
    assert lint_features(features, CATALOGUE) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("@requirement:A-1", "@requirement:A-9", "@requirement:A-9 is not in the catalogue"),
        ("  @requirement:A-1\n", "", "carries no @requirement: tag"),
        ("@safety:read-only", "", "must carry one @safety: tag; carries 0"),
        ("@requirement:A-1", "@requirement:A-1 @safety:disruptive", "must carry one @safety: tag; carries 2"),
        ("@safety:read-only", "@safety:harmless", "@safety:harmless is none of"),
        ("@profile:a", "", "must carry one @profile: tag"),
        ("@profile:a", "@profile:b", "is of profile b, its requirement A-1 of a"),
        (
            "Given x",
            "Given <x>\n    @safety:disruptive\n    Examples:\n      | x |\n      | y |",
            "has tags on its Examples",
        ),
        ("    Given x\n", "", "has no steps"),
        ("    Given x\n", "    Given x\n  @requirement:A-1\n  Scenario: S\n    Given y\n", "2 scenarios are called 'S'"),
        ("Feature: F", "Feature F", "expected a feature file in Gherkin"),
        ("@requirement:A-1", "@requirement:A-1 @requirement:B-1", "B-1 has a scenario; take it off the list"),
    ],
)
def test_each_mistake_is_found(features: Path, old: str, new: str, said: str) -> None:
    (features / "a.feature").write_text(GOOD.replace(old, new))

    assert [line for line in lint_features(features, CATALOGUE) if said in line]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("", "B-1 has no scenario and is not listed in not-evaluated.txt"),
        ("B-1\nA-1\n", "A-1 has a scenario; take it off the list"),
        ("B-1\nB-1\n", "B-1 is listed 2 times"),
        ("B-1\nC-1\n", "C-1 is not in the catalogue"),
    ],
)
def test_the_list_of_what_is_not_evaluated_only_holds_what_has_no_scenario(features: Path, listed: str, said: str) -> None:
    (features / "not-evaluated.txt").write_text(listed)

    (line,) = lint_features(features, CATALOGUE)

    assert said in line


def test_a_missing_list_is_an_empty_one(features: Path) -> None:
    (features / "not-evaluated.txt").unlink()

    (line,) = lint_features(features, CATALOGUE)

    assert "B-1 has no scenario" in line


def test_the_projects_own_features_are_clean() -> None:
    catalogue = parse_catalogue(yaml.safe_load((ROOT / "features/catalogue.yaml").read_text()))

    assert lint_features(ROOT / "features", catalogue) == []


def test_the_command_prints_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "catalogue.yaml" in capsys.readouterr().out
    assert main([str(ROOT / "features")]) == 0
