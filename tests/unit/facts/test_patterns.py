"""The regular expressions of the suite: two causes of time that is not linear in what others write, and none has them.

Measured on the expressions themselves, not with a clock.

- Exponential: a repetition whose body itself repeats without a limit. It is safe where each round begins with a character
  that none of the inner repetitions accepts: then a text has one division into rounds.
- Quadratic: a search that begins anew inside what it read in vain. It does so where an unlimited repetition accepts the
  fixed beginning of the expression, and something that may fail follows.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from typing import Any

import pytest

import facts
import judge
import observe
import providers

REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)


def _patterns() -> dict[str, re.Pattern[str]]:
    """The compiled expressions of the modules that read or judge what others wrote, those in tuples as well."""
    found: dict[str, re.Pattern[str]] = {}

    def take(name: str, value: object) -> None:
        if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
            found[name] = value
        elif isinstance(value, tuple | list):
            for number, each in enumerate(value):
                take(f"{name}[{number}]", each)

    for package in (facts, judge, observe, providers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if package is providers and not re.match(r"providers\.\w+\.(facts|judge|observe)\b", module.name):
                continue  # of a provider, too, what reads and judges
            for name, value in vars(importlib.import_module(module.name)).items():
                take(f"{module.name}.{name}", value)
    return found


PATTERNS = _patterns()


def _inside(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every node of a parsed expression."""
    if isinstance(value, parser.SubPattern):
        for node in value:
            yield node
            yield from _inside(node[1])
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _inside(each)


def _first(body: Any) -> int | None:
    """The character that a body always begins with, as a number; None where that is not one."""
    kind, value = body[0]
    if kind is sre.SUBPATTERN:
        return _first(value[3])
    return value if kind is sre.LITERAL else None


def _accepts(body: Any, character: int, flags: int) -> bool:
    """Whether some part of a body accepts a character."""
    single = [node for node in _inside(body) if node[0] in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)]
    return any(_one(node, character, flags) for node in single)


def _one(node: tuple[Any, Any], character: int, flags: int) -> bool:
    state = parser.State()
    state.flags, state.str = flags, ""
    return re._compiler.compile(parser.SubPattern(state, [node])).fullmatch(chr(character)) is not None  # type: ignore[attr-defined]


def ambiguous(pattern: re.Pattern[str]) -> list[str]:
    """The repetitions of an expression that may divide one text in many ways."""
    found = []
    for kind, value in _inside(parser.parse(pattern.pattern, pattern.flags)):
        if kind not in REPEATS or value[1] is not sre.MAXREPEAT:
            continue
        body = value[2]
        inner = [each[1][2] for each in _inside(body) if each[0] in REPEATS and each[1][1] is sre.MAXREPEAT]
        begin = _first(body)
        if inner and (begin is None or any(_accepts(each, begin, pattern.flags) for each in inner)):
            found.append(str(body))
    return found


def _alternatives(body: Any) -> Iterator[Any]:
    if len(body) == 1 and body[0][0] is sre.BRANCH:
        for each in body[0][1][1]:
            yield from _alternatives(each)
    else:
        yield body


def restarting(pattern: re.Pattern[str]) -> list[str]:
    """The repetitions of an expression that read to the end from each of its beginnings in a text."""
    found = []
    for nodes in _alternatives(parser.parse(pattern.pattern, pattern.flags)):
        fixed = next((at for at, node in enumerate(nodes) if node[0] not in (sre.LITERAL, sre.AT)), len(nodes))
        # What is searched for at the beginning of lines begins anew only behind a line break.
        beginning = [
            ord("\n") if value is sre.AT_BEGINNING else value
            for kind, value in nodes[:fixed]
            if kind is sre.LITERAL or value is sre.AT_BEGINNING
        ]
        if not beginning:
            continue
        # A repetition at the end never fails: the search goes on behind it.
        for kind, value in _inside(nodes[fixed:-1]):
            unlimited = kind in REPEATS and value[1] is sre.MAXREPEAT
            if unlimited and all(_accepts(value[2], each, pattern.flags) for each in beginning):
                found.append(str(value[2]))
    return found


LINEAR_ALL_THE_SAME = {
    "facts.kubernetes.access._DENIED": "the repetition accepts a quotation mark only behind a backslash",
    "facts.secret_forms._COMPACT": "it is matched at the beginning of a text alone, never searched for",
    "providers.teleport.facts.token_repository._QUOTED": "it is matched against a whole text alone, never searched for",
    "facts.traffic.refusal._STREAM_ENDED": "the end of the text ends the repetition, so it never fails",
}
"""Expressions that look as if they began anew, each with the reason why they do not."""


def test_the_expressions_are_found() -> None:
    assert {"facts.istio.mesh._NODES_SOCKET", "facts.traffic.refusal._REASONS[0][0]"} <= PATTERNS.keys()


@pytest.mark.parametrize("name", PATTERNS)
def test_no_expression_divides_a_text_in_exponentially_many_ways(name: str) -> None:
    assert ambiguous(PATTERNS[name]) == []


def test_no_search_begins_anew_inside_what_it_read_in_vain() -> None:
    assert {name for name, pattern in PATTERNS.items() if restarting(pattern)} == LINEAR_ALL_THE_SAME.keys()


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        (r"a\S*b", True),
        (r"x|ab(.*) c", True),
        (r"a\S{0,200}b", False),
        (r"a\S*", False),
        (r"a b\S*c", False),
        (r"(?m)^a.*b", False),
    ],
)
def test_a_search_that_begins_anew_is_known(text: str, is_so: bool) -> None:
    assert bool(restarting(re.compile(text))) is is_so


@pytest.mark.parametrize(
    ("text", "is_so"),
    [(r"(?:\s+\w+:[^\n]*)+", True), (r"(a+)+", True), (r"(?:a+b)*", True), (r"(?:\.[a-z]+)*", False), ("[^/]+a*", False)],
)
def test_an_ambiguous_repetition_is_known(text: str, is_so: bool) -> None:
    assert bool(ambiguous(re.compile(text))) is is_so
