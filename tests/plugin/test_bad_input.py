"""A user gets for bad input: one sentence with the next step, the documented exit code, and a report that says it too.

Each run is the real suite in a process of its own, without a cluster, without Docker, and without root.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.errors import WHAT_TO_DO, WHAT_WOULD_SETTLE_IT

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """The end of a run of the suite."""

    exit_code: int
    said: str
    seconds: float
    reports: Path

    @property
    def report(self) -> Any:
        return json.loads((self.reports / "latest" / "report.json").read_text(encoding="utf-8"))

    def must_say(self, sentence: str, *, exit_code: int) -> None:
        """The sentence is on the terminal and the report's only run error, no requirement has a verdict by accident."""
        assert self.exit_code == exit_code, self.said
        assert sentence in self.said
        assert "Traceback" not in self.said
        report = self.report
        (error,) = report["run_errors"]
        assert sentence in error
        assert any(f"{label}: " in error for label in (WHAT_TO_DO, WHAT_WOULD_SETTLE_IT))
        assert report["result"] == "inconclusive"
        assert {judged["verdict"] for judged in report["judged"]} <= {"not-evaluated", "error"}


class Suite:
    """The suite, run from an empty directory, with programs that exist and do nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = directory / "bin"
        self.programs.mkdir()
        for name in ("kind", "kubectl", "istioctl"):
            program = self.programs / name
            program.write_text("#!/bin/sh\nexit 1\n")
            program.chmod(0o755)
        self.kubeconfig = directory / "kubeconfig"
        self.patience = 60

    def context(self, name: str, server: str, **cluster: object) -> None:
        """Writes a kubeconfig with one context, and no current one."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "u", "user": {"token": "canary"}}],
            "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))

    def run(self, *options: str, **environment: str) -> Ran:
        """Runs all features; `environment` comes on top of one that knows no cluster and no Docker."""
        nothing = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "HOME": str(self.directory),
            "DOCKER_HOST": f"unix://{self.directory}/docker.sock",
            "CONFORMANCE_CACHE": str(self.directory / "cache"),
            "TMPDIR": str(self.directory),
        }
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("CONFORMANCE_", "KUBE", "PYTEST_"))
        }
        command = [
            *(sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), str(ROOT / "features")),
            *("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--reports", "reports", *options),
        ]
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=self.directory, env=kept | nothing | environment,
            capture_output=True, text=True, timeout=self.patience, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout + done.stderr, time.monotonic() - began, self.directory / "reports")


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


EXISTING = ("--cluster", "existing", "--kubeconfig", "kubeconfig")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--nodes", "two"),
            "nodes: input should be a valid integer, unable to parse string as an integer, saw 'two'. What to do: ",
        ),
        (
            ("--profile", "cor"),
            "expected one of the profiles all, ca-rotation, checklist, core, diagnosis, hygiene, identity, install, mesh,"
            " mtls, resilience, rotation, traffic; saw 'cor' (--profile). What to do: ",
        ),
        (
            ("--source", "mirror"),
            "saw source = mirror without registry (settings: registry). What to do: give --registry HOST/PREFIX",
        ),
        (("--run-id", "latest"), "saw latest (settings: run_id). What to do: give another --run-id"),
        (
            EXISTING,
            "expected one of the contexts staging; saw none (kubeconfig). What to do: name one of them with --context",
        ),
        (
            (*EXISTING, "--context", "stging"),
            "expected one of the contexts staging; saw 'stging' (kubeconfig). What to do: ",
        ),
    ],
    ids=["no number", "no such profile", "no mirror", "reserved name", "no context", "no such context"],
)
def test_input_that_cannot_be_used_ends_the_run_before_it_starts(
    suite: Suite, options: tuple[str, ...], sentence: str
) -> None:
    suite.context("staging", "https://127.0.0.1:9")

    ran = suite.run(*options)

    ran.must_say(sentence, exit_code=4)
    assert ran.said.count("What to do: ") == 1
    assert ran.report["scenarios"], "what was not run is listed"
    assert not (suite.directory / "cache").exists()


