"""A step concludes all that it judged at once: one that concludes again would leave out what comes after a failure."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import steps

FOLDER = Path(steps.__file__).parent
LOOPS = ast.For | ast.While | ast.AsyncFor | ast.comprehension


def functions() -> list[tuple[str, ast.FunctionDef]]:
    """Every step function, with its place."""
    return [
        (f"{path.relative_to(FOLDER)}:{each.lineno}", each)
        for path in sorted(FOLDER.rglob("*.py"))
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.FunctionDef) and any(a.arg == "conclude" for a in each.args.args)
    ]


def conclusions(within: ast.AST) -> list[ast.Call]:
    calls = (each for each in ast.walk(within) if isinstance(each, ast.Call))
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "conclude"]


@pytest.mark.parametrize(("place", "step"), functions(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_step_concludes_once(place: str, step: ast.FunctionDef) -> None:
    assert len(conclusions(step)) == 1, f"{place} must hand all its findings to one conclude"
    loops = [each for each in ast.walk(step) if isinstance(each, LOOPS)]
    assert not any(conclusions(loop) for loop in loops), f"{place} concludes in a loop"
