"""Which Istio the lab's command line means: the default one, unless an option or the environment asks for the older one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli import app
from lab.errors import LabError
from lab.host import Host

MAKEFILE = Path(__file__).parents[3] / "Makefile"


@pytest.fixture
def status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What `status` says of an empty cache, on a machine without Docker."""
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.delenv("CONFORMANCE_ISTIO", raising=False)

    def told(*options: str) -> str:
        return CliRunner().invoke(app, ["status", *options]).output

    return told


def test_the_default_istio_is_meant_where_none_is_named(status: Callable[..., str]) -> None:
    assert "istio-older" not in status()
    assert status().rstrip().endswith("(type: python -m lab build)")


def test_the_option_and_the_environment_name_the_older_one(
    status: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_option = status("--istio", "older")
    monkeypatch.setenv("CONFORMANCE_ISTIO", "older")
    for text in (by_option, status()):
        assert "istio-older " in text
        assert "istio-images " in text, "the older one comes on top of the default one"
        assert text.rstrip().endswith("(type: python -m lab build --istio older)")


def test_there_is_no_other(status: Callable[..., str]) -> None:
    assert "'oldest' is not one of 'default', 'older'" in status("--istio", "oldest").replace("\n", " ")


def test_what_remains_is_said_with_the_command_that_undoes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path))
    assert CliRunner().invoke(app, ["remains"]).output == ""
    monkeypatch.setattr(Host, "own_daemon", lambda _self: 4711)
    assert "kill 4711" in CliRunner().invoke(app, ["remains"]).output


@pytest.mark.parametrize("command", [["status"], ["host"], ["build"], ["charts"], ["clean"]])
def test_a_cache_that_others_may_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path))
    tmp_path.chmod(0o775)
    ended = CliRunner().invoke(app, command)
    assert isinstance(ended.exception, LabError)
    assert f"has mode 0775. See that nobody has put anything there, then type: chmod go-w {tmp_path}" in str(ended.exception)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("code", [0, 1, 7])
def test_make_says_it_after_a_run_and_keeps_the_exit_code_of_the_run(tmp_path: Path, code: int) -> None:
    makefile = tmp_path / "Makefile"
    (definition,) = [line for line in MAKEFILE.read_text().splitlines() if line.startswith("on_the_lab = ")]
    makefile.write_text(
        f"SHELL := /bin/bash\n.SHELLFLAGS := -euo pipefail -c\n{definition}\nall:\n\t$(call on_the_lab,(exit {code}))\n"
    )
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "told: $*"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["make", "-C", str(tmp_path), f"BIN={tmp_path}", "all"], capture_output=True, text=True, check=False, timeout=30
    )
    assert "told: -m lab remains" in done.stdout
    assert (done.returncode == 0) is (code == 0)
    assert code == 0 or f"Error {code}" in done.stderr
