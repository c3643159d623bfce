"""tbot on the nodes: its DaemonSet, its pods and its configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from facts.document import when
from facts.errors import CouldNotTell
from facts.evidence import ObjectRef, readings
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import NODE_NAME, TOKEN_PATH, Container, ProjectedToken, referred
from facts.kubernetes.probes import KUBELET_PORT, KubeletAddress
from facts.kubernetes.workloads import DaemonSet
from providers.teleport.facts.tbot_config import KUBERNETES, TbotConfig, WorkloadApi

TO_READ_PODS, TO_DO_ALL, TO_POST = ("get", "nodes/pods"), ("get", "nodes/proxy"), ("create", "nodes/proxy")
KUBELET_RIGHTS = (TO_READ_PODS, TO_DO_ALL, TO_POST)
"""Rights at the kubelet as verb and resource: to list its pods, which is all that attestation needs; and to use its whole
interface, which for either verb includes running commands in every pod of the node. Source: Kubernetes, kubelet
authorization."""


@dataclass(frozen=True, slots=True)
class NodeSocket:
    """A unix socket of tbot in a directory of the node.

    Attributes:
        path: Its path on the node.
        service: The service that listens on it.
    """

    path: str
    service: WorkloadApi

    @property
    def directory(self) -> str:
        """Path of its directory on the node."""
        return self.path.rpartition("/")[0]

    @property
    def attests(self) -> bool:
        """Its service asks the kubelet which pod is calling."""
        return self.service.kubernetes is not None and self.service.kubernetes.enabled


@dataclass(frozen=True, slots=True)
class Tbot:
    """tbot as it is installed.

    Attributes:
        pods: Its living pods by node; a pod that is not scheduled is in no node and is not here.
        container: The container of the template that runs tbot.
        config: Its configuration file.
        config_map: Name of the ConfigMap that the file comes from.
        evidence: Ids of all readings.
        config_changed_at: RFC 3339 time after which that ConfigMap's texts did not change; empty where it is not known.
        config_certainly_changed_at: The last time at which they changed for certain; empty where none is known.
        join_secret: Name of the join token where it is a secret, to ask tctl for it; no judgment sees it, and `config` has a
            mark in its place.
        looked_for: Paths on the node of the sockets that the proxies of the mesh look for. They tell the service that the
            mesh uses from others.
        leaving: Names of the nodes on which a pod of it is terminating, and no other one runs; it goes away in a moment.
        overstaying: Its pods that were deleted and should be gone for long, by node, where no other one runs: until such a
            pod is gone, the controller makes no other one there.
    """

    daemon_set: DaemonSet
    pods: Mapping[str, Pod]
    container: Container
    config: TbotConfig
    config_map: str
    evidence: tuple[str, ...]
    config_changed_at: str = ""
    config_certainly_changed_at: str = ""
    join_secret: str = field(default="", repr=False)
    looked_for: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    overstaying: Mapping[str, Pod] = field(default_factory=dict)

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
    def unverified(self) -> str:
        """The line to Teleport on which tbot verifies nobody, and what switched that off; empty where it verifies."""
        flag = "--insecure" in (*self.container.command, *self.container.args)
        how = "--insecure" if flag else "insecure in its configuration" if self.config.insecure else ""
        return f"tbot's line to Teleport ({how})" if how else ""

    @property
    def host_pid(self) -> bool:
        """It shares the node's process ids; without them it cannot attest callers."""
        return self.daemon_set.template.spec.host_pid

    @property
    def host_network(self) -> bool:
        """It shares the node's network."""
        return self.daemon_set.template.spec.host_network

    @property
    def node_name(self) -> str:
        """TELEPORT_NODE_NAME of its container, a reference to another variable resolved; empty where it is not set."""
        named = self.container.variable(NODE_NAME)
        other = referred(named)
        return self.container.variable(other) if other else named

    @property
    def kubelet_address(self) -> KubeletAddress:
        """The address at which it dials its kubelet; the node's, where its configuration names none."""
        own = [self.service] if self.service else []
        attestor = next((s.kubernetes for s in (*own, *self.config.services) if s.kubernetes is not None), None)
        field = self.node_name.removeprefix("fieldRef:")
        return KubeletAddress(
            field=field if field in ("spec.nodeName", "status.hostIP") else "status.hostIP",
            port=attestor.secure_port if attestor else KUBELET_PORT,
            host_network=self.host_network,
        )

    @property
    def image(self) -> str:
        """Image as specified, tag or digest included."""
        return self.container.image

    @property
    def service_account(self) -> str:
        """As ``namespace:name``, the way a join token names it."""
        return f"{self.daemon_set.namespace}:{self.daemon_set.template.spec.service_account or 'default'}"

    @property
    def joins_by_kubernetes(self) -> bool:
        """It joins by the method of the guide, the only one that judges the service account of its pods."""
        return self.config.join_method == KUBERNETES

    @property
    def join_token_file(self) -> ProjectedToken | None:
        """The projected token that tbot joins with: its path is what the configuration or KUBERNETES_TOKEN_PATH names."""
        path = self.config.token_path or self.container.variable(TOKEN_PATH)
        for mount in self.container.mounts:
            if path.startswith(mount.path.rstrip("/") + "/"):
                volume = self.daemon_set.template.spec.volume(mount.name)
                for token in volume.tokens if volume else ():
                    if f"{mount.path.rstrip('/')}/{token.path}" == path:
                        return token
        return None

    @property
    def sockets(self) -> tuple[NodeSocket, ...]:
        """The sockets of its services that are in a directory of the node, in the order of the configuration."""
        found = ((self._on_node(service.socket_path), service) for service in self.config.services)
        return tuple(NodeSocket(path, service) for path, service in found if path)

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

    @property
    def socket(self) -> NodeSocket | None:
        """The socket that the mesh uses: one that proxies look for, else one in the same directory, else the first."""
        directories = self._directories_looked_in
        ranked = sorted(self.sockets, key=lambda s: (s.path not in self.looked_for, s.directory not in directories))
        return next(iter(ranked), None)

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
    def sockets_in_reach(self) -> tuple[NodeSocket, ...]:
        """The sockets that a pod of the mesh can open: in a directory that it mounts for its socket, or below."""
        own = self.socket
        directories = self._directories_looked_in | ({own.directory} if own else set())
        return tuple(s for s in self.sockets if any(s.path.startswith(f"{directory}/") for directory in directories))

    @property
    def service(self) -> WorkloadApi | None:
        """The service of that socket; the first one where none is in a directory of the node, None where there is none."""
        return self.socket.service if self.socket else next(iter(self.config.services), None)

    @property
    def services_of_mesh(self) -> tuple[WorkloadApi, ...]:
        """The services whose sockets proxies look for; where there is none, `service` alone."""
        return tuple(s.service for s in self.sockets_of_mesh) or ((self.service,) if self.service else ())

    @property
    def sockets_of_mesh(self) -> tuple[NodeSocket, ...]:
        """The sockets that proxies look for; where there is none, `socket` alone."""
        found = tuple(s for s in self.sockets if s.path in self.looked_for)
        return found or ((self.socket,) if self.socket else ())

    @property
    def socket_on_node(self) -> str:
        """Path on the node of that socket; empty where no service has one there."""
        return self.socket.path if self.socket else ""


