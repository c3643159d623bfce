"""NEG-02: a process of each node that is in no pod, and a probe in a pod beside it."""

from __future__ import annotations

from typing import Any

import yaml

from facts.kubernetes.probes import Refused, SdsProbe
from facts.traffic.attempts import NotRun, OutsideProbe, parse_relay
from provision.disruption.supply import tbot_must_be_ready
from provision.negative.probe import ProbeNamespaces, config_map, program
from provision.pods.probes import PROBES, label_of
from provision.render import documents, render


class Outside:
    """Processes that are in no pod.

    Args:
        probe_namespaces: Where they live.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces) -> None:
        self._namespaces = probe_namespaces

    def documents(self) -> list[dict[str, Any]]:
        """The objects to make, for every node that hosts injected pods."""
        install = self._namespaces.install
        namespace, socket = self._namespaces.probes.namespace(), self._namespaces.socket()
        path = PROBES / "envoy.yaml"
        config = render(path.read_text(encoding="utf-8"), {"SOCKET_NAME": socket["socket_name"]}, where=str(path))
        made = [
            config_map(namespace, "relay", program("relay.py")),
            config_map(namespace, "outside", {"envoy.yaml": yaml.safe_dump(yaml.safe_load(config))}),
        ]
        for node in self._namespaces.nodes():
            variables = {
                "NAMESPACE": namespace,
                "NODE": node,
                "NODE_LABEL": label_of(node),
                "IMAGE": self._namespaces.image,
                "PROXY_IMAGE": install.istio.proxy_image(),
                "SOCKET_DIRECTORY": socket["socket_directory"],
                "SOCKET_NAME": socket["socket_name"],
            }
            made += documents(PROBES / "outside.yaml", variables)
        return made

    def asked(self) -> tuple[OutsideProbe | NotRun, ...]:
        """The answer of each node's socket to a process of the node that is in no pod.

        Raises:
            CouldNotTell: tbot is not Ready, so that whoever asks is not answered.
        """
        tbot_must_be_ready(self._namespaces.cluster, self._namespaces.install.tbot.installed())
        return tuple(self._asked_on(node) for node in self._namespaces.nodes())

    def beside(self) -> tuple[SdsProbe | Refused, ...]:
        """The answer of the same sockets to a probe in a pod, right afterwards."""
        image = self._namespaces.install.istio.proxy_image()
        return self._namespaces.probes.of_sockets(nodes=self._namespaces.nodes(), image=image, **self._namespaces.socket())

    def _asked_on(self, node: str) -> OutsideProbe | NotRun:
        pod = self._namespaces.until(self._namespaces.probes.namespace(), f"outside-{label_of(node)}", lambda p: p.ready)
        if isinstance(pod, NotRun):
            return pod
        relay = self._namespaces.cluster.logs(pod.namespace, pod.name, "relay")
        inside, root = parse_relay(str(relay.document))
        leaf, outcome, evidence = self._namespaces.answered(pod)
        found = (*pod.evidence, relay.evidence, *evidence)
        return OutsideProbe(node, inside, root, leaf, outcome, found)
