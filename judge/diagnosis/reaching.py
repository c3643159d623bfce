"""Rules about the way from tbot to Teleport, by probe pods that dial it as tbot does on its nodes."""

from __future__ import annotations

from collections.abc import Iterable

from facts.finding import Problem
from facts.kubernetes.probes import Refused, TeleportProbe
from judge.findings import listed
from judge.install.probes import on_node

NAME, CONNECT, TLS = "name", "connect", "tls"
"""Stages at which dialling Teleport can end."""

REFUSED = "ConnectionRefusedError"
"""The error of a connection that the other side, or something before it, answers with a reset."""


def unreached(probes: Iterable[TeleportProbe | Refused]) -> list[Problem]:
    """Nodes from which Teleport cannot be reached, with how far a connection comes.

    Args:
        probes: One for each node; one that did not run says nothing.
    """
    ran = [probe for probe in probes if isinstance(probe, TeleportProbe)]
    return [found for probe in ran if (found := _unreached(probe)) is not None]


def _unreached(probe: TeleportProbe) -> Problem | None:
    at = f"{probe.address} ({listed(probe.addresses)})"
    if probe.stage == NAME:
        said = f"the name in {probe.address} has no address there ({probe.error})"
        return on_node(probe, said, "teleport-name-unknown")
    if probe.stage == CONNECT and REFUSED in probe.error:
        said = f"a connection to {at} is refused: nothing listens there, or a firewall or NetworkPolicy rejects it"
        return on_node(probe, said, "teleport-unreachable")
    if probe.stage == CONNECT:
        said = f"no connection to {at} comes about ({probe.error}): a firewall, a NetworkPolicy or a route may drop it"
        return on_node(probe, said, "teleport-unreachable")
    if probe.stage == TLS:
        said = f"what listens at {at} does not speak TLS with the probe ({probe.error}), so it is no proxy of Teleport"
        return on_node(probe, said, "teleport-unreachable")
    return None
