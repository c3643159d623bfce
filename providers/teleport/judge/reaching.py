"""Rules about the way from tbot to Teleport: by tbot's own log, and by probe pods that dial it as tbot does on its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from facts.evidence import ObjectRef, readings
from facts.finding import OpenPoint, Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import LEADS_THROUGH_A_PROXY
from facts.kubernetes.probes import Refused, TeleportProbe
from judge.findings import listed
from judge.install.probes import RUN_IT, on_node
from providers.teleport.facts.tbot import Tbot
from providers.teleport.facts.tbot_log import LastAttempt, Obstacle
from providers.teleport.judge import clocks
from providers.teleport.judge.tbot import ended_of_late, token_file_problems

NAME, CONNECT, TLS = "name", "connect", "tls"
"""Stages at which dialling Teleport can end."""

REFUSED = "ConnectionRefusedError"
"""The error of a connection that the other side, or something before it, answers with a reset."""


BLIND = (
    "a probe pod is in a namespace of its own: it sees no NetworkPolicy of tbot's namespace, and is subject to those that"
    " select every namespace; compare both, and read tbot's log"
)
"""The next step where a probe does not go the way of tbot."""


def dialled_directly(tbot: Tbot) -> str:
    """Why a probe would not dial Teleport as a tbot does, in words; empty where it does."""
    if leading := [name for name in LEADS_THROUGH_A_PROXY if tbot.container.variable(name)]:
        return f"its variable {leading[0]} leads it through a proxy, which a probe pod does not use"
    address = tbot.config.teleport
    if not address.rpartition(":")[2].isdigit():
        return f"the address of Teleport in its configuration has no port: {address or 'it is empty'}"
    return ""


def unreached(probes: Iterable[TeleportProbe | Refused], tbot: Tbot) -> list[Problem | OpenPoint]:
    """Nodes from which Teleport cannot be reached, with how far a connection comes, and those that no probe tells of.

    Where tbot is Ready its own way is open, whatever the probe's is.

    Args:
        probes: One for each node.
        tbot: The tbot that they dial for.
    """
    found: list[Problem | OpenPoint] = []
    for probe in probes:
        if isinstance(probe, Refused):
            found.append(OpenPoint(on_node(probe, f"the probe pod did not run: {probe.reason}"), RUN_IT))
        elif (problem := _unreached(probe)) is not None:
            pod = tbot.pods.get(probe.node)
            if pod is not None and pod.ready and not pod.terminating:
                said = f"{problem.said}; {pod.ref} there is Ready, so this need not be its own way"
                found.append(OpenPoint(replace(problem, said=said, cause=""), BLIND))
            else:
                found.append(problem)
    return found


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


BY_OBSTACLE: Mapping[Obstacle, tuple[str, ...]] = {
    Obstacle.NO_NAME_SERVER: ("",),
    Obstacle.NO_ADDRESS: ("teleport-name-unknown",),
    Obstacle.NO_CONNECTION: ("teleport-unreachable",),
    Obstacle.CERTIFICATE: ("teleport-certificate-untrusted",),
    Obstacle.NO_KEYS: ("jwks-placeholder",),
    Obstacle.KEYS: ("jwks-of-other-keys", "jwks-placeholder", "jwks-rotated-since"),
    Obstacle.ACCOUNT: ("token-other-service-account",),
    Obstacle.NO_JOIN_TOKEN: ("token-missing",),
    Obstacle.METHOD: ("token-method-wrong",),
}
"""Causes by what tbot's log says, several where it does not tell them apart; empty where it names none."""

OF_THE_JOIN_TOKEN = frozenset({Obstacle.NO_KEYS, Obstacle.KEYS, Obstacle.ACCOUNT, Obstacle.NO_JOIN_TOKEN, Obstacle.METHOD})
"""Obstacles that lie in Teleport's resource, which may have been mended since tbot's last attempt."""

TRY_AGAIN = (
    "tbot waits up to five minutes for its next attempt; let it try at once (`kubectl -n NAMESPACE delete pod POD`), and ask"
    " again"
)
"""The next step where tbot has not tried again since the join token is right."""

UNNAMED: Mapping[Obstacle, str] = {
    Obstacle.PROXY: (
        "see that the address in HTTPS_PROXY of tbot's DaemonSet is right and that tbot's nodes reach it, or leave the"
        " variable out where tbot needs no proxy"
    ),
    Obstacle.ELSEWHERE: (
        "see whose address that is (`kubectl get services,endpoints -A -o wide`, and the name of Teleport on the node), and"
        " read the whole log: `kubectl -n NAMESPACE logs POD --previous`"
    ),
}
"""Next steps where tbot's log says that a connection fails which need not be its own to Teleport."""


def not_serving(tbot: Tbot, now: datetime) -> list[Pod]:
    """The pods of a tbot whose log may say what keeps them from serving: they have run, and are not Ready or exited of late.

    Without a readiness probe, as in the guide, a tbot that cannot join is Ready from each start to its next exit.

    Args:
        now: UTC time of the judgment.
    """
    return [pod for pod in tbot.pods.values() if not pod.terminating and _has_trouble(tbot, pod, now)]


