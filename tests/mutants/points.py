"""Mutation points of a module: every place where one small defect can be made, and the module with it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "startswith": "endswith", "endswith": "startswith"}

_PLUMBING = {"TypeVar", "NewType", "field", "dataclass"}
_NOT_TABLES = {"__all__", "__slots__"}
_Field = tuple[ast.AST, str, int | None]


@dataclass(frozen=True, slots=True)
class Point:
    """One mutation of a module.

    Attributes:
        scope: Qualified name of the function or class it is in; ``<module>`` at the top.
        line: Line of the source.
        before: The code that is changed.
        after: The code that takes its place; empty where it is dropped.
        times: Which one it is among mutations of this scope that read the same, from 1.
        field: Where the changed node hangs: its parent, the parent's field, and the index in it.
        node: What takes its place; None drops an item.
    """

    scope: str
    line: int
    before: str
    after: str
    field: _Field
    node: ast.AST | None
    times: int = 1

    @property
    def name(self) -> str:
        """What identifies the mutation within its module, whatever lines stand above it."""
        again = f" #{self.times}" if self.times > 1 else ""
        return f"{self.scope}: {self.before} → {self.after or '(dropped)'}{again}"


def points(tree: ast.Module) -> list[Point]:
    """All mutation points of a module, in the order of the source."""
    seen: Counter[str] = Counter()
    found = []
    for point in _Finder(tree).found:
        seen[point.name] += 1
        found.append(replace(point, times=seen[point.name]))
    return found


def mutated(tree: ast.Module, point: Point) -> str:
    """The source of the module with one mutation; `tree` is as before afterwards."""
    parent, name, index = point.field
    held = getattr(parent, name)
    changed: object = point.node
    if index is not None:
        changed = [*held[:index], *([] if point.node is None else [point.node]), *held[index + 1 :]]
        if name == "keys":  # of a dict, whose values are beside them
            values = parent.values  # type: ignore[attr-defined]
            parent.values = [*values[:index], *values[index + 1 :]]  # type: ignore[attr-defined]
    setattr(parent, name, changed)
    try:
        return ast.unparse(tree) + "\n"
    finally:
        setattr(parent, name, held)
        if name == "keys":
            parent.values = values  # type: ignore[attr-defined]


class _Finder:
    """Walks a module and collects its points."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[Point] = []
        self._scope: list[str] = []
        self._line = 1
        self._table = False  # inside what a module or a class is given once: tables, sets, thresholds
        self._body(tree, "body")

    def _add(self, before: str, after: str, field: _Field, node: ast.AST | None) -> None:
        self.found.append(Point(".".join(self._scope) or "<module>", self._line, before, after, field, node))

    def _replace(self, field: _Field, old: ast.AST, *new: ast.AST) -> None:
        for each in new:
            self._add(ast.unparse(old), ast.unparse(each), field, each)

    def _body(self, parent: ast.AST, name: str) -> None:
        for index, statement in enumerate(getattr(parent, name)):
            self._statement(statement, (parent, name, index))

    def _statement(self, node: ast.stmt, field: _Field) -> None:
        self._line = node.lineno
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                self._definition(node, name)
                return
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(value=ast.Constant()):
                return
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return
            case ast.Expr(value=ast.Call()) | ast.Raise():
                self._add(ast.unparse(node), "pass", field, ast.Pass())
            case ast.Break():
                self._replace(field, node, ast.Continue())
            case ast.Continue():
                self._replace(field, node, ast.Break())
            case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
                self._replace(field, node, ast.Return(ast.Constant(None)))
            case ast.AugAssign(op=operator) if type(operator) in ARITHMETIC:
                self._replace(field, node, ast.AugAssign(node.target, ARITHMETIC[type(operator)](), node.value))
            case ast.If(test=test, orelse=orelse):
                where = f"if {ast.unparse(test)}"
                self._add(f"{where}: …", f"{where}: pass", (node, "body", None), [ast.Pass()])  # type: ignore[arg-type]
                if orelse:
                    self._add(f"{where}: … else …", f"{where}: …", (node, "orelse", None), [])  # type: ignore[arg-type]
            case _:
                pass
        self._table = not self._in_function() and isinstance(node, ast.Assign | ast.AnnAssign)
        if self._table and any(isinstance(t, ast.Name) and t.id in _NOT_TABLES for t in getattr(node, "targets", ())):
            return
        self._children(node)
        self._table = False

    def _in_function(self) -> bool:
        return any(not part[:1].isupper() for part in (p.lstrip("_") for p in self._scope))

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, name: str) -> None:
        self._scope.append(name)
        if not isinstance(node, ast.ClassDef):
            for kind in ("defaults", "kw_defaults"):
                for index, default in enumerate(getattr(node.args, kind)):
                    if default is not None:
                        self._expression(default, (node.args, kind, index))
        self._body(node, "body")
        self._scope.pop()

    def _children(self, node: ast.AST) -> None:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "ctx", "type", "type_comment"):
                continue
            if isinstance(value, ast.expr):
                self._expression(value, (node, name, None))
            elif isinstance(value, list):
                if value and isinstance(value[0], ast.stmt):
                    self._body(node, name)
                    continue
                for index, each in enumerate(value):
                    if isinstance(each, ast.expr):
                        self._expression(each, (node, name, index))
                    elif isinstance(each, ast.AST):  # comprehensions, keywords, handlers, withitems, match cases
                        self._children(each)

    def _expression(self, node: ast.expr, field: _Field) -> None:
        self._line = getattr(node, "lineno", self._line)
        match node:
            case ast.JoinedStr():  # a sentence; what is computed in it is text too
                return
            case ast.Subscript(value=ast.Name()) if self._table:  # a type
                return
            case ast.Call(func=ast.Name(id=name)) if name in _PLUMBING:
                return
        self._replace(field, node, *_others(node))
        match node:
            case ast.Compare(ops=ops, comparators=comparators):
                for operator, container in zip(ops, comparators, strict=True):
                    if isinstance(operator, ast.In | ast.NotIn):
                        self._items(container)
            case ast.BoolOp(op=junction, values=values):
                for index, value in enumerate(values):
                    rest = [*values[:index], *values[index + 1 :]]
                    self._add(ast.unparse(value), "", field, rest[0] if len(rest) == 1 else ast.BoolOp(junction, rest))
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                for each in node.generators:
                    for index, condition in enumerate(each.ifs):
                        self._add(f"if {ast.unparse(condition)}", "", (each, "ifs", index), None)
            case ast.Set() | ast.List() | ast.Tuple() | ast.Dict() if self._table:
                self._items(node)
        self._children(node)

    def _items(self, node: ast.expr) -> None:
        name = "keys" if isinstance(node, ast.Dict) else "elts"
        items: Sequence[ast.expr | None] = getattr(node, name, ())
        for index, item in enumerate(items):
            if item is not None and (len(items) > 1 or not isinstance(node, ast.Set)):  # `set()` is no literal
                self._add(ast.unparse(item), "", (node, name, index), None)


