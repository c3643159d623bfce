"""The type of a fault, the registry of all faults, and the scene that faults are injected into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facts.errors import ProvisioningFailed
from facts.kubernetes.pod_spec import PROXY
from facts.kubernetes.workloads import TEMPLATES
from facts.recorder import KeptInMemory, Recorder
from observe.command import must_run
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, Pace, eventually
from provision.disruption.supply import await_supply
from provision.faults.reach import SAMPLE
from provision.installing.install import Installation
from provision.installing.resources import Resources
from provision.names import APP, TBOT, TBOT_NAMESPACE, WORKLOAD_SOCKET
from settings import Timeouts

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""Label of the nodes with the control plane."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Tools and credentials of the person who runs the suite.

    Attributes:
        kubeconfig: File with the person's identity.
        context: Context in it.
        tctl: Admin tctl, as a command line.
        tools: Directory in front of the PATH, with a kubectl and an istioctl; None for the installation's own.
        run_id: Name of the run; empty to let the suite choose one.
        audit_events: File with Teleport's audit events; None for Teleport's own log.
    """

    kubeconfig: Path
    context: str
    tctl: tuple[str, ...]
    tools: Path | None = None
    run_id: str = ""
    audit_events: Path | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A healthy installation that faults are injected into, and the operator who certifies it.

    Attributes:
        installation: The installation.
        operator: The operator, while no fault changes their tools or credentials.
        patience: How long to wait for a change to take effect.
        recorder: Records the output of commands.
    """

    installation: Installation
    operator: Operator
    patience: Timeouts
    recorder: Recorder

    @property
    def teleport(self) -> Resources:
        """Resources of Teleport; creating one replaces the former."""
        return Resources(self.installation.authority, self.installation.run_id, self.recorder, replace=True)

    def pace(self, timeout: float) -> Pace:
        """Return the pace of one wait."""
        return Pace(timeout=timeout)

    @contextmanager
    def looking(self) -> Iterator[Cluster]:
        """Open the cluster for reading.

        What is read here to wait for something is no evidence; the scenarios read again afterwards.
        """
        cluster = Cluster(self.installation.kubeconfig, self.installation.context, KeptInMemory(), self.patience)
        try:
            yield cluster
        finally:
            cluster.close()

    def nodes(self) -> list[str]:
        """Return the names of the nodes, workers first: a fault of one node should not hit the control plane."""
        every = self.installation.objects.all_of("v1", "Node")
        return [n["metadata"]["name"] for n in sorted(every, key=lambda n: CONTROL_PLANE in n["metadata"]["labels"])]

    def on_node(self, node: str, *argv: str) -> str:
        """Run a command on a node and return its output; kind's nodes are containers of the same name.

        Raises:
            CouldNotTell: The command failed.
        """
        return must_run(["docker", "exec", node, *argv], timeout=self.patience.command).stdout

    def restart_app(self) -> None:
        """Restart the test application, as ``kubectl rollout restart`` does, and wait until the rollout is over."""
        self.begin_restart_of_app()
        self.await_app()

    def begin_restart_of_app(self) -> None:
        """Restart the test application without waiting."""
        self._restart("Deployment", APP, APP)

    def restart_tbot(self) -> None:
        """Restart tbot, as ``kubectl rollout restart`` does, and wait until every Envoy has its streams again."""
        self.begin_restart_of_tbot()
        self.await_tbot()

    def begin_restart_of_tbot(self) -> None:
        """Restart tbot without waiting."""
        self._restart("DaemonSet", TBOT, TBOT_NAMESPACE)

    def _restart(self, kind: str, name: str, namespace: str) -> None:
        self.installation.objects.restart(kind, name, namespace=namespace)

    def await_app(self) -> None:
        """Wait until the test application is rolled out and no pod of an older template is left.

        Raises:
            CouldNotTell: The rollout took too long.
        """
        objects, pace = self.installation.objects, self.pace(self.patience.rollout)
        wanted = objects.await_ready("Deployment", APP, pace, namespace=APP)["spec"]["replicas"]

        def look() -> None:
            pods = objects.all_of("v1", "Pod", namespace=APP, label_selector=f"app={APP}")
            if len(pods) != wanted:
                raise NotYet(f"{len(pods)} pods, {wanted} wanted")

        eventually("only pods of the current template are left", look, pace)

    def await_injection(self, *, refused: bool) -> None:
        """Wait until the API server refuses, or accepts, a new pod that asks for the template spire.

        Raises:
            CouldNotTell: That took too long.
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
        """Wait until a newly injected pod has its workload-socket from a source such as ``hostPath``.

        Args:
            source: Key of the volume.
            read_only: Whether every mount of it must be read-only.

        Raises:
            CouldNotTell: That took too long.
        """

        def look(spec: dict[str, Any]) -> None:
            keys = {key for v in spec["volumes"] if v["name"] == WORKLOAD_SOCKET for key in v}
            proxies = [c for c in (*spec.get("initContainers", ()), *spec["containers"]) if c["name"] == PROXY]
            mounts = [m.get("readOnly", False) for c in proxies for m in c["volumeMounts"] if m["name"] == WORKLOAD_SOCKET]
            if source not in keys or all(mounts) is not read_only:
                raise NotYet(f"{WORKLOAD_SOCKET} has {sorted(keys)}, readOnly {mounts}")

        self.await_injected(f"has its {WORKLOAD_SOCKET} from {source}, {'read-only' if read_only else 'writable'}", look)

    def await_injected(self, what: str, look: Callable[[dict[str, Any]], None], *, templates: str = "sidecar,spire") -> None:
        """Wait until a newly injected pod passes a check.

        Args:
            what: What the pod must do or have, as in "has a certain volume".
            look: Takes the pod's specification; raises `NotYet` with what it saw.
            templates: The templates that the pod asks for.

        Raises:
            CouldNotTell: That took too long.
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
            "metadata": {"name": "injected", "namespace": APP, "annotations": {TEMPLATES: templates}},
            "spec": {"containers": [{"name": "app", "image": self.installation.sources.workload_image}]},
        }
        return self.installation.objects.would_create(pod)

    def await_tbot(self) -> None:
        """Wait until tbot is rolled out and every Envoy on its sockets has its streams again.

        Raises:
            CouldNotTell: That took too long.
        """
        pace = self.pace(self.patience.rollout)
        self.installation.objects.await_ready("DaemonSet", TBOT, pace, namespace=TBOT_NAMESPACE)
        with self.looking() as cluster:
            await_supply(cluster, pace)


@dataclass(frozen=True, slots=True)
class Fault:
    """A named, reversible way to break an installation, by means that a real operator has.

    Attributes:
        name: Name of the fault, as in ``make test-faults`` and docs/faults.md.
        description: What the operator did, as a sentence.
        cause: Id of the cause in ``judge/causes.yaml`` that a finding must name under this fault.
        along: Ids of causes that are true as well while it lasts, because the fault works by their means: a socket can be
            taken over only where its directory is writable.
        touches: Objects that the fault changes, which must be whole again afterwards.
        undo: How the fault is undone, as a sentence.
        breaks: Requirements that fail while the fault lasts; exactly these.
        blinds: Requirements that cannot be determined while the fault lasts, because a reading fails.
        reach: Requirements that the fault might touch (see ``reach.py``), and that must hold nevertheless.
        inject: Context manager: on entry the fault is in force, on exit the scene is whole again. It yields the operator's
            tools and credentials where the fault changes them.
        standing: The recommended installation has the fault from the beginning, because the guide asks for it. Then `inject`
            works the other way round: on entry the fault is gone, on exit it is there again.
        short: CI injects it; under it all of the installation and the checklist is judged.
    """

    name: str
    description: str
    cause: str
    touches: str
    undo: str
    breaks: frozenset[str]
    inject: Callable[[Scene], AbstractContextManager[Operator | None]]
    reach: frozenset[str] = frozenset()
    blinds: frozenset[str] = frozenset()
    along: frozenset[str] = frozenset()
    standing: bool = False
    short: bool = False

    @property
    def judged(self) -> frozenset[str]:
        """The requirements that are judged under it."""
        return self.breaks | self.blinds | self.reach | SAMPLE


_REGISTERED: dict[str, Fault] = {}


def register(fault: Fault) -> Fault:
    """Add a fault to the registry, and return it.

    Raises:
        ValueError: Another fault has its name.
    """
    if fault.name in _REGISTERED:
        raise ValueError(f"two faults are called {fault.name}")
    _REGISTERED[fault.name] = fault
    return fault


def registered() -> dict[str, Fault]:
    """Return every registered fault by name: those that CI injects first, then in the order of their registration."""
    return {fault.name: fault for fault in sorted(_REGISTERED.values(), key=lambda fault: not fault.short)}
