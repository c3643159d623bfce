"""The modules that are mutated, the unit tests that must notice, and a sample of mutations drawn with a fixed seed."""

from __future__ import annotations

import ast
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.points import Point, points

FOLDERS = ("facts", "judge", "providers/teleport/facts", "providers/teleport/judge")
SEED = 20261127
LEAST = 3
"""Mutations of every module that has so many points."""

UNIT = Path("tests/unit")
ALSO: Mapping[str, tuple[str, ...]] = {
    # What the tests of other modules build their facts of, or reach only through the judgments that use it.
    "facts/errors.py": ("observe/test_wait.py", "observe/test_command.py"),
    "facts/evidence.py": ("reporting/collecting/test_store.py",),
    "facts/guide.py": ("judge/test_guide_defects.py", "facts/test_catalogue.py"),
    "facts/istio/injection.py": ("judge/install/test_istio.py", "judge/test_checklist.py"),
    "facts/kubernetes/access.py": ("observe/test_install.py", "judge/install/test_prerequisites.py"),
    "judge/fleet.py": ("judge/identity/test_proxies.py", "judge/identity/test_sweep.py", "judge/test_checklist.py"),
    "judge/install/probes.py": ("judge/install/test_prerequisites.py", "providers/teleport/judge/test_tbot.py"),
}
"""Unit tests of a module beside its mirror and those that import it, below `UNIT`. This is the one place for them."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module to mutate.

    Attributes:
        path: From the root of the tree.
        tree: Its syntax.
        tests: The unit tests that must notice, its mirror first; paths from the root of the tree.
    """

    path: str
    tree: ast.Module
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mutation of one module."""

    module: Module
    point: Point


def modules(root: Path) -> list[Module]:
    """All modules of the pure layers that have a mutation point, by their paths."""
    imports = {test: imported(_parsed(test)) for test in sorted((root / UNIT).rglob("test_*.py"))}
    found = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            tree = _parsed(path)
            if points(tree):
                found.append(Module(str(path.relative_to(root)), tree, tests_of(path.relative_to(root), root, imports)))
    return found


def tests_of(path: Path, root: Path, imports: Mapping[Path, frozenset[str]]) -> tuple[str, ...]:
    """Unit tests of a module: its mirror, those of the pure layers that import it, and what `ALSO` names.

    Args:
        path: The module, from the root.
        root: The tree.
        imports: Every unit test, with the dotted names that it imports.
    """
    mirror = root / UNIT / path.parent / f"test_{path.stem}.py"
    dotted = ".".join(path.with_suffix("").parts)
    pure = tuple(root / UNIT / folder for folder in FOLDERS)
    importing = [t for t, names in imports.items() if dotted in names and any(t.is_relative_to(p) for p in pure)]
    named = [root / UNIT / name for name in ALSO.get(str(path), ())]
    found = [*([mirror] if mirror.is_file() else []), *importing, *named]
    return tuple(str(each.relative_to(root)) for each in dict.fromkeys(found))


def imported(tree: ast.Module) -> frozenset[str]:
    """Dotted names of all that a module imports: ``from a.b import c`` gives ``a.b`` and ``a.b.c``."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def sampled(among: Sequence[Module], count: int, seed: int = SEED) -> list[Mutation]:
    """About `count` mutations, at least `LEAST` of each module and the rest by the number of its points.

    Each module is drawn from by itself, so that a change of one leaves the sample of the others as it was.
    """
    available = {module.path: points(module.tree) for module in among}
    spare = max(0, count - LEAST * len(among))
    share = spare / max(1, sum(len(each) for each in available.values()))
    drawn = []
    for module in among:
        there = available[module.path]
        wanted = min(len(there), LEAST + math.ceil(share * len(there)))
        chosen = random.Random(f"{seed} {module.path}").sample(range(len(there)), wanted)  # noqa: S311 - no secret
        drawn += [Mutation(module, there[index]) for index in sorted(chosen)]
    return drawn


def thinned(mutations: Sequence[Mutation], count: int, seed: int = SEED) -> list[Mutation]:
    """At most `count` of the mutations, for a quick look."""
    if count >= len(mutations):
        return [*mutations]
    return [mutations[i] for i in sorted(random.Random(seed).sample(range(len(mutations)), count))]  # noqa: S311


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
