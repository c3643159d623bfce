"""Judgments about tbot: INST-13, and where it is Ready."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from facts.document import Absent, when
from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import SOCKET_VOLUME
from facts.proxies.presence import STARTING, is_in_its_first_start
from facts.versions import Version
from judge.explain.cause import Affected
from judge.findings import Claim, listed, problem
from judge.install.application import SETTLED
from judge.install.components import exact_version, heartbeats_of
from providers.teleport.facts.joining import Joining
from providers.teleport.facts.resources import Bot, BotInstance, JoinToken
from providers.teleport.facts.tbot import NodeSocket, OtherTbot, Tbot, Tbots
from providers.teleport.facts.tbot_config import BY_NAME, LIFETIMES, TbotConfig

LONGEST_TOKEN = 1800
"""Seconds; Teleport refuses a projected token that lives longer (static_jwks and oidc)."""

CONFIG_VERSION = "v2"
"""The only version of tbot's configuration that has services."""

OWN_NODE = ("fieldRef:spec.nodeName", "fieldRef:status.hostIP")
"""Fields that hold the name or the address of the node that a pod runs on."""

PORTS_OF_PROXIES = ("443", "3080")
"""Ports on which Teleport's proxies listen; an Auth Service listens on 3025."""

TAKE_PROXIES = (
    Affected(since=Version(1, 0, 0), fixed=Version(17, 5, 3)),
    Affected(since=Version(18, 0, 0), fixed=Version(18, 0, 1)),
)
"""Releases of tbot that take a proxy under ``auth_server``. Source: Teleport's changelog, 17.5.3 and 18.0.1."""

NOT_ON_NODE = "tbot-not-on-node"
"""Cause of a node that hosts injected pods and no tbot."""

ON_EVERY_NODE = "every node that hosts injected pods to run a Ready tbot pod"
"""What is expected of tbot's pods."""

STAYS = "was deleted and is still there after its grace period, so that no other one is made"
"""What is said of a pod of tbot that does not go away."""


def node_problems(tbots: Tbots, nodes: Mapping[str, Sequence[Pod]], now: datetime) -> list[Problem]:
    """Problems unless a Ready tbot pod of the current template runs on each node with injected pods, of each pod's own tbot.

    Where no node hosts an injected pod, tbot must be Ready wherever its DaemonSets want it. Without a readiness probe, as in
    the guide, a tbot that cannot join is Ready as well, from each start to its next exit.

    Args:
        tbots: Every tbot that serves the mesh.
        nodes: Injected pods by node.
        now: UTC time of the judgment.
    """
    found = [each for problems in _by_node(tbots, nodes, now).values() for each in problems]
    return [*found, *_daemon_set_problems(tbots, nodes)]


def _by_node(tbots: Tbots, nodes: Mapping[str, Sequence[Pod]], now: datetime) -> dict[str, list[Problem]]:
    """Problems of each node that hosts injected pods; where none does, of each node that runs tbot and may not for long."""
    if not nodes:
        return {node: _passing_on(tbots, node, now) for node in sorted(tbots.nodes)}
    return {node: [*_problems_on(tbots, node, nodes[node], now), *_passing_on(tbots, node, now)] for node in sorted(nodes)}


def _problems_on(tbots: Tbots, node: str, pods: Sequence[Pod], now: datetime) -> list[Problem]:
    found = []
    for lacking in lacking_on(tbots, node, pods):
        coming = listed((tbot.daemon_set.ref for tbot in lacking.tbots if is_coming(tbot, node)), "")
        words = f"; {coming} has fewer pods than its controller wants" if coming else ""
        words += "".join(f"; {pod.ref} there {STAYS}" for pod in lacking.overstaying)
        found += lacking.problems(words, "" if coming else NOT_ON_NODE, tbots.evidence)
    for tbot, pod in ((tbot, tbot.pods[node]) for tbot in tbots.each if node in tbot.pods):
        if not pod.ready or pod.terminating:
            waiting = listed({c.reason or c.state for c in pod.containers if not c.ready}, "no reason given")
            said = f"tbot on node {node} is not Ready: {waiting}"
            said += f", for less than {STARTING.total_seconds():.0f} s" if is_starting(tbot, pod, now) else ""
            found.append(problem(pod, said, _cause_of_not_ready(tbot, pod, now)))
    return found


