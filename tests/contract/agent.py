"""tbot as the tests start it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.contract.driver import FIXED, Platform, Running, Teleport, free_port, wait_for_line
from tests.contract.node import Node

LISTENING = "Listener opened for Workload API endpoint"


@dataclass(slots=True)
class Agent:
    """A tbot with its configuration, token file and socket in a directory of its own."""

    platform: Platform
    teleport: Teleport
    node: Node
    directory: Path
    token: str
    config: dict[str, Any]
    release: str = FIXED
    running: Running | None = None

    @property
    def socket(self) -> str:
        """The address of its first service, as clients write it."""
        return str(self.config["services"][0]["listen"])

    @property
    def diag_addr(self) -> str:
        """``host:port`` of its diagnostics."""
        return str(self.config["diag_addr"])

    @property
    def log(self) -> str:
        """What it has logged so far."""
        assert self.running is not None
        return self.running.log

    def begin(self, *flags: str, **environment: str) -> Running:
        """Start it; it may fail."""
        self.write_token(self.token)
        (self.directory / "tbot.yaml").write_text(yaml.safe_dump(self.config), encoding="utf-8")
        self.running = self.platform.start(
            "tbot",
            ["start", "-c", str(self.directory / "tbot.yaml"), *flags],
            self.directory / "tbot.log",
            {
                "KUBERNETES_TOKEN_PATH": str(self.directory / "token"),
                "TELEPORT_NODE_NAME": "127.0.0.1",
                "HOST_PROC": str(self.node.procfs),
                **environment,
            },
            self.release,
        )
        return self.running

    def start(self, *flags: str, last: str = "", **environment: str) -> Agent:
        """Start it and wait until it listens, with several services until the one with ``last`` in its address does."""
        running = self.begin(*flags, **environment)
        wait_for_line(running, LISTENING)
        wait_for_line(running, last)
        return self

    def refused(self, *flags: str) -> str:
        """Start it, expecting that it ends with an error; what it said."""
        running = self.begin(*flags)
        assert running.exit_status() != 0, f"it should have failed:\n{running.log}"
        return running.log

    def running_or_fail(self) -> Running:
        """The started program, which must not have ended."""
        assert self.running is not None
        self.running.must_run()
        return self.running

    def stop(self) -> None:
        """Stop it if it runs."""
        if self.running is not None:
            self.running.stop()

    def write_token(self, token: str) -> None:
        """Put a service-account token where tbot reads it."""
        (self.directory / "token").write_text(token, encoding="utf-8")


def configuration(teleport: Teleport, node: Node, directory: Path, **changes: Any) -> dict[str, Any]:
    """A working configuration; ``changes`` go to the one service (``None`` removes a key)."""
    service: Mapping[str, Any] = {
        "type": "workload-identity-api",
        "listen": f"unix://{directory}/socket",
        "selector": {"name": "istio-workloads"},
        "attestors": {
            "kubernetes": {
                "enabled": True,
                "kubelet": {"secure_port": node.port, "token_path": str(node.token_path), "skip_verify": True},
            }
        },
        **changes,
    }
    return {
        "version": "v2",
        "proxy_server": teleport.proxy,
        "insecure": True,
        "debug": True,
        "diag_addr": f"127.0.0.1:{free_port()}",
        "storage": {"type": "memory"},
        "onboarding": {"join_method": "kubernetes", "token": "istio-tbot-k8s-join"},
        "services": [{key: value for key, value in service.items() if value is not None}],
    }


def openssl(*arguments: str, stdin: bytes = b"") -> str:
    """Run OpenSSL with success; what it printed."""
    result = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()
