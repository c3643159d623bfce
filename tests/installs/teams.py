"""Namespaces of other teams, and what runs in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provision.faults import Scene
from provision.faults.changes import Document


def namespace(name: str, **labels: str) -> Document:
    """A namespace; labels with other characters than a keyword may have are given as a mapping."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def idle(scene: Scene, where: str, *, labels: Mapping[str, str] | None = None, **metadata: Any) -> Document:
    """A Deployment that does nothing, and that every level of PodSecurity accepts."""
    named = {"app": "idle", **(labels or {})}
    container = {
        "name": "idle",
        "image": scene.installation.sources.workload_image,
        "command": ["python3", "-c", "import signal; signal.pause()"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "idle", "namespace": where},
        "spec": {
            "selector": {"matchLabels": {"app": "idle"}},
            "template": {"metadata": {"labels": named, **metadata}, "spec": spec},
        },
    }
