"""tbot of an install: its DaemonSet, configuration, pods and sockets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from facts.errors import ConformanceError, CouldNotTell
from facts.kubernetes.access import Right, service_account_user
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import KubeletAddress
from facts.provider.agents import Agent, SocketDirectories
from observe.kubernetes.facet import ClusterFacet
from observe.readings import Key, of_each
from providers.teleport.facts.tbot import KUBELET_RIGHTS, Tbot, Tbots
from providers.teleport.facts.tbot_log import STARTED, LastAttempt, Obstacle, parse_last_attempt
from providers.teleport.observe.tbot import read_tbots

RIGHTS: Key[tuple[Right, ...]] = Key("kubelet_rights", of_each, ("tbot",))
LAST_ATTEMPT: Key[LastAttempt] = Key("last_attempt", lambda attempt: attempt.evidence, ("tbot",))
TBOT: Key[Tbots] = Key("tbot", lambda tbots: tbots.evidence, ("tbot",))

LINES = 60
"""Lines of the end of tbot's log; one attempt to join takes about ten."""


@dataclass(frozen=True, slots=True)
class TbotFacet:
    """Readings of tbot."""

    cluster: ClusterFacet

    def all(self) -> Tbots:
        """Every DaemonSet of tbot that serves the mesh, with its configuration and its pods by node."""

        def read() -> Tbots:
            pods = self._pods()
            looked_for = frozenset(pod.socket_on_node for pod in pods) - {""}
            by_csi = any(pod.spec.csi_socket is not None for pod in pods)
            return read_tbots(self.cluster.reader, self.cluster.names, looked_for, by_csi=by_csi)

        return self.cluster.once(TBOT, read)

    def _pods(self) -> tuple[Pod, ...]:
        """All living pods; none where the suite cannot list them."""
        try:
            return self.cluster.living_pods()
        except ConformanceError:  # the requirements on pods say so; tbot's own file can be judged all the same
            return ()

    def installed(self) -> Tbot:
        """The only DaemonSet of tbot, for what the suite changes.

        Raises:
            CouldNotTell: There are several.
        """
        return self.all().only

    def joining_alike(self) -> Tbot:
        """A tbot that stands for all of them, because all join with the same token.

        Raises:
            CouldNotTell: They join with several tokens.
        """
        tbots = self.all()
        alike = len({(tbot.config.token, tbot.join_secret) for tbot in tbots.each}) == 1
        return tbots.first if alike else tbots.only

    def namespace(self) -> str:
        """Namespace of tbot; the one in the settings where the suite cannot find it."""
        try:
            return self.all().first.daemon_set.namespace
        except CouldNotTell:
            return self.cluster.names.tbot_namespace

    def kubelet_rights(self, tbot: Tbot) -> tuple[Right, ...]:
        """The API server's answers about each of `KUBELET_RIGHTS` for the service account of a tbot."""

        def read() -> tuple[Right, ...]:
            namespace, _colon, name = tbot.service_account.partition(":")
            user, groups = service_account_user(namespace, name)
            return tuple(self.cluster.reader.may(user, groups, verb, resource) for verb, resource in KUBELET_RIGHTS)

        return self.cluster.once(RIGHTS.narrowed(tbot.service_account), read)

    def pods_now(self) -> tuple[Pod, ...]:
        """Pods that the DaemonSet selects, listed anew each time."""
        daemon_set = self.installed().daemon_set
        return self.cluster.reader.pods(daemon_set.namespace, daemon_set.label_selector)

    def last_attempt(self, tbot: Agent, pod: Pod) -> LastAttempt:
        """The last attempt of a pod of tbot to speak with Teleport, by its log; of a container that starts again, by both.

        The log before a restart counts only while the present one shows its start: later it is of long ago.

        Raises:
            CouldNotTell: There is no log, or the API server does not give it.
            TypeError: The agent is no tbot.
        """
        if not isinstance(tbot, Tbot):
            raise TypeError(f"expected tbot, saw {tbot.KIND}")
        container, reader, teleport = tbot.container.name, self.cluster.reader, tbot.config.teleport

        def read() -> LastAttempt:
            log = reader.logs(pod.namespace, pod.name, container, tail=LINES, timestamps=True)
            last = parse_last_attempt(str(log.document), teleport, (log.evidence,))
            there = pod.spec.container(container)
            is_decided = last.joined or last.obstacle not in (None, Obstacle.ELSEWHERE)
            if is_decided or there is None or not there.restarts:
                return last
            said = str(log.document)
            if STARTED not in said and said.strip():  # it has only just begun where it has said nothing yet
                return last
            log = reader.logs(pod.namespace, pod.name, container, previous=True, tail=LINES, timestamps=True)
            before = parse_last_attempt(str(log.document), teleport, (log.evidence, *last.evidence))
            says_more = before.obstacle is not None or last.obstacle is None
            return replace(before if says_more else last, opened=last.opened, opened_at=last.opened_at, start=last.start)

        return self.cluster.once(LAST_ATTEMPT.narrowed(pod.uid), read)

    def kubelet_address(self) -> KubeletAddress:
        """The address at which tbot dials its kubelet; the guide's where no tbot can be read yet."""
        try:
            return self.all().first.kubelet_address
        except CouldNotTell:  # the requirements on tbot say so; a node can be fit for a tbot that is still to come
            return KubeletAddress()

    def socket_directories(self) -> SocketDirectories:
        """Directories of the nodes in which tbot listens for the mesh; the one in the settings where it listens in none."""
        found = self.all().directories
        return found if found.everywhere else SocketDirectories(frozenset({self.cluster.names.socket_directory.rstrip("/")}))

    def sockets_on(self, node: str) -> tuple[str, ...]:
        """Paths of the mesh's sockets on a node, one for each tbot there; that in the settings where tbot has none there."""
        usual = f"{self.cluster.names.socket_directory}/{self.cluster.names.socket_name}"
        return tuple(dict.fromkeys(tbot.socket_on_node or usual for tbot in self._on(node)))

    def sockets_in_reach(self, node: str) -> tuple[str, ...]:
        """Paths of tbot's sockets that a pod of the mesh can open on a node, the mesh's own first."""
        others = (socket.path for tbot in self._on(node) for socket in tbot.sockets_in_reach)
        return tuple(dict.fromkeys((*self.sockets_on(node), *others)))

    def _on(self, node: str) -> tuple[Tbot, ...]:
        """The tbots of a node; where there is none, one whose socket should be there."""
        return self.all().on(node) or (self.all().first,)
