"""What Debian the lab's images are made of: only packages that Debian has signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import recipes
from lab.errors import LabError
from lab.parts import Part, Workshop
from lab.recipes import faketime_part, node_rootfs_part, python_rootfs_part
from lab.versions import load

BOOTSTRAPPED: dict[str, Callable[[Path], Part]] = {
    "pods": lambda debs: python_rootfs_part(load(), debs),
    "nodes": lambda debs: node_rootfs_part(load(), debs),
    "libfaketime": lambda _debs: faketime_part(load()),
}


class Asked(Exception):
    """The build has named its command."""


class Shop:
    """A workshop that runs nothing."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.asked: list[str] = []

    def run(self, command: Any, **_options: object) -> str:
        self.asked = [str(word) for word in command]
        raise Asked


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(recipes, "ARCHIVE_KEYRING", keyring)
    return keyring


def asked(part: Part, output: Path) -> list[str]:
    shop = Shop(output)
    with pytest.raises(Asked):
        part.build(_as_workshop(shop))
    return shop.asked


def _as_workshop(shop: Shop) -> Workshop:
    found: Any = shop
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", BOOTSTRAPPED)
def test_each_debian_is_verified_against_the_archives_keys(name: str, keyring: Path, tmp_path: Path) -> None:
    words = asked(BOOTSTRAPPED[name](tmp_path / "debs"), tmp_path)
    assert "debootstrap" in words
    assert {"--force-check-gpg", f"--keyring={keyring}"} <= {*words}
    assert "--no-check-gpg" not in words


@pytest.mark.parametrize("name", BOOTSTRAPPED)
def test_without_the_keys_nothing_is_downloaded(name: str, keyring: Path, tmp_path: Path) -> None:
    keyring.unlink()
    shop = Shop(tmp_path)
    with pytest.raises(LabError, match="apt-get install debian-archive-keyring"):
        BOOTSTRAPPED[name](tmp_path / "debs").build(_as_workshop(shop))
    assert shop.asked == []
