"""Forms that secrets have in text, and where in a text they stand.

Two kinds. *Material* tells by itself: private keys and tokens, in whatever they are wrapped, since a run of base64 counts as
what it decodes to. *Values* are told by what stands before them: the name of a field, flag or variable, or a scheme. A value
of a name such as ``token``, which public things have as well, must also look random.

Everybody in a cluster writes texts that are searched here. So each pattern is bounded, and each search linear in the text.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

MARK = "[redacted]"
"""Stands for a secret."""
MARK_IN_PROSE = "[redacted words]"
"""Stands for a secret in words of others that a report quotes and no judgment compares with anything."""

Span = tuple[int, int]
"""Begin and end of a secret in a text."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A secret that was made to be searched for.

    Attributes:
        form: Name of the form that it has.
        text: The secret as it stands in a text.
        parts: Pieces of it; no output may have any.
    """

    form: str
    text: str = field(repr=False)
    parts: tuple[str, ...] = field(repr=False)

    def left_in(self, text: str) -> tuple[str, ...]:
        """Parts of it that a text has."""
        return tuple(part for part in self.parts if part in text)


# --- material --------------------------------------------------------------------------------------------------------

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_MARKER = re.compile(r"-----(BEGIN|END) (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY-----")
_BREAK = re.compile(r"\r?\n|\\{1,8}[nr]")
_LINE = rf"(?:{_BREAK.pattern})[ \t]{{0,40}}[A-Za-z0-9+/=]{{0,128}}[ \t]{{0,8}}"
_WHOLE = re.compile(rf"{_MARKER.pattern}(?:{_LINE}){{1,400}}{_MARKER.pattern}")
"""A key from its beginning to its end, with nothing but words between, one a line."""
_RUN = re.compile(r"\\[nrt]|[A-Za-z0-9+/]{24,}={0,2}")
"""A run of base64. A line break that is written as an escape must not lend it a letter."""
_AROUND = " \t\"',\\"
_QUOTES = 16
"""Such characters at most between the end of base64 and the end of its line."""

_PREFIX = 160
"""Characters at most that a log puts before each line."""
_WIDTH, _WIDEST = 40, 128
"""Characters in a line of something folded: PEM has 64, OpenSSH 70, MIME 76."""
_LINES = 400
"""Lines at most of one key; one of 16,384 bits has 200."""
_SHORTEST = 24
"""Characters at least in a run of base64 that is looked into."""
_SLASHES = 6
"""Slashes in a run of base64 behind which it may begin."""
_DEPTH = 3
"""Times that something may be wrapped in base64."""

_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
_PRIVATE_DER = re.compile(rb"\x30" + _LENGTH + rb"\x02\x01[\x00\x01][\x02\x04\x30]", re.DOTALL)
"""A sequence that begins with version 0 or 1: PKCS #1, PKCS #8, SEC 1. Certificates begin with another sequence."""
_ENCRYPTED_DER = re.compile(
    rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05", re.DOTALL
)
_OPENSSH = b"openssh-key-v1\0"
_TEXTUAL = re.compile(rb"[\t\n\r\x20-\x7e]+")

_WRAPPED_KEY = tuple(
    base64.b64encode(b"\0" * shift + b"PRIVATE KEY-----")[begin:end].decode()
    for shift, begin, end in ((0, 0, 20), (1, 2, 22), (2, 3, 24))
)
"""What base64 makes of these words in the middle of a text, for each of the three ways in which they may be aligned."""

_TOKEN = re.compile(r"eyJ[A-Za-z0-9_.-]{10,}")
_NEXT_LINE = re.compile(r"[ \t]{0,8}(?:\r?\n|\\{1,8}n)[ \t]{0,40}([A-Za-z0-9_.-]{8,})(?![^\s\"'\\,}])")
_COMPACT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.(?:eyJ|[A-Za-z0-9_-]*\.[A-Za-z0-9_-])")
"""The beginning of a JWS of three parts, maybe cut off, or of a JWE of five, of which the second may be empty."""
_BY_PREFIX = re.compile(
    r"gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[A-Za-z0-9_-]{20,255}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,255}"
)
"""Tokens that say who issued them: GitHub, GitLab, Slack."""
_IN_NO_NAME = re.compile("[A-Z_]")
"""What no name of a Kubernetes object has. Tokens and base64 that were made by chance have it."""


