"""NEG-02: on each node a process that is in no pod, and a probe pod beside it."""

from __future__ import annotations

from typing import Any

from facts.kubernetes.probes import Refused, SdsProbe
from facts.traffic.attempts import NotRun, OutsideProbe, parse_relay
from provision.disruption.supply import tbot_must_be_ready
from provision.negative.probe import ProbeNamespaces
from provision.objects import config_map
from provision.pods.probes import PROBES, envoy_config, label_of, program
from provision.render import documents


class OutsideProcesses:
    """Processes that are in no pod.

    Args:
        probe_namespaces: Namespaces that they live in.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces) -> None:
        self._namespaces = probe_namespaces

    def documents(self) -> list[dict[str, Any]]:
        """Return the objects to make, for every node that hosts injected pods."""
        namespace, socket = self._namespaces.probes.namespace(), self._namespaces.socket()
        made = [
            config_map(namespace, "relay", program("relay.py")),
            config_map(namespace, "outside", envoy_config(socket["socket_name"])),
        ]
        for node in self._namespaces.nodes():
            variables = {
                "NAMESPACE": namespace,
                "NODE": node,
                "NODE_LABEL": label_of(node),
                "IMAGE": self._namespaces.image,
                "PROXY_IMAGE": self._namespaces.install.istio.proxy_image(),
                "SOCKET_DIRECTORY": socket["socket_directory"],
                "SOCKET_NAME": socket["socket_name"],
            }
            made += documents(PROBES / "outside.yaml", variables)
        return made

    def answers(self) -> tuple[OutsideProbe | NotRun, ...]:
        """Return the answer of each node's socket to a process of the node that is in no pod.

        Raises:
            CouldNotTell: tbot is not Ready, so that its socket answers no caller.
        """
        tbot_must_be_ready(self._namespaces.cluster, self._namespaces.install.tbot.installed())
        return tuple(self._answer_on(node) for node in self._namespaces.nodes())

    def beside(self) -> tuple[SdsProbe | Refused, ...]:
        """Return the answers of the same sockets to a probe pod, right afterwards."""
        image = self._namespaces.install.istio.proxy_image()
        return self._namespaces.probes.of_sockets(nodes=self._namespaces.nodes(), image=image, **self._namespaces.socket())

    def _answer_on(self, node: str) -> OutsideProbe | NotRun:
        pod = self._namespaces.until(self._namespaces.probes.namespace(), f"outside-{label_of(node)}", lambda p: p.ready)
        if isinstance(pod, NotRun):
            return pod
        relay = self._namespaces.cluster.logs(pod.namespace, pod.name, "relay")
        inside, root = parse_relay(str(relay.document))
        leaf, outcome, evidence = self._namespaces.answered(pod)
        found = (*pod.evidence, relay.evidence, *evidence)
        return OutsideProbe(node, inside, root, leaf, outcome, found)
