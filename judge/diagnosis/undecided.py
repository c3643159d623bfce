"""Rules that find a node on which one of several causes is so, and which no reading from outside tells apart.

Each returns one problem for every cause that may be the one, all about the node and in the same words: `told_apart`
(`judge.explain.diagnosis`) makes a class of them, and settles it where another check names one of them for that node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from facts.document import SKEW
from facts.evidence import ObjectRef, readings
from facts.finding import Finding, OpenPoint, Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import ISTIOS_SOCKET, SOCKET_FILE
from facts.provider.agents import Agent, Agents
from facts.proxies.identity import ProxyIdentity
from facts.proxies.presence import Stage, last_end, made_at, ready_since, start_of
from facts.proxies.sds_mode import SdsMode
from judge.explain.realms import Realms
from judge.findings import few
from judge.fleet import cause_of_no_start
from providers.teleport.facts.tbot_log import LastAttempt
from providers.teleport.judge import reaching

SOCKET_USELESS = ("tbot-not-answering", "socket-closed", "socket-stale")
"""Causes for which Istio's agent finds a socket that it cannot use, and exits."""

GIVES_UP = ("Error", 255)
"""How an agent ends that returns an error: reason and exit code. Another code is a signal's, or the runtime's for a
container that it could not start; with another reason the kernel or the runtime ended it. Source: Istio,
pilot/cmd/pilot-agent, which exits with -1."""

SOCKET_UNSEEN = "socket-directory-closed"
"""The cause for which it does not see the socket at all; it exits only where it may not fall back."""

NO_ANSWER = (
    "tbot-not-answering",
    "kubelet-unreachable",
    "bot-without-role",
    "role-matches-nothing",
    "identity-rules-refuse",
)
"""Causes for which a proxy is connected to tbot's socket and never gets a certificate, as long as nothing tells which."""

SUFFICIENT = frozenset(
    {
        "attestor-misspelt",
        "bot-missing",
        "bot-scoped",
        "bot-without-role",
        "identity-missing",
        "identity-scoped",
        "role-matches-nothing",
        "role-missing",
        "tbot-config-refused",
        "tbot-host-pid-missing",
        "tbot-node-name-missing",
        "tbot-scope-differs",
        "tbot-selects-nothing",
    }
)
"""Causes for which no proxy of the mesh gets a certificate. Where a judgment names one, nothing is left to decide."""


def beside_exits(
    pods: Iterable[Pod], proxies: Iterable[ProxyIdentity], tbots: Agents, now: datetime
) -> list[tuple[Agent, Pod]]:
    """The Ready tbots, each with its pod, beside which Istio's agents exit again and again; arguments as for `exiting`."""
    return [each for pod in _exiting(pods, proxies, tbots, now) for each in _ready_beside(tbots, pod)]


def exiting(
    pods: Iterable[Pod],
    proxies: Iterable[ProxyIdentity],
    tbots: Agents,
    now: datetime,
    attempts: Mapping[str, LastAttempt],
) -> list[Problem | OpenPoint]:
    """Nodes with a Ready tbot on which Istio's agents exit again and again at their start, the last time since it is Ready.

    A tbot that need not have opened its socket before the last exit is an open point: an agent that may not fall back exits
    where there is none, and the kubelet starts it again after up to five minutes.
    Where a proxy is connected that has started since, the socket can be used, and the agents exit for another reason. One
    that was connected before shows nothing: it keeps its connection whatever becomes of the socket.

    Args:
        pods: Injected pods.
        proxies: Proxies of the mesh.
        tbots: Every tbot that serves the mesh.
        now: UTC time of the list of pods.
        attempts: By the uid of a pod of tbot: its last attempt to speak with Teleport, where its log was read.
    """
    by_node: dict[str, list[Pod]] = {}
    found: list[Problem | OpenPoint] = []
    for pod in _exiting(pods, proxies, tbots, now):
        ended = last_end(pod.proxy) if pod.proxy is not None else None
        beside = [
            (of_tbot, reaching.unjoined(attempts.get(of_tbot.uid), ended or now))
            for _tbot, of_tbot in _ready_beside(tbots, pod)
        ]
        if all(why for _pod, why in beside):
            found += [
                reaching.unopened(
                    of_tbot,
                    pod.socket_on_node,
                    f"Istio's agents there exit at their start, and {why}",
                    readings(attempts.get(of_tbot.uid)),
                )
                for of_tbot, why in beside
            ]
        else:
            by_node.setdefault(pod.node, []).append(pod)
    for node, there in by_node.items():
        said = f"Istio's agents exit at their start although a tbot there is Ready: {few(pod.ref for pod in there)}"
        causes = (*SOCKET_USELESS, *([SOCKET_UNSEEN] if any(_fails_closed(pod) for pod in there) else []))
        found += _each(node, said, causes, readings(*there, tbots))
    return list(dict.fromkeys(found))