def material(text: str, depth: int = _DEPTH) -> Iterator[Span]:
    """Private keys and tokens in a text; a key may come in pieces, and more than once.

    What has neither a capital letter nor an underscore is none: a tenant can give an object such a name, and names stay.

    Args:
        text: Any text.
        depth: Times that base64 in it may be looked into.
    """
    if "eyJ" in text:
        yield from _tokens(text)
    yield from (found.span() for found in _BY_PREFIX.finditer(text) if _IN_NO_NAME.search(found[0]))
    armoured = "PRIVATE KEY-----" in text
    runs = [found.span() for found in _RUN.finditer(text) if found[0][0] != "\\" and _IN_NO_NAME.search(found[0])]
    if not runs and not armoured:
        return
    lines = _lines(text)
    if armoured:
        yield from _armoured(text, lines)
    looked_at = hidden = 0
    for run in runs:
        if run[0] < hidden:
            continue
        width, after = run[1] - run[0], _after(text, lines, run)
        folded = list(_following(text, after, width, prefixed=False)) if run[0] >= looked_at else []
        looked_at = max(looked_at, *(end for _start, end in [run, *folded]))
        found: list[Span] = []
        if _is_key(text[run[0] : run[1]]):
            found = [run, *_following(text, after, width, prefixed=True)]
        elif depth and _hides_something(_joined(text, [run, *folded]), depth):
            found = [run, *folded]
        elif depth and folded and _hides_something(_joined(text, [run]), depth):
            found = [run]  # what stands on the next line is a word of another text
        yield from found
        hidden = max(hidden, 0, *(end for _start, end in found))


def _joined(text: str, pieces: list[Span]) -> str:
    return "".join(text[start:end] for start, end in pieces)


def _tokens(text: str) -> Iterator[Span]:
    for found in _TOKEN.finditer(text):
        whole, end = found[0], found.end()
        if (rest := _NEXT_LINE.match(text, end)) and not ("." in rest[1] and whole.count(".") >= 2):
            whole, end = whole + rest[1], rest.end()
        if _COMPACT.match(whole):
            yield found.start(), end


def _lines(text: str) -> list[Span]:
    starts, ends = [0], []
    for found in _BREAK.finditer(text):
        ends.append(found.start())
        starts.append(found.end())
    return list(zip(starts, [*ends, len(text)], strict=True))


def _line_at(lines: list[Span], place: int) -> int:
    return bisect_right(lines, place, key=lambda line: line[0]) - 1


def _after(text: str, lines: list[Span], run: Span) -> list[Span]:
    """The lines after that of a run, where the run may be one line of something folded."""
    at, width = _line_at(lines, run[0]), run[1] - run[0]
    if not _WIDTH <= width <= _WIDEST or text[run[1] - 1] == "=" or lines[at][1] - run[1] > _QUOTES:
        return []
    return [] if text[run[1] : lines[at][1]].strip(_AROUND) else lines[at + 1 : at + 1 + _LINES]


def _following(text: str, lines: list[Span], width: int, *, prefixed: bool) -> Iterator[Span]:
    """The last word of each further line of something folded, up to the first that is shorter.

    Args:
        lines: Its lines from there on.
        width: Length of the words; that of the last may be less.
        prefixed: Something else may stand before the word, as in a log.
    """
    for line in lines:
        start, end = _last_word(text, line)
        if not 0 < end - start <= width or (not prefixed and text[line[0] : start].strip(_AROUND)):
            return
        yield start, end
        if end - start < width:
            return


def _last_word(text: str, line: Span) -> Span:
    """The base64 at the end of a line; empty where it ends with something else, or is too long for a line of a key."""
    start, end = line
    if end - start > 2 * _PREFIX:
        return start, start
    whole = text[start:end].rstrip(_AROUND)
    return start + len(whole.rstrip("=").rstrip(_ALPHABET)), start + len(whole)


def _armoured(text: str, lines: list[Span]) -> Iterator[Span]:
    """Markers of private keys, with the lines of base64 after each beginning and before each end."""
    last_ended = covered = -1
    for marker in _MARKER.finditer(text):
        yield marker.span()
        at = _line_at(lines, marker.start())
        if marker[1] == "END" and at > last_ended:
            yield from _before_end(text, lines[max(0, at - _LINES) : at])
            last_ended = at
        elif marker[1] == "BEGIN" and (whole := _WHOLE.match(text, marker.start())):
            yield whole.span()
        elif marker[1] == "BEGIN" and at >= covered:
            found = _after_beginning(text, lines[at + 1 : at + 1 + _LINES])
            covered = at + 1 + len(found)
            yield from found


def _after_beginning(text: str, lines: list[Span]) -> list[Span]:
    # A key that is encrypted the old way has two headers and an empty line before it.
    for skipped, line in enumerate(lines[:4]):
        start, end = _last_word(text, line)
        if end - start >= _WIDTH:
            return [(start, end), *_following(text, lines[skipped + 1 :], end - start, prefixed=True)]
    return []


