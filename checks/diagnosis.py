"""Readings of the rules of the diagnosis, which stand for no requirement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from facts.finding import Problem
from facts.kubernetes.probes import Refused, TeleportProbe
from judge.diagnosis import placing, reaching, starting, supply
from judge.identity.sweep import injects
from observe.install import Install


def refused_pods(install: Install) -> list[Problem]:
    """Deployments of the mesh whose pods the API server refuses."""
    namespaces = {pod.namespace for pod in install.proxies.pods()}
    namespaces |= {each.name for each in install.cluster.namespaces_of_install() if injects(each)}
    return starting.refused(install.cluster.deployments(), namespaces)


def held_up(install: Install) -> list[Problem]:
    """Pods whose proxy does not start, with what keeps it from its start."""
    return starting.held_up(install.cluster.living_pods(), install.tbot.all(), datetime.now(UTC))


def without_istiod(install: Install) -> list[Problem]:
    """Proxies that have no configuration, because their agent does not reach istiod."""
    fleet = install.proxies.fleet()  # before the pods: it knows which of them are gone
    return starting.without_istiod(fleet.proxies, install.proxies.pods())


def cut_off(install: Install) -> list[Problem]:
    """Proxies that hold a socket directory which is gone."""
    fleet = install.proxies.fleet()  # before the pods, as above
    return supply.cut_off(fleet.proxies, install.proxies.pods(), install.tbot.all())


def refused_by_rules(install: Install) -> list[Problem]:
    """Proxies that wait for a certificate, and whose service account no workload identity lets in."""
    return supply.refused_by_rules(install.proxies.fleet().proxies, install.teleport.identities())


def without_tbot(install: Install) -> list[Problem]:
    """Nodes that host injected pods and no tbot, with what keeps tbot away."""
    hosts, cluster = install.proxies.pods_by_node(), install.cluster
    return placing.without_tbot(install.tbot.all(), hosts, cluster.nodes(), cluster.pods())


class TeleportProbes(Protocol):
    """Makes probe pods that dial Teleport from nodes."""

    def of_teleport(self, nodes: Sequence[str], address: str, tbot: tuple[str, str]) -> tuple[TeleportProbe | Refused, ...]:
        """Dial an address from each node with the network settings of the pods of a DaemonSet, by namespace and name."""


def unreached(install: Install, probes: TeleportProbes) -> list[Problem]:
    """Nodes of tbot from which Teleport cannot be reached, at the address in tbot's configuration."""
    found: list[Problem] = []
    for tbot in install.tbot.all().each:
        address, nodes = tbot.config.proxy_server or tbot.config.auth_server, sorted(tbot.pods)
        if address.rpartition(":")[2].isdigit() and nodes:
            daemon_set = (tbot.daemon_set.namespace, tbot.daemon_set.name)
            found += reaching.unreached(probes.of_teleport(nodes, address, daemon_set))
    return found


def in_ambient_mode(install: Install) -> list[Problem]:
    """Workloads for which ztunnel speaks."""
    return placing.in_ambient_mode(install.cluster.living_pods(), install.cluster.namespaces_of_install())
