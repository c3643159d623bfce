"""Agents of the provider on the nodes: a provider issues identities, and its agent serves the socket of each node."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, TypeVar

from facts.document import when
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, readings
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Container
from facts.kubernetes.workloads import DaemonSet


@dataclass(frozen=True, slots=True)
class AgentSocket:
    """A unix socket of an agent in a directory of the node.

    Attributes:
        path: Its path on the node.
    """

    path: str

    @property
    def directory(self) -> str:
        """Path of its directory on the node."""
        return self.path.rpartition("/")[0]


S_co = TypeVar("S_co", bound=AgentSocket, covariant=True)


@dataclass(frozen=True, slots=True)
class AgentOf(Generic[S_co]):
    """An agent as it is installed.

    Attributes:
        pods: Its living pods by node; a pod that is not scheduled is in no node and is not here.
        container: The container of the template that runs it.
        evidence: Ids of all readings.
        config_changed_at: RFC 3339 time after which the ConfigMap with its configuration did not change; empty where it is
            not known.
        config_certainly_changed_at: The last time at which it changed for certain; empty where none is known.
        looked_for: Paths on the node of the sockets that the proxies of the mesh look for. They tell the service that the
            mesh uses from others.
        leaving: Names of the nodes on which a pod of it is terminating, and no other one runs; it goes away in a moment.
        overstaying: Its pods that were deleted and should be gone for long, by node, where no other one runs: until such a
            pod is gone, the controller makes no other one there.
    """

    KIND: ClassVar[str] = "the provider's agent"
    """The name of the program, as people know it."""

    daemon_set: DaemonSet
    pods: Mapping[str, Pod]
    container: Container
    evidence: tuple[str, ...]
    config_changed_at: str = ""
    config_certainly_changed_at: str = ""
    looked_for: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    overstaying: Mapping[str, Pod] = field(default_factory=dict)

    @property
    def sockets(self) -> tuple[S_co, ...]:
        """The sockets of its services that are in a directory of the node, in the order of its configuration."""
        raise NotImplementedError

    @property
    def placed_on(self) -> frozenset[str]:
        """Names of the nodes that have a pod of it, those among them whose pod is deleted and still there."""
        return frozenset(self.pods.keys() | self.leaving | self.overstaying.keys())

    def runs_older_config(self, node: str) -> bool:
        """Tell whether the tbot on a node may have started before a change of its file, which it reads at its start."""
        return self._started_before(self.config_changed_at, node)

    def certainly_runs_older_config(self, node: str) -> bool:
        """Tell whether it did for certain: some changes may be of the ConfigMap's labels alone."""
        return self._started_before(self.config_certainly_changed_at, node)

    def _started_before(self, changed_at: str, node: str) -> bool:
        container = self.pods[node].spec.container(self.container.name) if node in self.pods else None
        started = container.started_at if container else ""
        return bool(started and changed_at) and when(started, node) < when(changed_at, node)

    def runs(self, pod: Pod) -> bool:
        """Tell whether a pod is one of its DaemonSet's."""
        return self.daemon_set.owns(pod)

    @property
    def host_pid(self) -> bool:
        """It shares the node's process ids; without them it cannot attest callers."""
        return self.daemon_set.template.spec.host_pid

    @property
    def host_network(self) -> bool:
        """It shares the node's network."""
        return self.daemon_set.template.spec.host_network

    @property
    def image(self) -> str:
        """Image as specified, tag or digest included."""
        return self.container.image

    @property
    def socket(self) -> S_co | None:
        """The socket that the mesh uses: one that proxies look for, else one in the same directory, else the first."""
        directories = self._directories_looked_in

        def rank(found: AgentSocket) -> tuple[bool, bool]:
            return found.path not in self.looked_for, found.directory not in directories

        return next(iter(sorted(self.sockets, key=rank)), None)

    @property
    def directories_of_mesh(self) -> frozenset[str]:
        """Directories of the node with a socket of its own in which proxies look for one; else that of `socket`."""
        found = {socket.directory for socket in self.sockets} & self._directories_looked_in
        return frozenset(found or ({self.socket.directory} if self.socket else ()))

    @property
    def is_looked_for(self) -> bool:
        """It listens in a directory of the node in which a proxy looks for a socket, under whatever name."""
        return any(socket.directory in self._directories_looked_in for socket in self.sockets)

    @property
    def _directories_looked_in(self) -> frozenset[str]:
        return frozenset(path.rpartition("/")[0] for path in self.looked_for)

    @property
    def sockets_in_reach(self) -> tuple[S_co, ...]:
        """The sockets that a pod of the mesh can open: in a directory that it mounts for its socket, or below."""
        own = self.socket
        directories = self._directories_looked_in | ({own.directory} if own else set())
        return tuple(s for s in self.sockets if any(s.path.startswith(f"{directory}/") for directory in directories))

    @property
    def sockets_of_mesh(self) -> tuple[S_co, ...]:
        """The sockets that proxies look for; where there is none, `socket` alone."""
        found = tuple(s for s in self.sockets if s.path in self.looked_for)
        return found or ((self.socket,) if self.socket else ())

    @property
    def socket_on_node(self) -> str:
        """Path on the node of that socket; empty where no service has one there."""
        return self.socket.path if self.socket else ""

    def _on_node(self, path: str) -> str:
        """Path on the node of a path in its container; empty where that is on no hostPath volume."""
        mounts = [m for m in self.container.mounts if path.startswith(m.path.rstrip("/") + "/")]
        if not mounts:
            return ""
        mount = max(mounts, key=lambda m: len(m.path))
        volume = self.daemon_set.template.spec.volume(mount.name)
        if volume is None or volume.source != "hostPath":
            return ""
        return volume.path.rstrip("/") + path.removeprefix(mount.path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class SocketDirectories:
    """Directories of the nodes in which agents listen for the mesh.

    Attributes:
        everywhere: All of them.
        by_node: Those of each node on which an agent listens in one; pools of nodes may have directories of their own.
        unread: Those in which an agent seems to listen that the suite could not read, on whichever nodes.
    """

    everywhere: frozenset[str]
    by_node: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return " or ".join(sorted(self.everywhere))

    def on(self, node: str) -> frozenset[str]:
        """Those of a node; all of them where no agent listens on it, so that its pods can be judged all the same."""
        return self.by_node.get(node, self.everywhere)

    def nodes_with(self, directory: str, nodes: Iterable[str]) -> tuple[str, ...]:
        """Those of some nodes that have a directory, sorted; all of them where it is the only one."""
        if self.everywhere == {directory}:
            return tuple(sorted(nodes))
        return tuple(sorted(node for node in nodes if directory in self.by_node.get(node, ())))


@dataclass(frozen=True, slots=True)
class OtherAgent:
    """A DaemonSet of an agent that does not count as one of the mesh's.

    Attributes:
        ref: The DaemonSet.
        why: The reason, in words.
        unread: The suite could not read its configuration, so that it may serve the mesh all the same.
        directories: Directories of the node that it mounts and in which proxies look for a socket, where it is unread.
    """

    ref: ObjectRef
    why: str
    unread: bool = False
    directories: frozenset[str] = frozenset()


Agent = AgentOf[AgentSocket]
"""An agent of whichever provider."""

A_co = TypeVar("A_co", bound=Agent, covariant=True)


@dataclass(frozen=True)  # with slots, making one by the name of an alias (`Agents`) raises a TypeError in Python 3.11
class AgentsOf(Generic[A_co]):
    """Every agent that serves the mesh, by DaemonSet: a cluster may have one for each pool of nodes.

    Attributes:
        each: At least one; those in whose directories proxies look for a socket come first.
        left_out: The other DaemonSets of agents.
    """

    each: tuple[A_co, ...]
    left_out: tuple[OtherAgent, ...] = ()

    @property
    def first(self) -> A_co:
        """One of them, for what all have in common."""
        return self.each[0]

    @property
    def only(self) -> A_co:
        """The only one.

        Raises:
            CouldNotTell: There are several.
        """
        if len(self.each) > 1:
            raise CouldNotTell(
                expected=f"one DaemonSet of {self.first.KIND}, which the suite can change or copy for this requirement",
                seen=f"{len(self.each)} of them, each of which serves some of the pods that it would watch",
                where=self.where,
                remedy="try this requirement on a cluster where one of these DaemonSets serves all nodes, or leave its"
                " profile out (--profile); the rest of the report judges every one of them",
            )
        return self.first

    @property
    def where(self) -> str:
        """Their DaemonSets, as people name them."""
        return ", ".join(str(agent.daemon_set.ref) for agent in self.each)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return readings(*self.each)

    @property
    def nodes(self) -> frozenset[str]:
        """Names of the nodes that run a pod of one of them."""
        return frozenset(node for agent in self.each for node in agent.pods)

    @property
    def unread(self) -> tuple[OtherAgent, ...]:
        """Those that may serve the mesh as well: the suite could not read their configuration."""
        return tuple(other for other in self.left_out if other.unread)

    def without_pods_on(self, nodes: Collection[str]) -> AgentsOf[A_co]:
        """The same agents, without their pods on some nodes."""
        each = (replace(agent, pods={n: pod for n, pod in agent.pods.items() if n not in nodes}) for agent in self.each)
        return replace(self, each=tuple(each))

    def on(self, node: str) -> tuple[A_co, ...]:
        """Those with a pod on a node; the only one where there is no other, wherever its pods are."""
        alone = len(self.each) == 1 and not self.unread
        return self.each if alone else tuple(agent for agent in self.each if node in agent.pods)

    @property
    def directories(self) -> SocketDirectories:
        """The directories in which they listen for the mesh, and in which one that is unread seems to."""
        by_node = {node: self.directories_on(node) for node in self.nodes}
        everywhere = frozenset(path for agent in self.each for path in agent.directories_of_mesh)
        unread = frozenset(path for other in self.unread for path in other.directories)
        return SocketDirectories(everywhere | unread, {node: there for node, there in by_node.items() if there}, unread)

    def directories_on(self, node: str) -> frozenset[str]:
        """The directories of a node in which those of `on` listen for the mesh."""
        return frozenset(path for agent in self.on(node) for path in agent.directories_of_mesh)

    def serving(self, node: str, path: str) -> tuple[A_co, ...]:
        """Those that must supply the pods of a node that look for a socket there, by its path.

        They listen on it; or, where none does, in its directory. Where no agent of the node does so, and one of other nodes
        does, it is that one, which the node lacks. Two pools of nodes may have the same directory and different names in it:
        where a agent of the node listens in the directory, one that listens on the socket elsewhere counts only if it has a
        pod beside that one on some node. Where none is known to listen there: all of the node.
        """
        there, directory = self.on(node), path.rpartition("/")[0]
        if not there:
            return ()
        near, far = (
            tuple(t for t in among if any(s.directory == directory for s in t.sockets)) for among in (there, self.each)
        )
        on_it, on_it_elsewhere = (tuple(t for t in among if any(s.path == path for s in t.sockets)) for among in (near, far))
        if on_it:
            return on_it  # nearly always; what follows looks at all nodes
        beside = tuple(t for t in on_it_elsewhere if not near or any(t.placed_on & other.placed_on for other in near))
        return beside or near or far or there

    def supplied_by(self, agent: Agent, pods: Iterable[Pod]) -> tuple[Pod, ...]:
        """The pods that one of them must supply, see `serving`."""
        return tuple(p for p in pods if any(each is agent for each in self.serving(p.node, p.socket_on_node)))

    def may_be_unread(self, node: str, path: str) -> bool:
        """Tell whether the agent that must supply such pods may be one that the suite could not read."""
        if not self.unread:
            return False
        known = {socket.directory for agent in self.each if node in agent.pods for socket in agent.sockets}
        return path.rpartition("/")[0] not in known

    def is_ready_for(self, pod: Pod) -> bool:
        """Tell whether a agent that must supply a pod has a Ready pod on its node."""
        serving = self.serving(pod.node, pod.socket_on_node)
        return any(agent.pods[pod.node].ready for agent in serving if pod.node in agent.pods)


Agents = AgentsOf[Agent]
"""Every agent that serves the mesh, of whichever provider."""
