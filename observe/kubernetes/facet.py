"""The cluster itself: its API server, nodes, namespaces, signing keys and pods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

from facts.document import Reading
from facts.errors import NotGiven
from facts.evidence import ObjectRef
from facts.kubernetes.jwks import Jwks
from facts.kubernetes.objects import Labelled, Node, Pod
from facts.kubernetes.rbac import Rbac
from facts.kubernetes.workloads import CronJob, Deployment
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
SUITES_PODS: Key[tuple[Pod, ...]] = Key("pods_of_the_suite", of_each)
RBAC: Key[Rbac] = Key("rbac", lambda rbac: rbac.evidence, ("tbot",))
DEPLOYMENTS: Key[tuple[Deployment, ...]] = Key("deployments", of_each, ("app",))
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
        """Names of the nodes that take workloads, see `Node.why_no_workloads`."""
        return tuple(n.name for n in self.nodes() if not n.why_no_workloads)

    def silent_nodes(self) -> frozenset[str]:
        """Names of the nodes that are not Ready: what the API server has of their pods may be old, and no pod there answers.

        None where the identity in use may not list nodes; their pods then show as what could not be read.
        """
        try:
            return frozenset(n.name for n in self.nodes() if not n.ready)
        except NotGiven:
            return frozenset()

    def unlisted(self, nodes: Iterable[str]) -> frozenset[str]:
        """Those of some nodes that the API server does not list: they were just removed, or have come since it was asked.

        None where the identity in use may not list nodes.
        """
        try:
            return frozenset(nodes) - {node.name for node in self.nodes()}
        except NotGiven:
            return frozenset()

    def jwks(self) -> Jwks:
        """The keys that the cluster publishes now."""
        return self.once(JWKS, self.reader.jwks)

    def namespaces(self) -> tuple[Labelled, ...]:
        """All namespaces."""
        return self.once(NAMESPACES, self.reader.namespaces)

    def namespaces_of_install(self) -> tuple[Labelled, ...]:
        """All namespaces but those that the suite made for its own pods."""
        return tuple(namespace for namespace in self.namespaces() if not self.is_scratch(namespace))

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
        """Puts the pods of now, and their namespaces, in the place of those that were listed before.

        The nodes stay as they were: tbot was read beside them, and where a node has joined since, it shows no tbot that has
        come there. `unlisted` tells such a node from one that lacks tbot.
        """
        pods = self.reader.pods()
        self.readings.renew(NAMESPACES, self.reader.namespaces())  # after the pods, see `scratch_among`
        self.readings.renew(PODS, pods)

    def drop_pods(self, uids: Collection[str]) -> None:
        """Takes pods that are gone off the list."""
        if uids:
            self.readings.renew(PODS, tuple(pod for pod in self.pods() if pod.uid not in uids))

    def living_pods(self) -> tuple[Pod, ...]:
        """Pods of the install that have not ended and are not terminating, on nodes that report; none of the suite's."""
        pods, silent = self.pods_of_install(), self.silent_nodes()
        return tuple(p for p in pods if not (p.terminating or p.has_ended or p.node in silent))

    def silent_pods(self) -> tuple[Pod, ...]:
        """Pods that have not ended and are not terminating, on nodes that are not Ready."""
        if not (silent := self.silent_nodes()):
            return ()  # and no pods are listed for it
        return tuple(p for p in self.pods() if p.node in silent and not (p.terminating or p.has_ended))

    def pods_of_install(self) -> tuple[Pod, ...]:
        """All pods but those in namespaces that the suite made for its own, whatever becomes of them."""
        pods = self.pods()
        scratch = self.scratch_among(self.namespaces())
        return tuple(p for p in pods if p.namespace not in scratch)

    def pods_of_the_suite(self) -> tuple[Pod, ...]:
        """Pods in the namespaces that the suite made, as they are at the first call. Other pods have ways to them."""

        def read() -> tuple[Pod, ...]:
            scratch = sorted(self.scratch_among(self.reader.namespaces()))
            pods = (pod for name in scratch for pod in self.reader.pods(name))
            return tuple(pod for pod in pods if not (pod.terminating or pod.has_ended))

        return self.once(SUITES_PODS, read)

    def pods_evidence(self) -> tuple[str, ...]:
        """The reading of all pods, which also shows that there is none of a kind."""
        return of_each(self.pods())

    def deployments(self) -> tuple[Deployment, ...]:
        """All Deployments."""
        return self.once(DEPLOYMENTS, self.reader.deployments)

    def cron_jobs(self) -> tuple[CronJob, ...]:
        """All CronJobs."""
        return self.once(CRON_JOBS, self.reader.cron_jobs)

    def rbac(self) -> Rbac:
        """All roles and bindings."""
        return self.once(RBAC, self.reader.rbac)
