"""tbot kept off one node for a while; on every other node it keeps running, and its proxies notice nothing."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

from facts.errors import CouldNotTell, ProvisioningFailed
from facts.provider.agents import Agent
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, Pace, eventually
from provision.disruption.supply import await_supply, supplied
from provision.disruption.undo import put_back
from provision.objects import Objects, selector
from provision.runs.fields import MISSING
from provision.runs.originals import Originals

Document = dict[str, Any]

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ON_DELETE: Document = {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}
"""Change of a DaemonSet's spec with which no pod is replaced when its template changes."""


def needs_a_second_node(nodes: Sequence[str]) -> None:
    """Check that tbot can be kept off one node and still serve another.

    Args:
        nodes: Names of the nodes that take workloads.

    Raises:
        CouldNotTell: Fewer than two nodes take workloads.
    """
    if len(nodes) < 2:
        raise CouldNotTell(
            expected="two nodes that take workloads, so that tbot can be kept off one of them",
            seen=f"{len(nodes)}: {', '.join(nodes)}",
            where="the cluster's nodes",
            remedy="certify this on two nodes: --nodes 2",
        )


class Absence:
    """Keeps tbot off a node, and lets it back.

    Args:
        objects: Changes the cluster.
        originals: Keeps the affinity and the update strategy, and restores them.
        cluster: Reads the cluster; what is read here is no evidence.
        tbot: tbot as it is installed.
        pace: Pace of the waits for its pod to go and to return, and for the proxies to reconnect.
    """

    def __init__(self, objects: Objects, originals: Originals, cluster: Cluster, tbot: Agent, pace: Pace) -> None:
        self._objects = objects
        self._originals = originals
        self._cluster = cluster.recording_to(KeptInMemory())
        self._name, self._namespace = tbot.daemon_set.name, tbot.daemon_set.namespace
        self._pace = pace
        self._affinity = self._strategy = ""
        self._began = False
        self._supplied: frozenset[str] = frozenset()

    def begin(self, node: str) -> None:
        """Keep tbot off a node, and wait until it has left.

        Raises:
            ProvisioningFailed: The DaemonSet is gone, or the API server refuses the change.
            CouldNotTell: tbot was still there when the time was over.
        """
        self._supplied = supplied(self._cluster)
        affinity = kept_off(self._spec()["template"]["spec"].get("affinity") or {}, node)
        elsewhere = {"template": {"spec": {"affinity": {"nodeAffinity": {REQUIRED: affinity["nodeAffinity"][REQUIRED]}}}}}
        self._began = True
        # The tbot pods on other nodes must keep running: without a restart, and without losing their streams. So the
        # strategy is changed first and restored last, each with an original of its own.
        self._strategy = self._keep(ON_DELETE)
        self._patch(ON_DELETE)
        self._affinity = self._keep(elsewhere)
        self._patch(elsewhere)
        eventually(f"tbot has left {node}", lambda: self._look_for_none(node), self._pace)

    def end(self) -> None:
        """Let tbot back, and wait until it supplies every proxy as before; nothing happens if it was not kept off.

        Raises:
            ProvisioningFailed: The API server refuses the change.
            CouldNotTell: A proxy was not supplied in time.
        """
        if not self._began:
            return
        by_hand = f"kubectl edit daemonset {self._name} -n {self._namespace} (the node affinity, and updateStrategy)"
        restore, pace = self._originals.restore, self._pace
        put_back("tbot may run on every node", partial(restore, self._affinity), pace, by_hand=by_hand)
        put_back("tbot is updated as before", partial(restore, self._strategy), pace, by_hand=by_hand)
        self._objects.await_ready("DaemonSet", self._name, self._pace, namespace=self._namespace)
        self._began = False
        await_supply(self._cluster, self._pace, of=self._supplied)

    def _spec(self) -> Document:
        found = self._objects.get("apps/v1", "DaemonSet", self._name, namespace=self._namespace)
        if found is None:
            raise ProvisioningFailed(
                expected="tbot's DaemonSet",
                seen="no such DaemonSet",
                where=f"DaemonSet {self._namespace}/{self._name}",
                remedy="find out who removed it during the run",
            )
        spec: Document = found["spec"]
        return spec

    def _keep(self, spec: Document) -> str:
        return self._originals.before_patch("apps/v1", "DaemonSet", self._name, {"spec": spec}, namespace=self._namespace)

    def _patch(self, spec: Document) -> None:
        self._objects.patch("apps/v1", "DaemonSet", self._name, {"spec": spec}, namespace=self._namespace)

    def _look_for_none(self, node: str) -> None:
        labels = selector(self._spec()["selector"]["matchLabels"])
        pods = self._objects.all_of("v1", "Pod", namespace=self._namespace, label_selector=labels)
        if here := [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node]:
            raise NotYet(f"{', '.join(here)} runs there")


def kept_off(affinity: Document, node: str) -> Document:
    """Return a pod's affinity that also excludes a node; where there are several terms, each excludes it.

    Args:
        affinity: Present affinity.
        node: Name of the node.
    """
    changed = copy.deepcopy(affinity)
    required = changed.setdefault("nodeAffinity", {}).setdefault(REQUIRED, {"nodeSelectorTerms": [{}]})
    for term in required["nodeSelectorTerms"]:
        term.setdefault("matchFields", []).append({"key": "metadata.name", "operator": "NotIn", "values": [node]})
    return changed


def leaves_out_a_node(was: object, ours: object) -> bool:
    """Tell whether terms of a required affinity are what `kept_off` makes of others, or of none."""
    if not isinstance(ours, list) or not ours:
        return False
    try:
        (node,) = ours[0]["matchFields"][-1]["values"]
        terms = kept_off({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": was if was is not MISSING else [{}]}}}, node)
        return bool(terms["nodeAffinity"][REQUIRED]["nodeSelectorTerms"] == ours)
    except (AttributeError, LookupError, TypeError, ValueError):
        return False
