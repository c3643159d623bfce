"""Pod Security's level `restricted`: what of a pod's specification it refuses.

Source: Kubernetes, "Pod Security Standards". Windows, AppArmor, SELinux, sysctls and ports of the host are left out: no pod
of the suite has any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """What the level refuses, in the words of its controls, each once."""
    return tuple(dict.fromkeys(_violations(spec)))


def _violations(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in ("hostPID", "hostIPC", "hostNetwork") if spec.get(name))
    for volume in spec.get("volumes", ()):
        yield from (f"volume {source}" for source in sorted({*volume} - {"name"} - VOLUMES))
    of_pod = spec.get("securityContext", {})
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        own = of_pod | container.get("securityContext", {})
        capabilities = own.get("capabilities", {})
        wrong = {
            "privileged": own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
            "capabilities": "ALL" not in capabilities.get("drop", ())
            or {*capabilities.get("add", ())} - {"NET_BIND_SERVICE"},
            "runAsNonRoot": own.get("runAsNonRoot") is not True,
            "runAsUser": own.get("runAsUser") == 0,
            "seccompProfile": own.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
        }
        yield from (name for name, is_so in wrong.items() if is_so)
