"""The ports of a workload as clients of the mesh can dial them."""

from __future__ import annotations

from facts.evidence import readings
from facts.finding import Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.redirection import ISTIOS_OWN, application_ports
from judge.mtls.ends import Ends, Takes

CONFIGURE = "run again when istiod is up and has configured every proxy (`istioctl proxy-status`)"
"""Next step where a proxy has no configuration yet."""

ANY_OTHER = 0
"""Stands for every port that neither a container declares nor a Service targets. A container may listen on one."""


def ports_of(ends: Ends, pod: Pod) -> list[int]:
    """The ports of a pod: those that its application declares, and those that its proxy has a filter chain for.

    Where there is neither, the application may listen anywhere: `ANY_OTHER`.
    """
    chains = [chain for listener in ends.tls[pod.uid].listeners if listener.is_virtual for chain in listener.all_chains]
    found = (application_ports(pod) | {chain.port for chain in chains if chain.port}) - ISTIOS_OWN
    return sorted(found) or [ANY_OTHER]


def takes_plain_text(ends: Ends, pod: Pod) -> dict[int, Takes]:
    """The ports of a pod on which plain text gets in, each with what it takes, as with `takes_without_identity`."""
    found = takes_without_identity(ends, pod)
    return {port: takes for port, takes in found.items() if takes is not Takes.ONE_SIDED}


def takes_without_identity(ends: Ends, pod: Pod) -> dict[int, Takes]:
    """The ports of a pod on which clients get in that show no identity, each with what it takes.

    `ANY_OTHER` is among them where the proxy lets them through for a port that it knows nothing of; that such a port
    goes past the proxy says nothing, because no application needs to be there.
    """
    found = {port: ends.takes(pod, port) for port in [*ports_of(ends, pod), ANY_OTHER]}
    lets_in = (Takes.BOTH, Takes.ONE_SIDED, Takes.PLAIN, Takes.PAST)
    return {port: takes for port, takes in found.items() if takes in lets_in and (port or takes is not Takes.PAST)}


def not_configured(ends: Ends, pod: Pod) -> list[Problem]:
    """An open point if a sidecar that was read has no listeners yet, so that nothing tells what its ports will take.

    Ports that go past the proxy need none: the pod's own settings decide about them.
    """
    proxy = ends.tls[pod.uid]
    if any(listener.is_virtual for listener in proxy.listeners):
        return []
    if all(ends.takes(pod, port) is Takes.PAST for port in ports_of(ends, pod)):
        return []
    said = "its Envoy has no configuration from istiod yet, so that no listener tells what its ports take"
    return [Problem(pod.ref, said, evidence=readings(proxy, pod))]


def named(port: int) -> str:
    """A port as people name it."""
    return f"port {port}" if port else "any other port"
