"""The expressions of templates (``{{ workload.kubernetes.namespace }}``) and of rules.

The part of Teleport's language that workload identities use: attribute paths with ``["key"]`` for maps, string,
number and truth literals, ``==``, ``!=``, ``&&``, ``||``, ``!`` and parentheses. Functions are not part of the
stand-in and are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.standin.failure import Kind, Refusal, within

Attributes = Mapping[str, Any]
Evaluation = Callable[[Attributes], Any]

# What exists: a mapping is a message, "map" a string map, the rest name a scalar.
_KUBERNETES = {
    "attested": "bool",
    "namespace": "string",
    "service_account": "string",
    "pod_name": "string",
    "pod_uid": "string",
    "labels": "map",
    "container": {"name": "string", "image": "string", "image_digest": "string", "type": "string"},
}
_SCHEMA: Mapping[str, Any] = {
    "workload": {
        "unix": {
            "attested": "bool",
            "pid": "number",
            "uid": "number",
            "gid": "number",
            "binary_path": "string",
            "binary_hash": "string",
        },
        "kubernetes": _KUBERNETES,
    },
    "join": {
        "meta": {"join_token_name": "string", "join_method": "string"},
        "kubernetes": {
            "subject": "string",
            "service_account": {"name": "string", "namespace": "string"},
            "pod": {"name": "string"},
        },
    },
    "user": {"name": "string", "is_bot": "bool", "bot_name": "string", "labels": "map", "traits": "map"},
}

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|(?P<number>\d+)|(?P<string>\"(?:[^\"\\]|\\.)*\"|`[^`]*`)"
    r"|(?P<sign>==|!=|&&|\|\||[!().\[\],]))"
)
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}")


@dataclass(frozen=True, slots=True)
class _Word:
    kind: str
    text: str


def render_template(template: str, attributes: Attributes) -> str:
    """``template`` with every ``{{ expression }}`` replaced by its value.

    Raises:
        Refusal: an expression cannot be evaluated, or is not text or a number.
    """

    def value_of(match: re.Match[str]) -> str:
        source = match.group(1).strip()
        with within(f"evaluating expression: {source}"):
            value = parse(source)(attributes)
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise Refusal(Kind.BAD_PARAMETER, "expression did not evaluate to a string")
            return str(value)

    return _TEMPLATE.sub(value_of, template)


def check_template(template: str) -> None:
    """Parse every expression in ``template`` without evaluating it.

    Raises:
        Refusal: one cannot be parsed.
    """
    for match in _TEMPLATE.finditer(template):
        parse(match.group(1).strip())


def parse(source: str) -> Evaluation:
    """The evaluation of one expression.

    Raises:
        Refusal: the expression cannot be parsed.
    """
    parser = _Parser(_words(source), source)
    evaluation = parser.disjunction()
    parser.end()
    return evaluation


def resolve(path: tuple[str, ...], attributes: Attributes) -> Any:
    """The value at ``path``; unset numbers and truth values are 0 and false, as in the messages they come from.

    Raises:
        Refusal: there is no such attribute, or it is not set.
    """
    shape: Any = _SCHEMA
    value: Any = attributes
    for depth, key in enumerate(path):
        walked = ".".join(path[: depth + 1])
        if shape == "map":
            if key not in value:
                raise Refusal(Kind.BAD_PARAMETER, f'no value for key: "{key}"')
            return value[key]
        if not isinstance(shape, Mapping) or key not in shape:
            raise Refusal(Kind.BAD_PARAMETER, f'unknown identifier: "{walked}"')
        shape = shape[key]
        value = value.get(key)
        if isinstance(shape, Mapping) and value is None:
            raise Refusal(Kind.BAD_PARAMETER, f"{walked} is unset")
        value = {} if shape == "map" and value is None else value
    name = ".".join(path)
    if shape == "string" and not value:
        raise Refusal(Kind.BAD_PARAMETER, f"{name} is unset")
    if isinstance(shape, Mapping):
        raise Refusal(Kind.BAD_PARAMETER, f"{name} is not a single value")
    return (value or 0) if shape == "number" else bool(value) if shape == "bool" else value


def _words(source: str) -> list[_Word]:
    words = []
    position = 0
    while source[position:].strip():
        match = _TOKEN.match(source, position)
        if match is None:
            raise Refusal(Kind.BAD_PARAMETER, f"parsing expression: unexpected {source[position:].strip()[0]!r} in {source}")
        kind = match.lastgroup or ""
        words.append(_Word(kind, match.group(kind)))
        position = match.end()
    return words


class _Parser:
    """Recursive descent over the words, lowest precedence first."""

    def __init__(self, words: list[_Word], source: str) -> None:
        self._words = words
        self._position = 0
        self._source = source

    def disjunction(self) -> Evaluation:
        left = self._conjunction()
        while self._take("||"):
            left = _either(left, self._conjunction())
        return left

    def _conjunction(self) -> Evaluation:
        left = self._comparison()
        while self._take("&&"):
            left = _both(left, self._comparison())
        return left

    def _comparison(self) -> Evaluation:
        left = self._negation()
        if self._take("=="):
            return _equal(left, self._negation())
        if self._take("!="):
            return _unequal(left, self._negation())
        return left

    def _negation(self) -> Evaluation:
        if self._take("!"):
            return _negated(self._negation())
        if self._take("("):
            inner = self.disjunction()
            self._need(")")
            return inner
        return self._operand()

    def _operand(self) -> Evaluation:
        word = self._next()
        if word.kind == "string":
            return _constant(_unquoted(word.text))
        if word.kind == "number":
            return _constant(int(word.text))
        if word.kind != "name":
            raise self._unexpected(word.text)
        if word.text in ("true", "false"):
            return _constant(word.text == "true")
        path = [word.text]
        while True:
            if self._take("."):
                path.append(self._next("name").text)
            elif self._take("["):
                path.append(_unquoted(self._next("string").text))
                self._need("]")
            elif self._take("("):
                raise Refusal(Kind.NOT_IMPLEMENTED, f"function {'.'.join(path)} is not part of the stand-in for Teleport")
            else:
                return _attribute(tuple(path))

    def end(self) -> None:
        if self._position < len(self._words):
            raise self._unexpected(self._words[self._position].text)

    def _take(self, sign: str) -> bool:
        if self._position < len(self._words) and self._words[self._position] == _Word("sign", sign):
            self._position += 1
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unexpected(f"end, expected {sign}")

    def _next(self, kind: str | None = None) -> _Word:
        if self._position == len(self._words):
            raise self._unexpected("end")
        word = self._words[self._position]
        if kind is not None and word.kind != kind:
            raise self._unexpected(word.text)
        self._position += 1
        return word

    def _unexpected(self, what: str) -> Refusal:
        return Refusal(Kind.BAD_PARAMETER, f"parsing expression: unexpected {what} in {self._source!r}")


def _unquoted(text: str) -> str:
    return text[1:-1] if text.startswith("`") else re.sub(r"\\(.)", r"\1", text[1:-1])


def _constant(value: str | int | bool) -> Evaluation:
    return lambda _attributes: value


def _attribute(path: tuple[str, ...]) -> Evaluation:
    return lambda attributes: resolve(path, attributes)


def _negated(inner: Evaluation) -> Evaluation:
    return lambda attributes: not _truth(inner(attributes))


def _equal(left: Evaluation, right: Evaluation) -> Evaluation:
    return lambda attributes: bool(left(attributes) == right(attributes))


def _unequal(left: Evaluation, right: Evaluation) -> Evaluation:
    return lambda attributes: bool(left(attributes) != right(attributes))


def _both(left: Evaluation, right: Evaluation) -> Evaluation:
    return lambda attributes: _truth(left(attributes)) and _truth(right(attributes))


def _either(left: Evaluation, right: Evaluation) -> Evaluation:
    return lambda attributes: _truth(left(attributes)) or _truth(right(attributes))


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Refusal(Kind.BAD_PARAMETER, "expression did not evaluate to a boolean")
    return value
