"""The private directory of a kind cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

import settings
from facts.errors import ProvisioningFailed
from provision.clusters.directory import kept_kubeconfig, make_directory, remove_directory


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