@dataclass(frozen=True, slots=True)
class SocketDirectories:
    """Directories of the nodes in which tbot listens for the mesh.

    Attributes:
        everywhere: All of them.
        by_node: Those of each node on which a tbot listens in one; pools of nodes may have directories of their own.
        unread: Those in which a tbot seems to listen that the suite could not read, on whichever nodes.
    """

    everywhere: frozenset[str]
    by_node: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return " or ".join(sorted(self.everywhere))

    def on(self, node: str) -> frozenset[str]:
        """Those of a node; all of them where no tbot listens on it, so that its pods can be judged all the same."""
        return self.by_node.get(node, self.everywhere)

    def nodes_with(self, directory: str, nodes: Iterable[str]) -> tuple[str, ...]:
        """Those of some nodes that have a directory, sorted; all of them where it is the only one."""
        if self.everywhere == {directory}:
            return tuple(sorted(nodes))
        return tuple(sorted(node for node in nodes if directory in self.by_node.get(node, ())))


@dataclass(frozen=True, slots=True)
class OtherTbot:
    """A DaemonSet of tbot that does not count as one of the mesh's.

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


@dataclass(frozen=True, slots=True)
class Tbots:
    """Every tbot that serves the mesh, by DaemonSet: a cluster may have one for each pool of nodes.

    Attributes:
        each: At least one; those in whose directories proxies look for a socket come first.
        left_out: The other DaemonSets of tbot.
    """

    each: tuple[Tbot, ...]
    left_out: tuple[OtherTbot, ...] = ()

    @property
    def first(self) -> Tbot:
        """One of them, for what all have in common."""
        return self.each[0]

    @property
    def only(self) -> Tbot:
        """The only one.

        Raises:
            CouldNotTell: There are several.
        """
        if len(self.each) > 1:
            raise CouldNotTell(
                expected="one DaemonSet of tbot, which the suite can change or copy for this requirement",
                seen=f"{len(self.each)} of them, each of which serves some of the pods that it would watch",
                where=self.where,
                remedy="try this requirement on a cluster where one of these DaemonSets serves all nodes, or leave its"
                " profile out (--profile); the rest of the report judges every one of them",
            )
        return self.first

    @property
    def where(self) -> str:
        """Their DaemonSets, as people name them."""
        return ", ".join(str(tbot.daemon_set.ref) for tbot in self.each)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return readings(*self.each)

    @property
    def nodes(self) -> frozenset[str]:
        """Names of the nodes that run a pod of one of them."""
        return frozenset(node for tbot in self.each for node in tbot.pods)

    @property
    def unread(self) -> tuple[OtherTbot, ...]:
        """Those that may serve the mesh as well: the suite could not read their configuration."""
        return tuple(other for other in self.left_out if other.unread)

    def without_pods_on(self, nodes: Collection[str]) -> Tbots:
        """The same tbots, without their pods on some nodes."""
        each = (replace(tbot, pods={n: pod for n, pod in tbot.pods.items() if n not in nodes}) for tbot in self.each)
        return replace(self, each=tuple(each))

    def on(self, node: str) -> tuple[Tbot, ...]:
        """Those with a pod on a node; the only one where there is no other, wherever its pods are."""
        alone = len(self.each) == 1 and not self.unread
        return self.each if alone else tuple(tbot for tbot in self.each if node in tbot.pods)

    @property
    def directories(self) -> SocketDirectories:
        """The directories in which they listen for the mesh, and in which one that is unread seems to."""
        by_node = {node: self.directories_on(node) for node in self.nodes}
        everywhere = frozenset(path for tbot in self.each for path in tbot.directories_of_mesh)
        unread = frozenset(path for other in self.unread for path in other.directories)
        return SocketDirectories(everywhere | unread, {node: there for node, there in by_node.items() if there}, unread)

    def directories_on(self, node: str) -> frozenset[str]:
        """The directories of a node in which those of `on` listen for the mesh."""
        return frozenset(path for tbot in self.on(node) for path in tbot.directories_of_mesh)

    def serving(self, node: str, path: str) -> tuple[Tbot, ...]:
        """Those that must supply the pods of a node that look for a socket there, by its path.

        They listen on it; or, where none does, in its directory. Where no tbot of the node does so, and one of other nodes
        does, it is that one, which the node lacks. Two pools of nodes may have the same directory and different names in it:
        where a tbot of the node listens in the directory, one that listens on the socket elsewhere counts only if it has a
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

    def supplied_by(self, tbot: Tbot, pods: Iterable[Pod]) -> tuple[Pod, ...]:
        """The pods that one of them must supply, see `serving`."""
        return tuple(p for p in pods if any(each is tbot for each in self.serving(p.node, p.socket_on_node)))

    def may_be_unread(self, node: str, path: str) -> bool:
        """Tell whether the tbot that must supply such pods may be one that the suite could not read."""
        if not self.unread:
            return False
        known = {socket.directory for tbot in self.each if node in tbot.pods for socket in tbot.sockets}
        return path.rpartition("/")[0] not in known

    def is_ready_for(self, pod: Pod) -> bool:
        """Tell whether a tbot that must supply a pod has a Ready pod on its node."""
        serving = self.serving(pod.node, pod.socket_on_node)
        return any(tbot.pods[pod.node].ready for tbot in serving if pod.node in tbot.pods)
