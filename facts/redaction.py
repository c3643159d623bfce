"""Removal of secrets from text at the moment of reading, before anything else sees it.

What counts as a secret: private keys (PEM), JSON Web Tokens, bearer headers, the key and token fields of a kubeconfig,
tokens given as flags, and whatever values the caller names. Public things (certificates, JWKS, SPIFFE IDs, serials) stay:
they are the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")

MARK = "[redacted]"

SHORTEST = 8
"""Characters below which a named value is not hidden: it would hide ordinary words."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One form that secrets have.

    Attributes:
        pattern: Finds each.
        replacement: The replacement, as `re.sub` takes it.
        needles: Texts of which every match of the pattern contains one. A search for them costs a fraction of the
            pattern's cost, and hardly any text has one.
        any_case: The pattern ignores case; the needles are in lower case then.
    """

    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]
    needles: tuple[str, ...]
    any_case: bool = False

    def may_match(self, text: str) -> bool:
        """False only where the pattern certainly finds nothing."""
        if self.any_case:
            if not text.isascii():  # there are letters beyond ASCII that a pattern takes for some of ASCII's
                return True
            text = text.lower()
        return any(needle in text for needle in self.needles)

    def applied(self, text: str) -> tuple[str, int]:
        """The text without what the pattern finds, and how often it found something."""
        return self.pattern.subn(self.replacement, text)


def _without_value(field: re.Match[str]) -> str:
    key, *quotes = field.groups()
    opening, closing = ([q for q in quotes if q] or ["", ""])[:2]
    return f"{key}{opening}{MARK}{closing}"


_AFTER_WHAT_STAYS = rf"\g<1>{MARK}"

RULES = (
    Rule(
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----.*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        MARK,
        ("PRIVATE KEY-----",),
    ),
    # The same key in one line of base64, as kubeconfigs and Secrets carry it ("-----BEGIN" is "LS0tLS1CRUdJTi" in base64);
    # a certificate in base64 starts alike, so the words after BEGIN decide ("RSA PRI", "EC PRIV", "PRIVATE", "ENCRYPT").
    Rule(
        re.compile(r"LS0tLS1CRUdJTiB(?:SU0EgUFJJ|FQyBQUkl|QUklWQVRF|FTkNSWVBU)[A-Za-z0-9+/=]+"),
        MARK,
        ("LS0tLS1CRUdJTiB",),
    ),
    Rule(re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"), MARK, (".eyJ",)),
    Rule(
        re.compile(r"(?i)\b(bearer\s+)(?!\[redacted\])[A-Za-z0-9._~+/=-]{8,}"),
        _AFTER_WHAT_STAYS,
        ("bearer",),
        any_case=True,
    ),
    Rule(
        re.compile(r"(?m)^(\s+token:\s+)(?!\[redacted\])(?=[A-Za-z0-9._-]{20,}\s*$)\S+"),
        _AFTER_WHAT_STAYS,
        ("token:",),
    ),
    # A token among a container's arguments or in the variable that tbot takes it from; also as JSON inside JSON.
    Rule(
        re.compile(
            r"""((?:--token(?:=|\\*"\s*,\s*\\*")|\bTELEPORT_BOT_TOKEN(?:=|\\*"\s*,\s*\\*"value\\*"\s*:\s*\\*")))"""
            r"""(?!\[redacted\])[^\s"',\\\[\]{}]+"""
        ),
        _AFTER_WHAT_STAYS,
        ("--token", "TELEPORT_BOT_TOKEN"),
    ),
    # tbot's join URI with the join method `token`: the name of the token, which is the secret, stands where a user would.
    Rule(
        re.compile(r"(\btbot\+\w+\+token://)(?!\[redacted\])[^@:/\s\"'\\]+"),
        _AFTER_WHAT_STAYS,
        ("+token://",),
    ),
    Rule(
        re.compile(
            r"""(?im)(\\*["']?\b(?:client-key-data|client_secret|password|join_secret|registration_secret)\\*["']?\s*[:=]\s*)(?:"""
            # A quoted value ends at its own quote, blanks and escaped quotes inside; JSON inside JSON has them escaped.
            r"""(")(?!\[redacted\])(?:\\.|[^"\\])+(")|"""
            r"""(')(?!\[redacted\])[^']+(')|"""
            r"""(\\+")(?!\[redacted\]).+?(\\+")|"""
            r"""(?!\[redacted\]|true\b|false\b|null\b)[^\s"',}{\[\]\\]+)"""
        ),
        _without_value,
        ("client-key-data", "client_secret", "password", "join_secret", "registration_secret"),
        any_case=True,
    ),
)
"""In the order in which they are applied."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """Text without secrets.

    Attributes:
        text: The text, each secret replaced by ``[redacted]``.
        count: Number of replaced secrets.
    """

    text: str
    count: int


def redact(text: str, named_secrets: Iterable[str] = ()) -> Redacted:
    """Replaces every secret in `text`; idempotent.

    Args:
        text: Anything that was read: a log, an API object, a command's output.
        named_secrets: Further values to hide wherever they stand (those under `SHORTEST` characters are ignored).
    """
    count = 0
    for rule in RULES:
        if rule.may_match(text):
            text, found = rule.applied(text)
            count += found
    named = without_named(text, named_secrets)
    return Redacted(named.text, count + named.count)


def without_named(text: str, named_secrets: Iterable[str]) -> Redacted:
    """Replaces named secrets alone; see `redact`."""
    count = 0
    for secret in named_secrets:
        if len(secret) >= SHORTEST and secret in text:
            count += text.count(secret)
            text = text.replace(secret, MARK)
    return Redacted(text, count)


def hidden_in(value: T, named_secrets: Collection[str]) -> T:
    """The same value with named secrets taken out of every text in it: of dataclasses, lists, tuples and mappings."""
    return _hidden_in(value, named_secrets) if named_secrets else value


def _hidden_in(value: Any, named: Collection[str]) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        return without_named(value, named).text
    if isinstance(value, tuple | list):
        return type(value)(_hidden_in(each, named) for each in value)
    if isinstance(value, Mapping):
        return {_hidden_in(key, named): _hidden_in(each, named) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _hidden_in(getattr(value, f.name), named) for f in fields(value) if f.init})
    return value
