"""What the lab asks of a machine, and what it says where the machine cannot give it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import command, docker, host
from lab.errors import LabError
from lab.host import Host
from lab.pins import GO_DIRECTORY, go_environment
from lab.versions import load


def _no_runtime() -> Path:
    raise AssertionError("no daemon may be started")


@pytest.fixture
def quiet(tmp_path: Path) -> Host:
    return Host(tmp_path, lambda _sentence: None)


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "reachable", lambda: False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def _fake_go(directory: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "go").write_text(f"#!/bin/sh\necho {version}\n")
    (directory / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_a_daemon_that_answers_is_left_alone(quiet: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "reachable", lambda: True)
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: "/usr/bin/docker")
    quiet.ensure_docker(_no_runtime)
    assert quiet.own_daemon() is None


@pytest.mark.usefixtures("no_docker")
def test_a_daemon_elsewhere_is_not_replaced_by_one_here(quiet: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    with pytest.raises(LabError, match=r"DOCKER_HOST=tcp://10\.0\.0\.1:2375"):
        quiet.ensure_docker(_no_runtime)


@pytest.mark.usefixtures("no_docker")
def test_an_ordinary_user_is_told_to_start_docker_or_become_root(quiet: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="as root on Debian or Ubuntu"):
        quiet.ensure_docker(_no_runtime)


def test_an_ordinary_user_is_told_which_packages_to_install(quiet: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(host, "_found", lambda name: name == "apt-get")
    if "debian" not in Path("/etc/os-release").read_text():
        with pytest.raises(LabError, match="package manager"):
            quiet.install(["debootstrap"])
        return
    with pytest.raises(LabError, match="sudo apt-get install debootstrap"):
        quiet.install(["debootstrap"])


def test_a_package_without_commands_is_missing_while_its_file_is(
    quiet: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keyring = tmp_path / "keyring.gpg"
    monkeypatch.setitem(host._PACKAGES, "debian-archive-keyring", (keyring,))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="expected debian-archive-keyring on this machine"):
        quiet.install(["debian-archive-keyring"])
    keyring.touch()
    quiet.install(["debian-archive-keyring"])


def test_images_need_root(quiet: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="What to do: run it with sudo"):
        quiet.require_for_build(load(), ["python-rootfs"])


def test_no_go_is_named_with_what_to_do(quiet: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"Go 1\.26 or newer .* no `go` command\. Install Go 1\.26"):
        quiet.require_for_build(load(), ["kind"])


@pytest.mark.parametrize("version", ["go1.25.9", "go1.9", "devel"])
def test_an_old_go_is_refused(quiet: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    _fake_go(tmp_path, version, monkeypatch)
    with pytest.raises(LabError, match=f"`go` is {version}"):
        quiet.require_for_build(load(), ["kind"])


@pytest.mark.parametrize("version", ["go1.26", "go1.26.8", "go1.30.1", "go2.0"])
def test_a_new_go_is_taken(quiet: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    _fake_go(tmp_path, version, monkeypatch)
    quiet.require_for_build(load(), ["kind"])
    assert command.run(["go", "version"]) == f"{version}\n"


def test_a_full_disk_is_found_before_minutes_are_spent(quiet: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _fake_go(tmp_path, "go1.26.8", monkeypatch)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1, 1, 3 * 2**30))
    with pytest.raises(LabError, match=r"expected 20 GiB free .* has 3\.0 GiB"):
        quiet.require_for_build(load(), ["kubernetes"])


def test_a_pid_file_that_names_another_program_is_not_our_daemon(quiet: Host, tmp_path: Path) -> None:
    (tmp_path / "dockerd.pid").write_text(f"{os.getpid()}\n")
    assert quiet.own_daemon() is None
    assert quiet.stop_own_daemon() is False


def test_our_daemon_is_known_by_its_data_directory_and_stopped(quiet: Host, tmp_path: Path) -> None:
    words = ["sh", "-c", "echo up; read line", "dockerd", str(quiet.docker_data)]
    daemon = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with daemon:
        # Its command line can be read once it runs; right after Popen returns the kernel may not have put it there yet.
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"up\n"
        (tmp_path / "dockerd.pid").write_text(f"{daemon.pid}\n")
        assert quiet.own_daemon() == daemon.pid
        assert quiet.stop_own_daemon() is True
    assert not (tmp_path / "dockerd.pid").exists()


@pytest.fixture
def low(tmp_path: Path) -> Path:
    """The kernel's limit as it comes."""
    limit = tmp_path / "max_user_instances"
    limit.write_text("128\n")
    return limit


