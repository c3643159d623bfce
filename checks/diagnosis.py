"""Readings of the rules of the diagnosis, which stand for no requirement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from facts.errors import ConformanceError, CouldNotTell, NotApplicable, NotGiven
from facts.finding import Finding, OpenPoint, Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SocketDirectoryProbe, TeleportProbe
from facts.provider.agents import Agent
from judge.diagnosis import naming, placing, starting, supply, trust, undecided
from judge.explain.realms import EVERYWHERE, Realms
from judge.fleet import ASK_ALL, down_or_unread, how_to_read, not_read
from judge.identity.sweep import is_ambients
from observe.install import Install
from observe.readings import at_once
from providers.teleport.checks import tbot, teleport
from providers.teleport.facts.tbot import Tbot, Tbots
from providers.teleport.facts.tbot_log import LastAttempt
from providers.teleport.judge import clocks, reaching
from providers.teleport.judge.teleport import token_problems


def refused_pods(install: Install) -> list[Problem]:
    """Deployments of the mesh whose pods the API server refuses."""
    cluster = install.cluster
    return starting.refused(cluster.deployments(), cluster.namespaces_of_install(), install.istio.planes())


def _every(_pod: Pod) -> bool:
    return True


def out_of_sight(install: Install, wanted: Callable[[Pod], bool] = _every) -> list[OpenPoint]:
    """Pods with a proxy that nobody can ask: their node is not Ready, or they do not go away.

    Args:
        wanted: Tells which pods the question is about.
    """
    pods, silent = install.cluster.pods_of_install(), install.cluster.silent_nodes()
    return placing.out_of_sight(filter(wanted, pods), silent, datetime.now(UTC))


def without_node(install: Install) -> list[Problem | OpenPoint]:
    """Pods with a proxy that no node takes."""
    cluster, pods = install.cluster, install.cluster.living_pods()
    try:
        nodes = cluster.nodes()
    except NotGiven:
        return placing.without_node(pods, None, datetime.now(UTC))
    return placing.without_node(pods, nodes, datetime.now(UTC))


def without_sidecar(install: Install) -> list[OpenPoint]:
    """Pods that are to be injected and have no sidecar, in namespaces without any."""
    cluster = install.cluster
    return placing.without_sidecar(cluster.living_pods(), cluster.namespaces_of_install(), install.istio.planes())


def clocks_off(install: Install) -> list[Problem | OpenPoint]:
    """Nodes whose clock is wrong."""
    return clocks.off(install.cluster.nodes(), datetime.now(UTC))


def held_up(install: Install) -> list[Problem]:
    """Pods whose proxy does not start, with what keeps it from its start."""
    return starting.held_up(install.cluster.living_pods(), install.tbot.all(), datetime.now(UTC))


def without_directory(install: Install) -> list[Problem | OpenPoint]:
    """Pods of tbot that wait for the directory of their socket."""
    return starting.without_directory(install.cluster.living_pods(), _answering(install), datetime.now(UTC))


def _answering(install: Install) -> Tbots:
    """Every tbot that serves the mesh, without its pods on nodes that are not Ready.

    No log of such a pod can be read and no probe pod starts beside it, and its own status may be old. What keeps it from
    serving is the node.
    """
    return install.tbot.all().without_pods_on(install.cluster.silent_nodes())


def without_istiod(install: Install) -> list[Problem]:
    """Proxies that have no configuration, because their agent does not reach istiod."""
    fleet = install.proxies.fleet()  # before the pods: it knows which of them are gone
    return starting.without_istiod(fleet.proxies, install.proxies.pods())


class DirectoryProbes(Protocol):
    """Makes probe pods that look at the sockets' directories of nodes."""

    def of_socket_directories(
        self, nodes: Sequence[str], socket_directory: str
    ) -> tuple[SocketDirectoryProbe | Refused, ...]:
        """Report what a workload on each node can do to a directory there."""


def cut_off(install: Install, probes: DirectoryProbes | None = None) -> list[Problem | OpenPoint]:
    """Proxies that cannot connect to the socket of a tbot that started after them.

    Args:
        probes: Look at the socket of the nodes where nothing else decides; None where no probe pod may be made.
    """
    fleet = install.proxies.fleet()  # before the pods, as above
    pods, tbots = install.proxies.pods(), install.tbot.all()
    every = supply.dead_streams(fleet.proxies, pods, tbots)
    clues = supply.Clues(tbot.last_attempts(install, ((each.tbot, each.supplier) for each in every)))
    dead = supply.unsettled(fleet.proxies, pods, tbots)
    if probes is not None and dead:
        sockets = {(each.pod.socket_on_node.rpartition("/")[0], each.pod.node) for each in dead}
        looked = [
            probe
            for directory in sorted({directory for directory, _ in sockets})
            for probe in probes.of_socket_directories(sorted(node for each, node in sockets if each == directory), directory)
        ]
        clues = replace(clues, looked=tuple(looked))
    return supply.cut_off(fleet.proxies, pods, tbots, clues)


