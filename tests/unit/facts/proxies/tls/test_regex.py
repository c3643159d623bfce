"""Regular expressions for names: the forms that are understood, with RE2's meaning, and those that are not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facts.proxies.tls.regex import LONGEST, parse_regex

LITERALS = st.sampled_from(["a", "b", "/", r"\.", r"\*"])
PIECES = st.lists(st.one_of(LITERALS, st.just("[^/]+")), max_size=6).map("".join)


@given(PIECES, st.sampled_from(["", ".*"]), PIECES, st.text("ab/.*\n", max_size=8))
@example("a", ".*", "[^/]+", "ab")
@example("[^/]+", ".*", "b", "ab")
@example("", ".*", "", "")
@example("", ".*", "", "\n")
@example("", "", "[^/]+", "\n")
def test_what_is_understood_means_what_it_means_elsewhere(before: str, between: str, behind: str, name: str) -> None:
    text = before + between + behind
    regex = parse_regex(text)
    assert regex is not None
    assert regex.matches(name) is (re.fullmatch(text, name) is not None)


@pytest.mark.parametrize(
    "text",
    [
        "(a|a)*b", "(a*)*b", "a*", "a+", "a?", ".", ".+", ".*.*", ".*a.*", ".*?", "[^/]*", "[^/]", "[^/]+?", "[^/]++",
        "[ab]+", "a|b", "a{99999999999999}", "^a", "a$", r"\w", r"\d", r"\_", "\\", "(", "[", "(?i)a", r"\Qa\E",
        "a" * (LONGEST + 1),
    ],
)  # fmt: skip
def test_another_form_is_not_understood(text: str) -> None:
    assert parse_regex(text) is None


def test_a_long_name_is_read_once_whatever_the_expression() -> None:
    class Counted(str):
        """A text that counts the characters that are read of it."""

        read = 0

        def __iter__(self) -> Iterator[str]:
            for character in str.__iter__(self):
                self.read += 1
                yield character

    regex = parse_regex("[^/]+" * 100 + ".*b")
    assert regex is not None
    name = Counted("a" * 10_000)
    assert not regex.matches(name)
    assert name.read == len(name)
