"""The type of a fault, and the scene that faults are injected into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facts.errors import ProvisioningFailed
from facts.kubernetes.pod_spec import PROXY, SOCKET_VOLUME, TEMPLATES
from facts.recorder import KeptInMemory, Recorder
from observe.command import must_run
from observe.kubernetes.cluster import Cluster
from observe.wait import NotYet, Pace, eventually, not_yet
from providers.teleport.installing.resources import Resources
from provision.disruption.supply import await_supply
from provision.faults.reach import SAMPLE
from provision.installing.install import Installation
from provision.names import APP, TBOT, TBOT_NAMESPACE
from settings import Timeouts

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""Label of the nodes with the control plane."""

WITH_SPIRE = "sidecar,spire"
"""The injection templates that the manifests of the test application ask for."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Tools and credentials of the person who runs the suite.

    Attributes:
        kubeconfig: File with the person's identity.
        tctl: Admin tctl, as a command line.
        tools: Directory in front of the PATH, with a kubectl and an istioctl; None for the installation's own.
        run_id: Id for the run; empty to let the suite choose one.
        audit_events: File with Teleport's audit events; None for Teleport's own log.
        repository: Git repository with the template of the join token; None for a sound one.
    """

    kubeconfig: Path
    context: str
    tctl: tuple[str, ...]
    tools: Path | None = None
    run_id: str = ""
    audit_events: Path | None = None
    repository: Path | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A healthy installation that faults are injected into, and the operator who certifies it.

    Attributes:
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
        return Resources(self.installation.authority, self.installation.run_id, self.recorder)

    @property
    def rollout(self) -> Pace:
        """Pace of a wait for a rollout."""
        return Pace(self.patience.rollout)

    @contextmanager
    def looking(self) -> Iterator[Cluster]:
        """Open the cluster for reading.

        What the fault reads to wait for something is no evidence; the scenarios read it again afterwards.
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
        self.installation.objects.restart("Deployment", APP, namespace=APP)
        self.await_app()

    def restart_tbot(self) -> None:
        """Restart tbot, as ``kubectl rollout restart`` does, and wait until every Envoy has its streams again."""
        self.installation.objects.restart("DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
        self.await_tbot()

    def await_rollout(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        """Wait until a Deployment or DaemonSet is rolled out, and return it.

        Raises:
            CouldNotTell: The rollout took too long.
        """
        return self.installation.objects.await_ready(kind, name, self.rollout, namespace=namespace)

    def await_app(self) -> None:
        """Wait until the test application is rolled out and no pod of an older template is left.

        Raises:
            CouldNotTell: The rollout took too long.
        """
        wanted = self.await_rollout("Deployment", APP, APP)["spec"]["replicas"]

        def look() -> None:
            pods = self.installation.objects.all_of("v1", "Pod", namespace=APP, label_selector=f"app={APP}")
            if len(pods) != wanted:
                raise NotYet(f"{len(pods)} pods, {wanted} wanted")

        eventually("only pods of the current template are left", look, self.rollout)

    def await_refusal(self) -> None:
        """Wait until the API server refuses a new pod that asks for the template spire.

        Raises:
            CouldNotTell: The API server still accepts such a pod.
        """

        def look() -> None:
            with suppress(ProvisioningFailed):
                self._injected(WITH_SPIRE)
                raise NotYet("the API server accepts it")

        eventually("an injected pod is refused", look, Pace(self.patience.pod_ready))

    def await_injected(
        self,
        what: str = "is accepted",
        look: Callable[[dict[str, Any]], None] = lambda _spec: None,
        *,
        templates: str = WITH_SPIRE,
    ) -> None:
        """Wait until the API server accepts a newly injected pod, and the pod passes a check.

        Args:
            what: What the pod must do or have, as in "has a certain volume".
            look: Takes the pod's specification; raises `NotYet` with what it saw.
            templates: The templates that the pod asks for.

        Raises:
            CouldNotTell: That took too long.
        """

        def injected() -> None:
            with not_yet(ProvisioningFailed):
                look(self._injected(templates)["spec"])

        eventually(f"an injected pod {what}", injected, Pace(self.patience.pod_ready))

    def await_socket_volume(self, source: str, *, read_only: bool = False) -> None:
        """Wait until a newly injected pod has its workload-socket from a source such as ``hostPath``.

        Args:
            source: Key of the volume.
            read_only: Whether every mount of it must be read-only.

        Raises:
            CouldNotTell: That took too long.
        """

        def look(spec: dict[str, Any]) -> None:
            must_have_socket_from(source, spec)
            mounts = [
                m.get("readOnly", False)
                for proxy in proxies_of(spec)
                for m in proxy["volumeMounts"]
                if m["name"] == SOCKET_VOLUME
            ]
            if all(mounts) is not read_only:
                raise NotYet(f"the mounts of its {SOCKET_VOLUME} have readOnly {mounts}")

        self.await_injected(f"has its {SOCKET_VOLUME} from {source}, {'read-only' if read_only else 'writable'}", look)

    def _injected(self, templates: str) -> dict[str, Any]:
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
        self.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
        with self.looking() as cluster:
            await_supply(cluster, self.rollout)


def proxies_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the proxy's container in a pod's specification, native or classic."""
    return [c for c in (*spec.get("initContainers", ()), *spec["containers"]) if c["name"] == PROXY]