def refused_by_rules(install: Install) -> list[Problem]:
    """Proxies that wait for a certificate, and whose service account no workload identity lets in."""
    return supply.refused_by_rules(install.proxies.fleet().proxies, install.teleport.identities())


def of_two_authorities(install: Install) -> list[Problem]:
    """Proxies that istiod certifies in a mesh that the provider certifies, waypoints of ambient mode left out."""
    fleet = install.proxies.fleet()  # before the pods, as above
    pods = {pod.uid: pod for pod in install.proxies.pods()}
    return trust.of_two_authorities(p for p in fleet.proxies if not is_ambients(p, pods.get(p.pod.uid)))


def takers(install: Install) -> list[Problem]:
    """Proxies whose Istio agent serves the node's socket to other pods."""
    return trust.takers(install.proxies.fleet().proxies)


def misnamed(install: Install) -> list[Problem]:
    """Proxies with a SPIFFE ID as a wrong template makes it."""
    return naming.misnamed(install.proxies.fleet().proxies)


def past_their_end(install: Install) -> list[Problem]:
    """Proxies whose certificate has ended."""
    return trust.past_their_end(install.proxies.fleet().proxies)


def refused_by_policy(install: Install) -> list[Problem]:
    """Proxies that have answered requests over mutual TLS with 403."""
    return trust.refused_by_policy(install.proxies.fleet().proxies)


def unheard_of(install: Install) -> list[Problem]:
    """Pods of tbot that run, and of which Teleport has heard nothing for long."""
    return supply.unheard_of(install.tbot.all(), install.teleport.bot_instances() or (), datetime.now(UTC))


def without_tbot(install: Install) -> list[Problem | OpenPoint]:
    """Nodes that host injected pods and no tbot, with what keeps tbot away; pods of tbot there that do not go away."""
    hosts, cluster, tbots = install.proxies.pods_by_node(), install.cluster, install.tbot.all()
    lacking = placing.without_tbot(tbots, hosts, cluster.nodes(), cluster.pods())
    return [*lacking, *placing.tbots_that_stay(tbots, hosts)]


def kept_from_teleport(install: Install) -> Iterator[Problem | OpenPoint]:
    """Pods of tbot that do not serve, and whose log says what keeps them from Teleport, or leaves their own token."""
    now = datetime.now(UTC)
    silent = [(tbot, pod) for tbot in _answering(install).each for pod in reaching.not_serving(tbot, now)]
    for answers in at_once(lambda each: _kept_from_teleport(install, *each), silent):
        yield from answers
    known = {pod.uid for _tbot, pod in silent}
    with suppress(ConformanceError):  # the lines about proxies say that they cannot be read
        yield from _unjoined(install, {p.uid: (t, p) for t, p in _awaited(install) if p.uid not in known})


def _awaited(install: Install) -> list[tuple[Agent, Pod]]:
    """The pods of tbot that are Ready, and to whose sockets proxies or Istio's agents cannot connect."""
    fleet = install.proxies.fleet()  # before the pods, as above
    pods, tbots = install.proxies.pods(), install.tbot.all()
    dead = supply.unsettled(fleet.proxies, pods, tbots)
    return [
        *((each.tbot, each.supplier) for each in dead),
        *undecided.beside_exits(pods, fleet.proxies, tbots, datetime.now(UTC)),
    ]


def _unjoined(install: Install, pods: Mapping[str, tuple[Agent, Pod]]) -> Iterator[Problem | OpenPoint]:
    """Ready pods of tbot whose log shows that they have not joined, with the obstacle that it names."""
    for uid, last in tbot.last_attempts(install, pods.values()).items():
        if last.opened is False:
            yield from _kept_away(install, *pods[uid], last)


def _kept_away(install: Install, of: Agent, pod: Pod, last: LastAttempt) -> list[Problem | OpenPoint]:
    """What keeps a pod of tbot from Teleport, unless an admin session shows that it is mended."""
    if last.obstacle in reaching.OF_THE_JOIN_TOKEN and _may_join(install, of):
        return [reaching.refused_before(pod, last)]
    return reaching.kept_away(pod, last, datetime.now(UTC))