def _exiting(pods: Iterable[Pod], proxies: Iterable[ProxyIdentity], tbots: Agents, now: datetime) -> list[Pod]:
    every = list(pods)
    known = {pod.uid: pod for pod in every}
    used: dict[tuple[str, str], datetime] = {}
    for proxy in proxies:
        if proxy.streams.cx_active and (of := known.get(proxy.pod.uid)) is not None:
            socket = (of.node, of.socket_on_node)
            used[socket] = max(proxy.started_at, used.get(socket, proxy.started_at))
    return [
        pod
        for pod in every
        if _exits(pod, now)
        and _is_served(pod, tbots)
        and not _has_yet_to_try(pod, tbots)
        and not _started_before(pod, used.get((pod.node, pod.socket_on_node)))
    ]


def _started_before(pod: Pod, moment: datetime | None) -> bool:
    made = made_at(pod)
    return moment is not None and made is not None and moment > made + SKEW


def waiting(proxies: Iterable[ProxyIdentity], pods: Mapping[str, Pod], tbots: Agents) -> list[Problem]:
    """Nodes with a Ready tbot on which proxies are connected to its socket and wait for their certificates.

    Args:
        proxies: Proxies of the mesh.
        pods: Their pods, by uid.
        tbots: Every tbot that serves the mesh.
    """
    by_node: dict[str, list[ProxyIdentity]] = {}
    for proxy in proxies:
        waits = proxy.sds_mode is SdsMode.SILENT and proxy.has_files_cluster and proxy.streams.cx_active
        if waits and proxy.pod.uid in pods and _is_served(pods[proxy.pod.uid], tbots):
            by_node.setdefault(proxy.pod.node, []).append(proxy)
    found = []
    for node, there in by_node.items():
        said = f"proxies are connected to the socket of a Ready tbot and get no certificate: {few(p.ref for p in there)}"
        found += _each(node, said, NO_ANSWER, readings(*there, tbots))
    return found


def decided(findings: Iterable[Finding], realms: Realms) -> frozenset[str]:
    """The realms in which no proxy gets a certificate for a cause that a judgment names."""
    named = (problem for finding in findings for problem in finding.problems if problem.cause in SUFFICIENT)
    return frozenset(realm for problem in named for realm in realms.extent_of(problem.subject))


def _each(node: str, said: str, causes: Iterable[str], evidence: tuple[str, ...]) -> list[Problem]:
    return [Problem(ObjectRef("Node", node), said, cause, evidence) for cause in causes]


def _exits(pod: Pod, now: datetime) -> bool:
    """Its agent ends by itself again and again, and its own status does not say why."""
    proxy = pod.proxy
    if proxy is None or not pod.node or not pod.socket_on_node or cause_of_no_start(pod) or proxy.state == "running":
        return False
    ends = [(proxy.last_reason, proxy.last_exit_code)]
    if proxy.state == "terminated":
        ends.append((proxy.reason, proxy.exit_code))
    return start_of(pod, now).stage is Stage.DOWN and all(end == GIVES_UP for end in ends)


def _has_yet_to_try(pod: Pod, tbots: Agents) -> bool:
    """Return whether the agent of a pod ended the last time before its tbot became Ready, when the socket was missing.

    The kubelet starts it again after up to five minutes. A time that is missing excuses nothing.
    """
    ended = last_end(pod.proxy) if pod.proxy is not None else None
    ready = [
        ready_since(own, container)
        for tbot in tbots.serving(pod.node, pod.socket_on_node)
        if (own := tbot.pods.get(pod.node)) is not None and own.ready
        if (container := own.spec.container(tbot.container.name)) is not None
    ]
    return ended is not None and bool(ready) and all(since is not None and ended < since for since in ready)


def _fails_closed(pod: Pod) -> bool:
    name = pod.proxy.variable(SOCKET_FILE) if pod.proxy is not None else ""
    return name not in ("", ISTIOS_SOCKET)


def _is_served(pod: Pod, tbots: Agents) -> bool:
    """Return whether a Ready tbot of the node must supply a pod; another one there says nothing about its socket."""
    return tbots.is_ready_for(pod) and not tbots.may_be_unread(pod.node, pod.socket_on_node)


def _ready_beside(tbots: Agents, pod: Pod) -> list[tuple[Agent, Pod]]:
    """The Ready tbots of a pod's node that may serve its socket, each with its pod there."""
    serving = tbots.serving(pod.node, pod.socket_on_node)
    return [(tbot, tbot.pods[pod.node]) for tbot in serving if pod.node in tbot.pods and tbot.pods[pod.node].ready]