def _before_end(text: str, lines: list[Span]) -> list[Span]:
    found: list[Span] = []
    width = 0
    for line in reversed(lines):
        start, end = _last_word(text, line)
        length = end - start
        if not length or (found and (length < _WIDTH or width not in (0, length))):
            break
        width = length if found or length >= _WIDTH else 0
        found.append((start, end))
    return found if width else []


def _beginnings(run: str) -> list[str]:
    """A run of base64 from its beginning, and from behind slashes: in a path they are no part of it."""
    slashes = [found.end() for found in re.finditer("/", run[:_PREFIX])]
    return [run, *(run[start:] for start in slashes[:_SLASHES] if len(run) - start >= _SHORTEST)]


def _is_key(run: str) -> bool:
    """Tell whether base64 is the beginning of a private key without armour."""
    heads = [_bytes(each[:80]) for each in _beginnings(run) if each[0] in "Mb"]
    return any(_PRIVATE_DER.match(h) or _ENCRYPTED_DER.match(h) or h.startswith(_OPENSSH) for h in heads)


def _hides_something(run: str, depth: int) -> bool:
    """Tell whether base64 decodes to a text that holds a secret."""
    if any(needle in run for needle in _WRAPPED_KEY):
        return True
    for each in _beginnings(run):
        if _TEXTUAL.fullmatch(_bytes(each[:_SHORTEST])) and _TEXTUAL.fullmatch(decoded := _bytes(each)):
            text = decoded.decode("ascii")
            return any(True for _ in material(text, depth - 1)) or any(True for _ in values(text))
    return False


def _bytes(run: str) -> bytes:
    stem = run.rstrip("=")
    stem = stem[: len(stem) - (len(stem) % 4 == 1)]
    try:
        return base64.b64decode(stem + "=" * (-len(stem) % 4))
    except binascii.Error:
        return b""


# --- values ----------------------------------------------------------------------------------------------------------