def _may_join(install: Install, of: Agent) -> bool:
    """Whether an admin session shows that the join token of a tbot lets it in."""
    with suppress(ConformanceError):  # there is no session, or the line about the join token says what is missing
        for each in install.teleport.joinings_by_kubernetes():
            if of in (each.tbot, *each.others):
                bot = each.known_bot
                role, keys = install.teleport.role_of(bot), install.cluster.jwks()
                return not token_problems(each.known_token, keys, each.accounts, bot, role)
    return False


def _kept_from_teleport(install: Install, of: Tbot, pod: Pod) -> list[Problem | OpenPoint]:
    try:
        last = install.tbot.last_attempt(of, pod)
        if found := _kept_away(install, of, pod, last):
            return found
        return [*reaching.refused_for_its_token(of, pod, last, install.teleport.ping().cluster_name)]
    except CouldNotTell as error:  # the kubelet of one node may be silent, which must not hide what the others say
        unread = Problem(pod.ref, f"what its log says cannot be told: {error.compared}", evidence=pod.evidence)
        return [OpenPoint(unread, error.remedy)]


class TeleportProbes(Protocol):
    """Makes probe pods that dial Teleport from nodes."""

    def of_teleport(self, nodes: Sequence[str], address: str, tbot: tuple[str, str]) -> tuple[TeleportProbe | Refused, ...]:
        """Dial an address from each node with the network settings of the pods of a DaemonSet, by namespace and name."""


def unreached(install: Install, probes: TeleportProbes) -> list[Problem | OpenPoint]:
    """Nodes of tbot from which Teleport cannot be reached, at the address in tbot's configuration."""
    found: list[Problem | OpenPoint] = []
    for each in _answering(install).each:
        nodes, ref = sorted(each.pods), each.daemon_set.ref
        if otherwise := reaching.dialled_directly(each):
            found.append(OpenPoint(Problem(ref, otherwise, evidence=each.evidence), reaching.BLIND))
        elif nodes:
            found += reaching.unreached(probes.of_teleport(nodes, each.config.teleport, (ref.namespace, ref.name)), each)
    return found


def unread(install: Install) -> list[OpenPoint]:
    """The proxies that could not be read, for a rule that looks at every proxy."""
    fleet = install.proxies.fleet()  # before the pods, as above
    _down, left = down_or_unread(fleet, {pod.uid: pod for pod in install.proxies.pods()})
    return [OpenPoint(each, how_to_read(left, ASK_ALL)) for each in not_read(left)]


def agents_that_exit(install: Install) -> list[Problem | OpenPoint]:
    """Nodes on which Istio's agents exit at their start, beside a Ready tbot."""
    proxies = install.proxies.fleet().proxies  # before the pods, as above
    pods, tbots, now = install.proxies.pods(), install.tbot.all(), datetime.now(UTC)
    attempts = tbot.last_attempts(install, undecided.beside_exits(pods, proxies, tbots, now))
    return undecided.exiting(pods, proxies, tbots, now, attempts)


def _of_tbot_and_its_bot(install: Install) -> Iterator[Finding]:
    """The judgments that tell why a whole mesh gets no certificate, as far as they can be made."""
    judged = [tbot.configurations_are_sound, teleport.bots_have_the_role, teleport.grants_are_exact]
    for each in judged:
        with suppress(ConformanceError, NotApplicable):  # the lines of these judgments say so
            yield from each(install)


def proxies_that_wait(install: Install) -> list[Problem]:
    """Nodes on which connected proxies get no certificate, where no judgment about tbot or its bot says why."""
    fleet = install.proxies.fleet()  # before the pods, as above
    pods, tbots = {pod.uid: pod for pod in install.proxies.pods()}, install.tbot.all()
    realms = Realms({str(pod.ref): pod for pod in pods.values()}, tbots)
    decided = undecided.decided(_of_tbot_and_its_bot(install), realms)
    open_ones = [each for each in fleet.proxies if decided.isdisjoint((*realms.with_(each.pod.ref), EVERYWHERE))]
    return undecided.waiting(open_ones, pods, tbots)


def in_ambient_mode(install: Install) -> list[Problem]:
    """Workloads for which ztunnel speaks."""
    return placing.in_ambient_mode(install.cluster.living_pods(), install.cluster.namespaces_of_install())
