"""The guide's test application: its Deployment, its pods and their proxies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Node, Pod
from facts.kubernetes.workloads import Deployment
from facts.proxies.identity import Fleet
from facts.proxies.presence import is_coming_up
from facts.recorder import KeptInMemory
from observe.kubernetes.facet import ClusterFacet
from observe.proxies.facet import ProxiesFacet
from observe.readings import Key, of_each
from observe.wait import NotYet, Pace, eventually

SETTLED: Key[tuple[Pod, ...]] = Key("app_settled", of_each, ("app",))
DEPLOYMENT: Key[Deployment | Absent] = Key("app_deployment", lambda found: found.evidence, ("app",))


@dataclass(frozen=True, slots=True)
class ApplicationFacet:
    """Readings of the test application.

    Attributes:
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
        return self._judged(self.cluster.pods())

    def silent_pods(self) -> tuple[Pod, ...]:
        """Pods of the test application that would be among them if their nodes were Ready."""
        return tuple(pod for pod in self.cluster.silent_pods() if self._owns(pod))

    def settled_pods(self) -> tuple[Pod, ...]:
        """The same pods; while one of them is coming up they are listed again, for as long as a new pod may take."""
        return self.cluster.once(SETTLED, self._settled)

    def pods_once_settled(self) -> tuple[Pod, ...]:
        """The pods whose proxies `fleet` has, each as it was once settled."""
        settled = {pod.uid: pod for pod in self.settled_pods()}
        return tuple(settled[pod.uid] for pod in self.pods() if pod.uid in settled) or self.pods()

    def _settled(self) -> tuple[Pod, ...]:
        found, reader = self.pods(), self.cluster.reader
        if not _coming_up(found):
            return found
        unrecorded = reader.recording_to(KeptInMemory())

        def look() -> None:
            if late := _coming_up(self._judged(unrecorded.pods(self.cluster.names.app_namespace))):
                raise NotYet(f"{len(late)} pods of the test application are starting")

        with suppress(CouldNotTell):  # what has not come up by then is judged as it is
            eventually("every pod of the test application has started", look, Pace(reader.patience.pod_ready, 1.0))
        return self._judged(reader.pods(self.cluster.names.app_namespace))

    def evidence(self, pods: Sequence[Pod]) -> tuple[str, ...]:
        """Readings of these pods; of all pods of the cluster where there is none."""
        return of_each(pods) or self.cluster.pods_evidence()

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
        return self.proxies.fleet_where(self._owns)

    def _judged(self, pods: Iterable[Pod]) -> tuple[Pod, ...]:
        silent = self.cluster.silent_nodes()
        return tuple(pod for pod in pods if self._owns(pod) and pod.node not in silent)

    def _owns(self, pod: Pod) -> bool:
        names = self.cluster.names
        is_own = pod.namespace == names.app_namespace and pod.labels.get("app") == names.app
        return is_own and not (pod.terminating or pod.has_ended)


def _coming_up(pods: Iterable[Pod]) -> list[Pod]:
    now = datetime.now(UTC)
    return [pod for pod in pods if is_coming_up(pod, now)]
