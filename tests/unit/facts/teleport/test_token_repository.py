"""What git prints about the join token's file."""

from __future__ import annotations

import pytest

from facts.errors import CouldNotTell
from facts.teleport.token_repository import Commit, parse_commits, parse_ignored, parse_paths, parse_shallow

A, B = "a" * 40, "b" * 40


def test_paths() -> None:
    assert parse_paths("a/x.yaml\n\nb\n") == ("a/x.yaml", "b")
    assert parse_paths("") == ()


def test_a_shallow_clone() -> None:
    assert parse_shallow("true\n") is True
    assert parse_shallow("false\n") is False
    with pytest.raises(CouldNotTell, match="true or false"):
        parse_shallow("--is-shallow-repository\n")  # what a git without this option prints


def test_rules_that_ignore() -> None:
    text = ".gitignore:3:*.yaml\ta.yaml\n::\tb.yaml\n.gitignore:4:!c.yaml\tc.yaml\n"
    assert parse_ignored(text) == {"a.yaml": ".gitignore:3:*.yaml", "b.yaml": "", "c.yaml": ""}
    with pytest.raises(CouldNotTell, match="a tab"):
        parse_ignored("fatal\n")


def test_commits_with_their_files() -> None:
    text = f"commit {A}\n\nx.yaml\ny.yaml\ncommit {B}\n\nx.yaml\ncommit {B}\n\nz.yaml\n"
    assert parse_commits(text) == (Commit(A, ("x.yaml", "y.yaml")), Commit(B, ("x.yaml", "z.yaml")))
    assert parse_commits("") == ()
    with pytest.raises(CouldNotTell, match="a commit"):
        parse_commits("x.yaml\n")