@pytest.mark.parametrize(
    ("file", "text", "options", "sentence"),
    [
        ("conformance.toml", "nodes = = 2", (), "expected settings in TOML; saw Invalid value (at line 1, column 9)"),
        ("kubeconfig", "{{{ : no yaml", (*EXISTING, "--context", "a"), "expected a kubeconfig that can be read; saw while"),
        (
            "conformance.toml",
            '[waivers.INST-99]\nowner = "x"\njustification = "y"\nlast_day = 2026-12-31',
            (),
            "expected waivers for requirements of the catalogue; saw INST-99",
        ),
    ],
    ids=["settings", "kubeconfig", "waivers"],
)
def test_a_file_that_cannot_be_read_ends_the_run_before_it_starts(
    suite: Suite, file: str, text: str, options: tuple[str, ...], sentence: str
) -> None:
    (suite.directory / file).write_text(text)

    ran = suite.run(*options)

    ran.must_say(sentence, exit_code=4)
    assert ran.said.count("What to do: ") == 1


def test_a_cache_that_others_may_write_to_ends_the_run_before_it_starts(suite: Suite) -> None:
    cache = suite.directory / "cache"
    cache.mkdir()
    cache.chmod(0o770)

    ran = suite.run()

    ran.must_say(
        f"saw mode 0770 ({cache}). What to do: see that nobody has put anything there, then: chmod go-w", exit_code=4
    )


def test_a_report_that_has_no_place_ends_the_run_before_it_starts(suite: Suite) -> None:
    (suite.directory / "reports").touch()

    ran = suite.run("--reports", "reports")

    (instead,) = suite.directory.glob("conformance-*")
    Ran(ran.exit_code, ran.said, ran.seconds, instead).must_say("expected to write the report to reports; saw", exit_code=4)
    assert str(instead) in ran.said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--source", "bundle"), "expected a bundle of the lab; saw no such file"),
        (("--source", "upstream"), "expected Docker to answer; saw "),
    ],
    ids=["bundle", "Docker"],
)
def test_surroundings_that_lack_something_are_told_once(suite: Suite, options: tuple[str, ...], sentence: str) -> None:
    ran = suite.run(*options)

    ran.must_say(sentence, exit_code=6)
    assert ran.report["timeline"] == []
    assert not (suite.directory / "cache").exists()


def test_a_cluster_that_refuses_connections_is_told_once(suite: Suite) -> None:
    suite.context("staging", "https://127.0.0.1:9")

    ran = suite.run(*EXISTING, "--context", "staging")

    ran.must_say(
        "Connection refused (GET https://127.0.0.1:9/version (context staging)). What would settle it: check that",
        exit_code=6,
    )
    assert "canary" not in ran.said


def test_an_api_server_that_nobody_verifies_is_in_the_scope(suite: Suite) -> None:
    suite.context("staging", "https://127.0.0.1:9", **{"insecure-skip-tls-verify": True})

    ran = suite.run(*EXISTING, "--context", "staging")

    line = "the API server (insecure-skip-tls-verify in the kubeconfig)"
    assert ran.report["scope"]["unverified"] == [line]
    assert f"not verified: {line}; so the result is inconclusive at best" in " ".join(ran.said.split())


def test_a_cluster_that_never_answers_costs_one_timeout(suite: Suite) -> None:
    with listening_in_silence() as (port, calls):
        suite.context("staging", f"http://127.0.0.1:{port}")

        ran = suite.run(*EXISTING, "--context", "staging", "--timeout-scale", "0.1")

    ran.must_say("expected an answer of the API server within 1.5 s; saw ", exit_code=6)
    assert len(calls) == 1


@contextmanager
def listening_in_silence() -> Iterator[tuple[int, list[int]]]:
    """A server that takes connections and says nothing: its port, and a list that grows with each connection."""
    calls: list[int] = []
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                kept.append(server.accept()[0])
            except OSError:
                return
            calls.append(len(kept))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], calls
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()
