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
        """Return the objects to make, for every node that hosts injected pods and every socket that such a pod can open."""
        namespace, name = self._namespaces.probes.namespace(), self._namespaces.install.names.socket_name
        made = [
            config_map(namespace, "relay", program("relay.py")),
            config_map(namespace, "outside", envoy_config(name)),
        ]
        for node in self._namespaces.nodes():
            for number, socket in enumerate(self._sockets(node)):
                variables = {
                    "NAMESPACE": namespace,
                    "NODE": node,
                    "NAME": _name(node, number),
                    "IMAGE": self._namespaces.image,
                    "PROXY_IMAGE": self._namespaces.install.istio.proxy_image(),
                    "SOCKET": socket,
                    "SOCKET_NAME": name,
                }
                made += documents(PROBES / "outside.yaml", variables)
        return made

    def _sockets(self, node: str) -> tuple[str, ...]:
        return self._namespaces.install.tbot.sockets_in_reach(node)

    def answers(self) -> tuple[OutsideProbe | NotRun, ...]:
        """Return the answer of each node's sockets to a process of the node that is in no pod.

        Raises:
            CouldNotTell: tbot is not Ready, so that its socket answers no caller.
        """
        for tbot in self._namespaces.install.tbot.all().each:
            tbot_must_be_ready(self._namespaces.cluster, tbot)
        return tuple(
            self._answer_on(node, number, path)
            for node in self._namespaces.nodes()
            for number, path in enumerate(self._sockets(node))
        )

    def beside(self) -> tuple[SdsProbe | Refused, ...]:
        """Return the answers of the mesh's own sockets to a probe pod, right afterwards."""
        image = self._namespaces.install.istio.proxy_image()
        return self._namespaces.probes.of_sockets(self._namespaces.sockets(), image)

    def _answer_on(self, node: str, number: int, path: str) -> OutsideProbe | NotRun:
        pod = self._namespaces.until(self._namespaces.probes.namespace(), _name(node, number), lambda p: p.ready)
        if isinstance(pod, NotRun):
            return pod
        relay = self._namespaces.cluster.logs(pod.namespace, pod.name, "relay")
        inside, root = parse_relay(str(relay.document))
        leaf, outcome, evidence = self._namespaces.answered(pod)
        found = (*pod.evidence, relay.evidence, *evidence)
        own = path in self._namespaces.install.tbot.sockets_on(node)
        return OutsideProbe(node, inside, root, leaf, outcome, found, "" if own else path)


def _name(node: str, number: int) -> str:
    """Name of the pod that asks a socket of a node; the mesh's own come first."""
    return f"outside-{label_of(node)}" + (f"-{number}" if number else "")
