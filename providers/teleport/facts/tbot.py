"""tbot on the nodes: its DaemonSet, its pods and its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from facts.kubernetes.pod_spec import NODE_NAME, TOKEN_PATH, ProjectedToken, referred
from facts.kubernetes.probes import KUBELET_PORT, KubeletAddress
from facts.provider.agents import AgentOf, AgentSocket, AgentsOf, OtherAgent
from providers.teleport.facts.tbot_config import KUBERNETES, TbotConfig, WorkloadApi

TO_READ_PODS, TO_DO_ALL, TO_POST = ("get", "nodes/pods"), ("get", "nodes/proxy"), ("create", "nodes/proxy")
KUBELET_RIGHTS = (TO_READ_PODS, TO_DO_ALL, TO_POST)
"""Rights at the kubelet as verb and resource: to list its pods, which is all that attestation needs; and to use its whole
interface, which for either verb includes running commands in every pod of the node. Source: Kubernetes, kubelet
authorization."""


@dataclass(frozen=True, slots=True)
class NodeSocket(AgentSocket):
    """A unix socket of tbot in a directory of the node.

    Attributes:
        service: The service that listens on it.
    """

    service: WorkloadApi

    @property
    def attests(self) -> bool:
        """Its service asks the kubelet which pod is calling."""
        return self.service.kubernetes is not None and self.service.kubernetes.enabled


@dataclass(frozen=True, slots=True, kw_only=True)
class Tbot(AgentOf[NodeSocket]):
    """tbot as it is installed.

    Attributes:
        config: Its configuration file.
        config_map: Name of the ConfigMap that the file comes from.
        join_secret: Name of the join token where it is a secret, to ask tctl for it; no judgment sees it, and `config` has a
            mark in its place.
    """

    KIND: ClassVar[str] = "tbot"

    config: TbotConfig
    config_map: str
    join_secret: str = field(default="", repr=False)

    @property
    def unverified(self) -> str:
        """The line to Teleport on which tbot verifies nobody, and what switched that off; empty where it verifies."""
        flag = "--insecure" in (*self.container.command, *self.container.args)
        how = "--insecure" if flag else "insecure in its configuration" if self.config.insecure else ""
        return f"tbot's line to Teleport ({how})" if how else ""

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

    @property
    def service(self) -> WorkloadApi | None:
        """The service of that socket; the first one where none is in a directory of the node, None where there is none."""
        return self.socket.service if self.socket else next(iter(self.config.services), None)

    @property
    def services_of_mesh(self) -> tuple[WorkloadApi, ...]:
        """The services whose sockets proxies look for; where there is none, `service` alone."""
        return tuple(s.service for s in self.sockets_of_mesh) or ((self.service,) if self.service else ())


Tbots = AgentsOf[Tbot]
"""Every tbot that serves the mesh, by DaemonSet: a cluster may have one for each pool of nodes."""

OtherTbot = OtherAgent
"""A DaemonSet of tbot that does not count as one of the mesh's."""
