"""The guide's test application: its Deployment, its pods and their proxies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from facts.document import Absent
from facts.kubernetes.objects import Node, Pod
from facts.kubernetes.workloads import Deployment
from facts.proxies.identity import Fleet
from observe.kubernetes.facet import ClusterFacet
from observe.proxies.facet import ProxiesFacet
from observe.readings import Key, of_each

DEPLOYMENT: Key[Deployment | Absent] = Key("app_deployment", lambda found: found.evidence, ("app",))


@dataclass(frozen=True, slots=True)
class ApplicationFacet:
    """Readings of the test application.

    Attributes:
        cluster: The cluster.
        proxies: The proxies, the application's among them.
    """

    cluster: ClusterFacet
    proxies: ProxiesFacet

    @property
    def where(self) -> str:
        """The test application, as a person names it."""
        return f"pods with app={self.cluster.names.app} in {self.cluster.names.app_namespace}"

    def pods(self) -> tuple[Pod, ...]:
        """Pods of the test application that have not ended and are not terminating, on nodes that report."""
        silent = self.cluster.silent_nodes()
        return tuple(p for p in self._own() if p.node not in silent)

    def silent_pods(self) -> tuple[Pod, ...]:
        """Pods of the test application that would be among them if their nodes were Ready."""
        silent = self.cluster.silent_nodes()
        return tuple(p for p in self._own() if p.node in silent)

    def _own(self) -> Iterator[Pod]:
        names = self.cluster.names
        own = (p for p in self.cluster.pods() if p.namespace == names.app_namespace and p.labels.get("app") == names.app)
        return (p for p in own if not (p.terminating or p.has_ended))

    def evidence(self) -> tuple[str, ...]:
        """Readings of the test application's pods; of all pods where it has none."""
        return of_each(self.pods()) or self.cluster.pods_evidence()

    def deployment(self) -> Deployment | Absent:
        """The Deployment of the test application, which names the desired number of pods."""
        names, reader = self.cluster.names, self.cluster.reader
        return self.cluster.once(DEPLOYMENT, lambda: reader.deployment(names.app_namespace, names.app))

    def nodes(self) -> tuple[Node, ...]:
        """All nodes, where the application's pod template or one of its pods selects nodes by label; none otherwise."""
        deployment = self.deployment()
        templates = [] if isinstance(deployment, Absent) else [deployment.template.spec]
        selectors = [spec.node_selector for spec in (*templates, *(pod.spec for pod in self.pods()))]
        return self.cluster.nodes() if any(selectors) else ()

    def fleet(self) -> Fleet:
        """The identities of the test application's proxies."""
        return self.proxies.fleet_of(self.pods())
