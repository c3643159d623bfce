"""What import-linter cannot inspect: the single modules of the root, and that no step is a coroutine."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("facts", "judge", "observe", "checks", "providers", "provision", "steps", "doctor", "reporting")
OURS = {*PRODUCT, "lab", "settings", "cli", "conftest"}


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


CROWDED = 14
"""As many modules may lie beside each other in one folder; with more, it is more than one topic."""

DEEPER = {
    "NotGiven": "an error that is a CouldNotTell, which is a ConformanceError: readers catch each of the three",
    "EndedBySignal": "likewise: a CouldNotTell of one kind",
    "TooLarge": "likewise: a CouldNotTell of one kind",
    "NoPodToAsk": "likewise: a CouldNotTell of one kind",
    "NotThere": "likewise: a ProvisioningFailed of one kind",
    "Conflict": "likewise",
    "Forbidden": "likewise",
    "HoldLost": "likewise: the one that ends the run",
    "Container": "a specification with the state that the kubelet reports, each read where it stands",
    "Deployment": "what every controller of pods has, with the counts of this kind",
    "DaemonSet": "likewise",
    "ContainerStatus": "the same state, with the name under which the kubelet reports it",
}
"""Classes with more than one product class among their ancestors, each with the reason."""


def modules() -> list[Path]:
    """Every module of the product."""
    return [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_folder_holds_more_modules_than_a_reader_takes_in() -> None:
    beside: dict[str, int] = {}
    for path in modules():
        if path.stem != "__init__":
            beside[str(path.parent.relative_to(ROOT))] = beside.get(str(path.parent.relative_to(ROOT)), 0) + 1
    assert {folder: count for folder, count in beside.items() if count > CROWDED} == {}


def test_no_class_stands_on_a_chain_of_product_classes() -> None:
    deep = set()
    for path in modules():
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        for name, each in vars(module).items():
            if inspect.isclass(each) and each.__module__ == module.__name__:
                ancestors = [c for c in each.__mro__[1:] if c.__module__.partition(".")[0] in PRODUCT]
                if len(ancestors) > 1:
                    deep.add(name)
    assert deep == set(DEEPER)
