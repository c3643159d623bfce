"""Test pods that start while something is missing, looked at while it is missing and again when it is back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from facts.document import Absent, Reading
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import PROXY
from facts.over_time.outage import Outage, Start
from facts.proxies.identity import ProxyIdentity
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_proxy
from observe.proxies.watch import Watch
from observe.wait import NotYet, Pace, eventually
from provision.disruption.outages import UnderWay
from provision.pods.clients_and_servers import TestPods
from provision.pods.running import why

T = TypeVar("T")


Meanwhile = tuple[ProxyIdentity | None, str, tuple[str, ...]]
"""The proxy where Envoy runs, else the last words of its agent; and the ids of the readings."""


@dataclass(frozen=True, slots=True)
class Started:
    """Test pods that were started while tbot was away.

    Attributes:
        outage: Of tbot.
        pods: The start of each, by the test pod's name.
        watch: Holds what was done meanwhile.
    """

    outage: Outage
    pods: dict[str, Start]
    watch: Watch


class Starts:
    """Test pods that are started together.

    Args:
        test_pods: The test pods.
        cluster: The cluster, as something to look at.
        pace: Patience with each.
    """

    def __init__(self, test_pods: TestPods, cluster: Cluster, pace: Pace) -> None:
        self._test_pods = test_pods
        self._cluster = cluster
        self._pace = pace
        self._began = datetime.now(UTC)

    def start(self, name: str) -> Start:
        """Starts them, and waits for one."""
        self.begin()
        return self.once_ready(name, self.meanwhile(name))

    def without_tbot(self, taken: AbstractContextManager[UnderWay], *names: str) -> Started:
        """Starts them while tbot is away, and waits for each once it is back.

        Args:
            taken: The outage, in which tbot leaves its socket behind on one node.
            names: Of the test pods.
        """
        watch = Watch(self._cluster, [])
        with taken as going, watch.acting("tbot is away"):
            watch.note("tbot", "none of its pods is left; on one node its socket is", going.gone)
            with watch.acting("two pods are started"):
                self.begin()
                before = {name: self.meanwhile(name) for name in names}
        watch.note("tbot", "it is back", going.outage.back)
        pods = {name: self.once_ready(name, before[name]) for name in before}
        for name, start in pods.items():
            if start.ready:
                watch.note("Kubernetes", f"{name} is Ready", start.ready)
        return Started(going.outage, pods, watch)

    def begin(self) -> None:
        """Starts them, without waiting."""
        self._began = datetime.now(UTC)
        self._test_pods.begin()

    def meanwhile(self, name: str) -> Meanwhile:
        """The state of a test pod before it was Ready: its proxy where Envoy runs, else the last words of its agent.

        Raises:
            CouldNotTell: Neither came about in time.
        """

        def look(cluster: Cluster) -> Meanwhile:
            pod = self._pod(name, cluster)
            proxy = pod.proxy
            if proxy is not None and proxy.last_exit_code is not None:
                log = _last_words(pod, cluster)
                return None, str(log.document).strip()[-2000:], (*pod.evidence, log.evidence)
            if proxy is None or proxy.state != "running":
                raise NotYet(why(pod))
            try:
                identity = read_proxy(cluster, pod)
            except CouldNotTell as error:
                raise NotYet(error.seen) from error  # the container runs before Envoy listens
            return identity, "", (*pod.evidence, *identity.evidence)

        return self._eventually(f"the proxy of {name} runs, or its agent has ended", look)

    def once_ready(self, name: str, before: Meanwhile) -> Start:
        """A test pod when it is Ready, or when it has had its time.

        Args:
            name: Of the test pod.
            before: Its state meanwhile.
        """

        def look(cluster: Cluster) -> Pod:
            pod = self._pod(name, cluster)
            if not pod.ready:
                raise NotYet(why(pod))
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
        """Waits; of all looks only the one that sees it is evidence."""

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


def _last_words(pod: Pod, cluster: Cluster) -> Reading:
    """The log of the last run of an agent that ends again and again, of which a new one may just have begun."""
    previous = pod.proxy is not None and pod.proxy.state != "terminated"
    try:
        return cluster.logs(pod.namespace, pod.name, PROXY, previous=previous, tail=50)
    except CouldNotTell as error:
        raise NotYet(error.seen) from error
