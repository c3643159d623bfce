"""tbot kept off one node for a while; where else it runs it is left alone, and its proxies notice nothing."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from facts.errors import CouldNotTell, ProvisioningFailed
from facts.recorder import KeptInMemory
from facts.teleport.tbot import Tbot
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, Pace, eventually
from provision.disruption.supply import await_supply, supplied
from provision.disruption.undo import put_back
from provision.objects import Objects

Document = dict[str, Any]

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def needs_a_second_node(nodes: Sequence[str]) -> None:
    """Sees that tbot can be kept off one node and goes on serving another.

    Args:
        nodes: Names of the nodes that take workloads.

    Raises:
        CouldNotTell: There are fewer than two.
    """
    if len(nodes) < 2:
        raise CouldNotTell(
            expected="two nodes that take workloads, so that tbot can be kept off one of them",
            seen=f"{len(nodes)}: {', '.join(nodes)}",
            where="the cluster's nodes",
            remedy="certify this on two nodes: --nodes 2",
        )


class Absence:
    """tbot, which may be kept off a node.

    Args:
        objects: The cluster, as something to change.
        cluster: The cluster, as something to look at; what is seen of it here is evidence of nothing.
        tbot: tbot as it is installed.
        pace: Patience for its pod to go and to come back, and for the proxies to come back to it.
    """

    def __init__(self, objects: Objects, cluster: Cluster, tbot: Tbot, pace: Pace) -> None:
        self._objects = objects
        self._cluster = cluster.recording_to(KeptInMemory())
        self._name, self._namespace = tbot.daemon_set.name, tbot.daemon_set.namespace
        self._pace = pace
        self._former: Document | None = None
        self._supplied: frozenset[str] = frozenset()

    def begin(self, node: str) -> None:
        """Keeps tbot off a node, and waits until it has left.

        Raises:
            ProvisioningFailed: There is no such DaemonSet, or the API server refuses.
            CouldNotTell: It was still there in the end.
        """
        self._supplied = supplied(self._cluster)
        self._former = self._spec()  # before it is changed: Ctrl-C may come right after
        # Who is to stay has to keep its template: without a restart, and without losing its streams.
        self._patch({"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}})
        affinity = self._former["template"]["spec"].get("affinity") or {}
        self._patch(_with_affinity({"nodeAffinity": {REQUIRED: kept_off(affinity, node)["nodeAffinity"][REQUIRED]}}))
        eventually(f"tbot has left {node}", lambda: self._look_for_nobody(node), self._pace)

    def end(self) -> None:
        """Lets tbot back, and waits until every proxy is supplied that was; nothing happens if it was not kept off.

        Raises:
            ProvisioningFailed: The API server refuses.
            CouldNotTell: It was not so in time.
        """
        if self._former is None:
            return
        affinity = _with_affinity(former_affinity(self._former["template"]["spec"].get("affinity")))
        strategy = {"updateStrategy": self._former["updateStrategy"]}
        by_hand = f"kubectl edit daemonset {self._name} -n {self._namespace} (the node affinity, and updateStrategy)"
        put_back("tbot may run on every node", lambda: self._patch(affinity), self._pace, by_hand=by_hand)
        put_back("tbot is updated as before", lambda: self._patch(strategy), self._pace, by_hand=by_hand)
        self._objects.await_ready("DaemonSet", self._name, self._pace, namespace=self._namespace)
        self._former = None
        await_supply(self._cluster, self._pace, of=self._supplied)

    def _spec(self) -> Document:
        found = self._objects.get("apps/v1", "DaemonSet", self._name, namespace=self._namespace)
        if found is None:
            raise ProvisioningFailed(
                expected="tbot's DaemonSet",
                seen="there is none",
                where=f"DaemonSet {self._namespace}/{self._name}",
                remedy="see whether somebody has removed it meanwhile",
            )
        spec: Document = found["spec"]
        return spec

    def _patch(self, spec: Document) -> None:
        self._objects.patch("apps/v1", "DaemonSet", self._name, {"spec": spec}, namespace=self._namespace)

    def _look_for_nobody(self, node: str) -> None:
        labels = self._spec()["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        pods = self._objects.all_of("v1", "Pod", namespace=self._namespace, label_selector=selector)
        if here := [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node]:
            raise NotYet(f"there is {', '.join(here)}")


def kept_off(affinity: Document, node: str) -> Document:
    """A pod's affinity with a node left out besides; where there are several terms, each leaves it out.

    Args:
        affinity: As it is.
        node: The node's name.
    """
    changed = copy.deepcopy(affinity)
    required = changed.setdefault("nodeAffinity", {}).setdefault(REQUIRED, {"nodeSelectorTerms": [{}]})
    for term in required["nodeSelectorTerms"]:
        term.setdefault("matchFields", []).append({"key": "metadata.name", "operator": "NotIn", "values": [node]})
    return changed


def former_affinity(affinity: Document | None) -> Document | None:
    """A patch that takes a node's exclusion out of an affinity again; the API server keeps what a patch does not name.

    Args:
        affinity: As it was.
    """
    if not affinity:
        return None
    former = affinity.get("nodeAffinity")
    return {"nodeAffinity": {REQUIRED: former.get(REQUIRED)} if former else None}


def _with_affinity(affinity: Document | None) -> Document:
    return {"template": {"spec": {"affinity": affinity}}}