_Q = r"\\{0,8}[\"']?"
"""A quote, or none; inside a text that is quoted itself it has backslashes before it."""
_ALWAYS = (
    r"(?:passw(?:or)?d|passphrase|client[_-]?secret|join_secret|registration_secret|secret[_-]?key|api[_-]?key"
    r"|access[_-]?key|private[_-]?key|client-key-data|svid_?key|bot[_-]token|(?:access|refresh|id|auth)[_-]?token)"
)
"""Ends of names whose values are secrets, whatever they look like."""
_IF_RANDOM = r"(?:token|secret|credentials?|auth)"
"""Ends of names whose values are secrets if they look random."""
_NAMED = rf"(?P<always>{_ALWAYS})|{_IF_RANDOM}"
_NOT_YET = r"""(?!(?:\\{0,8}["']){0,2}\[redacted(?: words)?\])"""
_ENTRY = r"\n\d{4}-\d\d-\d\d[T ]"
"""The beginning of the next entry of a log."""
_BLOCK = r"[|>][-+1-9]{0,2}[ \t]{0,8}"
"""The beginning of a block of YAML."""
_UNBROKEN = r"""(?:[^\n"\\]|\\(?!\\{0,7}n)){1,4096}"""
"""Part of a text in which line breaks are escaped, up to the next of them."""
_AFTER_EMPTY = r"(?:[\s,;:)}\]\\]|\Z)"
"""What follows an empty value; after anything else, the second quote belongs to the value."""
_VALUE = (
    # Three quotes go around several lines, in Python and in TOML.
    rf"""(?:(?P<quotes>(?:\\{{0,8}}"){{3}}|(?:\\{{0,8}}'){{3}}){_NOT_YET}(?P<tripled>(?s:.){{1,4096}}?)(?P=quotes)"""
    # A quoted value ends at its own quote, blanks, lines and escaped quotes inside; JSON inside JSON has them escaped.
    rf"""|"{_NOT_YET}(?P<double>(?:[^"\\]|\\(?s:.)){{1,4096}})"|'{_NOT_YET}(?P<single>(?:[^']|''){{1,4096}})'"""
    rf"""|(?P<quote>\\{{1,8}}["'])(?!(?P=quote){_AFTER_EMPTY}){_NOT_YET}(?P<escaped>.{{1,4096}}?)(?P=quote)"""
    # A block of YAML, whose lines are as far to the right as its first; also in a text with its line breaks escaped.
    rf"""|{_BLOCK}\r?\n(?P<indent>[ \t]{{1,40}})(?![ \t]){_NOT_YET}(?P<block>[^\r\n]{{1,4096}}"""
    rf"""(?:\r?\n(?:[ \t]{{0,40}}\r?\n){{0,20}}(?P=indent)[^\r\n]{{0,4096}}){{0,400}})"""
    rf"""|{_BLOCK}\\{{1,8}}n(?P<within>[ \t]{{1,40}})(?![ \t]){_NOT_YET}"""
    rf"""(?P<folded>{_UNBROKEN}(?:\\{{1,8}}n(?:[ \t]{{0,40}}\\{{1,8}}n){{0,20}}(?P=within){_UNBROKEN}){{0,400}})"""
    rf"""|{_NOT_YET}(?!{_BLOCK}(?:\r?\n|\\{{1,8}}n))(?P<bare>[^\s"',}}{{\[\]\\&][^\s"',}}{{\[\]\\&]{{0,4095}})"""
    # One whose quote never ends, since the text was cut off, or so far away that it is out of sight. A log may quote what
    # anybody sent, double quotes escaped; so only one of these, bare, may go on beyond its line, and up to the next entry.
    rf"""|\\{{1,8}}["'](?!\\{{0,8}}["']){_NOT_YET}(?P<cut>[^"'\n]{{1,4096}})"""
    rf"""|"(?!"){_NOT_YET}(?P<open>(?:(?!{_ENTRY})(?s:.)){{1,4096}})|'(?!'){_NOT_YET}(?P<begun>.{{1,4096}}))"""
)
_REST = re.compile(r"[^\s\"',}{\[\]\\&]*")
"""What follows of a value that is longer than its pattern."""
_SAME_LINE = rf"{_Q}[ \t]{{0,8}}(?:=>|[:=])[ \t]{{0,8}}"
_NEXT_WORD = rf"(?:[ \t]{{1,4}}|{_Q}[ \t]{{0,4}}(?:,\s{{0,40}}|(?:\n|\\{{1,8}}n)[ \t]{{0,40}}-[ \t]{{1,4}}))"
_FLAG = (
    r"(?-i:-[A-Za-z]|-[a-z]{1,20}(?:[-_.][a-z]{1,20}){0,6}(?:=[^\s\"\']{0,256})?"
    r"|--[a-z][a-z0-9]{0,20}(?:[-_.][a-z0-9]{1,20}){0,6}(?:=[^\s\"\']{0,256})?)"
)
"""A word that is a flag itself, so that the flag before it has no value: one letter, or words in lower case."""
_NEXT_FIELD = rf"{_Q}(?:[\s,]|\\{{1,8}}n){{1,60}}{_Q}value{_SAME_LINE}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A form of values.

    Attributes:
        pattern: Finds each; the group that took part among `_GROUPS` is the secret.
        needles: Texts in lower case of which every match contains one. A search for them costs a fraction of the pattern's
            cost, and hardly any text has one.
    """

    pattern: re.Pattern[str]
    needles: tuple[str, ...]

    def may_match(self, lowered: str) -> bool:
        """False only where the pattern certainly finds nothing in a text, given in lower case."""
        return any(needle in lowered for needle in self.needles)

    def found(self, text: str) -> Iterator[Span]:
        """The secrets that the pattern finds."""
        taken = 0
        for match in self.pattern.finditer(text):
            if match.start() < taken:
                continue  # a name within a value that is taken already
            groups = match.groupdict()
            group = next(name for name in _GROUPS if groups.get(name) is not None)
            sure = "always" not in self.pattern.groupindex or groups["always"] is not None
            if match[group] not in _NO_SECRETS and (sure or looks_random(match[group])):
                start, taken = match.span(group)
                if group in _MAY_GO_ON and (rest := _REST.match(text, taken)):
                    taken = rest.end()
                yield start, taken


_MAY_GO_ON = ("bare", "cut", "open", "begun")
_GROUPS = ("tripled", "double", "single", "escaped", "block", "folded", "plain", *_MAY_GO_ON)
_NO_SECRETS = ("true", "false", "null", "none")
_LONGEST_NAME = 128
_OF_NAMES = ("passw", "passphrase", "secret", "token", "credential", "auth", "client-key-data", "key")


def _rule(pattern: str, *needles: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.ASCII), needles)


RULES = (
    _rule(rf"(?:{_NAMED}){_SAME_LINE}{_VALUE}", *_OF_NAMES),
    # A flag and the word after it: in one line, in a list of JSON, in a list of YAML. A path leads to a secret, and is none.
    _rule(
        rf"--(?:[a-z0-9]{{1,20}}[-_]){{0,4}}(?:{_ALWAYS}|{_IF_RANDOM})"
        rf"(?:=|{_NEXT_WORD}(?![\"'\\]{{0,9}}{_FLAG}(?![^\s\"'\\,\]}}])))(?![\"'\\]{{0,9}}/){_VALUE}",
        "--",
    ),
    # A variable, and its value in the next field.
    _rule(rf"(?:{_ALWAYS}|{_IF_RANDOM}){_NEXT_FIELD}(?![\"'\\]{{0,9}}/){_VALUE}", "value"),
    _rule(rf"\bbearer[ \t]{{1,8}}{_NOT_YET}(?P<plain>[a-z0-9._~+/=-]{{8,8192}})", "bearer"),
    _rule(rf"\bauthorization[\"'\\:=\s]{{1,24}}basic[ \t]{{1,8}}{_NOT_YET}(?P<plain>[a-z0-9._~+/=-]{{4,8192}})", "basic"),
    _rule(rf"://[^\s/:@\"'\\]{{0,128}}:{_NOT_YET}(?P<plain>[^\s/@\"'\\]{{1,256}})@", "://"),
    # tbot's join URI with the join method `token`: the name of the token, which is the secret, stands where a user would.
    _rule(rf"\btbot\+\w{{1,16}}\+token://{_NOT_YET}(?P<plain>[^@:/\s\"'\\]{{1,256}})", "+token://"),
    # A bootstrap token of kubeadm.
    # One with a path or a port behind it is the name of a host.
    _rule(r"(?<![\w./-])(?P<plain>[a-z0-9]{6}\.[a-z0-9]{16})(?![\w.-]|/\w|:\d{1,5}(?!\w))", "."),
    # The private part of a JSON Web Key.
    _rule(rf"[\"'](?:d|p|q|dp|dq|qi){_Q}\s{{0,8}}:\s{{0,8}}\\{{0,8}}[\"'](?P<plain>[a-z0-9_-]{{20,8192}})", '"kty', "'kty"),
    # A token resource of Teleport whose name was made by chance: with the join method `token` it is all that is needed.
    _rule(rf"\bname{_SAME_LINE}\\{{0,8}}[\"']?(?P<plain>[0-9a-f]{{32,128}})\b", "join_method"),
)
"""Patterns of values; those that say nothing of `always` are sure of what they find."""


def values(text: str) -> Iterator[Span]:
    """Values in a text that are secrets for what stands before them."""
    lowered = text.lower()
    for rule in RULES:
        if rule.may_match(lowered):
            yield from rule.found(text)


_ONE_WORD = "(?:[a-z]{1,20}|[A-Z]{1,20}|[A-Z][a-z]{1,19})"
_MORE_WORDS = "(?:[a-z0-9]{1,15}|[A-Z0-9]{1,15}|[A-Z][a-z0-9]{1,14})"
_WORDS = re.compile(rf"/.*|{_ONE_WORD}(?:[-._/:]{{1,3}}{_MORE_WORDS}){{0,12}}", re.DOTALL)
"""A path, or words: in one case, or with a capital at the beginning. What was made by chance changes its case within."""


def looks_random(value: str) -> bool:
    """Tell whether a value looks as if it was made by chance: not short, no path, and no words with hyphens between."""
    return len(value) >= 8 and not _WORDS.fullmatch(value)


_IS_ALWAYS = re.compile(rf".*(?:{_ALWAYS})", re.IGNORECASE | re.DOTALL)
_IS_IF_RANDOM = re.compile(rf".*{_IF_RANDOM}", re.IGNORECASE | re.DOTALL)


def is_secret(name: str, value: str, *, sure: bool = False) -> bool:
    """Tell whether the value of a field is a secret for the field's name.

    Args:
        name: Of the field, flag or variable.
        sure: A name such as ``token`` means a secret whatever the value looks like, except a path.
    """
    if value.lower() in _NO_SECRETS:
        return False
    if _IS_ALWAYS.fullmatch(name[-_LONGEST_NAME:]):
        return True
    named = _IS_IF_RANDOM.fullmatch(name[-_LONGEST_NAME:]) is not None
    return named and (not value.startswith("/") if sure else looks_random(value))


_ONE_FLAG = re.compile(_FLAG)


def is_flag(word: str) -> bool:
    """Tell whether a word of a command line is a flag, and no value that begins with a hyphen."""
    return _ONE_FLAG.fullmatch(word) is not None


def is_secret_flag(word: str) -> bool:
    """Tell whether a word of a command line is a flag before a secret, such as ``--token``."""
    return word.startswith("--") and "=" not in word and is_secret(word, "", sure=True)
