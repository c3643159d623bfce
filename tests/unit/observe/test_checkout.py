"""The commit that a run is of, and that it does not name one whose files were changed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from observe.checkout import revision


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit and one file."""
    (tmp_path / "file").write_text("as committed", encoding="utf-8")
    who = {f"GIT_{part}_{word}": "a@b" for part in ("AUTHOR", "COMMITTER") for word in ("NAME", "EMAIL")}
    for words in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-C", tmp_path, *words], check=True, env={**os.environ, **who})
    return tmp_path


def test_a_commit_is_named_and_a_change_of_its_files(checkout: Path) -> None:
    clean = revision(checkout)
    assert re.fullmatch(r"[0-9a-f]{40}", clean)
    (checkout / "file").write_text("changed", encoding="utf-8")
    assert revision(checkout) == f"{clean}-dirty"


def test_what_is_no_checkout_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert revision(tmp_path) == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision(tmp_path) == "", "there is no git"