def _passing_on(tbots: Tbots, node: str, now: datetime) -> list[Problem]:
    """The tbots of a node that are Ready now, and that ended of late."""
    return [
        problem(tbot.pods[node], f"tbot on node {node} is Ready only until its next exit: {why}")
        for tbot in tbots.each
        if node in tbot.pods and tbot.pods[node].ready and (why := ended_of_late(tbot, tbot.pods[node], now))
    ]


def _daemon_set_problems(tbots: Tbots, nodes: Collection[str]) -> list[Problem]:
    """Problems of whole DaemonSets, which are of no node."""
    found = []
    for daemon_set in (tbot.daemon_set for tbot in tbots.each):
        if not nodes and not 0 < daemon_set.desired <= daemon_set.ready:
            said = f"tbot is Ready on {daemon_set.ready} of {daemon_set.desired} nodes; no node hosts an injected pod"
            found.append(problem(daemon_set, said))
        if not daemon_set.is_current:
            found.append(problem(daemon_set, f"its controller has not seen generation {daemon_set.generation} yet"))
        elif daemon_set.updated < daemon_set.desired:
            old = daemon_set.desired - daemon_set.updated
            found.append(problem(daemon_set, f"{old} of {daemon_set.desired} tbot pods have an older template"))
    return found


@dataclass(frozen=True, slots=True)
class Lacking:
    """Injected pods of a node that lack the tbot that must supply them.

    Attributes:
        node: Name of the node.
        pods: They.
        tbots: The tbots of which one would do; they have no pod on the node.
        beside: The node has a pod of another tbot, which serves other pods.
    """

    node: str
    pods: tuple[Pod, ...]
    tbots: tuple[Tbot, ...]
    beside: bool

    @property
    def overstaying(self) -> tuple[Pod, ...]:
        """Pods of these tbots on the node that were deleted and do not go away."""
        return tuple(tbot.overstaying[self.node] for tbot in self.tbots if self.node in tbot.overstaying)

    def problems(self, words: str, cause: str, evidence: tuple[str, ...]) -> list[Problem]:
        """What is wrong: one problem of the node; beside another tbot one of each pod, since other pods there lack nothing.

        Args:
            words: End of the statement.
            cause: The cause; empty for none.
            evidence: Ids of the readings.
        """
        if not self.beside:
            said = f"it hosts {len(self.pods)} injected pods and no tbot{words}"
            return [Problem(ObjectRef("Node", self.node), said, cause, evidence)]
        of_them = listed(tbot.daemon_set.ref for tbot in self.tbots)
        return [
            Problem(
                pod.ref,
                f"it looks for {pod.socket_on_node}: {of_them} listens in that directory, and node {self.node} has no pod of"
                f" it{words}",
                cause,
                (*evidence, *readings(pod)),
            )
            for pod in self.pods
        ]


def lacking_on(tbots: Tbots, node: str, pods: Sequence[Pod]) -> list[Lacking]:
    """The pods of a node whose tbot has no pod there, by that tbot: all of them on a node without any tbot.

    Args:
        tbots: Every tbot that serves the mesh.
        node: Name of the node.
        pods: Its injected pods.
    """
    if not any(node in tbot.pods for tbot in tbots.each):
        return [Lacking(node, tuple(pods), tbots.each, beside=False)]
    by_tbots: dict[tuple[str, ...], Lacking] = {}
    for pod in pods:
        serving = tbots.serving(node, pod.socket_on_node)
        if not any(node in tbot.pods for tbot in serving):
            key = tuple(str(tbot.daemon_set.ref) for tbot in serving)
            former = by_tbots[key].pods if key in by_tbots else ()
            by_tbots[key] = Lacking(node, (*former, pod), serving, beside=True)
    return list(by_tbots.values())


def is_coming(tbot: Tbot, node: str) -> bool:
    """Tell whether a node without a pod of a tbot may soon have one: its controller replaces it, or has pods to make.

    Where something keeps tbot off a node, such as a taint, its controller wants no pod there; where the API server refuses
    all of its pods, it has none; and where a deleted one does not go away, it makes none.
    """
    if node in tbot.overstaying:
        return False
    daemon_set = tbot.daemon_set
    is_rolled_out = daemon_set.is_current and daemon_set.updated >= daemon_set.desired
    return is_replacing(tbot, node) or (0 < len(tbot.pods) < daemon_set.desired and not is_rolled_out)


