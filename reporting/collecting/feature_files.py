"""Lets pytest collect ``.feature`` files themselves, which pytest-bdd does not: one node per scenario, in its own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import FunctionType, ModuleType

import pytest
from pytest_bdd import scenario
from pytest_bdd.exceptions import GherkinParseError
from pytest_bdd.feature import get_feature
from pytest_bdd.parser import Scenario
from pytest_bdd.scenario import scenario_wrapper_template_registry

from facts.errors import BadInput
from judge.verdict import Ending
from reporting.features.gherkin_files import read_feature
from reporting.model import ScenarioRecord, StepRecord


class FeatureModule(pytest.Module):
    """A feature file as a module of scenarios; fixtures and steps of conftest and plugins are found as for any module."""

    def _getobj(self) -> ModuleType:
        module = ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        try:
            # pytest-bdd keeps scenarios by name, so of two with one name it would silently forget the first.
            names = Counter(s.name for s in read_feature(self.path))
            if double := [name for name, times in names.items() if times > 1]:
                raise self.CollectError(f"{self.path}: expected each scenario name once; saw {double[0]!r} more than once")
            feature = get_feature(str(self.path.parent), self.path.name)
        except (BadInput, GherkinParseError) as error:
            raise self.CollectError(str(error)) from error
        for name, template in feature.scenarios.items():
            run = scenario(self.path.name, name, features_base_dir=str(self.path.parent))(_nothing_more)
            if isinstance(run, FunctionType):
                # What pytest shows as the place of a scenario is where its code is: the feature file, not pytest-bdd.
                run.__code__ = run.__code__.replace(co_filename=str(self.path), co_firstlineno=template.line_number)
            setattr(module, name, run)
        return module

    def funcnamefilter(self, name: str) -> bool:
        """Every scenario is a test, whatever its name."""
        return not name.startswith("__")

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """The scenarios; ``-k`` also finds them by requirement id."""
        for item in super().collect():
            item.extra_keyword_matches.update(marks_of(item, "requirement"))
            yield item


def _nothing_more() -> None:
    """All that a scenario does is in its steps."""


def marks_of(node: pytest.Item | pytest.Collector, name: str) -> tuple[str, ...]:
    """The values of the marks `requirement`, `profile` or `safety` of a scenario, each once, in alphabetical order."""
    return tuple(sorted({str(value) for mark in node.iter_markers(name) for value in mark.kwargs.values()}))


def rendered(item: pytest.Item) -> Scenario | None:
    """The scenario of an item, its example filled in; None if the item is no scenario."""
    if not isinstance(item, pytest.Function):
        return None
    try:
        template = scenario_wrapper_template_registry.get(item.obj)
    except TypeError:  # not every callable can be referred to weakly; a scenario's function can
        return None
    if template is None:
        return None
    callspec = getattr(item, "callspec", None)
    return template.render(callspec.params.get("_pytest_bdd_example", {}) if callspec is not None else {})


def planned(item: pytest.Item, order: Iterable[str]) -> ScenarioRecord | None:
    """The record of a scenario before it runs; None if the item is no scenario.

    Args:
        item: A collected item.
        order: Requirement ids in catalogue order.
    """
    scenario_ = rendered(item)
    if scenario_ is None:
        return None
    tagged = marks_of(item, "requirement")
    known = [r for r in order if r in tagged]
    return ScenarioRecord(
        id=item.nodeid,
        name=scenario_.name,
        feature=scenario_.feature.name,
        rule=scenario_.rule.name if scenario_.rule else "",
        file=item.nodeid.split("::", 1)[0],
        line=scenario_.line_number,
        requirements=(*known, *(r for r in tagged if r not in known)),
        profile=next(iter(marks_of(item, "profile")), ""),
        safety=", ".join(marks_of(item, "safety")),
        ending=Ending.NOT_RUN,
        steps=tuple(
            StepRecord(keyword=step.keyword.strip(), text=step.name, argument=_argument(step.docstring, step.datatable))
            for step in scenario_.steps
        ),
    )


def _argument(docstring: str | None, datatable: object) -> str:
    if docstring is not None:
        return docstring
    rows: list[list[str]] = datatable.raw() if datatable is not None else []  # type: ignore[attr-defined]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows)
