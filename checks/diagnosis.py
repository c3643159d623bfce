"""Readings of the rules of the diagnosis, which stand for no requirement."""

from __future__ import annotations

from datetime import UTC, datetime

from facts.finding import Problem
from judge.diagnosis import placing, starting, supply
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


def in_ambient_mode(install: Install) -> list[Problem]:
    """Workloads for which ztunnel speaks."""
    return placing.in_ambient_mode(install.cluster.living_pods(), install.cluster.namespaces_of_install())
