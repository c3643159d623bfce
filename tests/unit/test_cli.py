"""The command `conformance`: its exit codes, and one sentence on standard error where something is wrong."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import cli
from facts.errors import BadInput, CouldNotTell
from facts.recorder import KeptInMemory
from observe.command import run
from provision.clusters import sources as sources_module
from provision.runs.undo import Line, State
from settings import BadSettings, Settings, load


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory, an empty cache, no other setting, and a Docker that is not there."""
    for name in [n for n in os.environ if n.upper().startswith("CONFORMANCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.chdir(tmp_path)


def conformance(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["conformance", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_a_plan_needs_no_cluster(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance(monkeypatch, "plan", "--profile", "checklist") == 0
    assert "CHK-9" in capsys.readouterr().out


def test_a_plan_says_what_the_run_would_do_to_the_cluster(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert conformance(monkeypatch, "plan", "--profile", "install", "--allow", "namespaced") == 0
    said = capsys.readouterr().out
    assert "create pods  " in said
    assert "hostPID" in said
    assert "Time: 14 s" in said
    assert conformance(monkeypatch, "plan", "--profile", "install", "--cluster", "existing") == 0
    said = capsys.readouterr().out
    assert "Pods: none; the run creates nothing." in said
    assert "--allow namespaced" in said


def test_a_plan_of_mesh_creates_nothing_and_says_what_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert conformance(monkeypatch, "plan", "--profile", "mesh", "--cluster", "existing") == 0
    said = capsys.readouterr().out
    assert "ID-01" in said
    assert "Pods: none; the run creates nothing." in said
    assert "--allow" not in said.partition("Rights")[0]
    assert "CHK-8, ID-12 (they need the right to run programs in containers)" in said
    assert "INST-10" in said.partition("Left out of core: ")[2]


def test_the_certifiers_roles_have_the_namespaces_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conformance.toml").write_text('[names]\napp_namespace = "shop"\n')
    assert conformance(monkeypatch, "rights", "--allow", "namespaced") == 0
    documents = list(yaml.safe_load_all(capsys.readouterr().out))
    bound = {d["roleRef"]["name"] for d in documents if d["kind"].endswith("Binding")}
    assert bound == {"conformance-read-only", "conformance-namespaced"}
    assert "shop" in {d["metadata"].get("namespace") for d in documents if d["kind"] == "Role"}


def test_the_settings_are_listed_whatever_the_file_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("conformance.toml").write_text("nonsense")
    assert conformance(monkeypatch, "options") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in Settings.model_fields)
    assert "names.app_namespace" in out
    assert "timeouts.pod_ready" in out
    assert "Names(" not in out


@pytest.mark.parametrize(("source", "said"), [("bundle", "yes\n"), ("upstream", "no\n")])
def test_make_is_told_whether_to_build_the_lab(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str, said: str
) -> None:
    monkeypatch.setenv("CONFORMANCE_SOURCE", source)
    assert conformance(monkeypatch, "wants-lab") == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(("answer", "built"), [("yes", True), ("no", False)])
def test_make_builds_the_lab_only_where_a_run_takes_it(tmp_path: Path, answer: str, *, built: bool) -> None:
    program = tmp_path / "conformance"
    program.write_text(f"#!/bin/sh\necho {answer}\n")
    program.chmod(0o755)
    # -n prints what would be done; a line that calls make is run, so that its part is printed, too.
    told = run(["make", "-n", "-C", Path(cli.__file__).parent, f"BIN={tmp_path}", "certify"], timeout=20)
    assert told.exit_code == 0, told.stderr
    assert ("-m lab build" in told.stdout) is built
    assert "pytest features/" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("nonsense",), 4, "nonsense"),
        (("up", "--nodes", "two"), 4, "--nodes"),
        (
            ("up", "--nodes", "0"),
            4,
            "nodes: input should be greater than or equal to 1, saw 0. What to do: see `conformance options`",
        ),
        (
            ("plan", "--profile", "cor"),
            4,
            "expected one of the profiles all, ca-rotation, checklist, core, diagnosis, hygiene, identity, install, mesh,"
            " mtls, resilience, rotation, traffic; saw 'cor'",
        ),
        (("images", "--source", "mirror"), 4, "What to do: give --registry HOST/PREFIX"),
        (("images", "--source", "bundle"), 6, "What to do: build it: make lab"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(
    arguments: tuple[str, ...],
    exit_code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert conformance(monkeypatch, *arguments) == exit_code
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("command", ["up", "down"])
def test_docker_that_is_not_there(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("kind", "kubectl", "istioctl"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert conformance(monkeypatch, command, "--source", "upstream") == 6
    captured = capsys.readouterr()
    assert captured.err.startswith("! expected Docker to answer; saw ")
    assert captured.out == ""
    assert not (tmp_path / "cache").exists()


def test_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "resolve", interrupted)
    assert conformance(monkeypatch, "images") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_as_ctrl_c_does_with_what_it_has_to_release(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    released: list[str] = []

    def ended(_settings: object) -> None:
        try:
            os.kill(os.getpid(), number)
        finally:
            released.append("the Lease")

    monkeypatch.setattr(cli, "resolve", ended)
    # Without a handler in the command, this one is called, and the command goes on.
    former = signal.signal(number, lambda _number, _frame: None)
    try:
        assert conformance(monkeypatch, "images") == 2
    finally:
        signal.signal(number, former)
    assert released == ["the Lease"]


def test_no_argument_shows_the_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance(monkeypatch) == 4
    captured = capsys.readouterr()
    assert "kept lab cluster" in captured.out
    assert captured.err == ""


HOSTILE = "password: hunter2hunter2 \x1b[2J\u202e and a-join-token-to-hide"


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (BadSettings(HOSTILE), 4),
        (BadInput(expected="x", seen=HOSTILE, where="here", remedy="look"), 4),
        (CouldNotTell(expected="x", seen=HOSTILE, where="here", remedy="look"), 6),
        (RuntimeError(HOSTILE), 6),
    ],
)
def test_no_error_shows_a_secret_or_a_control_character(
    error: Exception, exit_code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_settings: object) -> None:
        cli.recorder.hide("a-join-token-to-hide")
        raise error

    monkeypatch.setattr(cli, "recorder", KeptInMemory())
    monkeypatch.setattr(cli, "resolve", fails)
    assert conformance(monkeypatch, "images") == exit_code
    said = capsys.readouterr().err
    assert r"password: [redacted] \x1b[2J\u202e and [redacted]" in said
    assert not {"\x1b", "\u202e"} & {*said}
    assert "hunter2" not in said


def test_a_defect_says_where_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(_settings: object) -> None:
        raise KeyError("gone")

    monkeypatch.setattr(cli, "resolve", fails)
    assert conformance(monkeypatch, "images") == 6
    said = capsys.readouterr().err
    assert said.startswith("! expected the command to do its work; saw a defect in the suite: KeyError: 'gone'")
    assert "in fails" in said


def test_a_table_is_printable_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("kubectl", "istioctl"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    sources = sources_module.resolve(load(source="upstream", cluster="existing"))
    monkeypatch.setattr(cli, "resolve", lambda _settings: replace(sources, tbot_image="tbot:\x1b[31m"))
    assert conformance(monkeypatch, "images") == 0
    assert r"tbot:\x1b[31m" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("down", "--run", "run-1"),
        ("down", "--context", "staging"),
        ("down", "--context", "staging", "--run", "run-1", "--all-runs"),
        ("down", "--context", "staging", "--run", "run-1", "--kind-name", "kept"),
    ],
)
def test_a_way_down_is_named_completely(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert conformance(monkeypatch, *arguments) == 4
    assert "expected --kind-name, or --context with one of --run and --all-runs" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("undo",), ("down", "--all-runs")])
def test_a_context_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text("{apiVersion: v1, kind: Config, contexts: [{name: staging, context: {cluster: c, user: u}}]}")
    assert conformance(monkeypatch, *command, "--kubeconfig", str(config), "--context", "prod") == 4
    assert "expected one of the contexts staging; saw 'prod'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("states", "exit_code", "said"),
    [
        ([], 0, "nothing is left"),
        ([State.DONE], 0, "nothing is left"),
        ([State.DONE, State.LEFT], 1, "1 of 2 left; conformance undo … --yes restores it"),
        ([State.OTHERS], 1, "1 of 1 left"),
        ([State.UNKNOWN], 6, "1 of 1 left"),
        ([State.UNKNOWN, State.LEFT], 1, "2 of 2 left"),
    ],
)
def test_what_is_left_decides_the_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    states: list[State],
    exit_code: int,
    said: str,
) -> None:
    lines = [Line(state, f"thing {number}") for number, state in enumerate(states)]
    monkeypatch.setattr(cli, "undone", lambda *_given, **_options: lines)
    assert conformance(monkeypatch, "undo", "--context", "staging") == exit_code
    out = capsys.readouterr().out
    assert said in out
    assert all(line.text in out for line in lines)


def test_what_is_left_is_printed_safely(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = Line(State.OTHERS, f"ConfigMap a/b: {HOSTILE}\n✓ DaemonSet teleport-system/tbot")

    def undone(_settings: Settings, recorder: KeptInMemory, **_options: object) -> list[Line]:
        recorder.hide("a-join-token-to-hide")
        return [line]

    monkeypatch.setattr(cli, "recorder", KeptInMemory())
    monkeypatch.setattr(cli, "undone", undone)
    assert conformance(monkeypatch, "undo", "--context", "staging") == 1
    out = capsys.readouterr().out
    assert r"! ConfigMap a/b: password: [redacted] \x1b[2J\u202e and [redacted]" in out
    assert "\n  ✓ DaemonSet teleport-system/tbot\n" in out
    assert not {"\x1b", "\u202e"} & {*out}
