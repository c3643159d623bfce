"""Mutation points: what is found in a module, what is left alone, and the source with one of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.points import mutated, points

ROOT = Path(__file__).parents[3]


def names(source: str) -> list[str]:
    return [point.name for point in points(ast.parse(source))]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x < y", ["<module>: x < y → x <= y", "<module>: x < y → x >= y"]),
        ("x is None", ["<module>: x is None → x is not None"]),
        ("a and b", ["<module>: a and b → a or b", "<module>: a → (dropped)", "<module>: b → (dropped)"]),
        ("not a", ["<module>: not a → a"]),
        ("a if b else c", ["<module>: a if b else c → a", "<module>: a if b else c → c"]),
        ("a - b", ["<module>: a - b → a + b"]),
        ("a[min(b)]", ["<module>: min(b) → max(b)"]),
        ("a[b.startswith(c)]", ["<module>: b.startswith(c) → b.endswith(c)"]),
        ("[a for a in b if c]", ["<module>: if c → (dropped)"]),
        ("a[3]", ["<module>: 3 → 4", "<module>: 3 → 2"]),
        ("a[True]", ["<module>: True → False"]),
        ("a['word']", ["<module>: 'word' → ''"]),
        ("f(a)", ["<module>: f(a) → pass"]),
        ("a += b", ["<module>: a += b → a -= b"]),
        ("def f():\n    return a", ["f: return a → return None"]),
        ("def f(a=2): ...", ["f: 2 → 3", "f: 2 → 1"]),
        ("for a in b:\n    continue", ["<module>: continue → break"]),
        ("if a:\n    b = c\nelse:\n    b = d", ["<module>: if a: … → if a: pass", "<module>: if a: … else … → if a: …"]),
        ("A = (b, c)", ["<module>: b → (dropped)", "<module>: c → (dropped)"]),
        ("A = frozenset({b, c})", ["<module>: b → (dropped)", "<module>: c → (dropped)"]),
        ("A = {b: c}", ["<module>: b → (dropped)"]),
        ("class A:\n    @property\n    def b(self):\n        return c", ["A.b: return c → return None"]),
        ("a in (b, c)", ["<module>: a in (b, c) → a not in (b, c)", "<module>: b → (dropped)", "<module>: c → (dropped)"]),
    ],
)
def test_each_kind_of_defect_is_found(source: str, expected: list[str]) -> None:
    assert names(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "import a",
        "a: Literal['b'] = c",
        "A = Callable[[b], c]",
        "__all__ = ['b']",
        "a = 'a sentence for people'",
        "a = f'{b + 1}'",
        "a = 'text ' + b",
        "T = TypeVar('T')",
        "@dataclass(frozen=True)\nclass A:\n    b: int",
        "if TYPE_CHECKING:\n    a = 1",
        "def f(a: b) -> c: ...",
    ],
)
def test_what_changes_nothing_or_only_words_is_left_alone(source: str) -> None:
    assert names(source) == []


def test_mutations_that_read_alike_are_told_apart_by_their_number() -> None:
    assert names("def f():\n    a[not b]\n    a[not b]") == ["f: not b → b", "f: not b → b #2"]


def test_each_point_gives_another_valid_module_and_leaves_the_tree_as_it_was() -> None:
    tree = ast.parse((ROOT / "facts" / "versions.py").read_text(encoding="utf-8"))
    before = ast.unparse(tree)

    sources = [mutated(tree, point) for point in points(tree)]

    assert len(sources) > 20
    for source in sources:
        compile(source, "mutant", "exec")
        assert source != before + "\n"
    assert ast.unparse(tree) == before


@pytest.mark.parametrize(
    ("source", "after"),
    [
        ("A = {b: c, d: e}", "A = {d: e}\n"),
        ("A = {b, c}", "A = {c}\n"),
        ("a or b", "a and b\n"),
        ("[a for a in b if c]", "[a for a in b]\n"),
    ],
)
def test_the_mutant_is_the_module_with_that_change(source: str, after: str) -> None:
    tree = ast.parse(source)
    assert mutated(tree, points(tree)[0]) == after
