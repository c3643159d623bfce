"""The command-line tools, stood in for by small programs."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.recorder import KeptInMemory
from observe.command import CommandResult
from observe.tools import Tools
from tests.data import text


def _program(directory: Path, name: str, says: str, exit_code: int = 0) -> str:
    path = directory / name
    path.write_text(f"#!/bin/sh\ncat <<'EOF'\n{says}\nEOF\necho \"$@\" > {directory}/{name}.asked\nexit {exit_code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def _tools(directory: Path, recorder: KeptInMemory, **replaced: Any) -> Tools:
    def tctl(words: Sequence[str], _stdin: str) -> CommandResult:
        return CommandResult(
            ("docker", "exec", "t", "tctl", *words), 0, text("teleport/tctl_version.txt"), "", datetime.now(UTC)
        )

    given: dict[str, Any] = {
        "kubectl": _program(directory, "kubectl", text("cluster/kubectl_version.json")),
        "istioctl": _program(directory, "istioctl", text("cluster/istioctl_version.json")),
        "tctl": tctl,
        "kubeconfig": Path("/some/kubeconfig"),
        "context": "staging",
        "recorder": recorder,
        "timeout": 10.0,
    }
    return Tools(**(given | replaced))


def test_the_tools_say_their_versions_and_evidence_shows_them_as_typed(tmp_path: Path, recorder: KeptInMemory) -> None:
    asked = _tools(tmp_path, recorder)
    tools = {tool.name: tool for tool in (asked.kubectl_version(), asked.istioctl_version(), asked.tctl_version())}
    assert {name: str(tool.version) for name, tool in tools.items()} == {
        "kubectl": "1.34.4", "istioctl": "1.31.0-lab", "tctl": "18.6.4",
    }  # fmt: skip
    assert [recorder.evidence[t.evidence[0]].question for t in tools.values()] == [
        "kubectl version --client -o json", "istioctl version --remote=false -o json", "tctl version",
    ]  # fmt: skip


def test_a_tool_that_is_missing_or_mute(tmp_path: Path, recorder: KeptInMemory) -> None:
    with pytest.raises(CouldNotTell) as caught:
        _tools(tmp_path, recorder, istioctl=str(tmp_path / "none")).istioctl_version()
    assert "no such file" in caught.value.seen.lower()
    with pytest.raises(CouldNotTell):
        _tools(tmp_path, recorder, kubectl=_program(tmp_path, "mute", "", 1)).kubectl_version()
    with pytest.raises(CouldNotTell) as caught:
        _tools(tmp_path, recorder, tctl=None).tctl_version()
    assert "--tctl" in caught.value.remedy


def test_kubectl_always_names_its_context(tmp_path: Path, recorder: KeptInMemory) -> None:
    _tools(tmp_path, recorder).run_kubectl(["get", "pods"])
    assert (tmp_path / "kubectl.asked").read_text() == "--kubeconfig /some/kubeconfig --context staging get pods\n"
