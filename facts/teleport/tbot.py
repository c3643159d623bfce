"""tbot on the nodes: its DaemonSet, its pods and its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from facts.document import when
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import NODE_NAME, TOKEN_PATH, Container, ProjectedToken, Volume, referred
from facts.kubernetes.workloads import DaemonSet
from facts.teleport.tbot_config import TbotConfig

KUBELET_PORT = 10250

TO_READ_PODS, TO_DO_ALL, TO_POST = ("get", "nodes/pods"), ("get", "nodes/proxy"), ("create", "nodes/proxy")
KUBELET_RIGHTS = (TO_READ_PODS, TO_DO_ALL, TO_POST)
"""Rights at the kubelet as verb and resource: to list its pods, which is all that attestation needs; and to use its whole
interface, which for either verb includes running commands in every pod of the node. Source: Kubernetes, kubelet
authorization."""


@dataclass(frozen=True, slots=True)
class KubeletAddress:
    """The address at which a tbot finds the kubelet of its own node.

    Attributes:
        field: Field of the pod that holds the host: ``status.hostIP`` or ``spec.nodeName``.
        port: TCP port.
        host_network: Dialled from the node's own network.
    """

    field: str = "status.hostIP"
    port: int = KUBELET_PORT
    host_network: bool = False


@dataclass(frozen=True, slots=True)
class Tbot:
    """tbot as it is installed.

    Attributes:
        daemon_set: Its DaemonSet.
        pods: Its pods by node; a pod that is not scheduled is in no node and is not here.
        container: The container of the template that runs tbot.
        config: Its configuration file.
        config_map: Name of the ConfigMap that the file comes from.
        evidence: Ids of all readings.
        config_changed_at: RFC 3339 time of the last change of that ConfigMap's texts; empty where it is not known.
        join_secret: Name of the join token where it is a secret, to ask tctl for it; no judgment sees it, and `config` has a
            mark in its place.
    """

    daemon_set: DaemonSet
    pods: Mapping[str, Pod]
    container: Container
    config: TbotConfig
    config_map: str
    evidence: tuple[str, ...]
    config_changed_at: str = ""
    join_secret: str = field(default="", repr=False)

    def runs_older_config(self, node: str) -> bool:
        """Tell whether the tbot on a node started before its configuration changed; tbot reads the file at its start."""
        container = self.pods[node].spec.container(self.container.name) if node in self.pods else None
        started = container.started_at if container else ""
        return bool(started and self.config_changed_at) and when(started, node) < when(self.config_changed_at, node)

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
        attestors = [s.kubernetes for s in self.config.services if s.kubernetes is not None]
        field = self.node_name.removeprefix("fieldRef:")
        return KubeletAddress(
            field=field if field in ("spec.nodeName", "status.hostIP") else "status.hostIP",
            port=attestors[0].secure_port if attestors else KUBELET_PORT,
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
    def socket_volume(self) -> Volume | None:
        """The volume that holds the socket of the first workload-identity-api service."""
        path = self.config.services[0].socket_path if self.config.services else ""
        mounts = [m for m in self.container.mounts if path.startswith(m.path.rstrip("/") + "/")]
        if not mounts:
            return None
        return self.daemon_set.template.spec.volume(max(mounts, key=lambda m: len(m.path)).name)

    @property
    def socket_on_node(self) -> str:
        """Path on the node of that socket, empty when its volume is no hostPath."""
        volume = self.socket_volume
        if volume is None or volume.source != "hostPath":
            return ""
        mount = next(m for m in self.container.mounts if m.name == volume.name)
        return volume.path.rstrip("/") + self.config.services[0].socket_path.removeprefix(mount.path.rstrip("/"))