def is_replacing(tbot: Tbot, node: str) -> bool:
    """Tell whether a controller is about to replace a pod that is terminating: it wants more pods than there are."""
    return node in tbot.leaving and len(tbot.pods) < tbot.daemon_set.desired


def is_starting(tbot: Tbot, pod: Pod, now: datetime) -> bool:
    """Tell whether a pod of tbot that is not Ready has just started for the first time, and may still become Ready."""
    container = pod.spec.container(tbot.container.name)
    if pod.ready or container is None or container.state != "running" or container.last_exit_code is not None:
        return False
    return is_in_its_first_start(pod, container, now)


def _cause_of_not_ready(tbot: Tbot, pod: Pod, now: datetime) -> str:
    """Cause of a tbot pod that is not Ready: empty unless it runs, has had its time and has never exited.

    Then it does not answer its probe.
    """
    container = pod.spec.container(tbot.container.name)
    if pod.terminating or container is None or container.state != "running" or container.last_exit_code is not None:
        return ""
    return "" if is_starting(tbot, pod, now) else "tbot-not-answering"


def ended_of_late(tbot: Tbot, pod: Pod, now: datetime) -> str:
    """The recent exit of a tbot without a readiness probe, in words; empty if there was none, or none with an error."""
    container = pod.spec.container(tbot.container.name)
    if container is None or container.readiness_probe or not container.last_exit_code or not container.last_ended:
        return ""
    ago = now - when(container.last_ended, str(pod.ref))
    return f"it exited with code {container.last_exit_code} {ago.total_seconds():.0f} s ago" if ago < SETTLED else ""


def where_ready(tbots: Tbots, nodes: Mapping[str, Sequence[Pod]]) -> str:
    """The nodes on which tbot is Ready where there is no problem, in words."""
    desired = sum(tbot.daemon_set.desired for tbot in tbots.each)
    return f"Ready on {listed(nodes, f'all {desired} nodes; none of them hosts an injected pod')}"


def ready_on_every_node(
    tbots: Tbots,
    nodes: Mapping[str, Sequence[Pod]],
    now: datetime,
    evidence: Sequence[str],
    *,
    unlisted: Collection[str] = (),
) -> Finding:
    """INST-13, first part: a Ready tbot pod on every node that hosts an injected pod; see `judged_on_nodes`."""
    claim = Claim("INST-13", ON_EVERY_NODE, tbots.where, (*tbots.evidence, *evidence))
    return judged_on_nodes(claim, tbots, nodes, now, unlisted=unlisted)


def judged_on_nodes(
    claim: Claim, tbots: Tbots, nodes: Mapping[str, Sequence[Pod]], now: datetime, *, unlisted: Collection[str] = ()
) -> Finding:
    """A claim about where tbot runs, judged by `node_problems`.

    A node without tbot is an open point where the suite could not read a further tbot, which may be the one of that node. So
    is what is wrong on a node that the API server does not list: its pods go with it, or no tbot has had the time to come.

    Args:
        tbots: Every tbot that serves the mesh.
        nodes: Injected pods by node.
        now: UTC time of the judgment.
        unlisted: Names of the nodes among them that the API server does not list.
    """
    problems: list[Problem] = []
    unclear: list[Problem] = []
    reasons = set()
    unread = listed((other.ref for other in tbots.unread), "")
    for node, of_node in _by_node(tbots, nodes, now).items():
        for each in of_node:
            if node in nodes and node in unlisted:
                words, reason = f"{each.said}; the API server does not list that node", ASK_AGAIN
            elif unread and each.cause == NOT_ON_NODE:
                words, reason = f"{each.said} but perhaps {unread}", READ_IT
            else:
                problems.append(each)
                continue
            unclear.append(replace(each, said=words, cause=""))
            reasons.add(reason)
    return claim.judged(
        [*problems, *_daemon_set_problems(tbots, nodes)],
        where_ready(tbots, nodes),
        unclear=unclear,
        left_out=[Remark(other.ref, other.why) for other in tbots.left_out],
        settle="; ".join(reason for reason in (READ_IT, ASK_AGAIN) if reason in reasons),
    )


READ_IT = "keep the configuration of that tbot in a ConfigMap, as the guide does (step 7)"
"""The next step where a tbot could not be read."""

ASK_AGAIN = "run again in a minute: the pods of a node that was removed go with it, and a new node is listed then"
"""The next step where pods are on a node that is not listed."""


