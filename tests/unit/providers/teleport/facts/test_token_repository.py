"""What git prints about the join token's file."""

from __future__ import annotations

import pytest

from facts.errors import CouldNotTell
from providers.teleport.facts.token_repository import (
    Commit,
    is_of_every_clone,
    only_of,
    parse_commits,
    parse_ignored,
    parse_paths,
    parse_shallow,
)

A, B = "a" * 40, "b" * 40


def test_paths() -> None:
    assert parse_paths("a/x.yaml\n\nb\n") == ("a/x.yaml", "b")
    assert parse_paths("") == ()
    assert parse_paths(r'"a\"b/\\c\td\001.yaml"' + "\nü.yaml\n") == ('a"b/\\c\td\x01.yaml', "ü.yaml"), "git quotes some"


def test_a_shallow_clone() -> None:
    assert parse_shallow("true\n") is True
    assert parse_shallow("false\n") is False
    with pytest.raises(CouldNotTell, match="true or false"):
        parse_shallow("--is-shallow-repository\n")  # what a git without this option prints


def test_rules_that_ignore() -> None:
    text = ".gitignore:3:*.yaml\ta.yaml\n::\tb.yaml\n.gitignore:4:!c.yaml\tc.yaml\n"
    assert parse_ignored(text) == {"a.yaml": ".gitignore:3:*.yaml", "b.yaml": "", "c.yaml": ""}
    odd = '"a\\tb/.gitignore":2:c:d\t"a\\tb/c:d"\n' + "a:b/.gitignore:1:!x\ta:b/x\n"
    assert parse_ignored(odd) == {"a\tb/c:d": "a\tb/.gitignore:2:c:d", "a:b/x": ""}
    with pytest.raises(CouldNotTell, match="a tab"):
        parse_ignored("fatal\n")


@pytest.mark.parametrize(
    ("rule", "is_so"),
    [
        (".gitignore:1:*", True),
        ("deploy/a:b/.gitignore:12:*", True),
        (".git/info/exclude:1:*", False),
        ("/home/user/repository/.git/info/exclude:1:*", False),
        ("/home/user/repository/.git/modules/sub/info/exclude:1:/.gitignore", False),
        ("/home/user/.gitignore:1:*", False),
        ("deploy/excludes:1:*", False),
    ],
)
def test_rules_that_every_clone_has(rule: str, *, is_so: bool) -> None:
    assert is_of_every_clone(rule) is is_so


def test_commits_of_some_files() -> None:
    commits = (Commit(A, ("x", "y")), Commit(B, ("z",)))
    assert only_of(commits, {"y"}) == (Commit(A, ("y",)),)


def test_commits_with_their_files() -> None:
    text = f"commit {A}\n\nx.yaml\ny.yaml\ncommit {B}\n\nx.yaml\ncommit {B}\n\nz.yaml\n"
    assert parse_commits(text) == (Commit(A, ("x.yaml", "y.yaml")), Commit(B, ("x.yaml", "z.yaml")))
    assert parse_commits("") == ()
    with pytest.raises(CouldNotTell, match="a commit"):
        parse_commits("x.yaml\n")
