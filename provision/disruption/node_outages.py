"""Outages of a single node: tbot killed there, its socket's directory lost, the node restarted.

They need nodes that are the suite's own machines. Each is undone on every way out of it, as those of
`provision.disruption.outages` are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.kubernetes.objects import Pod
from facts.over_time.outage import NodeRestart, Relocation
from facts.provider.agents import Agent
from facts.proxies.sds_mode import SdsMode
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_proxy
from observe.proxies.survey import read_fleet
from observe.wait import NotYet, Pace, eventually
from provision.disruption.machine_changes import moved, restarted, stopped
from provision.disruption.machines import Machines, processes_of
from provision.disruption.outages import OngoingOutage, Outages
from provision.disruption.supply import await_supply, uses_the_socket
from provision.objects import Objects
from provision.runs.originals import Originals

_LOST, _OURS = ".lost", ".ours"
_PUT_BACK = f'[ ! -d "$0{_LOST}" ] || {{ [ ! -e "$0" ] || mv "$0" "$0{_OURS}"; mv "$0{_LOST}" "$0"; rm -rf "$0{_OURS}"; }}'
"""Moves the former directory back to its place and removes the new one; does nothing where no directory was lost."""


CONTINUE = ("sh", "-c", 'kill -CONT "$@" 2>/dev/null; true', "sh")
"""Command, before ids of processes, that lets those of them continue that are stopped and still there."""


class NodeOutages:
    """Outages of one node.

    Args:
        objects: Changes the cluster.
        originals: Keeps what an outage changes until it is undone.
        cluster: Reads the cluster.
        tbot: tbot as it is installed.
        outages: Outages of the whole install.
        machines: Machines of the cluster.
        pace: Pace of the waits for what must return.
    """

    def __init__(
        self,
        objects: Objects,
        originals: Originals,
        cluster: Cluster,
        *,
        tbot: Agent,
        outages: Outages,
        machines: Machines,
        pace: Pace,
    ) -> None:
        self._objects = objects
        self._originals = originals
        self._cluster = cluster
        self._unrecorded = cluster.recording_to(KeptInMemory())
        self._tbot = tbot
        self._outages = outages
        self._machines = machines
        self._pace = pace
        self._directory = tbot.socket_on_node.rpartition("/")[0]

    @contextmanager
    def without_tbot_beside_its_socket(self, node: str) -> Iterator[OngoingOutage]:
        """Remove tbot from every node; on this one kill it with SIGKILL, so that it leaves its socket behind."""
        machines, (tbot,) = self._machines, self._tbots(node)
        container_id = tbot.containers[0].container_id
        processes = processes_of(machines.on_node, node, container_id)

        def look() -> None:
            if any(p.uid == tbot.uid and not p.terminating for p in self._tbots(node)):
                raise NotYet("the API server has not asked it to terminate")

        def kill() -> None:
            # Not earlier: the kubelet would start it again.
            eventually(f"tbot on {node} is terminating", look, self._pace)
            machines.change(node, "kill", "-KILL", *processes)

        kept = self._originals.keep(stopped(node, container_id))
        with ExitStack() as undo:
            undo.callback(self._let_go_on, node, processes, kept)
            # Stopped until then, because a tbot that terminates removes its socket.
            machines.change(node, "kill", "-STOP", *processes)
            with self._outages.without_tbot(kill) as going:
                going.evidence.append(machines.read(node, "stat", "--format", "%F %n", self._tbot.socket_on_node)[1])
                yield going

    def _let_go_on(self, node: str, processes: Sequence[str], kept: str) -> None:
        self._machines.on_node(node, *CONTINUE, *processes)
        self._originals.forget(kept)

    @contextmanager
    def with_another_directory(self, node: str, patience: float) -> Iterator[Relocation]:
        """Move the node's socket directory away and replace tbot there, which must then make another directory.

        Args:
            node: Name of the node.
            patience: Seconds that tbot has for that.
        """
        machines = self._machines
        inode, before = machines.read(node, "stat", "--format", "%i", self._directory)
        kept = self._originals.keep(moved(node, self._directory))
        with ExitStack() as undo:
            undo.callback(self._put_back, node, kept)
            machines.change(node, "mv", self._directory, f"{self._directory}{_LOST}")
            lost = datetime.now(UTC)
            replaced, back, words = self._replace_tbot(self._objects, node, patience)
            there, now = machines.read(node, "sh", "-c", 'stat --format %i "$0" 2>/dev/null; true', self._directory)
            evidence = (before, now, *readings(*self._cluster.pods(*self._selected)))
            yield Relocation(node, lost, replaced, back, words, (inode, there), evidence)

    def _put_back(self, node: str, kept: str) -> None:
        if not self._originals.is_gone(kept):
            self.put_directory_back(node)
            self._originals.forget(kept)

    def put_directory_back(self, node: str) -> None:
        """Move the former directory of a node's socket back to its place, and replace tbot there.

        Raises:
            CouldNotTell: tbot was not Ready in time.
        """
        self._machines.on_node(node, "sh", "-c", _PUT_BACK, self._directory)
        _replaced, back, words = self._replace_tbot(self._objects.unfenced(), node, self._pace.timeout)
        if back is None:
            raise CouldNotTell(
                expected="tbot to be Ready again, with its former directory",
                seen=words,
                where=f"node {node}",
                remedy=f"read the events of tbot's pod there; the directory is {self._directory}",
            )

    def _replace_tbot(
        self, objects: Objects, node: str, patience: float
    ) -> tuple[datetime, datetime | None, str]:  # fmt: skip
        """Replace tbot; return when it was deleted, when another was Ready (None for never), and what prevented that."""
        former = {pod.uid for pod in self._tbots(node)}
        for pod in self._tbots(node):
            objects.replace_pod(pod.name, namespace=pod.namespace)
        replaced = datetime.now(UTC)

        def look() -> None:
            new = [pod for pod in self._tbots(node) if pod.uid not in former]
            if not any(pod.ready for pod in new):
                raise NotYet("; ".join(c.message for pod in new for c in pod.conditions if c.message) or "no other tbot")

        try:
            eventually(f"another tbot is Ready on {node}", look, replace(self._pace, timeout=patience))
        except CouldNotTell as error:
            return replaced, None, error.seen
        return replaced, datetime.now(UTC), ""

    @contextmanager
    def restarted(self, node: str, patience: float) -> Iterator[NodeRestart]:
        """Restart the node; enter once all its pods are back, or their time is over.

        On exit, replace the pods of the install that returned with another source of identities than tbot.

        Args:
            node: Name of the node.
            patience: Seconds that its pods have.
        """
        before = self._on(node, self._cluster)
        mode = self._machines.on_node(node, "stat", "--format", "%a", self._directory).strip()
        kept = self._originals.keep(restarted(node, mode))
        with ExitStack() as undo:
            undo.callback(self._make_up_for_restart, node, mode, before, kept)
            ordered = datetime.now(UTC)
            started = self._machines.restart(node)
            up = datetime.now(UTC)
            back = self._await_return(node, before, patience)
            after = self._on(node, self._cluster)
            fleet = read_fleet(self._cluster, [p for p in after if uses_the_socket(p)])
            yield NodeRestart(node, ordered, up, back, before, after, fleet, (started,))

    def _await_return(self, node: str, before: Sequence[Pod], patience: float) -> datetime | None:
        ran = {c.container_id for pod in before for c in pod.containers}

        def look() -> None:
            for pod in self._on(node, self._unrecorded):
                main = [c for c in pod.containers if not c.is_init or c.restart_policy == "Always"]
                if any(not c.container_id or c.container_id in ran for c in main):
                    raise NotYet(f"{pod.ref} has not restarted yet")
                if not pod.ready:
                    raise NotYet(f"{pod.ref} is not Ready")

        try:
            eventually(f"every pod on {node} has restarted and is Ready", look, replace(self._pace, timeout=patience))
        except CouldNotTell:
            return None
        return datetime.now(UTC)

    def _make_up_for_restart(self, node: str, mode: str, before: Sequence[Pod], kept: str) -> None:
        if not self._originals.is_gone(kept):
            self.make_whole(node, mode, before)
            self._originals.forget(kept)

    def make_whole(self, node: str, mode: str, before: Sequence[Pod]) -> None:
        """Make the socket's directory if it is missing, and replace pods whose identities do not come from tbot.

        Args:
            node: Name of the node.
            mode: Mode of the directory, such as ``755``.
            before: Pods of the node that must have a Ready successor.

        Raises:
            CouldNotTell: One had none in time.
        """
        self._machines.on_node(node, "mkdir", "--parents", f"--mode={mode}", self._directory)
        self._objects.await_ready("Node", node, self._pace)
        self._objects.await_ready("DaemonSet", self._tbot.daemon_set.name, self._pace, namespace=self._selected[0])
        owned = [p for p in before if p.owner and uses_the_socket(p)]
        wanted = Counter((p.namespace, p.owner) for p in owned)
        for pod in owned:
            if not self._is_supplied_by_tbot(pod):
                self._objects.unfenced().replace_pod(pod.name, namespace=pod.namespace)

        def look() -> None:
            there = Counter((p.namespace, p.owner) for p in self._unrecorded.pods() if p.ready and uses_the_socket(p))
            if lacking := wanted - there:
                raise NotYet(", ".join(f"{n} of {owner} in {namespace}" for (namespace, owner), n in lacking.items()))

        eventually("every pod of the node has a Ready successor", look, self._pace)
        await_supply(self._unrecorded, self._pace)

    def _is_supplied_by_tbot(self, pod: Pod) -> bool:
        now = self._unrecorded.pod(pod.namespace, pod.name)
        if isinstance(now, Absent) or not now.ready:
            return False
        try:
            return read_proxy(self._unrecorded, now).sds_mode is SdsMode.EXTERNAL
        except CouldNotTell:
            return False

    @property
    def _selected(self) -> tuple[str, str]:
        """Namespace and label selector of tbot's pods."""
        daemon_set = self._tbot.daemon_set
        return daemon_set.namespace, daemon_set.label_selector

    def _tbots(self, node: str) -> tuple[Pod, ...]:
        return tuple(pod for pod in self._unrecorded.pods(*self._selected) if pod.node == node)

    def _on(self, node: str, cluster: Cluster) -> tuple[Pod, ...]:
        return tuple(p for p in cluster.pods() if p.node == node and not (p.terminating or p.has_ended))