def configuration_problems(
    tbot: Tbot,
    cluster_name: str,
    socket_directories: Sequence[str],
    kubernetes_type: str = "static_jwks",
    bot: Bot | Absent | None = None,
    *,
    instances: Sequence[BotInstance] = (),
) -> list[Problem]:
    """Problems by the settings of tbot that break joining or attestation, each with its effect.

    Args:
        tbot: The installed tbot.
        cluster_name: Teleport's cluster name.
        kubernetes_type: Type of the join token; with ``in_cluster`` Teleport accepts the pod's usual token, of any lifetime.
            Empty where it is not known: then the token that tbot joins with is left out.
        socket_directories: Directories on the node that injected pods mount as their workload-socket.
        bot: Its bot; None without an admin session.
        instances: Instances of its bot, which tell the version of a tbot whose image does not.
    """
    config = tbot.config

    def setting(said: str, cause: str = "") -> Problem:
        return Problem(_config_map(tbot), said, cause, tbot.evidence)

    def specified(said: str, cause: str = "") -> Problem:
        return Problem(tbot.daemon_set.ref, said, cause, tbot.evidence)

    found = [
        setting(f"it has the unknown key {key}: tbot silently ignores it", "attestor-misspelt" if "attestor" in key else "")
        for key in config.unknown_keys
    ]
    found += [setting(said, "tbot-config-refused") for said in _refusals(config)]
    if _takes_proxies(tbot, instances) is False and (said := _proxy_under_auth_server(tbot)):
        found.append(setting(f"{said}: tbot refuses a proxy there, it belongs in proxy_server", "proxy-under-auth-server"))
    if bot is not None and not isinstance(bot, Absent) and config.scoped != bool(bot.scope):
        belongs = f"belongs to the scope {bot.scope}" if bot.scope else "belongs to no scope"
        said = f"scoped is {str(config.scoped).lower()}, and the bot {bot.name} {belongs}: tbot exits"
        found.append(Problem(_config_map(tbot), said, "tbot-scope-differs", readings(tbot, bot)))
    service = tbot.service
    if service is None:
        return [*found, setting("it has no service of type workload-identity-api, so that there is no socket")]
    found += [
        setting(_opened_to_all(socket), "socket-without-attestor")
        for socket in tbot.sockets_in_reach
        if socket.service is not service and not socket.attests
    ]
    if service.kubernetes is None or not service.kubernetes.enabled:
        said = "attestors.kubernetes is not enabled, so that every workload.kubernetes.* in a template is unset"
        misspelt = any("attestor" in key for key in config.unknown_keys)
        found.append(setting(said, "attestor-misspelt" if misspelt else "tbot-selects-nothing"))
    if not (service.selector_name or service.selector_labels):
        found.append(setting("its selector is empty, so that tbot issues nothing", "tbot-selects-nothing"))
    if not tbot.host_pid:
        found.append(specified("hostPID is not set, so that tbot cannot find the calling process", "tbot-host-pid-missing"))
    found += [specified(said, "tbot-node-name-missing") for said in _node_name_problems(tbot)]
    if not service.socket_path:
        said = f"listen is {service.listen or 'empty'}: tbot can find the calling process only through a unix socket"
        found.append(setting(said, "tbot-selects-nothing"))
    elif not tbot.socket_on_node:
        found.append(specified(f"{service.socket_path} is on no hostPath volume, so that no pod can reach it"))
    else:
        directories = {socket.directory for socket in tbot.sockets}
        others = [d for d in socket_directories if d.rstrip("/") not in directories]
        # One statement for each: a path that looks like a secret, in one pod, leaves no other open.
        found += [
            specified(
                f"tbot listens in {listed(directories)} on the node, injected pods mount {other}", "socket-path-differs"
            )
            for other in others
        ]
    if kubernetes_type not in ("in_cluster", ""):
        found += token_file_problems(tbot, cluster_name)
    return found


def _opened_to_all(socket: NodeSocket) -> str:
    return (
        f"its service at {socket.path}, which pods of the mesh can open, has no attestors.kubernetes: it tells no caller"
        " from another, and gives an identity without variables to every one"
    )


