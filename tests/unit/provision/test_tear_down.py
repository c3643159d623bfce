"""What an Installer removes at the end, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

import settings
from facts.errors import ProvisioningFailed
from facts.evidence import KeptInMemory
from provision import install, teleport
from provision.install import Installer
from provision.kind import Kind
from provision.sources import Sources


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of the cluster; neither kind nor Docker is asked."""
    program = tmp_path / "program"
    sources = Sources("upstream", program, program, program, "node:1", "", "", "t:1", "b:18.6.4", "b:18", "b:18.6.3", "w:1")
    asked: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(install, "resolve", lambda _settings: sources)
    monkeypatch.setattr(teleport, "docker_must_answer", lambda: None)
    monkeypatch.setattr(Kind, "remove", lambda _kind: asked.append("removed"))
    return asked


def an_installer(tmp_path: Path, *, keep: bool = False) -> Installer:
    given = settings.load(cache=tmp_path / "cache", kind_name="a", keep=keep)
    return Installer(given, KeptInMemory(), "run")


def test_what_was_made_is_removed_with_its_files(tmp_path: Path, asked: list[str]) -> None:
    installer = an_installer(tmp_path)
    installer.kind.made_here = True
    installer.tear_down()
    assert asked == ["removed"]
    assert not (tmp_path / "cache/clusters/a").exists()


def test_a_cluster_of_somebody_else_stays_with_its_files(tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "cache/clusters/a").mkdir(parents=True)
    an_installer(tmp_path).tear_down()
    assert asked == []
    assert (tmp_path / "cache/clusters/a").exists()


def test_files_of_a_cluster_that_was_never_made_are_removed(tmp_path: Path, asked: list[str]) -> None:
    an_installer(tmp_path).tear_down()
    assert asked == []
    assert not (tmp_path / "cache/clusters/a").exists()


def test_half_a_cluster_is_not_kept(tmp_path: Path, asked: list[str]) -> None:
    installer = an_installer(tmp_path, keep=True)
    installer.kind.made_here = True
    installer.tear_down()
    assert asked == ["removed"]


def test_an_interruption_says_how_to_remove_what_is_left(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_kind: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Kind, "remove", interrupted)
    installer = an_installer(tmp_path)
    installer.kind.made_here = True
    with pytest.raises(KeyboardInterrupt, match=r"saw another interruption. Try: conformance down --kind-name a"):
        installer.tear_down()


def test_docker_that_has_gone_is_said_once(tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    installer = an_installer(tmp_path)
    installer.kind.made_here = True

    def gone() -> None:
        raise ProvisioningFailed(expected="Docker to answer", seen="nothing", where="a socket", remedy="start it")

    monkeypatch.setattr(teleport, "docker_must_answer", gone)
    with pytest.raises(ProvisioningFailed, match=r"saw nothing .* Try: start it; then: conformance down --kind-name a$"):
        installer.tear_down()
    assert asked == []
    assert (tmp_path / "cache/clusters/a").exists()


def test_a_phase_that_fails_without_docker_blames_docker(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = an_installer(tmp_path)

    def gone() -> None:
        raise ProvisioningFailed(expected="Docker to answer", seen="nothing", where="a socket", remedy="start it")

    def refused(_kind: object, *, reuse: bool) -> None:
        raise ProvisioningFailed(expected="a cluster", seen="a long log", where="kind", remedy="read it")

    monkeypatch.setattr(teleport, "docker_must_answer", gone)
    monkeypatch.setattr(Kind, "make", refused)
    with pytest.raises(ProvisioningFailed, match=r"expected Docker to answer; saw nothing \(phase cluster: a socket"):
        installer.ensure("cluster")
    monkeypatch.undo()
    installer.tear_down()
