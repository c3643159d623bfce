"""The cluster itself: its API server, nodes, namespaces, signing keys and pods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

from facts.document import Reading
from facts.evidence import ObjectRef
from facts.kubernetes.jwks import Jwks
from facts.kubernetes.objects import Labelled, Node, Pod
from facts.kubernetes.workloads import CronJob
from facts.versions import Version
from observe.kubernetes.cluster import Cluster
from observe.readings import Key, Readings, of_each
from settings import Names

T = TypeVar("T")

VERSION: Key[tuple[Version, tuple[str, ...]]] = Key("api_version", lambda read: read[1], ("cluster",))
GATEWAY_API: Key[Reading] = Key("gateway_api", lambda read: (read.evidence,), ("istiod",))
NODES: Key[tuple[Node, ...]] = Key("nodes", of_each, ("cluster",))
NAMESPACES: Key[tuple[Labelled, ...]] = Key("namespaces", of_each, ("cluster",))
JWKS: Key[Jwks] = Key("jwks", lambda jwks: jwks.evidence, ("cluster",))
PODS: Key[tuple[Pod, ...]] = Key("pods", of_each, ("istio", "app"))
CRON_JOBS: Key[tuple[CronJob, ...]] = Key("cron_jobs", of_each, ("app",))


@dataclass(frozen=True, slots=True)
class ClusterFacet:
    """Readings of the cluster that the install stands on, and the cache that all facets share.

    Attributes:
        reader: Reads its Kubernetes API, each time anew.
        readings: The cache.
        names: The guide's names, or discovered ones.
        is_scratch: Tells whether the suite made a namespace for its own pods, which are no part of the install.
    """

    reader: Cluster
    readings: Readings
    names: Names
    is_scratch: Callable[[Labelled], bool]

    def once(self, key: Key[T], read: Callable[[], T]) -> T:
        """A reading of this install, see `Readings.once`."""
        return self.readings.once(key, read)

    @property
    def where(self) -> str:
        """The cluster, as a person names it."""
        return f"context {self.reader.context}"

    def version(self) -> tuple[Version, tuple[str, ...]]:
        """Version of the API server, and the ids of the reading."""
        return self.once(VERSION, self.reader.version)

    def gateway_api(self) -> Reading:
        """The API server's answer about the Gateway API; the reading's document is None where it does not know it."""
        path, subject = "/apis/gateway.networking.k8s.io/v1", ObjectRef("ApiGroup", "gateway.networking.k8s.io/v1")
        return self.once(GATEWAY_API, lambda: self.reader.api.get(path, subject, absent=True))

    def nodes(self) -> tuple[Node, ...]:
        """All nodes."""
        return self.once(NODES, self.reader.nodes)

    def workload_nodes(self) -> tuple[str, ...]:
        """Names of the nodes that take workloads: schedulable, without a NoSchedule or NoExecute taint."""
        return tuple(
            n.name
            for n in self.nodes()
            if not n.unschedulable and not any(t.endswith((":NoSchedule", ":NoExecute")) for t in n.taints)
        )

    def jwks(self) -> Jwks:
        """The keys that the cluster publishes now."""
        return self.once(JWKS, self.reader.jwks)

    def namespaces(self) -> tuple[Labelled, ...]:
        """All namespaces."""
        return self.once(NAMESPACES, self.reader.namespaces)

    def scratch_among(self, namespaces: Iterable[Labelled]) -> frozenset[str]:
        """Names of the namespaces that the suite made for its own pods.

        Args:
            namespaces: Listed after the objects in question, so that none of their namespaces is missing.
        """
        return frozenset(n.name for n in namespaces if self.is_scratch(n))

    def pods(self) -> tuple[Pod, ...]:
        """All pods of the cluster, read once all that the suite provisions is there, the gateway included."""
        return self.once(PODS, self.reader.pods)

    def list_pods_again(self) -> None:
        """Puts the pods of now, and their namespaces, in the place of those that were listed before."""
        pods = self.reader.pods()
        self.readings.renew(NAMESPACES, self.reader.namespaces())  # after the pods, see `scratch_among`
        self.readings.renew(PODS, pods)

    def drop_pods(self, uids: Collection[str]) -> None:
        """Takes pods that are gone off the list."""
        if uids:
            self.readings.renew(PODS, tuple(pod for pod in self.pods() if pod.uid not in uids))

    def living_pods(self) -> tuple[Pod, ...]:
        """Pods of the install that have not ended and are not terminating; pods of the suite are not among them."""
        pods = self.pods()
        scratch = self.scratch_among(self.namespaces())
        return tuple(p for p in pods if not (p.terminating or p.has_ended or p.namespace in scratch))

    def pods_evidence(self) -> tuple[str, ...]:
        """The reading of all pods, which also shows that there is none of a kind."""
        return of_each(self.pods())

    def cron_jobs(self) -> tuple[CronJob, ...]:
        """All CronJobs."""
        return self.once(CRON_JOBS, self.reader.cron_jobs)
