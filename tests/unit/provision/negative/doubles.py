"""A Teleport with one workload identity, and tbot as the manifests have it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import yaml

from observe.command import CommandResult
from provision.objects import MADE_LABEL, RUN_LABEL
from provision.render import MANIFESTS, documents

VARIABLES = {
    "TRUST_DOMAIN": "teleport.example.com",
    "PROXY_SERVER": "teleport.example.com:443",
    "SOCKET_DIRECTORY": "/run/spire/sockets",
    "TBOT_IMAGE": "registry.example/tbot:18.6.4",
    "WORKLOAD_IMAGE": "registry.example/python:1",
}

IDENTITY: dict[str, Any] = {
    "kind": "workload_identity",
    "version": "v1",
    "metadata": {
        "name": "istio-workloads",
        "labels": {"env": "dev", RUN_LABEL: "run-1", MADE_LABEL: "true"},
        "revision": "r1",
    },
    "spec": {"spiffe": {"id": "/ns/x"}},
}
NOT_REFUSED = {"attribute": "workload.kubernetes.service_account", "not_eq": {"value": "refused-1"}}


STATUS = f"Cluster: teleport.example.com\nVersion: 18.6.4\nCA pins: sha256:{'5' * 64}\n"
IDENTITY_OF_TELEPORT = f"teleport.example.com sha256:{'5' * 64}"


class Tctl:
    """A Teleport with one workload identity; `says` is the exit code of what changes it; it may forget it, or be gone."""

    def __init__(self, says: int = 0) -> None:
        self.holds: dict[str, Any] = IDENTITY
        self.says = says
        self.forgets = False
        self.gone = False

    def __call__(self, words: Sequence[str], stdin: str) -> CommandResult:
        out = ""
        if self.gone:
            said = 'ERROR: workload_identity "istio-workloads" doesn\'t exist'
            return CommandResult(("tctl", *words), 1, "", said, datetime.now(UTC))
        if words == ["status"]:
            return CommandResult(("tctl", *words), 0, STATUS, "", datetime.now(UTC))
        if words[0] == "get":
            out = json.dumps([self.holds])
        elif self.says == 0 and not self.forgets:
            self.holds = yaml.safe_load(stdin)
        return CommandResult(("tctl", *words), 0 if words[0] == "get" else self.says, out, "no", datetime.now(UTC))


def installed(**changes: Any) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Tbot's DaemonSet and ConfigMap as the manifests have them."""
    (daemon_set,) = documents(MANIFESTS / "tbot-daemonset.yaml", VARIABLES)
    (config,) = documents(MANIFESTS / "tbot-config.yaml", VARIABLES)
    daemon_set["spec"]["template"]["spec"].update(changes)
    return daemon_set, {config["metadata"]["name"]: config["data"]}
