"""What a fault is, and how a scene is seen to be whole again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facts.errors import ProvisioningFailed
from facts.evidence import KeptInMemory, Recorder
from observe.command import must_run
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, Pace, eventually
from provision.disruption.supply import VOLUME, await_supply
from provision.faults.reach import SAMPLE
from provision.installing.install import Installation
from provision.installing.resources import Resources
from settings import Timeouts

TEMPLATES = "inject.istio.io/templates"

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""Label of nodes."""


@dataclass(frozen=True, slots=True)
class Operator:
    """What the person who certifies has in hand.

    Attributes:
        kubeconfig: With their identity.
        context: In it.
        tctl: Their admin tctl, as a command line.
        tools: Directory in front of their PATH, with a kubectl and an istioctl; None where they use those that the
            installation came with.
        run_id: The name that they give their run; empty where they leave that to the suite.
        audit_events: File with Teleport's audit events that they have; None where they use Teleport's own log.
    """

    kubeconfig: Path
    context: str
    tctl: tuple[str, ...]
    tools: Path | None = None
    run_id: str = ""
    audit_events: Path | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A healthy installation that a fault is injected into, and the operator who looks at it.

    Attributes:
        installation: It.
        operator: With everything that it takes.
        patience: How long to wait for a change to take effect.
        recorder: Takes what commands said.
    """

    installation: Installation
    operator: Operator
    patience: Timeouts
    recorder: Recorder

    @property
    def teleport(self) -> Resources:
        """Teleport, as something to replace resources in."""
        return Resources(self.installation.authority, self.installation.run_id, self.recorder, replace=True)

    def pace(self, timeout: float) -> Pace:
        """A pace for one wait."""
        return Pace(timeout=timeout)

    @contextmanager
    def looking(self) -> Iterator[Cluster]:
        """The cluster, as something to look at.

        To look until something is so is no evidence of anything: what counts is what the scenarios read afterwards.
        """
        cluster = Cluster(self.installation.kubeconfig, self.installation.context, KeptInMemory(), self.patience)
        try:
            yield cluster
        finally:
            cluster.close()

    def nodes(self) -> list[str]:
        """The nodes, workers first: what is done to one node is done to one that the control plane does not depend on."""
        every = self.installation.objects.all_of("v1", "Node")
        return [n["metadata"]["name"] for n in sorted(every, key=lambda n: CONTROL_PLANE in n["metadata"]["labels"])]

    def on_node(self, node: str, *argv: str) -> str:
        """What a command on a node says; kind's nodes are containers of the same name.

        Raises:
            CouldNotTell: It failed.
        """
        return must_run(["docker", "exec", node, *argv], timeout=self.patience.command).stdout

    def restart_app(self) -> None:
        """Restarts the test application, as ``kubectl rollout restart`` does, and waits until that is over."""
        self.begin_restart_of_app()
        self.await_app()

    def begin_restart_of_app(self) -> None:
        """The same without waiting."""
        self._restart("Deployment", "test-app", "test-app")

    def restart_agent(self) -> None:
        """Restarts tbot, as ``kubectl rollout restart`` does, and waits until every Envoy has its streams again."""
        self.begin_restart_of_agent()
        self.await_agent()

    def begin_restart_of_agent(self) -> None:
        """The same without waiting."""
        self._restart("DaemonSet", "tbot", "teleport-system")

    def _restart(self, kind: str, name: str, namespace: str) -> None:
        self.installation.objects.restart(kind, name, namespace=namespace)

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

    def await_injection(self, *, refused: bool) -> None:
        """Waits until a pod that asks for the template spire is refused, or accepted, when it is created now.

        Raises:
            CouldNotTell: It was not so in time.
        """

        def look() -> None:
            try:
                self._injected()
            except ProvisioningFailed as error:
                if not refused:
                    raise NotYet(error.seen) from error
            else:
                if refused:
                    raise NotYet("it is accepted")

        what = f"an injected pod is {'refused' if refused else 'accepted'}"
        eventually(what, look, self.pace(self.patience.pod_ready))

    def await_socket_volume(self, source: str, *, read_only: bool = False) -> None:
        """Waits until a pod that is injected now has its workload-socket from a source such as ``hostPath``.

        Args:
            source: The key of the volume.
            read_only: Whether every mount of it is read-only.

        Raises:
            CouldNotTell: It was not so in time.
        """

        def look(spec: dict[str, Any]) -> None:
            keys = {key for v in spec["volumes"] if v["name"] == VOLUME for key in v}
            proxies = [c for c in (*spec.get("initContainers", ()), *spec["containers"]) if c["name"] == "istio-proxy"]
            mounts = [m.get("readOnly", False) for c in proxies for m in c["volumeMounts"] if m["name"] == VOLUME]
            if source not in keys or all(mounts) is not read_only:
                raise NotYet(f"{VOLUME} has {sorted(keys)}, readOnly {mounts}")

        self.await_injected(f"has its {VOLUME} from {source}, {'read-only' if read_only else 'writable'}", look)

    def await_injected(self, what: str, look: Callable[[dict[str, Any]], None], *, templates: str = "sidecar,spire") -> None:
        """Waits until a pod that is injected now is as it is looked for.

        Args:
            what: Of the pod, as in "has a certain volume".
            look: Takes its specification; raises `NotYet` with what it saw.
            templates: The templates that it asks for.

        Raises:
            CouldNotTell: It was not so in time.
        """

        def injected() -> None:
            try:
                look(self._injected(templates)["spec"])
            except ProvisioningFailed as error:
                raise NotYet(error.seen) from error

        eventually(f"an injected pod {what}", injected, self.pace(self.patience.pod_ready))

    def _injected(self, templates: str = "sidecar,spire") -> dict[str, Any]:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "injected", "namespace": "test-app", "annotations": {TEMPLATES: templates}},
            "spec": {"containers": [{"name": "app", "image": self.installation.sources.workload_image}]},
        }
        return self.installation.objects.would_create(pod)

    def await_agent(self) -> None:
        """Waits until tbot is rolled out and every Envoy on its sockets has its streams again.

        Raises:
            CouldNotTell: It was not so in time.
        """
        pace = self.pace(self.patience.rollout)
        self.installation.objects.await_ready("DaemonSet", "tbot", pace, namespace="teleport-system")
        with self.looking() as cluster:
            await_supply(cluster, pace)


@dataclass(frozen=True, slots=True)
class Fault:
    """A named, reversible way to break an installation, by means that a real operator has.

    Attributes:
        name: As in ``--fault NAME`` of the suite's own tests.
        description: What the operator did, as a sentence.
        touches: What it changes, and so what has to be whole again afterwards.
        undo: How it is undone, as a sentence.
        breaks: The requirements that do not hold while it lasts; exactly these.
        blinds: The requirements that nobody can tell while it lasts, because what they are known by cannot be read.
        reach: What besides it might touch (see ``reach.py``), and what has to hold nevertheless.
        inject: A context manager: on entry the fault is in force, on exit the scene is whole again. It hands over what the
            operator has in hand meanwhile, where that is the fault.
        standing: The scene has the fault from the beginning, because in this it follows the guide. Then `inject` is the
            other way round: on entry the fault is gone, on exit it is there again.
    """

    name: str
    description: str
    touches: str
    undo: str
    breaks: frozenset[str]
    inject: Callable[[Scene], AbstractContextManager[Operator | None]]
    reach: frozenset[str] = frozenset()
    blinds: frozenset[str] = frozenset()
    standing: bool = False

    @property
    def judged(self) -> frozenset[str]:
        """The requirements that are judged under it."""
        return self.breaks | self.blinds | self.reach | SAMPLE
