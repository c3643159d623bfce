"""tbot of an install: its DaemonSet, configuration, pods and sockets."""

from __future__ import annotations

from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.teleport.tbot import KubeletAddress, Tbot
from observe.kubernetes.cluster import Cluster
from observe.readings import Key, Readings
from observe.teleport.tbot import read_tbot
from settings import Names

TBOT: Key[Tbot] = Key("tbot", lambda tbot: tbot.evidence)


class TbotFacet:
    """Readings of tbot.

    Args:
        reader: Reads the Kubernetes API.
        readings: The cache.
        names: The guide's names, or discovered ones.
    """

    def __init__(self, reader: Cluster, readings: Readings, names: Names) -> None:
        self._reader = reader
        self._readings = readings
        self._names = names

    def installed(self) -> Tbot:
        """The DaemonSet, configuration and pods by node of tbot as it is installed."""
        self._readings.need("tbot")
        return self._readings.once(TBOT, lambda: read_tbot(self._reader, self._names))

    def pods_now(self) -> tuple[Pod, ...]:
        """Pods that the DaemonSet selects, listed anew each time."""
        daemon_set = self.installed().daemon_set
        labels = ",".join(f"{key}={value}" for key, value in daemon_set.selector.items())
        return self._reader.pods(daemon_set.namespace, labels)

    def kubelet_address(self) -> KubeletAddress:
        """The address at which tbot dials its kubelet; the guide's where no tbot can be read yet."""
        try:
            return self.installed().kubelet_address
        except CouldNotTell:  # the requirements on tbot say so; a node can be fit for a tbot that is still to come
            return KubeletAddress()

    def socket_directory(self) -> str:
        """Directory on the node in which tbot listens."""
        return self.installed().socket_on_node.rpartition("/")[0] or self._names.socket_directory

    def socket_name(self) -> str:
        """File name of tbot's socket."""
        return self.installed().socket_on_node.rpartition("/")[2] or self._names.socket_name
