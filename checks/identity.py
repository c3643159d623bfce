"""Checks of chapter 3: the proxies that are observed, what they are held against, and the socket's directory."""

from __future__ import annotations

from facts.finding import Finding
from judge.identity import proxies as judge
from judge.identity import socket, sweep
from judge.identity.proxies import Lifetime, ObservedProxies
from judge.identity.sweep import Expectation, Outside
from observe.install import Install


def sidecars(install: Install) -> ObservedProxies:
    """Every sidecar of the mesh, as its own Envoy reports it."""
    fleet = install.proxies.sidecar_fleet()  # before the pods: it knows which of them are gone, and who came in their place
    evidence, asked = install.cluster.pods_evidence(), install.proxies.surveyed_pods()
    return ObservedProxies(install.proxies.sidecar_pods(), fleet, evidence, asked=asked)


def proxies(install: Install) -> ObservedProxies:
    """Every proxy of the mesh, gateways included."""
    fleet = install.proxies.fleet()  # before the pods, as above
    evidence, asked = install.cluster.pods_evidence(), install.proxies.surveyed_pods()
    return ObservedProxies(install.proxies.pods(), fleet, evidence, asked=asked)


def lifetime(install: Install) -> Lifetime:
    """The longest lifetime that tbot and the workload identity allow."""
    return judge.effective_lifetime(install.tbot.all(), install.teleport.issuing())


def expectation(install: Install) -> Expectation:
    """The expected issuer, trust bundle and longest lifetime of every proxy."""
    longest = lifetime(install)
    return Expectation(install.teleport.bundle(), install.istio.authorities(), longest)


def outside_of_teleport(install: Install) -> Outside:
    """The workloads that should use the socket but lack the injection template."""
    pods, namespaces, planes = install.cluster.living_pods(), install.cluster.namespaces_of_install(), install.istio.planes()
    named, directories = install.names.injection_template, install.tbot.socket_directories()
    return sweep.outside_of_teleport(pods, namespaces, planes, named, directories)


def sockets_of_nodes(install: Install) -> list[tuple[str, str]]:
    """Name of the node and path there of every socket that injected pods should use: what INST-14 asks."""
    nodes = sorted(install.proxies.pods_by_node())
    return [(node, path) for node in nodes for path in install.tbot.sockets_on(node)]


def nodes_by_directory(install: Install) -> dict[str, tuple[str, ...]]:
    """By directory of a socket: the nodes that have it and answer, which ID-08 looks at."""
    nodes = {*install.proxies.pods_by_node(), *install.tbot.all().nodes} - install.cluster.silent_nodes()
    found = install.tbot.socket_directories()
    return {directory: tuple(found.nodes_with(directory, nodes)) for directory in sorted(found.everywhere)}


def only_tbot_writes_to_the_sockets(install: Install) -> tuple[Finding, ...]:
    """ID-08, the part that reads pods: of every directory of a socket."""
    living, tbots = install.cluster.living_pods(), install.tbot.all()
    directories, seen = install.tbot.socket_directories(), install.cluster.pods_evidence()
    return tuple(
        socket.only_tbot_writes_there(
            [pod for pod in living if directory in directories.on(pod.node)], tbots, directory, seen
        )
        for directory in sorted(directories.everywhere)
    )