def _has_trouble(tbot: Tbot, pod: Pod, now: datetime) -> bool:
    container = pod.spec.container(tbot.container.name)
    if container is None or not (container.restarts or container.state in ("running", "terminated")):
        return False
    return not pod.ready or bool(ended_of_late(tbot, pod, now))


def kept_away(pod: Pod, last: LastAttempt, now: datetime) -> list[Problem | OpenPoint]:
    """What keeps a pod of tbot from Teleport by its own words: one problem for each cause that may be the one.

    What need not be on the way is an open point. Where the log names no obstacle, there is none of these.

    Args:
        pod: The pod, which does not serve.
        now: UTC time of the judgment, by this machine.
    """
    if last.obstacle in (None, Obstacle.TOKEN):
        return []
    said = _ended(last)
    evidence = (*last.evidence, *readings(pod))
    if last.validity is not None and clocks.misjudges(last.validity, now):
        by_ours = f"{said}; by the clock of this machine, {now:%F %T} UTC, the certificate is valid"
        return [Problem(ObjectRef("Node", pod.node), by_ours, clocks.NODE_CLOCK, evidence)]
    if last.obstacle in UNNAMED:
        words = f"it does not serve, and by its log {last.obstacle}: {last.said}"
        return [OpenPoint(Problem(pod.ref, words, evidence=evidence), UNNAMED[last.obstacle])]
    return [Problem(pod.ref, said, cause, evidence) for cause in BY_OBSTACLE[last.obstacle]]


READ_ITS_LOG = (
    "read its log: `kubectl -n NAMESPACE logs POD`. A tbot opens its socket once it has joined, and without a readiness"
    " probe it is Ready before that. Where it logs that it listens there, something has removed the socket: a restart of"
    " this pod puts it there again"
)
"""The next step where a Ready tbot need not have opened its socket."""


def unjoined(last: LastAttempt | None, at: datetime) -> str:
    """Why it is not shown that a tbot had joined since its start, so that its sockets were open; empty where it is.

    Args:
        last: Its last attempt; None where its log was not read.
        at: UTC time at which they have to have been open: the log is of later than what is to be explained.
    """
    if last is None:
        return "its log was not read"
    words = f" ({last.said})" if last.said else ""
    if last.opened is None:
        return f"the end of its log shows neither its start nor an answer of Teleport nor a caller{words}"
    if not last.opened:
        return f"its log shows no join since its start{words}"
    if last.opened_before(at):
        return ""
    first = f"at {last.opened_at:%F %T} UTC" if last.opened_at is not None else "at a time that is not known"
    return (
        f"its log first shows its sockets open {first}, too late to explain what was read; ask again five minutes after"
        f" that{words}"
    )


def unopened(pod: Pod, socket: str, why: str, evidence: Iterable[str]) -> OpenPoint:
    """A Ready tbot that need not have opened its socket.

    Args:
        socket: Path of the socket on the node.
        why: What shows that it need not.
        evidence: Ids of the readings that show it.
    """
    said = f"it is Ready, and perhaps has not opened its socket {socket} yet: {why}"
    return OpenPoint(Problem(pod.ref, said, evidence=(*evidence, *readings(pod))), READ_ITS_LOG)


def refused_before(pod: Pod, last: LastAttempt) -> OpenPoint:
    """A pod of tbot that Teleport refused for its join token, which is right by now."""
    said = f"{_ended(last)}; the join token is right by now"
    return OpenPoint(Problem(pod.ref, said, evidence=(*last.evidence, *readings(pod))), TRY_AGAIN)


def refused_for_its_token(tbot: Tbot, pod: Pod, last: LastAttempt, cluster_name: str) -> list[Problem]:
    """Why Teleport refuses the token of a tbot that has exited and is not Ready, where its log shows that it does.

    One problem of its DaemonSet for each cause, which has it, and one of the pod, which suffers from it.

    Teleport's own words show that the join token is of a type that verifies the token itself. Anything may end a tbot before
    its join; and with a join token of type ``in_cluster``, whose type no reader of the cluster knows, Teleport takes other
    tokens of the pod. A tbot that has never exited may still be about to join.

    Args:
        pod: One of its pods that do not serve.
        last: The last attempt of that pod.
        cluster_name: Teleport's cluster name.
    """
    container = pod.spec.container(tbot.container.name)
    if pod.ready or container is None or not container.has_exited or last.obstacle is not Obstacle.TOKEN:
        return []
    found = token_file_problems(tbot, cluster_name)
    refused = [Problem(pod.ref, _ended(last), each.cause, (*last.evidence, *readings(pod))) for each in found]
    return [*(replace(each, evidence=(*last.evidence, *each.evidence)) for each in found), *refused]


def _ended(last: LastAttempt) -> str:
    return f"its last attempt to speak with Teleport ended because {last.obstacle}: {last.said}"
