"""Which Istio the lab's command line means: the default one, unless an option or the environment asks for the older one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli import app


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
