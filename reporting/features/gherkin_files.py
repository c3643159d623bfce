"""Reads from feature files what the tags say, without pytest: for the lint and for what a run left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gherkin.errors import ParserError
from gherkin.parser import Parser

from facts.errors import BadInput


@dataclass(frozen=True, slots=True)
class TaggedScenario:
    """A scenario with every tag that reaches it.

    Attributes:
        name: As written, ``<placeholders>`` included.
        line: Line of the scenario in its file.
        feature: Name of its feature.
        rule: Name of its rule; empty without one.
        tags: Without ``@``, inherited ones first.
        example_tags: Tags on its Examples; pytest-bdd treats them differently, so there should be none.
        steps: How many steps of its own it has.
    """

    name: str
    line: int
    feature: str
    rule: str
    tags: tuple[str, ...]
    example_tags: tuple[str, ...]
    steps: int

    def values(self, key: str) -> tuple[str, ...]:
        """The values of its tags ``@key:value``, each once."""
        return tuple(dict.fromkeys(t.removeprefix(f"{key}:") for t in self.tags if t.startswith(f"{key}:")))


def feature_paths(directory: Path) -> tuple[Path, ...]:
    """Every feature file below a directory, in the order of their paths."""
    return tuple(sorted(directory.rglob("*.feature")))


def read_feature(path: Path) -> tuple[TaggedScenario, ...]:
    """Reads the scenarios of one feature file.

    Raises:
        BadInput: It cannot be read, or is not Gherkin.
    """
    try:
        document: Mapping[str, Any] = Parser().parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ParserError) as error:
        raise BadInput(
            expected="a feature file in Gherkin",
            seen=" ".join(str(error).split()),
            where=str(path),
            remedy="mend the file at that line",
        ) from error
    feature = document.get("feature")
    return tuple(_scenarios(feature, feature["name"], "", ())) if feature else ()


def _scenarios(parent: Mapping[str, Any], feature: str, rule: str, inherited: tuple[str, ...]) -> Iterator[TaggedScenario]:
    tags = (*inherited, *_tags(parent))
    for child in parent["children"]:
        if "rule" in child:
            yield from _scenarios(child["rule"], feature, child["rule"]["name"], tags)
        elif "scenario" in child:
            scenario = child["scenario"]
            yield TaggedScenario(
                name=scenario["name"],
                line=scenario["location"]["line"],
                feature=feature,
                rule=rule,
                tags=(*tags, *_tags(scenario)),
                example_tags=tuple(t for e in scenario["examples"] for t in _tags(e)),
                steps=len(scenario["steps"]),
            )


def _tags(node: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(t["name"].removeprefix("@") for t in node["tags"])
