"""A tbot that tries to join as the bot with another service account: one pod, made from tbot's DaemonSet."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from facts.document import parse_yaml

Document = dict[str, Any]

_KEPT_OF_CONTAINER = ("image", "imagePullPolicy", "command", "args", "env", "resources", "volumeMounts")
_KEPT_VOLUMES = ("configMap", "projected", "emptyDir", "downwardAPI")
# Only as many privileges as every pod has: it is not to attest anybody.
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
    """The objects to apply: the service account, copies of tbot's ConfigMaps, and the pod, all in a namespace of the run.

    What joining takes is as in the DaemonSet: image, arguments, configuration, the projected token with its audience, host
    aliases. Its state is kept in memory, directories of the node become empty ones; Secrets, which are not read, are left
    out.

    Args:
        daemon_set: tbot's DaemonSet, as the API server has it.
        config_maps: The texts of the ConfigMaps that it mounts, by name and key.
        container: The container that runs tbot.
        name: Of the pod.
        account: Of the service account.
        namespace: Of the run.
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
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            **({"hostAliases": template["hostAliases"]} if template.get("hostAliases") else {}),
            "containers": [{"name": container, **kept, "securityContext": _UNPRIVILEGED}],
            "volumes": volumes,
        },
    }
    copies = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": config_map, "namespace": namespace},
            "data": {key: _in_memory(text) for key, text in texts.items()},
        }
        for config_map, texts in config_maps.items()
    ]
    metadata = {"name": account, "namespace": namespace}
    return [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, *copies, pod]


def config_maps_of(daemon_set: Mapping[str, Any]) -> list[str]:
    """Names of the ConfigMaps that a DaemonSet mounts."""
    volumes = daemon_set["spec"]["template"]["spec"].get("volumes") or []
    return [v["configMap"]["name"] for v in volumes if "configMap" in v]


def _volume(volume: Mapping[str, Any]) -> Document | None:
    if "hostPath" in volume:
        return {"name": volume["name"], "emptyDir": {}}
    return copy.deepcopy(dict(volume)) if any(source in volume for source in _KEPT_VOLUMES) else None


def _in_memory(text: str) -> str:
    """The configuration of a tbot that leaves nothing behind and opens no port of its own; any other text as it is."""
    config = parse_yaml(text, "a ConfigMap of tbot")
    if not isinstance(config, dict) or "onboarding" not in config:
        return text
    kept = {key: value for key, value in config.items() if key != "diag_addr"}
    return yaml.safe_dump({**kept, "storage": {"type": "memory"}}, sort_keys=False)
