"""How programs are compiled, and what Debian the lab's images are made of: only packages that Debian has signed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import pins, recipes
from lab.components import all_components
from lab.errors import LabError
from lab.parts import Part, Workshop, keys
from lab.recipes import faketime_part, go_part, modules_part, node_rootfs_part, python_rootfs_part, tools_part
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


COMPONENTS = {component.name: component for component in all_components(load())}

COREFILE = """\
errors health ready kubernetes prometheus forward cache loop reload loadbalance
"""
"""Plugins that the Corefile of kubeadm names."""


def _options(words: list[str]) -> set[str]:
    """What decides whether Go can take a compiled package from its cache: the linker's options are not among it."""
    return {word for word in words if word == "-trimpath" or word.startswith("-gcflags")}


def test_every_program_is_compiled_with_the_same_options(tmp_path: Path) -> None:
    parts = [tools_part(load()), *map(go_part, COMPONENTS.values())]
    seen = [_options(asked(part, tmp_path)) for part in parts]
    assert seen == [{"-trimpath", "-gcflags=all=-dwarf=false"}] * len(parts)


def test_the_environment_gives_the_compiler_memory_unless_the_user_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOGC", "GOMEMLIMIT"):
        monkeypatch.delenv(name, raising=False)
    assert pins.go_environment()["GOGC"] == "800"
    monkeypatch.setenv("GOGC", "100")
    assert pins.go_environment()["GOGC"] == "100"
    assert pins.go_environment()["GOMEMLIMIT"] == "2GiB"


def test_etcd_is_compiled_together_with_kubernetes(tmp_path: Path) -> None:
    words = asked(go_part(COMPONENTS["kubernetes"]), tmp_path)
    assert words[-1] == "./etcd"
    assert words[words.index("-o") + 1] == f"{tmp_path}/"
    assert "k8s.io/kubernetes/cmd/kube-apiserver" in words


@pytest.mark.parametrize("name", ["kind", "coredns"])
def test_a_lone_program_is_named_and_not_left_to_the_go_command(name: str, tmp_path: Path) -> None:
    words = asked(go_part(COMPONENTS[name]), tmp_path)
    assert words[words.index("-o") + 1] == f"{tmp_path}/{name}"


@pytest.mark.parametrize("name", ["istio", "istio-older"])
def test_istio_is_compiled_and_downloaded_without_checks_of_messages(name: str, tmp_path: Path) -> None:
    assert "-tags=disable_pgv" in asked(go_part(COMPONENTS[name]), tmp_path)
    assert "-tags=disable_pgv" in asked(modules_part(COMPONENTS[name]), tmp_path)
    assert keys([go_part(COMPONENTS[name])]) != keys([go_part(replace(COMPONENTS[name], tags=()))])


def test_coredns_has_the_plugins_of_kubeadms_corefile_and_no_other() -> None:
    text = (pins.GO_DIRECTORY / "coredns" / "coredns" / "main.go").read_text(encoding="utf-8")
    directives = re.findall(r'^\t\t"(\w+)",$', text, flags=re.MULTILINE)
    imported = re.findall(r'coredns/plugin/(\w+)"$', text, flags=re.MULTILINE)
    assert sorted(directives) == sorted(COREFILE.split())
    assert sorted(imported) == sorted({*COREFILE.split()} - {"prometheus"} | {"metrics"})