def _is_text(node: ast.expr) -> bool:
    """Whether a sum joins texts: with a minus it is a TypeError, which shows nothing."""
    match node:
        case ast.BinOp(left=left, right=right):
            return _is_text(left) or _is_text(right)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_text(body) or _is_text(orelse)
        case ast.Constant(value=value):
            return isinstance(value, str)
    return isinstance(node, ast.JoinedStr)


def _others(node: ast.expr) -> Iterator[ast.expr]:
    """What may stand in place of an expression."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for index, comparison in enumerate(ops):
                for other in COMPARISONS[type(comparison)]:
                    yield ast.Compare(left, [*ops[:index], other(), *ops[index + 1 :]], comparators)
        case ast.BoolOp(op=junction, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(junction, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in ARITHMETIC and not _is_text(node):
            yield ast.BinOp(left, ARITHMETIC[type(operator)](), right)
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            yield ast.Call(ast.Name(CALLS[name]), node.args, node.keywords)
        case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in CALLS:
            yield ast.Call(ast.Attribute(value, CALLS[name]), node.args, node.keywords)
        case ast.Constant():
            yield from _other_constants(node)


def _other_constants(node: ast.Constant) -> Iterator[ast.Constant]:
    """What may stand in place of a constant. Sentences are left alone: they are for people."""
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, str) and value and not re.search(r"\s", value):
        yield ast.Constant("")
