"""Pods of the suite: made, and awaited until they are as wanted or have ended; Ctrl-C ends the wait at once."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from facts.document import Absent, Reading
from facts.errors import CouldNotTell, ProvisioningFailed
from facts.evidence import readings
from facts.kubernetes.admission import refused_by
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, Pace, eventually, not_yet
from provision.installing.phases import until
from provision.objects import Objects

WAITS = 3
"""Waits for one pod, each as long as the patience: until it is there, until it answers, and one to spare."""

_LATE = "not there after"
_NO_REASON = "neither the pod nor its events say why"


@dataclass(frozen=True, slots=True)
class Ended:
    """A pod that was not admitted, ended otherwise than wanted, or was not as wanted in time.

    Attributes:
        reason: Reason in the words of the cluster.
        evidence: Ids of the readings.
        by_policy: True where the cluster or the node refused such a pod; False where anything else prevented it.
    """

    reason: str
    evidence: tuple[str, ...]
    by_policy: bool


class Pods:
    """Makes pods and waits for them.

    Args:
        objects: Changes the cluster.
        cluster: Reads the cluster.
        patience: Seconds to wait for one pod.
    """

    def __init__(self, objects: Objects, cluster: Cluster, patience: float) -> None:
        self.patience = patience
        self._objects = objects
        self._cluster = cluster
        self._interrupted = threading.Event()

    def pace(self, timeout: float) -> Pace:
        """Return a pace that `interrupt` ends at once."""
        return until(self._interrupted, timeout, 0.2)

    def interrupt(self) -> None:
        """End every wait."""
        self._interrupted.set()

    def make(self, document: Mapping[str, Any]) -> Ended | None:
        """Make a pod; return why where the API server refuses it."""
        try:
            self._objects.apply(self._outliving_the_wait(document))
        except ProvisioningFailed as error:
            pods = self._cluster.pods(document["metadata"]["namespace"])
            return Ended(error.seen, readings(*pods), bool(refused_by(error.seen)))
        return None

    def _outliving_the_wait(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the pod with a deadline that lies behind every wait for it, however patient the settings are."""
        spec = document["spec"]
        if "activeDeadlineSeconds" not in spec:
            return document
        deadline = max(spec["activeDeadlineSeconds"], math.ceil(WAITS * self.patience))
        return {**document, "spec": {**spec, "activeDeadlineSeconds": deadline}}

    def until(self, namespace: str, name: str, there: Callable[[Pod], bool]) -> Pod | Ended:
        """Wait until a pod is as wanted, or has ended, or the time is over.

        Args:
            namespace: Namespace of the pod.
            name: Name of the pod.
            there: True once the pod is as wanted.

        Raises:
            CouldNotTell: There is no such pod.
        """
        last: Pod | None = None

        def look() -> Pod | Ended:
            nonlocal last
            seen = self._cluster.pod(namespace, name)
            if isinstance(seen, Absent):
                raise NotYet(str(seen))
            last = seen
            if there(last):
                return last
            if last.phase in ("Failed", "Succeeded"):
                return _ended(last, last.why_not_ready)
            raise NotYet(last.why_not_ready)

        try:
            return eventually(f"the pod {namespace}/{name}", look, self.pace(self.patience))
        except CouldNotTell:
            if last is None:
                raise
            # Only the pod's events show a volume that cannot be mounted.
            warnings = [
                event
                for event in self._cluster.events(namespace)
                if event.type == "Warning" and event.about == f"Pod/{last.name}"
            ]
            said = "; ".join(dict.fromkeys(f"{w.reason}: {w.message}" for w in warnings))
            reason = f"{_LATE} {self.patience:g} s: {last.why_not_ready}; {said or _NO_REASON}"
            return _ended(last, reason, readings(*warnings))


def only_on(node: str) -> dict[str, Any]:
    """Affinity of a pod to one node, by its name; the scheduler still looks for room and taints."""
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def last_words(pod: Pod, cluster: Cluster) -> Reading:
    """Return the log of the last run of an Istio agent that exits again and again.

    Raises:
        NotYet: There is no log: the kubelet may just have started another run.
    """
    previous = pod.proxy is not None and pod.proxy.state != "terminated"
    with not_yet(CouldNotTell):
        return cluster.logs(pod.namespace, pod.name, PROXY, previous=previous, tail=50)


def _ended(pod: Pod, reason: str, evidence: tuple[str, ...] = ()) -> Ended:
    return Ended(reason, (*pod.evidence, *evidence), bool(refused_by(reason)))