def _refusals(config: TbotConfig) -> list[str]:
    """Settings with which tbot does not start, or starts without its services."""
    found = []
    if config.version != CONFIG_VERSION:
        takes = f"version is {config.version}" if config.version else "it has no version, which tbot takes for v1"
        found.append(f"{takes}: tbot 17 and 18 drop the services of such a file, tbot 19 does not start with it")
    sections = {"the file": config.own_lifetimes, **{f"the service at {s.listen}": s.own_lifetimes for s in config.services}}
    found += [
        f"{section} has {own[0]} alone: tbot takes both lifetimes or none"
        for section, own in sections.items()
        if len(own) == 1
    ]
    found += [
        f"the service at {service.listen} asks for {service.credential_ttl:g} s and renews after"
        f" {service.renewal_interval:g} s: tbot refuses a life that is shorter than the interval"
        for service in config.services
        if len(service.own_lifetimes) == len(LIFETIMES) and service.credential_ttl < service.renewal_interval
    ]
    return found


def _proxy_under_auth_server(tbot: Tbot) -> str:
    """A statement where ``auth_server`` has the port of a proxy; empty where it has not."""
    address = tbot.config.auth_server
    is_proxy = address.rpartition(":")[2] in PORTS_OF_PROXIES
    return f"auth_server is {address}, which has the port of a proxy" if is_proxy else ""


def _takes_proxies(tbot: Tbot, instances: Sequence[BotInstance]) -> bool | None:
    """Tell whether the pods and the template take a proxy under ``auth_server``; None where a version is unknown.

    The exact tag of a pod's image tells its version, else its heartbeat.
    """
    told = [_versions_of(pod, tbot, instances) for pod in tbot.pods.values()]
    if not told or exact_version(tbot.image):
        told.append({exact_version(tbot.image)})
    answers = [{any(version in releases for releases in TAKE_PROXIES) if version else None for version in v} for v in told]
    if {False} in answers:
        return False
    return True if all(answer == {True} for answer in answers) else None


def _versions_of(pod: Pod, tbot: Tbot, instances: Sequence[BotInstance]) -> set[Version | None]:
    """Versions that a pod of tbot may run; None alone where neither its image nor a heartbeat tells one."""
    runs = pod.spec.container(tbot.container.name)
    exact = exact_version(runs.image if runs else tbot.image)
    beats = [] if exact else heartbeats_of(pod, instances, host_network=tbot.host_network)
    return {beat.version for beat in beats} or {exact}


def _config_map(tbot: Tbot) -> ObjectRef:
    return ObjectRef("ConfigMap", tbot.config_map, tbot.daemon_set.namespace)


def _node_name_problems(tbot: Tbot) -> list[str]:
    name = tbot.node_name
    # With the node's network, tbot dials its own host under an empty name, as under localhost.
    if name in OWN_NODE or (tbot.host_network and name in ("", "localhost", "127.0.0.1")):
        return []
    if not name:
        return ["TELEPORT_NODE_NAME is not set and hostNetwork is off: tbot dials https://:10250 instead of its kubelet"]
    return [f"TELEPORT_NODE_NAME is {name}, not the name or address of the node that the pod runs on"]


def token_file_problems(tbot: Tbot, cluster_name: str) -> list[Problem]:
    """Problems of the service-account token that tbot joins with, unless the join token is of type ``in_cluster``."""
    if not tbot.joins_by_kubernetes:
        return []
    found = _reasons_to_refuse(tbot, cluster_name)
    return [Problem(tbot.daemon_set.ref, said, cause, tbot.evidence) for said, cause in found]


def _reasons_to_refuse(tbot: Tbot, cluster_name: str) -> list[tuple[str, str]]:
    token = tbot.join_token_file
    if token is None:
        said = "tbot does not join with a service-account token that is projected for Teleport, and Teleport refuses others"
        return [(said, "token-not-projected")]
    found = []
    if token.audience != cluster_name:
        audience = token.audience or "the default"
        said = f"the audience of its token is {audience}; Teleport demands its cluster name {cluster_name}"
        found.append((said, "token-audience-wrong"))
    if token.expiration_seconds > LONGEST_TOKEN:
        said = f"its token lives {token.expiration_seconds} s; Teleport refuses more than {LONGEST_TOKEN} s"
        found.append((said, "token-lifetime-too-long"))
    return found


