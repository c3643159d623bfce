"""Checks the features against the catalogue, for mistakes in tags that no test would notice.

``python -m reporting.features.feature_lint features`` prints what is wrong, one line each, and exits with 1 if anything is.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

from facts.catalogue import Catalogue, parse_catalogue
from facts.errors import BadInput
from reporting.collecting.policy import SAFETY_CLASSES
from reporting.features.gherkin_files import TaggedScenario, feature_paths, read_feature

NOT_EVALUATED = "not-evaluated.txt"
_KEYS = ("requirement", "profile", "safety")


def lint_features(directory: Path, catalogue: Catalogue) -> list[str]:
    """Lists the mistakes in the features, one sentence each.

    Args:
        directory: Holds the feature files, at any depth, and ``not-evaluated.txt``: ids of requirements that have no
            scenario yet, one a line, ``#`` starts a comment.
        catalogue: All requirements.
    """
    wrong: list[str] = []
    proven: set[str] = set()
    for path in feature_paths(directory):
        where = path.relative_to(directory)
        try:
            scenarios = read_feature(path)
        except BadInput as error:
            wrong.append(str(error))
            continue
        for name, times in Counter(s.name for s in scenarios).items():
            if times > 1:
                wrong.append(f"{where}: {times} scenarios are called {name!r}; only the last one would run")
        for scenario in scenarios:
            proven.update(scenario.values("requirement"))
            wrong += (f"{where}:{scenario.line} {scenario.name!r}: {what}" for what in _scenario(scenario, catalogue))
    return [*wrong, *_coverage(directory / NOT_EVALUATED, proven, catalogue)]


def _scenario(scenario: TaggedScenario, catalogue: Catalogue) -> Iterator[str]:
    requirements, profiles, safety = (scenario.values(key) for key in _KEYS)
    if not requirements:
        yield "carries no @requirement: tag, so no requirement is judged by it"
    for requirement in requirements:
        if requirement not in catalogue:
            yield f"@requirement:{requirement} is not in the catalogue"
        elif profiles and catalogue[requirement].profile not in profiles:
            yield f"is of profile {', '.join(profiles)}, its requirement {requirement} of {catalogue[requirement].profile}"
    if len(profiles) != 1:
        yield f"must carry one @profile: tag, its own or its feature's; carries {len(profiles)}"
    if len(safety) != 1:
        yield f"must carry one @safety: tag; carries {len(safety)}"
    for unknown in set(safety) - set(SAFETY_CLASSES):
        yield f"@safety:{unknown} is none of {', '.join(SAFETY_CLASSES)}"
    if scenario.example_tags:
        yield f"has tags on its Examples ({', '.join(scenario.example_tags)}); pytest-bdd applies them past our reading"
    if not scenario.steps:
        yield "has no steps"


def _coverage(listed_in: Path, proven: set[str], catalogue: Catalogue) -> Iterator[str]:
    lines = listed_in.read_text(encoding="utf-8").splitlines() if listed_in.exists() else []
    listed = [word for line in lines if (word := line.split("#", 1)[0].strip())]
    for requirement in catalogue.requirements:
        if requirement not in proven and requirement not in listed:
            yield f"{requirement} has no scenario and is not listed in {listed_in.name}"
    for requirement, times in Counter(listed).items():
        if requirement not in catalogue:
            yield f"{listed_in.name}: {requirement} is not in the catalogue"
        if requirement in proven:
            yield f"{listed_in.name}: {requirement} has a scenario; take it off the list"
        if times > 1:
            yield f"{listed_in.name}: {requirement} is listed {times} times"


def main(arguments: list[str]) -> int:
    """Lints the directory named in `arguments`, ``features`` by default; returns the exit code."""
    directory = Path(arguments[0] if arguments else "features")
    try:
        text = (directory / "catalogue.yaml").read_text(encoding="utf-8")
        catalogue = parse_catalogue(yaml.safe_load(text), str(directory / "catalogue.yaml"))
        wrong = lint_features(directory, catalogue)
    except (BadInput, OSError, yaml.YAMLError) as error:
        wrong = [" ".join(str(error).split())]
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
