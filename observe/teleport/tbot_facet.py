"""tbot of an install: its DaemonSet, configuration, pods and sockets."""

from __future__ import annotations

from dataclasses import dataclass

from facts.errors import CouldNotTell
from facts.kubernetes.access import Right, service_account_user
from facts.kubernetes.objects import Pod
from facts.teleport.tbot import KUBELET_RIGHTS, KubeletAddress, Tbot
from observe.kubernetes.facet import PODS, ClusterFacet
from observe.readings import Key, of_each
from observe.teleport.tbot import read_tbot

RIGHTS: Key[tuple[Right, ...]] = Key("kubelet_rights", of_each, ("tbot",))
TBOT: Key[Tbot] = Key("tbot", lambda tbot: tbot.evidence, ("tbot", *PODS.parts))


@dataclass(frozen=True, slots=True)
class TbotFacet:
    """Readings of tbot.

    Attributes:
        cluster: The cluster.
    """

    cluster: ClusterFacet

    def installed(self) -> Tbot:
        """The DaemonSet, configuration and pods by node of tbot as it is installed."""

        def read() -> Tbot:
            looked_for = {pod.socket_on_node for pod in self.cluster.living_pods()} - {""}
            return read_tbot(self.cluster.reader, self.cluster.names, looked_for)

        return self.cluster.once(TBOT, read)

    def namespace(self) -> str:
        """Namespace of tbot; the one in the settings where the suite cannot find it."""
        try:
            return self.installed().daemon_set.namespace
        except CouldNotTell:
            return self.cluster.names.tbot_namespace

    def kubelet_rights(self) -> tuple[Right, ...]:
        """The API server's answers about each of `KUBELET_RIGHTS` for tbot's service account."""

        def read() -> tuple[Right, ...]:
            namespace, _colon, name = self.installed().service_account.partition(":")
            user, groups = service_account_user(namespace, name)
            return tuple(self.cluster.reader.may(user, groups, verb, resource) for verb, resource in KUBELET_RIGHTS)

        return self.cluster.once(RIGHTS, read)

    def pods_now(self) -> tuple[Pod, ...]:
        """Pods that the DaemonSet selects, listed anew each time."""
        daemon_set = self.installed().daemon_set
        return self.cluster.reader.pods(daemon_set.namespace, daemon_set.label_selector)

    def kubelet_address(self) -> KubeletAddress:
        """The address at which tbot dials its kubelet; the guide's where no tbot can be read yet."""
        try:
            return self.installed().kubelet_address
        except CouldNotTell:  # the requirements on tbot say so; a node can be fit for a tbot that is still to come
            return KubeletAddress()

    def socket_directory(self) -> str:
        """Directory on the node in which tbot listens."""
        return self.installed().socket_on_node.rpartition("/")[0] or self.cluster.names.socket_directory

    def sockets_in_reach(self) -> tuple[str, ...]:
        """Paths on the node of tbot's sockets that a pod of the mesh can open, the mesh's own first."""
        tbot = self.installed()
        own = f"{self.socket_directory()}/{self.socket_name()}"
        return tuple(dict.fromkeys((own, *(socket.path for socket in tbot.sockets_in_reach))))

    def socket_name(self) -> str:
        """File name of tbot's socket."""
        return self.installed().socket_on_node.rpartition("/")[2] or self.cluster.names.socket_name
