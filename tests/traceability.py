"""The table of requirements, ``docs/requirements.md``: each with its feature, steps, judgments and faults.

``python -m tests.traceability page`` writes it; ``lint`` checks that it is current. The sources are the features as
pytest-bdd reads them, the step functions that match their sentences, the judgments that these functions call, and the
faults. This module stands among the tests because it imports every layer, which no layer may.
"""

from __future__ import annotations

import dis
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import isfunction, ismodule
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType, FunctionType, ModuleType

import yaml
from pytest_bdd.feature import get_features
from pytest_bdd.parser import ScenarioTemplate, Step
from pytest_bdd.steps import StepFunctionContext, step_function_context_registry

import steps
from facts.catalogue import Catalogue, parse_catalogue
from provision.faults import FAULTS
from provision.faults.coverage import WITHOUT_FAULT, breaking, read_listed
from provision.faults.page import link

Function = Callable[..., object]

JUDGES = re.compile(r"(providers\.\w+\.)?judge\.")
BINDS = re.compile(r"steps\.|checks\.|providers\.\w+\.(checks|parts)\.")

ROOT = Path(__file__).resolve().parents[1]
FEATURES, PAGE = ROOT / "features", ROOT / "docs" / "requirements.md"

_HEAD = """\
# The requirements, from promise to proof

One row a requirement: the feature file with its scenarios, the modules that their sentences are bound to (the table of
checks, or steps that act), the judgments that these call, and the faults under which it must fail.
[features/catalogue.yaml](../features/catalogue.yaml) has each requirement's sentence, source and verification;
[faults.md](faults.md) has the faults.

`make docs` generates this page from the sources; `make lint` checks that it is current.

| requirement | feature | bound to | judgments | broken by |
|---|---|---|---|---|
"""


@dataclass(slots=True)
class Trace:
    """The places that belong to one requirement.

    Attributes:
        features: Feature files, below the root of the repository.
        functions: Step functions of its scenarios.
        judgments: Functions of a `judge` that return findings, and that the step functions call.
    """

    features: set[str] = field(default_factory=set)
    functions: set[Function] = field(default_factory=set)
    judgments: set[Function] = field(default_factory=set)


def step_contexts() -> list[StepFunctionContext]:
    """Import every module of `steps`, and return the step functions with their sentences."""
    for module in walk_packages(steps.__path__, "steps."):
        import_module(module.name)
    every = list(step_function_context_registry.values())
    return [context for context in every if context.step_func.__module__.startswith("steps.")]


def traced(features: Path, contexts: Iterable[StepFunctionContext]) -> dict[str, Trace]:
    """Return the places of each requirement that scenarios are tagged with.

    Raises:
        LookupError: No step function matches a sentence.
    """
    contexts, found = list(contexts), dict[str, Trace]()
    for feature in get_features([str(features)]):
        for scenario in feature.scenarios.values():
            functions = {matching(step, contexts) for step in sentences(scenario)}
            tags = feature.tags | scenario.tags | (scenario.rule.tags if scenario.rule else set())
            for tag in tags:
                if tag.startswith("requirement:"):
                    trace = found.setdefault(tag.removeprefix("requirement:"), Trace())
                    trace.features.add(str(Path(feature.filename).relative_to(features.parent)))
                    trace.functions |= functions
                    trace.judgments.update(*(judgments_of(function) for function in functions))
    return found


def sentences(scenario: ScenarioTemplate) -> list[Step]:
    """Return the steps of a scenario, the placeholders of an outline filled in from the first row of its examples."""
    first = next((row for examples in scenario.examples for row in examples.as_contexts()), {})
    return scenario.render(first).steps


def matching(step: Step, contexts: Iterable[StepFunctionContext]) -> Function:
    """Return the step function of a sentence.

    Raises:
        LookupError: No step function matches it.
    """
    for context in contexts:
        if context.type in (None, step.type) and context.parser.is_matching(step.name):
            # A sentence of the table (`steps.bound`) stands for what it is bound to.
            return getattr(context.step_func, "binds", context.step_func)
    raise LookupError(f"no step function for: {step.keyword} {step.name}")


def judgments_of(function: Function, seen: frozenset[Function] = frozenset()) -> set[Function]:
    """Return the functions of `judge` that return findings and that a step calls, through `steps` and `checks` as well."""
    found: set[Function] = set()
    if not isfunction(function):
        return found
    for called in _named(function.__code__, function.__globals__):
        if JUDGES.match(called.__module__) and "Finding" in str(called.__annotations__.get("return", "")):
            found.add(called)
        elif BINDS.match(called.__module__) and called not in seen:
            found |= judgments_of(called, seen | {function})
    return found


def _named(code: CodeType, names: dict[str, object]) -> Iterator[FunctionType]:
    """Functions that code names: globals, attributes of imported modules, and those that code inside it names."""
    module: ModuleType | None = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            named: object = names.get(str(instruction.argval))
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and module is not None:
            named = getattr(module, str(instruction.argval), None)
        else:
            named = None
        module = named if ismodule(named) else None
        if isfunction(named):
            yield named
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant, names)


def page(catalogue: Catalogue, traces: Mapping[str, Trace], without: Mapping[str, str]) -> str:
    """Return the page as Markdown.

    Args:
        catalogue: All requirements, in the order of the page.
        traces: Their places, by id.
        without: By requirement that no fault breaks: why.
    """
    rows = []
    for requirement in catalogue:
        trace = traces.get(requirement.id, Trace())
        faults = ", ".join(link(fault, "faults.md") for fault in breaking(requirement.id, FAULTS.values()))
        cells = (
            ", ".join(_file(each) for each in sorted(trace.features)),
            ", ".join(_file(each) for each in sorted({_path(function) for function in trace.functions})),
            "<br>".join(_judgments(trace.judgments)),
            faults or without.get(requirement.id, ""),
        )
        rows.append(f"| {requirement.id} | {' | '.join(cell or '–' for cell in cells)} |\n")
    return _HEAD + "".join(rows)


def _judgments(judgments: Iterable[Function]) -> Iterator[str]:
    by_file: dict[str, list[str]] = {}
    for judgment in judgments:
        by_file.setdefault(_path(judgment), []).append(f"`{getattr(judgment, '__name__', judgment)}`")
    for path in sorted(by_file):
        yield f"{_file(path)}: {', '.join(sorted(by_file[path]))}"


def _path(function: Function) -> str:
    return f"{function.__module__.replace('.', '/')}.py"


def _file(path: str) -> str:
    return f"[{path.partition('/')[2]}](../{path})"


def main(arguments: list[str]) -> int:
    """Run the one command given, ``lint`` or ``page``, and return the exit code."""
    catalogue = parse_catalogue(yaml.safe_load((FEATURES / "catalogue.yaml").read_text(encoding="utf-8")))
    traces = traced(FEATURES, step_contexts())
    written = page(catalogue, traces, dict(read_listed(FEATURES / WITHOUT_FAULT)))
    if arguments == ["page"]:
        PAGE.write_text(written, encoding="utf-8")
        return 0
    if arguments != ["lint"]:
        sys.stderr.write("usage: python -m tests.traceability lint|page\n")
        return 4
    wrong = [f"{each}: its steps call no judgment" for each, trace in traces.items() if not trace.judgments]
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != written:
        wrong.append(f"docs/{PAGE.name} is not current: run make docs")
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
