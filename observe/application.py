"""The guide's test application: its Deployment, its pods and their proxies."""

from __future__ import annotations

from facts.document import Absent
from facts.kubernetes.objects import Node, Pod
from facts.kubernetes.workloads import Deployment
from facts.proxies.identity import Fleet
from observe.kubernetes.facet import ClusterFacet
from observe.proxies.facet import ProxiesFacet
from observe.readings import Key, Readings, all_of
from settings import Names

DEPLOYMENT: Key[Deployment | Absent] = Key("app_deployment", lambda found: found.evidence)


class ApplicationFacet:
    """Readings of the test application.

    Args:
        cluster: The cluster.
        proxies: The proxies, the application's among them.
        readings: The cache.
        names: The guide's names, or discovered ones.
    """

    def __init__(self, cluster: ClusterFacet, proxies: ProxiesFacet, readings: Readings, names: Names) -> None:
        self._cluster = cluster
        self._proxies = proxies
        self._readings = readings
        self._names = names

    @property
    def where(self) -> str:
        """The test application, as a person names it."""
        return f"pods with app={self._names.app} in {self._names.app_namespace}"

    def pods(self) -> tuple[Pod, ...]:
        """Pods of the test application, those that ended or are on their way out excepted."""
        return tuple(
            p
            for p in self._cluster.pods()
            if p.namespace == self._names.app_namespace
            and p.labels.get("app") == self._names.app
            and not (p.terminating or p.has_ended)
        )

    def evidence(self) -> tuple[str, ...]:
        """Readings of the test application's pods; of all pods where it has none."""
        return all_of(p.evidence for p in self.pods()) or self._cluster.pods_evidence()

    def deployment(self) -> Deployment | Absent:
        """The Deployment of the test application, which says how many pods are wanted."""
        self._readings.need("app")
        names = self._names
        return self._readings.once(DEPLOYMENT, lambda: self._cluster.reader.deployment(names.app_namespace, names.app))

    def nodes(self) -> tuple[Node, ...]:
        """All nodes, where the application's pod template or a pod of it selects nodes by label; else none is read."""
        deployment = self.deployment()
        templates = [] if isinstance(deployment, Absent) else [deployment.template.spec]
        selectors = [spec.node_selector for spec in (*templates, *(pod.spec for pod in self.pods()))]
        return self._cluster.nodes() if any(selectors) else ()

    def fleet(self) -> Fleet:
        """The identities of the test application's proxies."""
        return self._proxies.fleet_of(self.pods())
