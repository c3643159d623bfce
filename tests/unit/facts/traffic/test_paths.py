"""Paths: what each normalization makes of one, and what an application reads in it."""

from __future__ import annotations

import pytest

from facts.traffic.paths import Bounds, Mode, Reader, meant, normalized

BOUNDS = Bounds("/open/", "/open/vault/")
NONE, BASE, MERGE, DECODE = Mode


@pytest.mark.parametrize(
    ("path", "base", "merged", "decoded"),
    [
        ("/open/a", "/open/a", "/open/a", "/open/a"),
        ("/", "/", "/", "/"),
        ("/open/../a", "/a", "/a", "/a"),
        ("/open/..", "/", "/", "/"),
        ("/../a", "/a", "/a", "/a"),
        ("/open/./a/.", "/open/a/", "/open/a/", "/open/a/"),
        ("/open//a", "/open//a", "/open/a", "/open/a"),
        ("/open//../a", "/open/a", "/open/a", "/open/a"),
        ("/open/%2E%2e/%61%7e%2D", "/a~-", "/a~-", "/a~-"),
        (r"/open/..\a", "/a", "/a", "/a"),
        (r"/open/\a", "/open//a", "/open/a", "/open/a"),
        ("/open/..%2fa", "/open/..%2fa", "/open/..%2fa", "/a"),
        ("/open/%2Fa", "/open/%2Fa", "/open/%2Fa", "/open/a"),
        ("/open/..%5Ca", "/open/..%5Ca", "/open/..%5Ca", "/a"),
        ("/open/..%252Fa", "/open/..%252Fa", "/open/..%252Fa", "/open/..%252Fa"),
        ("/open/%20%7B", "/open/%20%7B", "/open/%20%7B", "/open/%20%7B"),
        ("/open/a?x=/../%2F//", "/open/a?x=/../%2F//", "/open/a?x=/../%2F//", "/open/a?x=/../%2F//"),
    ],
)
def test_what_a_proxy_makes_of_a_path(path: str, base: str, merged: str, decoded: str) -> None:
    assert [normalized(path, mode) for mode in Mode] == [path, base, merged, decoded]


@pytest.mark.parametrize(
    ("target", "meaning"),
    [
        ("/", "/"),
        ("/open/a", "/open/a"),
        ("/open/../a?x=/../..", "/a"),
        ("/open/..%2Fa", "/a"),
        ("/open/%2e%2E%2fa", "/a"),
        ("//open/.//a", "/open/a"),
        ("/../../a", "/a"),
        (r"/open/..\a", "/a"),
        ("/open/..%5Ca", "/a"),
        ("/open/%252e%252e/a", "/open/%2e%2e/a"),
        ("/open/..;/a", "/open/..;/a"),
    ],
)
def test_what_a_path_means(target: str, meaning: str) -> None:
    assert meant(target) == meaning


def test_what_a_path_means_to_less_common_applications() -> None:
    assert meant("/open/%252e%252e%252Fa", Reader.DECODES_TWICE) == "/a"
    assert meant("/open/..;x=1/a;y", Reader.CUTS_PARAMETERS) == "/a"


def test_bounds_have_a_hole() -> None:
    assert BOUNDS.hold("/open/door")
    assert BOUNDS.hold("/open/vault")
    assert not BOUNDS.hold("/closed/door")
    assert not BOUNDS.hold("/open/vault/door")


@pytest.mark.parametrize(
    ("path", "reader", "modes"),
    [
        ("/open/door", Reader.USUAL, ()),
        ("/closed/door", Reader.USUAL, ()),
        ("/open/../closed/door", Reader.USUAL, (NONE,)),
        ("/open/%76ault/door", Reader.USUAL, (NONE,)),
        ("/open//vault/door", Reader.USUAL, (NONE, BASE)),
        (r"/open/\vault/door", Reader.USUAL, (NONE, BASE)),
        ("/open/..%2Fclosed/door", Reader.USUAL, (NONE, BASE, MERGE)),
        ("/open/vault%5cdoor", Reader.USUAL, (NONE, BASE, MERGE)),
        ("/open/..%252Fclosed/door", Reader.USUAL, ()),
        ("/open/..%252Fclosed/door", Reader.DECODES_TWICE, (NONE, BASE, MERGE, DECODE)),
        ("/open/..;/closed/door", Reader.CUTS_PARAMETERS, (NONE, BASE, MERGE, DECODE)),
    ],
)
def test_which_normalizations_let_a_path_out(path: str, reader: Reader, modes: tuple[Mode, ...]) -> None:
    assert BOUNDS.let_out(path, reader) == modes
