"""The private directory of a kind cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import settings
from facts.errors import BadInput, ProvisioningFailed
from provision.clusters.directory import (
    NameLock,
    kept_kubeconfig,
    make_directory,
    must_be_free,
    must_be_own,
    remove_directory,
)


def test_it_is_private_and_fresh_only_once(tmp_path: Path) -> None:
    directory = tmp_path / "clusters" / "a"

    assert [make_directory(directory), make_directory(directory)] == [True, False]
    assert directory.stat().st_mode & 0o777 == 0o700


def test_one_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "clusters").touch()

    with pytest.raises(ProvisioningFailed, match=r"Not a directory .* What to do: .*CONFORMANCE_CACHE"):
        make_directory(tmp_path / "clusters" / "a")


def test_it_is_removed_with_what_is_in_it_and_may_be_gone_already(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kubeconfig").touch()

    remove_directory(tmp_path / "a")
    remove_directory(tmp_path / "a")

    assert not (tmp_path / "a").exists()


def test_a_kept_kubeconfig_is_one_with_something_in_it(tmp_path: Path) -> None:
    given = settings.load(cache=tmp_path, kind_name="a")
    assert kept_kubeconfig(given) is None
    file = tmp_path / "clusters" / "a" / "kubeconfig"
    file.parent.mkdir(parents=True)
    file.touch()
    assert kept_kubeconfig(given) is None
    file.write_text("kind: Config\n")
    assert kept_kubeconfig(given) == file


def test_all_that_is_made_above_it_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_directory(tmp_path / "cache" / "clusters" / "a")
    finally:
        os.umask(before)
    made = [tmp_path / "cache", *(tmp_path / "cache").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}


@pytest.mark.parametrize(("mode", "own"), [(0o700, True), (0o755, True), (0o775, False), (0o757, False), (0o1777, False)])
def test_a_cache_that_others_may_write_to_is_refused(tmp_path: Path, mode: int, *, own: bool) -> None:
    cache = tmp_path / "the cache"
    must_be_own(cache)
    cache.mkdir()
    cache.chmod(mode)
    if own:
        must_be_own(cache)
        return
    with pytest.raises(BadInput) as caught:
        must_be_own(cache)
    assert caught.value.seen == f"mode {mode:04o}"
    assert f"chmod go-w '{cache}'" in caught.value.remedy


class TestNameLock:
    def test_one_process_has_it_until_it_gives_it_up(self, tmp_path: Path) -> None:
        directory = tmp_path / "clusters" / "a"
        must_be_free(directory)
        held = NameLock(directory)
        for refused in (NameLock, must_be_free):
            with pytest.raises(BadInput) as caught:
                refused(directory)
            assert caught.value.seen == f"process {os.getpid()} does"
            assert "another --kind-name" in caught.value.remedy
        NameLock(tmp_path / "clusters" / "b").release()
        held.release()
        held.release()
        must_be_free(directory)
        NameLock(directory).release()

    def test_it_ends_with_its_process(self, tmp_path: Path) -> None:
        directory = tmp_path / "a"
        program = "import os, signal, sys, pathlib; from provision.clusters.directory import NameLock"
        program += "; held = NameLock(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
        root = Path(__file__).parents[4]
        done = subprocess.run([sys.executable, "-c", program, directory], cwd=root, check=False, timeout=60)
        assert done.returncode == -9
        NameLock(directory).release()

    def test_a_program_that_the_holder_starts_does_not_inherit_it(self, tmp_path: Path) -> None:
        held = NameLock(tmp_path / "a")
        with subprocess.Popen(["sleep", "60"]) as child:
            held.release()
            NameLock(tmp_path / "a").release()
            child.kill()

    def test_a_place_that_cannot_be_used_is_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "clusters").touch()
        with pytest.raises(ProvisioningFailed, match=r"Not a directory|File exists"):
            NameLock(tmp_path / "clusters" / "a")
