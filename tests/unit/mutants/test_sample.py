"""The sample: all modules, the same mutants each time, and the tests that must notice."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.points import points
from tests.mutants.sample import ALSO, LEAST, UNIT, Module, imported, modules, sampled, tests_of, thinned

tests_of.__test__ = False  # type: ignore[attr-defined]
ROOT = Path(__file__).parents[3]


def module(path: str, *lines: str) -> Module:
    return Module(path, ast.parse("\n".join(lines)), ())


LARGE = module("judge/large.py", *(f"a{n} < b" for n in range(100)))
SMALL = module("facts/small.py", "a == b", "c == d")


def test_every_module_has_its_least_and_a_large_one_more() -> None:
    drawn = sampled([SMALL, LARGE], 40)
    assert [m.module.path for m in drawn].count(SMALL.path) == 2
    assert LEAST < [m.module.path for m in drawn].count(LARGE.path) <= 40


def test_the_sample_is_the_same_each_time_whatever_else_is_there() -> None:
    alone = [m.point.name for m in sampled([LARGE], 0)]
    beside = [m.point.name for m in sampled([SMALL, LARGE], 0) if m.module is LARGE]
    assert alone == beside == [m.point.name for m in sampled([LARGE], 0)]
    assert alone != [m.point.name for m in sampled([LARGE], 0, seed=1)]


def test_a_quick_look_takes_some_of_them() -> None:
    drawn = sampled([LARGE], 60)
    assert len(thinned(drawn, 5)) == 5
    assert thinned(drawn, 1000) == drawn


def test_the_tests_are_the_mirror_and_what_imports_the_module(tmp_path: Path) -> None:
    for name, source in {
        "facts/a/test_b.py": "",
        "judge/test_x.py": "from facts.a import b",
        "judge/test_y.py": "from facts.a.b import c",
        "judge/test_z.py": "from facts.a import other",
        "steps/test_far.py": "import facts.a.b",
    }.items():
        (tmp_path / UNIT / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / UNIT / name).write_text(source)
    imports = {t: imported(ast.parse(t.read_text())) for t in sorted((tmp_path / UNIT).rglob("test_*.py"))}

    found = tests_of(Path("facts/a/b.py"), tmp_path, imports)

    assert found == ("tests/unit/facts/a/test_b.py", "tests/unit/judge/test_x.py", "tests/unit/judge/test_y.py")


@pytest.mark.parametrize("path", sorted(ALSO))
def test_what_is_named_besides_is_there(path: str) -> None:
    assert (ROOT / path).is_file()
    assert [name for name in ALSO[path] if not (ROOT / UNIT / name).is_file()] == []


def test_every_module_has_a_test_that_could_notice() -> None:
    among = modules(ROOT)
    assert [m.path for m in among if not m.tests] == []
    assert sum(len(points(m.tree)) for m in among) > 1000
