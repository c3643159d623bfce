"""What a fault is, and how a scene is seen to be whole again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from facts import envoy
from facts.errors import CouldNotTell
from facts.evidence import KeptInMemory, Recorder
from facts.kubernetes import Pod
from observe.cluster import Cluster
from observe.envoy import read_admin
from observe.wait import NotYet, Pace, eventually
from provision.install import Installation
from settings import Timeouts

STREAMS = 2
"""SDS streams that an Envoy holds on the socket: one for `default`, one for `ROOTCA`."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A healthy installation that a fault is injected into.

    Attributes:
        installation: It.
        patience: How long to wait for a change to take effect.
        recorder: Takes what commands said.
    """

    installation: Installation
    patience: Timeouts
    recorder: Recorder

    def pace(self, timeout: float) -> Pace:
        """A pace for one wait."""
        return Pace(timeout=timeout)

    def await_app(self) -> None:
        """Waits until the test application is rolled out and no pod of an older template is left.

        Raises:
            CouldNotTell: It was not so in time.
        """
        objects, pace = self.installation.objects, self.pace(self.patience.rollout)
        wanted = objects.await_ready("Deployment", "test-app", pace, namespace="test-app")["spec"]["replicas"]

        def look() -> None:
            pods = objects.all_of("v1", "Pod", namespace="test-app", label_selector="app=test-app")
            if len(pods) != wanted:
                raise NotYet(f"{len(pods)} pods, {wanted} wanted")

        eventually("only pods of the current template are left", look, pace)

    def await_agent(self) -> None:
        """Waits until tbot is rolled out and every Envoy on its sockets has its streams again.

        Raises:
            CouldNotTell: It was not so in time.
        """
        installation, pace = self.installation, self.pace(self.patience.rollout)
        installation.objects.await_ready("DaemonSet", "tbot", pace, namespace="teleport-system")
        # Looking again and again is no evidence of anything: what counts is what the scenarios read afterwards.
        cluster = Cluster(installation.kubeconfig, installation.context, KeptInMemory(), self.patience)
        try:
            eventually("every Envoy has its SDS streams", lambda: _look_at_streams(cluster), pace)
        finally:
            cluster.close()


def _look_at_streams(cluster: Cluster) -> None:
    for pod in cluster.pods():
        if not _uses_the_socket(pod):
            continue
        try:
            seen = envoy.parse_streams(read_admin(cluster, pod, [envoy.SDS_HOSTS])[envoy.SDS_HOSTS].document)
        except CouldNotTell as error:
            raise NotYet(str(error)) from error
        if seen.rq_active < STREAMS:
            raise NotYet(f"{pod.ref} has {seen.rq_active} of {STREAMS} streams")


def _uses_the_socket(pod: Pod) -> bool:
    volume = pod.spec.volume("workload-socket")
    return pod.proxy is not None and not pod.terminating and volume is not None and volume.source == "hostPath"


@dataclass(frozen=True, slots=True)
class Fault:
    """A named, reversible way to break an installation, by means that a real operator has.

    Attributes:
        name: As in ``--fault NAME`` of the suite's own tests.
        description: What the operator did, as a sentence.
        breaks: The requirements that do not hold while it lasts; exactly these.
        touches: What it changes, and so what has to be whole again afterwards.
        inject: A context manager: on entry the fault is in force, on exit the scene is whole again.
    """

    name: str
    description: str
    breaks: frozenset[str]
    touches: str
    inject: Callable[[Scene], AbstractContextManager[None]]