def method_problems(joining: Joining) -> list[Problem]:
    """A problem if tbot joins by another method than its join token is for; none where the token is not known."""
    tbot, token = joining.tbot, joining.token
    # Without a name there may be a `join_uri`, which has the method in it.
    if not isinstance(token, JoinToken) or not (tbot.config.token or tbot.join_secret):
        return []
    method = tbot.config.join_method or BY_NAME
    if method == token.join_method:
        return []
    said = f"its join_method is {method}, and Teleport has its join token for {token.join_method}: Teleport refuses tbot"
    return [Problem(_config_map(tbot), said, "token-method-wrong", readings(tbot, token))]


def name_problems(tbot: Tbot, pods: Sequence[Pod]) -> list[Problem]:
    """A problem if proxies look for a socket of another name in a directory in which tbot listens.

    Args:
        pods: Injected pods that it must supply.
    """
    paths, directories = {socket.path for socket in tbot.sockets}, {socket.directory for socket in tbot.sockets}
    missing = {path for path in (pod.socket_on_node for pod in pods) if path.rpartition("/")[0] in directories} - paths
    if not missing:
        return []
    said = f"tbot listens on {listed(paths)} of the node, injected pods look for {listed(missing)}"
    evidence = readings(tbot, *(pod for pod in pods if pod.socket_on_node in missing))
    return [Problem(_config_map(tbot), said, "socket-name-differs", evidence)]


def configuration_is_sound(
    joining: Joining,
    cluster_name: str,
    pods: Sequence[Pod],
    evidence: Sequence[str],
    *,
    instances: Sequence[BotInstance] | None = None,
    unread: Sequence[OtherTbot] = (),
) -> Finding:
    """INST-13, second part: no setting that breaks joining or attestation; see `configuration_problems`.

    Args:
        joining: The tbot, with what it joins with.
        cluster_name: Teleport's cluster name.
        pods: Injected pods that it must supply.
        evidence: Ids of the readings of these.
        instances: Instances of its bot; None without an admin session.
        unread: Other tbots, whose configuration the suite could not read; a pod may look for a socket of theirs.
    """
    tbot, bot, kubernetes_type = joining.tbot, joining.bot, joining.kubernetes_type
    theirs, known = _perhaps_of(unread, tbot, pods), tuple(instances or ())
    own = [pod for pod in pods if pod not in theirs]
    directories = {v.path for p in own if (v := p.spec.volume(SOCKET_VOLUME)) is not None and v.source == "hostPath"}
    expected = "no setting of tbot to break joining or attestation"
    where = f"{tbot.daemon_set.ref} and {_config_map(tbot)}"
    of_them = listed(other.ref for other in unread)
    unclear = [
        problem(pod, f"no tbot that the suite could read listens on {pod.socket_on_node}; perhaps {of_them} does")
        for pod in theirs
    ]
    if tbot.config.scoped and bot is None:
        said = "scoped is true; whether its bot belongs to a scope is unknown"
        unclear.append(Problem(_config_map(tbot), said, evidence=tbot.evidence))
    if _takes_proxies(tbot, known) is None and (said := _proxy_under_auth_server(tbot)):
        since = " and ".join(str(releases.fixed) for releases in TAKE_PROXIES)
        said += f": tbot refuses a proxy there from {since} on, and the version of {tbot.image} is unknown"
        unclear.append(Problem(_config_map(tbot), said, evidence=tbot.evidence))
    if not kubernetes_type:
        unclear += [
            replace(each, said=f"{each.said}, unless the join token is of type in_cluster", cause="")
            for each in token_file_problems(tbot, cluster_name)
        ]
    return Claim("INST-13", expected, where, (*joining.evidence, *readings(*known), *evidence)).judged(
        [
            *configuration_problems(tbot, cluster_name, sorted(directories), kubernetes_type, bot, instances=known),
            *method_problems(joining),
            *name_problems(tbot, own),
        ],
        "hostPID, attestor, node name, audience, token lifetime and socket path are right",
        unclear=unclear,
        settle="supply an admin session, so that the suite can read the join token, the bot and its heartbeats; keep tbot's"
        " configuration in a ConfigMap, and pin its exact version",
    )


def _perhaps_of(unread: Iterable[OtherTbot], tbot: Tbot, pods: Iterable[Pod]) -> list[Pod]:
    """Pods whose socket is in a directory of a tbot that the suite could not read, and is none of this tbot's."""
    own, theirs = {socket.path for socket in tbot.sockets}, {path for other in unread for path in other.directories}
    return [pod for pod in pods if pod.socket_on_node not in own and pod.socket_on_node.rpartition("/")[0] in theirs]
