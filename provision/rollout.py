"""Reasons why a Deployment, DaemonSet or node is not ready, read from its status. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

LONGEST_MESSAGE = 200
"""Characters of a container's message that an error repeats; the message begins with the image's name and the reason."""


def deployment_lacks(document: Document) -> str:
    """Return what a Deployment still lacks; empty when its rollout is complete.

    The rule is that of ``kubectl rollout status``: the status is about the current generation, every replica is of that
    generation, no older replica is left, and all are available.
    """
    wanted = document.get("spec", {}).get("replicas", 1)
    status = document.get("status", {})
    if status.get("observedGeneration", 0) < document["metadata"].get("generation", 0):
        return "its controller has not seen the change yet"
    updated, total, available = (status.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas"))
    if updated < wanted:
        return f"{updated} of {wanted} replicas are up to date"
    if total > updated:
        return f"{total - updated} old replicas are still there"
    if available < updated:
        return f"{available} of {updated} replicas are available"
    return ""


def daemonset_lacks(document: Document, *, nodes: int = 1) -> str:
    """Return what a DaemonSet still lacks; empty when an up-to-date, available pod runs on every node that it selects.

    Args:
        document: DaemonSet as the API server returns it.
        nodes: Number of nodes that it must select. Its status leaves out nodes that are not Ready yet, so while a cluster
            starts it would be complete on the first node.
    """
    status = document.get("status", {})
    if status.get("observedGeneration", 0) < document["metadata"].get("generation", 0):
        return "its controller has not seen the change yet"
    wanted = status.get("desiredNumberScheduled", 0)
    if not wanted:
        return "no node takes its pods"
    if wanted < nodes:
        return f"{wanted} of {nodes} nodes take its pods"
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if updated < wanted:
        return f"{updated} of {wanted} pods are up to date"
    if available < wanted:
        return f"{available} of {wanted} pods are available"
    return ""


def node_lacks(document: Document) -> str:
    """Return what a node still lacks; empty when it is Ready and takes pods.

    The control plane removes the taints that keep pods away from a new node a moment after the node is Ready.
    """
    for condition in document.get("status", {}).get("conditions", []):
        if condition.get("type") == "Ready":
            if condition.get("status") != "True":
                return str(condition.get("message") or condition.get("reason"))
            keys = [taint["key"] for taint in document.get("spec", {}).get("taints", [])]
            return "; ".join(f"the taint {key} is still there" for key in keys if key.startswith("node.kubernetes.io/"))
    return "its kubelet has not reported yet"


def cannot_become_ready(document: Document, pods: Sequence[Document]) -> str:
    """Return why a Deployment or DaemonSet will not become ready by itself; empty while nothing shows that.

    The API server refuses its pods, no node takes them, or a container crashes again and again. An image that cannot be
    pulled does not count: the registry may answer the next time.
    """
    said = [
        str(condition.get("message") or condition.get("reason"))
        for condition in document.get("status", {}).get("conditions", [])
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
    ]
    for pod in pods:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        said += [
            f"{name}: {condition.get('message') or 'no node takes it'}"
            for condition in status.get("conditions", [])
            if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable"
        ]
        for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
            if container.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff":
                code = container.get("lastState", {}).get("terminated", {}).get("exitCode", "unknown")
                said.append(f"{name}/{container['name']} exits again and again, with exit code {code}")
    return "; ".join(said)


def pods_say(pods: Iterable[Document]) -> str:
    """Return why pods are not ready, from their containers and conditions; empty when all are ready."""
    said = []
    for pod in pods:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
                message = waiting.get("message", "")[:LONGEST_MESSAGE]
                said.append(f"{name}/{container['name']}: {waiting['reason']} {message}".strip())
        said.extend(
            f"{name}: {condition.get('message', condition.get('reason', 'not scheduled'))}"
            for condition in status.get("conditions", [])
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False"
        )
    return "; ".join(said)
