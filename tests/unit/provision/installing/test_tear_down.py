"""Removal by an Installer at the end, and its errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import settings
from facts.errors import BadInput, ProvisioningFailed
from facts.recorder import KeptInMemory
from observe.command import CommandResult
from providers.teleport.installing import teleport
from provision.clusters.kind import Kind
from provision.clusters.sources import Sources
from provision.installing import install
from provision.installing.install import Installer
from provision.installing.variant import RECOMMENDED
from provision.objects import RUN_LABEL


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """State of the cluster, without kind and Docker."""
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


def test_the_cluster_of_another_run_stays_with_its_files(tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "cache/clusters/a").mkdir(parents=True)
    an_installer(tmp_path).tear_down()
    assert asked == []
    assert (tmp_path / "cache/clusters/a").exists()


def test_files_of_a_cluster_that_was_never_made_are_removed(tmp_path: Path, asked: list[str]) -> None:
    an_installer(tmp_path).tear_down()
    assert asked == []
    assert not (tmp_path / "cache/clusters/a").exists()


def test_of_two_first_starts_on_one_name_the_second_is_refused_and_touches_nothing(tmp_path: Path, asked: list[str]) -> None:
    first = an_installer(tmp_path)
    kubeconfig = tmp_path / "cache/clusters/a/kubeconfig"
    kubeconfig.write_text("of the first")
    for keep in (False, True):
        with pytest.raises(BadInput, match="no other run that makes or removes kind cluster a"):
            an_installer(tmp_path, keep=keep)
    with pytest.raises(BadInput, match="no other run that makes or removes kind cluster a"):
        install.remove(settings.load(cache=tmp_path / "cache", kind_name="a"), KeptInMemory())
    assert kubeconfig.read_text() == "of the first"
    assert asked == []
    first.tear_down()
    an_installer(tmp_path).tear_down()


def test_a_kept_cluster_can_be_used_as_soon_as_it_is_there(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kind, "make", lambda _kind, **_: None)
    for look in ("_look_at_api", "_await_nodes"):
        monkeypatch.setattr(Installer, look, lambda _installer: None)
    first = an_installer(tmp_path, keep=True)
    first.ensure("cluster")
    an_installer(tmp_path, keep=True).tear_down()
    first.tear_down()
    passing = an_installer(tmp_path)
    passing.ensure("cluster")
    with pytest.raises(BadInput):
        an_installer(tmp_path, keep=True)
    passing.tear_down()


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
    with pytest.raises(KeyboardInterrupt, match=r"saw another interruption. What to do: conformance down --kind-name a"):
        installer.tear_down()


def test_docker_that_has_gone_is_said_once(tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    installer = an_installer(tmp_path)
    installer.kind.made_here = True

    monkeypatch.setattr(teleport, "docker_must_answer", gone)
    with pytest.raises(
        ProvisioningFailed, match=r"saw nothing .* What to do: start it; then: conformance down --kind-name a$"
    ):
        installer.tear_down()
    assert asked == []
    assert (tmp_path / "cache/clusters/a").exists()


def gone() -> None:
    """The error where Docker does not answer."""
    raise ProvisioningFailed(expected="Docker to answer", seen="nothing", where="a socket", remedy="start it")


class Tctl:
    """An existing Teleport that has every resource, made for cluster a; remembers the commands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.removed: list[str] = []
        monkeypatch.setattr(teleport.ExistingTeleport, "tctl", lambda _teleport, argv, _stdin="": self.answer(argv))

    def answer(self, argv: list[str]) -> CommandResult:
        if argv[0] == "rm":
            self.removed.append(argv[1])
        labels = {RUN_LABEL: "run", teleport.CLUSTER_LABEL: "a"}
        return CommandResult(("tctl", *argv), 0, json.dumps([{"metadata": {"labels": labels}}]), "", datetime.now(UTC))


@pytest.fixture
def tctl(monkeypatch: pytest.MonkeyPatch) -> Tctl:
    def connect(command: str, proxy: str, **_given: object) -> teleport.ExistingTeleport:
        return teleport.ExistingTeleport("teleport.test", proxy, False, tuple(command.split()), 1)

    monkeypatch.setattr(teleport, "connect", connect)
    return Tctl(monkeypatch)


def with_existing_teleport(tmp_path: Path, *, keep: bool = False) -> Installer:
    given = settings.load(
        cache=tmp_path / "cache", kind_name="a", keep=keep, tctl="tctl --identity=id", teleport_proxy="teleport.test:443"
    )
    installer = Installer(given, KeptInMemory(), "run")
    installer.ensure("teleport")
    return installer


MADE = ["workload_identity/istio-workloads", "bot/istio-tbot", "role/istio-workload-identity-issuer"]


def test_without_docker_what_was_made_in_an_existing_teleport_is_removed_all_the_same(
    tmp_path: Path, asked: list[str], tctl: Tctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = with_existing_teleport(tmp_path)
    assert installer._resources is not None
    installer._resources.create_all(RECOMMENDED)
    installer.kind.made_here = True
    monkeypatch.setattr(teleport, "docker_must_answer", gone)
    with pytest.raises(
        ProvisioningFailed, match=r"saw nothing .* What to do: start it; then: conformance down --kind-name a$"
    ):
        installer.tear_down()
    assert tctl.removed == MADE
    assert asked == []
    assert (tmp_path / "cache/clusters/a" / teleport.EXISTING).exists(), "conformance down looks there once more"


def test_what_was_kept_in_an_existing_teleport_is_removed_with_the_cluster(
    tmp_path: Path, asked: list[str], tctl: Tctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teleport, "remove_all", lambda _kind_name: None)
    with_existing_teleport(tmp_path, keep=True).tear_down()
    assert (tctl.removed, asked) == ([], [])
    install.remove(settings.load(cache=tmp_path / "cache", kind_name="a"), KeptInMemory())
    assert tctl.removed == ["token/istio-tbot-k8s-join", *MADE]
    assert asked == ["removed"]
    assert not (tmp_path / "cache/clusters/a").exists()


def test_where_it_cannot_be_read_whose_teleport_it_was_the_cluster_goes_and_the_file_stays(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teleport, "remove_all", lambda _kind_name: None)
    file = tmp_path / "cache/clusters/a" / teleport.EXISTING
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    with pytest.raises(ProvisioningFailed, match=r"in which the suite made resources.*by hand"):
        install.remove(settings.load(cache=tmp_path / "cache", kind_name="a"), KeptInMemory())
    assert asked == ["removed"]
    assert file.exists()


def test_a_phase_that_fails_without_docker_blames_docker(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = an_installer(tmp_path)

    def refused(_kind: object, *, reuse: bool) -> None:
        raise ProvisioningFailed(expected="a cluster", seen="a long log", where="kind", remedy="read it")

    monkeypatch.setattr(teleport, "docker_must_answer", gone)
    monkeypatch.setattr(Kind, "make", refused)
    with pytest.raises(ProvisioningFailed, match=r"expected Docker to answer; saw nothing \(phase cluster: a socket"):
        installer.ensure("cluster")
    monkeypatch.undo()
    installer.tear_down()
