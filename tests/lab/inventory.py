"""What a cluster and its Teleport hold, without what changes by itself: to compare before a run and after its clean-up."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provision.objects import FIELD_MANAGER, RESTARTED_AT, RUN_LABEL

PASSING = frozenset(
    {
        "events", "events.events.k8s.io", "endpoints", "endpointslices.discovery.k8s.io", "replicasets.apps",
        "controllerrevisions.apps", "leases.coordination.k8s.io", "componentstatuses", "csinodes.storage.k8s.io",
        "certificatesigningrequests.certificates.k8s.io", "ipaddresses.networking.k8s.io", "podtemplates",
    }
)  # fmt: skip
"""Kinds, as kubectl names them, that Kubernetes makes and renews by itself."""

COUNTED = frozenset(
    {RESTARTED_AT, "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}
)  # fmt: skip
"""Annotations that count changes or tell their time."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing.

    Attributes:
        content: What is compared.
        touched: True where the suite has made or changed it, as far as the API server knows.
    """

    content: Any
    touched: bool


Inventory = Mapping[str, Entry]
"""Things by their name in words."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Where two inventories differ, each as a sentence.

    Attributes:
        ours: In things that the suite has touched.
        others: In all other things.
    """

    ours: tuple[str, ...]
    others: tuple[str, ...]


def of_cluster(items: Iterable[Document]) -> dict[str, Entry]:
    """Return what the objects of a cluster come to; pods count by their owner.

    Args:
        items: Objects with their managed fields, as ``kubectl get -o json --show-managed-fields`` prints them.
    """
    found: dict[str, Entry] = {}
    pods: dict[str, list[str]] = {}
    for item in items:
        if item["kind"] == "Pod":
            pods.setdefault(_owner(item), []).append(_pod(item))
        else:
            found[_name(item)] = Entry(_content(item), _is_touched(item))
    found |= {f"pods of {owner}": Entry(sorted(each), touched=True) for owner, each in pods.items()}
    return found


def of_teleport(resources: Iterable[Document], rotation: str) -> dict[str, Entry]:
    """Return what the resources of Teleport come to.

    Args:
        resources: As ``tctl get --format=json`` prints them.
        rotation: What ``tctl status`` says of rotations.
    """
    found: dict[str, Entry] = {"rotation in Teleport": Entry(rotation, touched=True)}
    for resource in resources:
        metadata = {key: value for key, value in resource["metadata"].items() if key not in ("revision", "id")}
        content = {key: value for key, value in resource.items() if key not in ("status", "metadata")}
        name = f"{resource['kind']} {metadata['name']} in Teleport"
        found[name] = Entry({**content, "metadata": metadata}, touched=True)
    return found


def differences(before: Inventory, after: Inventory) -> Differences:
    """Return where two inventories differ."""
    ours: list[str] = []
    others: list[str] = []
    for name in sorted({*before, *after}):
        here, there = before.get(name), after.get(name)
        said = [*_differences(here.content if here else None, there.content if there else None)]
        touched = any(entry.touched for entry in (here, there) if entry)
        (ours if touched else others).extend(f"{name}{path}: {words}" for path, words in said)
    return Differences(tuple(ours), tuple(others))


def _differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}")
        return
    yield path, f"{_short(before)} before, {_short(after)} after"


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _name(item: Document) -> str:
    metadata = item["metadata"]
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{item['kind']}.{item['apiVersion'].partition('/')[0]} {where}{metadata['name']}"


def _content(item: Document) -> Any:
    metadata = item["metadata"]
    content = copy.deepcopy({key: value for key, value in item.items() if key not in ("metadata", "status")})
    content["labels"] = metadata.get("labels", {})
    content["annotations"] = _uncounted(metadata.get("annotations"))
    template = content.get("spec", {}).get("template", {}) if isinstance(content.get("spec"), dict) else {}
    if isinstance(template, dict) and isinstance(template.get("metadata"), dict):
        template["metadata"]["annotations"] = _uncounted(template["metadata"].get("annotations"))
    if item["kind"] == "Secret":
        data = content.pop("data", None) or {}
        content["digests"] = {key: hashlib.sha256(str(value).encode()).hexdigest() for key, value in data.items()}
    return content


def _uncounted(annotations: Document | None) -> dict[str, Any]:
    return {key: value for key, value in (annotations or {}).items() if key not in COUNTED}


def _is_touched(item: Document) -> bool:
    metadata = item["metadata"]
    managers = {entry.get("manager") for entry in metadata.get("managedFields", ())}
    return FIELD_MANAGER in managers or RUN_LABEL in metadata.get("labels", {})


def _owner(pod: Document) -> str:
    """Return the owner of a pod without the hash of its template; the pod's own name where it has none."""
    metadata = pod["metadata"]
    owner = next(iter(metadata.get("ownerReferences", ())), {"kind": "nobody", "name": metadata["name"]})
    template = metadata.get("labels", {}).get("pod-template-hash", "")
    return f"{owner['kind']} {metadata['namespace']}/{owner['name'].removesuffix(f'-{template}' if template else '')}"


def _pod(pod: Document) -> str:
    """Return what a pod runs and whether it is Ready, in words that are the same for its successor."""
    conditions = {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions", ())}
    images = sorted(c["image"] for c in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]))
    pinned = any(owner["kind"] in ("DaemonSet", "Node") for owner in pod["metadata"].get("ownerReferences", ()))
    node = f" on {pod['spec'].get('nodeName', 'no node')}" if pinned else ""
    ready = "Ready" if conditions.get("Ready") == "True" else pod.get("status", {}).get("phase", "Pending")
    leaving = ", leaving" if pod["metadata"].get("deletionTimestamp") else ""
    return f"{', '.join(images)}{node}: {ready}{leaving}"
