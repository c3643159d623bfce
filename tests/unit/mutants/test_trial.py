"""Trying a mutant: in a copy, by its module's tests, until they end or have gone on for too long."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tests.mutants import trial as trials
from tests.mutants.points import points
from tests.mutants.report import Result, equivalent
from tests.mutants.sample import Module, Mutation
from tests.mutants.trial import Copy, Fate, TestsFail, Trial

SOURCE = """
def least(numbers):
    found = 9
    while numbers:
        found = min(found, numbers[0])
        numbers = numbers[1:]
    return found

def unused():
    return 1
"""
TEST = "from facts.least import least\n\ndef test_it() -> None:\n    assert least([2, 3]) == 2\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name, text in {
        "facts/__init__.py": "",
        "facts/least.py": SOURCE,
        "tests/test_least.py": TEST,
        "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.']\n",
        "conftest.py": "raise SystemExit('not to be loaded')\n",
        "ignored.txt": "",
        ".gitignore": "ignored.txt\n",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    return tree


def mutations(*tests: str) -> dict[str, Mutation]:
    module = Module("facts/least.py", ast.parse(SOURCE), tests)
    return {point.name: Mutation(module, point) for point in points(module.tree)}


def test_a_mutant_is_killed_survives_or_never_ends(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(root, tmp_path / "copy")
    found = mutations("tests/test_least.py")

    killed = copy.tried(found["least: min(found, numbers[0]) → max(found, numbers[0])"])
    survived = copy.tried(found["unused: return 1 → return None"])
    monkeypatch.setattr(trials, "PATIENCE", 1.0)  # only for the one that never ends: the others end by themselves
    monkeypatch.setattr(trials, "TIMES", 1.0)
    endless = copy.tried(found["least: 1 → 0"])

    assert [t.fate for t in (killed, survived, endless)] == [Fate.KILLED, Fate.SURVIVED, Fate.TIMED_OUT]
    assert (root / "facts/least.py").read_text() == SOURCE == (tmp_path / "copy/facts/least.py").read_text()
    assert not (tmp_path / "copy/ignored.txt").exists()


def test_without_tests_every_mutant_survives(root: Path, tmp_path: Path) -> None:
    found = mutations()
    assert Copy(root, tmp_path / "copy").tried(found["unused: return 1 → return None"]).fate is Fate.SURVIVED


def test_tests_that_fail_anyhow_tell_nothing(root: Path, tmp_path: Path) -> None:
    (root / "tests/test_least.py").write_text(TEST.replace("== 2", "== 3"))
    with pytest.raises(TestsFail, match=r"facts/least\.py: its unit tests fail without a mutation"):
        Copy(root, tmp_path / "copy").tried(mutations("tests/test_least.py")["unused: return 1 → return None"])


# The report.


def result(*fates: Fate, known: tuple[str, ...] = ()) -> Result:
    those = list(mutations("tests/test_least.py").values())
    return Result(
        [Trial(m, fate, 1.0) for m, fate in zip(those, fates, strict=False)], {("facts/least.py", n): "w" for n in known}
    )


def test_the_share_leaves_out_what_is_equivalent_and_counts_what_never_ends() -> None:
    name = next(iter(mutations()))
    assert result(Fate.SURVIVED, Fate.KILLED, Fate.TIMED_OUT, Fate.KILLED).share == 0.75
    assert result(Fate.SURVIVED, Fate.KILLED, Fate.TIMED_OUT, Fate.KILLED, known=(name,)).share == 1


def test_survivors_are_told_with_what_was_changed() -> None:
    text = "\n".join(result(Fate.SURVIVED, Fate.KILLED).lines())
    assert text.startswith("# 50.0% of 2 mutants killed, in 1 modules\n")
    assert "`least: 9 → 10`" in text
    assert "@@ facts/least.py:3 @@\n-9\n+10\n" in text


def test_entries_that_are_not_true_are_named() -> None:
    known = (next(iter(mutations())), "least: gone")
    module = next(iter(mutations().values())).module
    assert result(Fate.KILLED, known=known).wrong_entries([module]) == [
        f"facts/least.py: {known[0]}: was killed",
        "facts/least.py: least: gone: there is no such mutation",
    ]


@pytest.mark.parametrize("entry", ["{module: a, mutation: b}", "{module: a, mutation: b, why: ' '}"])
def test_an_entry_without_a_reason_is_refused(tmp_path: Path, entry: str) -> None:
    (tmp_path / "e.yaml").write_text(f"equivalent: [{entry}]")
    with pytest.raises(ValueError, match="module, mutation and why"):
        equivalent(tmp_path / "e.yaml")