def test_beside_a_daemon_of_somebody_else_the_limit_of_inotify_is_only_spoken_of(tmp_path: Path, low: Path) -> None:
    said: list[str] = []
    Host(tmp_path, said.append, inotify=low).ensure_inotify()
    assert low.read_text() == "128\n"
    assert said[0].endswith("type: sudo sysctl -w fs.inotify.max_user_instances=1024")


def test_beside_the_labs_own_daemon_the_limit_of_inotify_is_raised_once(
    tmp_path: Path, low: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Host, "own_daemon", lambda _self: 1)
    for _ in range(2):
        Host(tmp_path, said.append, inotify=low).ensure_inotify()
    assert low.read_text() == "1024\n"
    assert said == ["set fs.inotify.max_user_instances=1024, for more than one cluster at a time; it was 128"]


def test_a_limit_of_inotify_that_cannot_be_raised_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_self: Path, *_args: str, **_options: str) -> int:
        raise PermissionError(1, "Operation not permitted")

    said: list[str] = []
    monkeypatch.setattr(Host, "own_daemon", lambda _self: 1)
    (tmp_path / "limit").write_text("128\n")
    monkeypatch.setattr(Path, "write_text", refused)
    Host(tmp_path, said.append, inotify=tmp_path / "limit").ensure_inotify()
    assert said == [
        "could not set fs.inotify.max_user_instances=1024 (Operation not permitted), for more than one cluster at a time; "
        "it was 128"
    ]


def test_a_command_that_fails_shows_its_last_lines_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(LabError, match=r"ended with code 3:\nlast words\nThe whole output is in .*log"):
        command.run(["sh", "-c", "echo last words >&2; exit 3"], log=log)
    assert "last words" in log.read_text()


def test_a_command_that_is_missing_is_named() -> None:
    with pytest.raises(LabError, match="`no-such-program` cannot be run"):
        command.run(["no-such-program"])


@pytest.mark.skipif(shutil.which("go") is None, reason="needs the Go that the lab is compiled with")
def test_the_wrapper_around_runc_asks_only_for_what_the_host_has() -> None:
    done = subprocess.run(
        ["go", "test", "./..."],
        cwd=GO_DIRECTORY / "tools",
        env=go_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lab/tools/runcw" in done.stdout


def test_nothing_remains_of_a_lab_that_changed_nothing(tmp_path: Path, low: Path) -> None:
    assert Host(tmp_path, lambda _: None, inotify=low).remains() == []


def test_a_daemon_and_a_raised_limit_remain_until_they_are_undone(
    tmp_path: Path, low: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, lambda _: None, inotify=low)
    monkeypatch.setattr(Host, "own_daemon", lambda _self: 4711)
    host.ensure_inotify()
    daemon, limit = host.remains()
    assert "kill 4711" in daemon
    assert "python -m lab clean --docker" in daemon
    assert "from 128 to 1024" in limit
    assert limit.endswith("type: sysctl -w fs.inotify.max_user_instances=128")

    monkeypatch.setattr(Host, "own_daemon", lambda _self: None)
    assert host.remains() == [limit]
    low.write_text("128\n")  # a reboot, or the command
    assert host.remains() == []
