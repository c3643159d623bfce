"""What import-linter cannot inspect: the single modules of the root, and that no step is a coroutine."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"facts", "judge", "observe", "provision", "reporting", "steps", "lab", "settings", "cli", "conftest"}


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize(
    ("module", "forbidden"), [("settings.py", OURS - {"settings"}), ("cli.py", {"lab"}), ("conftest.py", {"lab"})]
)
def test_root_modules_import_only_what_stands_below_them(module: str, forbidden: set[str]) -> None:
    assert imported(ROOT / module) & forbidden == set()


@pytest.mark.parametrize("path", sorted((ROOT / "steps").rglob("*.py")), ids=lambda path: path.stem)
def test_no_step_is_a_coroutine_which_would_pass_without_running(path: Path) -> None:
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    coroutines = [name for name, value in vars(module).items() if inspect.iscoroutinefunction(value)]
    assert coroutines == []


def test_only_the_wait_vocabulary_sleeps() -> None:
    sleeping = [
        str(path.relative_to(ROOT))
        for folder in OURS - {"lab", "settings", "cli", "conftest"}
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"(time|asyncio)\.sleep\(", path.read_text(encoding="utf-8")) and path != ROOT / "observe" / "wait.py"
    ]
    assert sleeping == []
