"""The pod of a tbot that tries to join as the bot with another service account, made from tbot's DaemonSet."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from facts.document import parse_yaml
from provision.objects import config_map

Document = dict[str, Any]

LIFETIME = 14400
"""Seconds after which Kubernetes ends the pod, as it ends every pod of the suite that a killed run leaves behind."""

_KEPT_OF_CONTAINER = ("image", "imagePullPolicy", "command", "args", "env", "resources", "volumeMounts")
_KEPT_VOLUMES = ("configMap", "projected", "emptyDir", "downwardAPI")
# Only the privileges that every pod has: this tbot must not attest callers.
_UNPRIVILEGED = {"runAsUser": 0, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def joiner(
    daemon_set: Mapping[str, Any],
    config_maps: Mapping[str, Mapping[str, str]],
    *,
    container: str,
    name: str,
    account: str,
    namespace: str,
) -> list[Document]:
    """Return the objects to apply: the service account, copies of tbot's ConfigMaps, and the pod, all in one namespace.

    All that joining needs is as in the DaemonSet: image, arguments, configuration, the projected token with its audience,
    host aliases. This tbot keeps its state in memory and gets empty directories instead of those of the node. It gets no
    Secrets, because the suite reads none.

    Args:
        daemon_set: DaemonSet of tbot, as the API server returns it.
        config_maps: Texts of the ConfigMaps that it mounts, by name and key.
        container: Container that runs tbot.
        name: Name of the pod.
        account: Name of the service account.
        namespace: Namespace of all these objects.
    """
    template = daemon_set["spec"]["template"]["spec"]
    (tbot,) = [c for c in template["containers"] if c["name"] == container]
    volumes = [v for v in map(_volume, template.get("volumes") or []) if v]
    there = {v["name"] for v in volumes}
    kept = {key: copy.deepcopy(tbot[key]) for key in _KEPT_OF_CONTAINER if key in tbot}
    kept["volumeMounts"] = [m for m in kept.get("volumeMounts") or [] if m["name"] in there]
    kept["env"] = [e for e in kept.get("env") or [] if "secretKeyRef" not in (e.get("valueFrom") or {})]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": account, "sidecar.istio.io/inject": "false"},
        },
        "spec": {
            "serviceAccountName": account,
            # Where tbot names no token to join with, it joins with the one that every pod has by default.
            "automountServiceAccountToken": not any(e["name"] == "KUBERNETES_TOKEN_PATH" for e in kept["env"]),
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            **({"hostAliases": template["hostAliases"]} if template.get("hostAliases") else {}),
            "containers": [{"name": container, **kept, "securityContext": _UNPRIVILEGED}],
            "volumes": volumes,
        },
    }
    copies = [
        config_map(namespace, each, {key: _in_memory(text) for key, text in texts.items()})
        for each, texts in config_maps.items()
    ]
    metadata = {"name": account, "namespace": namespace}
    return [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, *copies, pod]


def config_maps_of(daemon_set: Mapping[str, Any]) -> list[str]:
    """Return the names of the ConfigMaps that a DaemonSet mounts."""
    volumes = daemon_set["spec"]["template"]["spec"].get("volumes") or []
    return [v["configMap"]["name"] for v in volumes if "configMap" in v]


def _volume(volume: Mapping[str, Any]) -> Document | None:
    if "hostPath" in volume:
        return {"name": volume["name"], "emptyDir": {}}
    return copy.deepcopy(dict(volume)) if any(source in volume for source in _KEPT_VOLUMES) else None


def _in_memory(text: str) -> str:
    """Return tbot's configuration with its state in memory and without a port of its own; any other text unchanged."""
    config = parse_yaml(text, "a ConfigMap of tbot")
    if not isinstance(config, dict) or "onboarding" not in config:
        return text
    kept = {key: value for key, value in config.items() if key != "diag_addr"}
    return yaml.safe_dump({**kept, "storage": {"type": "memory"}}, sort_keys=False)
