"""Test pods that start during an outage, read during it and again afterwards."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.over_time.outage import Outage, Start
from facts.proxies.identity import ProxyIdentity
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_proxy
from observe.proxies.watch import Watch
from observe.wait import NotYet, Pace, eventually, not_yet
from provision.disruption.outages import OngoingOutage
from provision.pods.clients_and_servers import TestPods
from provision.pods.running import last_words

T = TypeVar("T")


Meanwhile = tuple[ProxyIdentity | None, str, tuple[str, ...]]
"""The proxy where Envoy runs, else the last words of its agent; and the ids of the readings."""


@dataclass(frozen=True, slots=True)
class Started:
    """Test pods that were started while tbot was down.

    Attributes:
        outage: Outage of tbot.
        pods: Start of each test pod, by its name.
        watch: Timeline of what the suite did meanwhile.
    """

    outage: Outage
    pods: dict[str, Start]
    watch: Watch


class Starts:
    """Starts test pods together.

    Args:
        test_pods: Test pods to start.
        cluster: Reads the cluster.
        pace: Pace of the wait for each.
    """

    def __init__(self, test_pods: TestPods, cluster: Cluster, pace: Pace) -> None:
        self._test_pods = test_pods
        self._cluster = cluster
        self._pace = pace
        self._began = datetime.now(UTC)

    def start(self, name: str) -> Start:
        """Start them, and wait for one."""
        self._begin()
        return self._once_ready(name, self._meanwhile(name))

    def without_tbot(self, taken: AbstractContextManager[OngoingOutage], *names: str) -> Started:
        """Start them while tbot is down, and wait for each once tbot is back.

        Args:
            taken: Outage in which tbot leaves its socket behind on one node.
            names: Names of the test pods.
        """
        watch = Watch(self._cluster, [])
        with taken as going, watch.acting("tbot is away"):
            watch.note("tbot", "none of its pods is left; on one node its socket is", going.gone)
            with watch.acting("two pods are started"):
                self._begin()
                before = {name: self._meanwhile(name) for name in names}
        watch.note("tbot", "it is back", going.outage.back)
        pods = {name: self._once_ready(name, before[name]) for name in before}
        for name, start in pods.items():
            if start.ready:
                watch.note("Kubernetes", f"{name} is Ready", start.ready)
        return Started(going.outage, pods, watch)

    def _begin(self) -> None:
        self._began = datetime.now(UTC)
        self._test_pods.begin()

    def _meanwhile(self, name: str) -> Meanwhile:
        """Return the state of a test pod before it was Ready.

        Raises:
            CouldNotTell: In time, neither Envoy ran nor its agent exited.
        """

        def look(cluster: Cluster) -> Meanwhile:
            pod = self._pod(name, cluster)
            proxy = pod.proxy
            if proxy is not None and proxy.last_exit_code is not None:
                log = last_words(pod, cluster)
                return None, str(log.document).strip(), (*pod.evidence, log.evidence)
            if proxy is None or proxy.state != "running":
                raise NotYet(pod.why_not_ready)
            with not_yet(CouldNotTell):  # the container runs before Envoy listens
                identity = read_proxy(cluster, pod)
            return identity, "", (*pod.evidence, *identity.evidence)

        return self._eventually(f"the proxy of {name} runs, or its agent has ended", look)

    def _once_ready(self, name: str, before: Meanwhile) -> Start:
        """Return the start of a test pod once it is Ready, or its time is over."""

        def look(cluster: Cluster) -> Pod:
            pod = self._pod(name, cluster)
            if not pod.ready:
                raise NotYet(pod.why_not_ready)
            return pod

        meanwhile, words, evidence = before
        try:
            pod = self._eventually(f"the test pod {name} is Ready", look)
        except CouldNotTell:
            pod = self._pod(name, self._cluster)
            return Start(pod, self._began, words, meanwhile, None, None, (*evidence, *pod.evidence))
        ready = datetime.now(UTC)
        proxy = read_proxy(self._cluster, pod)
        return Start(pod, self._began, words, meanwhile, ready, proxy, (*evidence, *pod.evidence, *proxy.evidence))

    def _eventually(self, what: str, look: Callable[[Cluster], T]) -> T:
        """Wait; record only the look that ends the wait."""

        def kept() -> T:
            held = KeptInMemory()
            seen = look(self._cluster.recording_to(held))
            for evidence in held.evidence.values():
                self._cluster.recorder.record(evidence)
            return seen

        return eventually(what, kept, self._pace)

    def _pod(self, name: str, cluster: Cluster) -> Pod:
        seen = cluster.pod(self._test_pods.namespace(name), name)
        if isinstance(seen, Absent):
            raise NotYet(str(seen))
        return seen
