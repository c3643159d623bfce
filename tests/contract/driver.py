"""Runs the programs under test: as processes of the stand-in, or from images.

Containers share the host's network, process namespace and the test's directory, so that addresses, process ids and
paths are the same both ways. This path was tried with the stand-in's own images on Docker 28, never yet with Teleport's:
expect its first run there to need adjustments (its tbot may want more of a process in ``HOST_PROC`` than the tests make).
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import requests

from observe.wait import NotYet, Pace, eventually

ROOT = Path(__file__).parents[2]
FIXED, AFFECTED = "18.6.4", "18.6.3"
READY = Pace(timeout=30, interval=0.05)
_COMMAND_TIMEOUT = 60


@dataclass(slots=True)
class Running:
    """A started program."""

    process: subprocess.Popen[str]
    log_path: Path
    container: str | None = None

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.log_path.read_text(encoding="utf-8")

    def stop(self) -> int:
        """End it as a service manager does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_COMMAND_TIMEOUT)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        if self.container is not None:
            subprocess.run(["docker", "kill", self.container], check=False, capture_output=True)
        self.process.kill()
        self.process.wait(_COMMAND_TIMEOUT)

    def exit_status(self) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(_COMMAND_TIMEOUT)

    def must_run(self) -> None:
        """Fail if it has ended."""
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"


class Platform(Protocol):
    """Where the programs come from."""

    def run(self, program: str, *arguments: str, release: str = FIXED) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""

    def start(
        self, program: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str], release: str = FIXED
    ) -> Running:
        """Start a service."""

    def beside(
        self, server: Running, /, program: str, arguments: Sequence[str], stdin: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where ``server`` runs."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The stand-in from this checkout."""

    def run(self, program: str, *arguments: str, release: str = FIXED) -> subprocess.CompletedProcess[str]:
        return self._completed(program, arguments, "", release)

    def start(
        self, program: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str], release: str = FIXED
    ) -> Running:
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                _command(program, arguments),
                cwd=ROOT,
                env={**os.environ, **environment, "STANDIN_VERSION": release},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )
        return Running(process, log)

    def beside(
        self, _server: Running, program: str, arguments: Sequence[str], stdin: str
    ) -> subprocess.CompletedProcess[str]:
        return self._completed(program, arguments, stdin, FIXED)

    def _completed(
        self, program: str, arguments: Sequence[str], stdin: str, release: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(program, arguments),
            cwd=ROOT,
            env={**os.environ, "STANDIN_VERSION": release},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT,
            check=False,
        )


