"""The cache: keys, finished parts, and the lock."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.store import Record, Store, cache_directory, content_key, tree_digest
from lab.versions import ROOT


def _record(name: str, key: str) -> Record:
    return Record(name=name, version="1", key=key, size=1, sha256="0" * 64, seconds=0.1)


def test_cache_directory_prefers_the_project_then_xdg_then_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CONFORMANCE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_directory() == tmp_path / ".cache" / "istio-teleport-conformance"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "istio-teleport-conformance"
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "own"))
    assert cache_directory() == tmp_path / "own"


def test_tree_digest_sees_content_name_and_executable_bit(tmp_path: Path) -> None:
    file = tmp_path / "tree" / "a"
    file.parent.mkdir()
    file.write_text("x")
    first, size = tree_digest(file.parent)
    assert size == 1
    file.chmod(0o755)
    executable, _ = tree_digest(file.parent)
    file.write_text("y")
    changed, _ = tree_digest(file.parent)
    file.rename(file.parent / "b")
    renamed, _ = tree_digest(file.parent)
    assert len({first, executable, changed, renamed}) == 4


def test_tree_digest_does_not_see_compiled_python(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x")
    before = tree_digest(tmp_path)
    (tmp_path / "a.pyc").write_text("compiled")
    assert tree_digest(tmp_path) == before


def test_content_key_depends_on_every_input() -> None:
    assert content_key(["a", 1]) == content_key(["a", 1])
    assert content_key(["a", 1]) != content_key(["a", 2])
    assert content_key({"x": 1, "y": 2}) == content_key({"y": 2, "x": 1})


def test_a_committed_part_is_current_for_its_key_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.drafting("envoy") as draft:
        (draft / "envoy").write_text("binary")
        store.commit(draft, _record("envoy", "a" * 64))
    assert store.current("envoy", "a" * 64) == _record("envoy", "a" * 64)
    assert store.current("envoy", "b" * 64) is None
    assert (store.part_directory("envoy", "a" * 64) / "envoy").read_text() == "binary"


def test_a_new_build_replaces_the_old_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in ("a" * 64, "b" * 64):
        with store.drafting("envoy") as draft:
            store.commit(draft, _record("envoy", key))
    assert store.current("envoy", "a" * 64) is None
    assert [path.name for path in (tmp_path / "parts" / "envoy").iterdir()] == ["b" * 16]


def test_a_draft_that_is_not_committed_leaves_no_part(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.drafting("envoy") as draft:
        (draft / "half").write_text("half")
    assert store.record("envoy") is None
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_record_without_its_files_is_not_current(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.drafting("envoy") as draft:
        store.commit(draft, _record("envoy", "a" * 64))
    store.part_directory("envoy", "a" * 64).rmdir()
    assert store.current("envoy", "a" * 64) is None


@pytest.mark.parametrize("content", ["{", "{}", '{"name": "envoy", "from_another": "release"}'])
def test_an_unreadable_record_counts_as_not_built(tmp_path: Path, content: str) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "envoy.json").write_text(content)
    assert Store(tmp_path).record("envoy") is None


def test_two_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """The second of two processes is told who has the lock, and gets it only after the first has let go."""
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import sys, pathlib
                from lab.store import Store
                with Store(pathlib.Path(sys.argv[1])).lock("build", print):
                    print("held", flush=True)
                    sys.stdin.readline()
                    pathlib.Path(sys.argv[1], "first-is-done").touch()
                """
            ),
            str(tmp_path),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    release = holder.stdin
    told: list[str] = []

    def waiting(sentence: str) -> None:
        told.append(sentence)
        release.write("\n")
        release.flush()

    with holder, release:
        assert holder.stdout.readline() == "held\n"
        with Store(tmp_path).lock("build", waiting):
            assert (tmp_path / "first-is-done").exists()
    assert told == [told[0]]
    assert f"process {holder.pid}" in told[0]


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(LabError, match="Set CONFORMANCE_CACHE"),
        Store(tmp_path / "file").lock("build", lambda _: None),
    ):
        pass