def must_have_socket_from(source: str, spec: dict[str, Any]) -> None:
    """Check the source of a pod's workload-socket, such as ``hostPath``.

    Raises:
        NotYet: The volume has another source.
    """
    keys = {key for volume in spec["volumes"] if volume["name"] == SOCKET_VOLUME for key in volume}
    if source not in keys:
        raise NotYet(f"its {SOCKET_VOLUME} has {sorted(keys)}")


@dataclass(frozen=True, slots=True)
class Fault:
    """A named, reversible way to break an installation, by means that a real operator has.

    Attributes:
        name: Name of the fault, as in ``make test-faults`` and docs/faults.md.
        description: What the operator did, as a sentence.
        cause: Id of the cause in ``judge/explain/causes`` that a finding must name under this fault.
        further_causes: Ids of further causes that are true while the fault lasts, because the fault needs them: a pod can
            take over a socket only where the socket's directory is writable.
        touches: Objects that the fault changes, and that must be as before afterwards.
        undo: How the suite undoes the fault, as a sentence.
        breaks: Requirements that fail while the fault lasts; exactly these. A premise of a run (`Requirement.premise`) fails
            only on a cluster that the suite made; on any other it is *not-evaluated*.
        blinds: Requirements that cannot be determined while the fault lasts, because a reading fails.
        denies: True where the readings fail because a right or a session is missing: then they are *not-evaluated* instead
            of *error*.
        reach: Requirements that the fault might affect (see ``reach.py``), and that must hold nevertheless.
        inject: Context manager: on entry it puts the fault into force, on exit it restores the scene. It yields the
            operator's tools and credentials where the fault changes them.
        standing: The recommended installation has the fault from the beginning, because the guide asks for it. `inject` then
            works the other way round: it removes the fault on entry and restores it on exit.
        by_session: Only an admin session at Teleport shows the cause, although requirements that the fault breaks are judged
            without one as well.
        by_doctor_alone: The cause takes several readings to tell, which the doctor puts together; no requirement names it.
        short: CI injects it, and judges all requirements of the installation and of the checklist under it.
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
    denies: bool = False
    further_causes: frozenset[str] = frozenset()
    standing: bool = False
    by_session: bool = False
    by_doctor_alone: bool = False
    short: bool = False

    @property
    def judged(self) -> frozenset[str]:
        """Requirements that the suite judges under the fault."""
        return self.breaks | self.blinds | self.reach | SAMPLE


def by_name(faults: Iterable[Fault]) -> dict[str, Fault]:
    """Return faults by name: first those that CI injects, each group in the given order.

    Raises:
        ValueError: Two faults have the same name.
    """
    named: dict[str, Fault] = {}
    for fault in sorted(faults, key=lambda fault: not fault.short):
        if fault.name in named:
            raise ValueError(f"two faults are called {fault.name}")
        named[fault.name] = fault
    return named
