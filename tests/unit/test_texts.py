"""Texts that others wrote: how the product may split and cut them, held by reading the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
READERS = (
    "facts",
    "observe",
    "judge",
    "checks",
    "steps",
    "doctor",
    "provision/negative",
    "provision/disruption",
    "provision/pods",
    "reporting/writing",
)
"""Folders whose texts may come from a pod, a tenant, Teleport or the API server."""

LONG = 40
"""Characters from which a slice is taken for an excerpt; a shorter one takes apart a digest, a serial or a list."""

SEARCHES_ITSELF = {"facts/redaction.py", "facts/secret_forms.py"}
"""Modules that look for secrets, and cut after that or in order to do it."""

NO_TEXT_OF_OTHERS = {"provision/pods/probes.py": "the name of a node, for the name of a pod"}


def calls_and_slices(wanted: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for folder in READERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, wanted):
                    yield str(path.relative_to(ROOT)), node


def bound(node: ast.expr | None) -> int:
    """The size of a constant bound of a slice; 0 for any other."""
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else 0


def test_only_a_line_feed_ends_a_line() -> None:
    """``str.splitlines`` also splits at U+2028 and others, which whoever writes a log or a name may put there."""
    splitting = {path for path, node in calls_and_slices(ast.Attribute) if getattr(node, "attr", "") == "splitlines"}
    assert splitting == set(), "use facts.masks.lines"


def test_a_text_is_searched_for_secrets_before_it_is_cut() -> None:
    cut = {
        f"{path}:{node.lineno}"
        for path, node in calls_and_slices(ast.Subscript)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Slice)
        and max(bound(node.slice.lower), bound(node.slice.upper)) >= LONG
        and path not in SEARCHES_ITSELF | NO_TEXT_OF_OTHERS.keys()
    }
    assert cut == set(), "use facts.redaction.beginning or ending"
