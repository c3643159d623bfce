"""Checks of chapter 3: the proxies that are observed, what they are held against, and the socket's directory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from checks import diagnosis, mtls
from checks.mtls import Sweeps
from facts.document import Absent
from facts.errors import ConformanceError
from facts.finding import Finding
from facts.kubernetes.probes import Refused, SdsProbe, SocketDirectoryProbe
from judge.identity import fallback, socket, sweep
from judge.identity import proxies as judge
from judge.identity.proxies import Lifetime, ObservedProxies
from judge.identity.streams import dead_stream
from judge.identity.sweep import Expectation, Outside
from judge.install import attested
from judge.install.attested import Beside
from observe.install import Install
from providers.teleport.checks.tbot import last_attempts
from providers.teleport.facts.issuing import why_refused
from providers.teleport.facts.resources import WorkloadIdentity
from providers.teleport.facts.tbot import Tbots


def sidecars(install: Install) -> ObservedProxies:
    """Every sidecar of the mesh, as its own Envoy reports it."""
    fleet = install.proxies.sidecar_fleet()  # before the pods: it knows which of them are gone, and who came in their place
    evidence, asked = install.cluster.pods_evidence(), install.proxies.surveyed_pods()
    return ObservedProxies(install.proxies.sidecar_pods(), fleet, evidence, asked=asked)


def proxies(install: Install, sweeps: Sweeps) -> ObservedProxies:
    """Every proxy of the mesh, gateways included; those that need no certificate are left out by name."""
    fleet = install.proxies.fleet()  # before the pods, as above
    evidence, asked = install.cluster.pods_evidence(), install.proxies.surveyed_pods()
    observed = ObservedProxies(install.proxies.pods(), fleet, evidence, asked=asked)
    return mtls.but_for_unused_gateways(observed, install, sweeps)


def lifetime(install: Install) -> Lifetime:
    """The longest lifetime that tbot and the workload identity allow."""
    return judge.effective_lifetime(install.tbot.all(), install.teleport.issuing())


def expectation(install: Install) -> Expectation:
    """The expected issuer, trust bundle and longest lifetime of every proxy."""
    longest = lifetime(install)
    return Expectation(install.teleport.bundle(), install.istio.authorities(), longest)


def outside_of_teleport(install: Install) -> Outside:
    """The workloads that should use the socket but lack the injection template, and the proxies that nobody can ask."""
    pods, namespaces, planes = install.cluster.living_pods(), install.cluster.namespaces_of_install(), install.istio.planes()
    named, directories = install.names.injection_template, install.tbot.socket_directories()
    found = sweep.outside_of_teleport(pods, namespaces, planes, named, directories)
    return replace(found, dark=tuple(diagnosis.out_of_sight(install)))


def secrets_come_from_the_socket(install: Install) -> Finding:
    """ID-01."""
    return supply_of(install, sidecars(install))


def supply_of(install: Install, observed: ObservedProxies) -> Finding:
    """ID-01, for sidecars that were read: a tbot beside dead streams is asked for its log, which shows when it joined."""
    tbots = tbots_if_known(install)
    if tbots is None:
        return judge.secrets_come_from_the_socket(observed)
    pods = observed.by_uid
    dead = [each for proxy in observed.fleet.proxies if (each := dead_stream(proxy, pods, tbots)) is not None]
    attempts = last_attempts(install, ((each.tbot, each.supplier) for each in dead))
    return judge.secrets_come_from_the_socket(observed, tbots, attempts)


def install_fails_closed(install: Install) -> Finding:
    """NEG-07."""
    fleet = install.proxies.fleet_on_sockets()  # before the pods: it knows which of them are gone
    pods = (*install.proxies.surveyed_pods(), *install.proxies.pods())
    return fallback.install_fails_closed(install.tbot.all(), fleet, pods)


def tbots_if_known(install: Install) -> Tbots | None:
    """Every tbot that serves the mesh; None where the suite cannot read it, as the requirements on tbot then say."""
    try:
        return install.tbot.all()
    except ConformanceError:
        return None


def sockets_of_nodes(install: Install) -> list[tuple[str, str]]:
    """Name of the node and path there of every socket that injected pods should use: what INST-14 asks."""
    nodes = sorted(install.proxies.pods_by_node())
    return [(node, path) for node in nodes for path in install.tbot.sockets_on(node)]


class SocketProbes(Protocol):
    """Makes probe pods that look at the sockets of nodes."""

    def of_sockets(self, sockets: Sequence[tuple[str, str]], image: str) -> tuple[SdsProbe | Refused, ...]:
        """Ask sockets, each by node and path, for the probe's own identity, with a proxy image."""

    def of_socket_directories(
        self, nodes: Sequence[str], socket_directory: str
    ) -> tuple[SocketDirectoryProbe | Refused, ...]:
        """Report what a workload on each node can do to a directory."""


def own_identities_of_probes(install: Install, probes: SocketProbes) -> Finding:
    """INST-14; where a socket gives a probe nothing, more probes look at its directory."""
    asked = sockets_of_nodes(install)
    found = probes.of_sockets(asked, install.istio.proxy_image())
    return attested.probes_got_their_own_identity(
        found, install.teleport.bundle(), install.tbot.all(), beside(install, probes, found)
    )


def beside(install: Install, probes: SocketProbes, found: Sequence[SdsProbe | Refused]) -> Beside:
    """What is read beside the sockets that gave probes nothing.

    Args:
        probes: Makes probe pods.
        found: What the sockets gave.
    """
    silent = {(probe.node, probe.socket) for probe in found if isinstance(probe, SdsProbe) and probe.leaf is None}
    if not silent:
        return Beside()
    nodes: dict[str, set[str]] = {}
    for node, path in silent:
        nodes.setdefault(path.rpartition("/")[0], set()).add(node)
    unjoined = _unjoined(install, silent)  # before the directories: a tbot may join in between
    directories = [each for path in sorted(nodes) for each in probes.of_socket_directories(sorted(nodes[path]), path)]
    return Beside(directories, _issued_at(install, silent), install.proxies.pods(), unjoined)


def _unjoined(install: Install, sockets: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """The sockets, by node and path, of which every tbot there shows by its log that it has not joined since its start."""
    tbots = install.tbot.all()
    there = {
        (node, path): [(tbot, tbot.pods[node]) for tbot in tbots.serving(node, path) if node in tbot.pods]
        for node, path in sockets
    }
    attempts = last_attempts(install, (each for serving in there.values() for each in serving))
    waiting = {uid for uid, last in attempts.items() if last.opened is False}
    return frozenset(
        socket for socket, serving in there.items() if serving and all(pod.uid in waiting for _tbot, pod in serving)
    )


def _issued_at(
    install: Install, sockets: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[WorkloadIdentity | Absent, ...]]:
    """The workload identities that tbot issues at sockets, by node and path; none where the suite cannot ask Teleport."""
    try:
        issuing, tbots = install.teleport.issuing(), install.tbot.all()
    except ConformanceError:
        return {}
    found = {}
    for node, path in sockets:
        serving = [each.service for tbot in tbots.serving(node, path) for each in tbot.sockets if each.path == path]
        found[node, path] = tuple(i for each in issuing if each.service in serving for i in each.identities or ())
    return found


def why_rules_refuse(install: Install, namespace: str, account: str) -> str:
    """The rules that keep every pod of a service account from an identity of the mesh, in words; empty where none is known.

    Args:
        namespace: Namespace of the service account.
        account: Its name.
    """
    try:
        issuing = install.teleport.issuing()
    except ConformanceError:
        return ""
    return why_refused([identity for each in issuing for identity in each.identities or ()], namespace, account)


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
