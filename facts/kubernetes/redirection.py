"""The inbound ports of a pod that are redirected to its proxy, as the pod's specification tells.

Sources: Istio's ``istio-iptables`` (arguments ``-m``, ``-b`` and ``-d``), which an init container runs, or with the CNI
plugin only checks; Istio's annotations ``traffic.sidecar.istio.io/…`` and ``sidecar.istio.io/interceptionMode``. The
injector puts the mesh's own settings and the annotations into the arguments. Where a pod has no such container, the
annotations decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from facts.document import damaged
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import EXCLUDED, INCLUDED, INTERCEPTION, REDIRECTION_FLAGS, REDIRECTS

ISTIOS_OWN = frozenset({15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090})
"""Ports on which the proxy and its agent listen themselves. What they serve is no application's."""

_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Redirection:
    """The inbound ports that go through the proxy.

    Attributes:
        included: Ports that do; None for all of them.
        excluded: Ports that do not, all the same.
        said: The setting that says so, in words.
    """

    included: frozenset[int] | None
    excluded: frozenset[int]
    said: str

    def bypasses(self, port: int) -> bool:
        """Tell whether connections to a port reach the application without the proxy."""
        return port in self.excluded or (self.included is not None and port not in self.included)


def redirection_of(pod: Pod) -> Redirection:
    """The redirection of an injected pod.

    A gateway has none and needs none: its own listeners are what clients dial.

    Raises:
        CouldNotTell: A list of ports is damaged.
    """
    if pod.spec.host_network:
        return Redirection(frozenset(), frozenset(), "the pod is in its node's network, where nothing is redirected")
    program = next((c for c in pod.containers if c.args[:1] == (REDIRECTS,)), None)
    if program is None:
        mode, source = pod.annotations.get(INTERCEPTION, "REDIRECT"), "annotations of the pod"
        included, excluded = pod.annotations.get(INCLUDED, "*"), pod.annotations.get(EXCLUDED, "")
    else:
        options, source = _options(program.args[1:]), f"arguments of {program.name}"
        mode, included, excluded = map(options.get, REDIRECTION_FLAGS, ("REDIRECT", "", ""))
    if mode == "NONE":
        return Redirection(frozenset(), frozenset(), f"{source}: interception mode NONE")
    left_out = _ports(excluded, pod) - ISTIOS_OWN
    every = included.strip() == "*"
    said = f"{source}: included {included.strip() or 'none'}, excluded {', '.join(map(str, sorted(left_out))) or 'none'}"
    return Redirection(None if every else _ports(included, pod), left_out, said)


def application_ports(pod: Pod) -> frozenset[int]:
    """Ports over TCP that the application's containers declare; the proxy's own are not among them."""
    beside = [c for c in pod.containers if pod.proxy is None or c.name != pod.proxy.name]
    return frozenset(port for c in beside for port in c.tcp_ports) - ISTIOS_OWN


def _options(arguments: Sequence[str]) -> Mapping[str, str]:
    """Values by option; ``-x`` followed by an empty text has that as its value."""
    return {key: value for key, value in pairwise([*arguments, ""]) if key.startswith("-")}


def _ports(text: str, pod: Pod) -> frozenset[int]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if wrong := [word for word in words if not _PORT.fullmatch(word)]:
        raise damaged("port numbers with commas between", ", ".join(wrong), f"{pod.ref}: ports to redirect")
    return frozenset(map(int, words))
