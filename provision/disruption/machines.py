"""The machines of a cluster that the suite made: its nodes and its Teleport, all of them containers on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from facts.errors import CouldNotTell, NotGiven
from facts.evidence import ObjectRef
from facts.recorder import Recorder
from observe.command import CommandResult, must_run
from providers.teleport.installing.teleport import CLUSTER_LABEL
from provision.objects import Objects

OF_KIND = "kind://docker/"
"""Prefix of the provider id of a node that kind made with Docker; the cluster and the node follow it."""


def kind_cluster_of(provider_ids: list[str]) -> str:
    """Return the kind cluster that nodes belong to; empty where they do not all belong to one."""
    clusters = {p.removeprefix(OF_KIND).partition("/")[0] if p.startswith(OF_KIND) else "" for p in provider_ids}
    return clusters.pop() if len(clusters) == 1 else ""


@dataclass(frozen=True, slots=True)
class Machines:
    """Runs commands on the machines of a cluster.

    Attributes:
        nodes: Names of the nodes, and so of their containers.
        teleport: Name of Teleport's container.
        recorder: Records the output of Docker.
        timeout: Seconds for one command.
        may_change: Fence; see `provision.objects.Objects`. What gives back (`on_node`, `resume`) passes it by.
    """

    nodes: tuple[str, ...]
    teleport: str
    recorder: Recorder
    timeout: float
    may_change: Callable[[], None] = lambda: None

    def change(self, node: str, *argv: str) -> None:
        """Run a command that changes a node, if the run still holds the cluster.

        Raises:
            ProvisioningFailed: The fence raised.
            CouldNotTell: The command failed.
        """
        self.may_change()
        self.on_node(node, *argv)

    def on_node(self, node: str, *argv: str) -> str:
        """Run a command on a node that looks, or restores what a change took away, and return its output.

        Raises:
            CouldNotTell: The command failed.
        """
        return self._docker("exec", node, *argv).stdout

    def read(self, node: str, *argv: str) -> tuple[str, str]:
        """Run a command on a node; return its output, stripped, and the id of the reading.

        Raises:
            CouldNotTell: The command failed.
        """
        said = self._docker("exec", node, *argv)
        return said.stdout.strip(), self.recorder.record(said.as_evidence(ObjectRef("Node", node)))

    def state(self, container: str) -> tuple[str, str]:
        """Return the state of a container in Docker's word, such as ``running``, and the id of the reading."""
        said = self._docker("inspect", "--format", "{{.State.Status}}", container)
        return said.stdout.strip(), self.recorder.record(said.as_evidence(ObjectRef("Container", container)))

    @contextmanager
    def paused(self, container: str) -> Iterator[None]:
        """Pause all processes of a container: it keeps its address, and its clients get no answer."""
        self.may_change()
        try:
            self._docker("pause", container)
            yield
        finally:
            self.resume(container)  # also where a signal came between the command and its answer

    def resume(self, container: str) -> None:
        """Let the processes of a container continue; nothing happens if it is not paused."""
        if self.state(container)[0] == "paused":
            self._docker("unpause", container)

    def restart(self, node: str) -> str:
        """Restart a node; once its container runs again, return the id of the reading that says since when."""
        self.may_change()
        self._docker("restart", "--time", "5", node, patience=4)
        said = self._docker("inspect", "--format", "{{.State.StartedAt}}", node)
        return self.recorder.record(said.as_evidence(ObjectRef("Container", node)))

    def _docker(self, *argv: str, patience: float = 1) -> CommandResult:
        remedy = "check whether Docker runs: docker ps --all"
        return must_run(["docker", *argv], timeout=patience * self.timeout, remedy=remedy)


def processes_of(on_node: Callable[..., str], node: str, container_id: str) -> tuple[str, ...]:
    """Return the ids, on the node, of all processes of a container.

    Args:
        on_node: Runs a command on a node and returns its output.
        node: Name of the node.
        container_id: Id in the runtime's form, ``containerd://`` and 64 hex digits.

    Raises:
        CouldNotTell: The container has no process there.
    """
    name = container_id.rpartition("/")[2]
    # A process may end between the listing and the reading of /proc, which grep's exit code would report.
    found = on_node(node, "sh", "-c", 'grep -ls "$0" /proc/[0-9]*/cgroup; true', name).split()
    if not name or not found:
        raise CouldNotTell(
            expected="a process of the container on the node",
            seen="no process whose cgroup names the container",
            where=f"node {node}, container {container_id or 'without an id'}",
            remedy="check whether its pod runs there: kubectl get pods -A -o wide",
        )
    return tuple(path.split("/")[2] for path in found)


def machines_of(objects: Objects, recorder: Recorder, timeout: float) -> Machines:
    """Return the machines of a cluster.

    Args:
        objects: Reads the cluster; its fence stands before each change of a machine too.
        recorder: Records the output of Docker.
        timeout: Seconds for one command.

    Raises:
        NotGiven: The suite did not make this cluster, or not on this machine.
    """
    found = objects.all_of("v1", "Node")
    cluster = kind_cluster_of([str(n["spec"].get("providerID", "")) for n in found])
    if not cluster:
        raise _not_ours("nodes that kind did not all make")
    try:
        said = must_run(
            ["docker", "ps", "--all", "--filter", f"label={CLUSTER_LABEL}={cluster}", "--format", "{{.Names}}"],
            timeout=timeout,
        )
    except CouldNotTell as error:
        raise _not_ours(f"a kind cluster called {cluster}, and a Docker that does not answer: {error.seen}") from error
    names = said.stdout.split()
    if len(names) != 1:
        raise _not_ours(f"a kind cluster called {cluster} with {len(names)} containers of Teleport on this machine")
    return Machines(tuple(sorted(n["metadata"]["name"] for n in found)), names[0], recorder, timeout, objects.may_change)


def needs_a_node_to_spare(nodes: Sequence[str]) -> None:
    """Check that an outage can hit one node and spare another.

    Args:
        nodes: Names of the nodes that take workloads.

    Raises:
        NotGiven: Fewer than two nodes take workloads.
    """
    if len(nodes) < 2:
        raise NotGiven(
            expected="two nodes that take workloads: one for the outage, and one without",
            seen=f"{len(nodes)}",
            where="the nodes of the cluster",
            remedy="certify this on a cluster with --nodes 2",
        )


def _not_ours(seen: str) -> NotGiven:
    return NotGiven(
        expected="a cluster that the suite made on this machine, nodes and Teleport included",
        seen=seen,
        where="the cluster in the settings",
        remedy="certify this on a kind cluster that the suite makes: pytest features/7_resilience",
    )