@dataclass(frozen=True, slots=True)
class Containers:
    """Images, run by Docker.

    Attributes:
        teleport: image with ``teleport`` and ``tctl``.
        tbots: release → image of tbot.
        shared: directory that every container sees under the same path.
    """

    teleport: str
    tbots: Mapping[str, str]
    shared: Path

    def run(self, program: str, *arguments: str, release: str = FIXED) -> subprocess.CompletedProcess[str]:
        command = [*self._docker(program, release, {}, f"contract-{secrets.token_hex(4)}"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT, check=False)

    def start(
        self, program: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str], release: str = FIXED
    ) -> Running:
        name = f"contract-{secrets.token_hex(4)}"
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                [*self._docker(program, release, environment, name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )
        return Running(process, log, container=name)

    def beside(
        self, server: Running, program: str, arguments: Sequence[str], stdin: str
    ) -> subprocess.CompletedProcess[str]:
        assert server.container is not None
        return subprocess.run(
            ["docker", "exec", "-i", server.container, program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT,
            check=False,
        )

    def _docker(self, program: str, release: str, environment: Mapping[str, str], name: str) -> list[str]:
        image = self.tbots[release] if program == "tbot" else self.teleport
        variables = [f"--env={key}={value}" for key, value in environment.items()]
        return [
            "docker", "run", "--rm", f"--name={name}", "--network=host", "--pid=host", "--user=0",
            f"--volume={self.shared}:{self.shared}", *variables, f"--entrypoint={program}", image,
        ]  # fmt: skip


def free_port() -> int:
    """A port of the loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Teleport:
    """A running cluster and its ``tctl``.

    Attributes:
        resources: the guide's, as YAML.
        environment: variables for the server.
        release: which Teleport it is.
        touched: whether something was changed since :meth:`restore`.
    """

    platform: Platform
    directory: Path
    name: str
    resources: str
    proxy_port: int = field(default_factory=free_port)
    auth_port: int = field(default_factory=free_port)
    environment: Mapping[str, str] = field(default_factory=dict)
    release: str = FIXED
    running: Running | None = None
    touched: bool = True

    @property
    def proxy(self) -> str:
        """``host:port`` of the web port."""
        return f"127.0.0.1:{self.proxy_port}"

    @property
    def data_dir(self) -> Path:
        """Where it keeps its state."""
        return self.directory / "data"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.directory.mkdir(exist_ok=True)
        self._config.write_text(
            f"""version: v3
teleport: {{nodename: contract, data_dir: {self.data_dir}, log: {{severity: DEBUG}}}}
auth_service:
  enabled: true
  cluster_name: {self.name}
  listen_addr: 127.0.0.1:{self.auth_port}
  proxy_listener_mode: multiplex
proxy_service: {{enabled: true, web_listen_addr: "{self.proxy}", public_addr: "{self.proxy}"}}
ssh_service: {{enabled: false}}
""",
            encoding="utf-8",
        )
        log = self.directory / "teleport.log"
        command = ["start", "-c", str(self._config)]
        running = self.running = self.platform.start("teleport", command, log, self.environment, self.release)
        wait_for_port(self.proxy_port, running)

    def restore(self) -> None:
        """Put the guide's resources back if something was changed."""
        if self.touched:
            self.must("create", "-f", stdin=self.resources)
            self.touched = False

    def stop(self) -> None:
        """Stop it."""
        if self.running is not None:
            self.running.stop()

    def public(self, path: str) -> dict[str, Any]:
        """The JSON document at a public path of the web port."""
        response = requests.get(f"https://{self.proxy}{path}", verify=str(self.authority), timeout=_COMMAND_TIMEOUT)
        response.raise_for_status()
        document: dict[str, Any] = response.json()
        return document

    @property
    def authority(self) -> Path:
        """A file with the authority of the web port's certificate, as the port itself shows it."""
        path = self.directory / "authority.pem"
        if not path.exists():
            command = ["openssl", "s_client", "-connect", self.proxy, "-showcerts"]
            shown = subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout
            end = "-----END CERTIFICATE-----"
            last = shown.rindex("-----BEGIN CERTIFICATE-----")
            path.write_text(shown[last : shown.index(end, last)] + end + "\n", encoding="utf-8")
        return path

    def audit_events(self) -> list[dict[str, Any]]:
        """Its audit log so far, oldest event first."""
        files = sorted((self.data_dir / "log").glob("*/*.log"))
        return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]

    def tctl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``tctl`` beside it, whatever the outcome."""
        assert self.running is not None
        result = self.platform.beside(self.running, "tctl", ["--config", str(self._config), *arguments], stdin)
        self.touched |= result.returncode == 0 and arguments[0] in ("create", "rm", "bots", "auth")
        return result

    def must(self, *arguments: str, stdin: str = "") -> str:
        """Run ``tctl`` beside it, with success; what it printed."""
        result = self.tctl(*arguments, stdin=stdin)
        assert result.returncode == 0, f"tctl {' '.join(arguments)}: {result.stderr}"
        return result.stdout

    @property
    def _config(self) -> Path:
        return self.directory / "teleport.yaml"


def wait_for_port(port: int, running: Running) -> None:
    """Wait until the port is open or the program has ended."""

    def look() -> None:
        running.must_run()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as error:
            raise NotYet(f"{error}") from error

    eventually(f"port {port} is open", look, READY)


def wait_for_line(running: Running, text: str) -> str:
    """Wait until the program has logged ``text``; the whole log."""

    def look() -> str:
        log = running.log
        if text not in log:
            running.must_run()
            raise NotYet(log[-2000:])
        return log

    return eventually(f"the log has {text!r}", look, READY)


def _command(program: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", f"lab.standin.{program}", *arguments]
