"""Judgments about pods and nodes that start or return while tbot or its socket is missing: RES-04 to RES-06 and RES-08."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import SOCKET_VOLUME
from facts.masks import lines
from facts.measure import Measure
from facts.over_time.history import History
from facts.over_time.outage import NodeRestart, Outage, Relocation, Start
from facts.provider.trust import TrustBundle
from facts.proxies.envoy import STREAMS
from facts.proxies.sds_mode import SdsMode
from facts.redaction import beginning, ending
from judge.findings import Claim, listed, problem, time_until
from judge.fleet import not_read, went_away
from judge.identity.proxies import CAUSES_OF_MODES, mode_problems, own_identity_problems, stream_problems, supply_problems

COULD_NOT_REMOVE = "existing SDS socket could not be removed"
"""Words of Istio's agent about a socket that does not answer and that it may not remove."""

WAITS_FOR_IT = "non-default SDS socket path"
"""Words of Istio's agent before it exits because a socket of another name than `socket` is missing."""

STARTED_EARLY = CAUSES_OF_MODES[SdsMode.RACE]

NOT_RECREATED = "socket-directory-not-recreated"

NO_OTHER_TBOT = "no other tbot"
"""Words of a `Relocation` where no pod has replaced the tbot that the suite deleted."""


def late_start_is_found(start: Start, outage: Outage, bundle: TrustBundle) -> Finding:
    """RES-04: a pod that started before tbot shows by its mode, although its name, its issuer and its readiness are right.

    Args:
        start: The start of the pod.
        outage: The outage of tbot.
        bundle: Teleport's authorities.
    """
    proxy = start.proxy
    expected = "the suite to recognise a pod that started before tbot, although everything else about it looks right"
    claim = Claim("RES-04", expected, str(start.pod.ref), readings(start, outage, bundle))
    if start.meanwhile is None and WAITS_FOR_IT in start.last_words:
        return claim.not_applicable("the socket is not called `socket`, so Istio's agent waits for it")
    if start.meanwhile is None or start.meanwhile.has_files_cluster:
        said = f"it did not start without a socket: {ending(start.last_words, 300) or 'it found a socket'}"
        return claim.judged(
            unclear=[problem(start.pod, said)], settle="check the socket directory of its node for a leftover socket"
        )
    if proxy is None:
        said = f"it is {start.pod.phase} and not Ready, although tbot is back"
        return claim.judged(unclear=[problem(start.pod, said)], settle="read the log of its istio-proxy")
    problems = own_identity_problems(proxy, bundle)
    if start.pod.ready and not problems:
        claim = replace(claim, guide_says="2/2, and its certificate comes from Teleport")
    mode = f"{proxy.sds_mode.told}: {'; '.join(proxy.decided_by)}"
    if proxy.sds_mode is not SdsMode.RACE:
        problems.append(problem(proxy, f"the suite takes it for something else: {mode}"))
    if not (mode_problems(proxy) or supply_problems(proxy)):
        problems.append(problem(proxy, "ID-01 would pass"))
    return claim.judged(
        problems,
        f"it is Ready as {listed(proxy.spiffe_ids)}, certified by Teleport, and the suite recognises the late start: {mode}",
        measures=time_until("time until it was Ready, from tbot's return", outage.back, start.ready),
    )


def stale_socket_ends_the_agent(start: Start, outage: Outage) -> Finding:
    """RES-06, first half: Istio's agent exits because it cannot remove the stale socket of a killed tbot."""
    expected = "the Istio agent to exit because it cannot remove the stale socket, and Envoy never to start"
    claim = Claim("RES-06", expected, str(start.pod.ref), readings(start, outage))
    if start.meanwhile is not None:
        said = f"its Envoy ran; {start.meanwhile.sds_mode.told}: {'; '.join(start.meanwhile.decided_by)}"
        return claim.judged([problem(start.pod, said, "socket-directory-writable" if _took_it_away(start) else "")])
    if COULD_NOT_REMOVE not in start.last_words:
        said = (
            f"its agent did not exit with the words {COULD_NOT_REMOVE!r}, but {ending(start.last_words, 300) or 'with none'}"
        )
        return claim.judged(unclear=[problem(start.pod, said)], settle="read the log of its istio-proxy")
    line = next(line for line in lines(start.last_words) if COULD_NOT_REMOVE in line)
    return claim.judged((), f"Envoy never started: {ending(line, 300)}")


def _took_it_away(start: Start) -> bool:
    """Tell whether Envoy ran because its agent had removed the stale socket.

    An agent that finds a stale socket goes on only once it has removed it; one without the node's directory never saw it.
    """
    volume, proxy = start.pod.spec.volume(SOCKET_VOLUME), start.pod.proxy
    return (
        start.meanwhile is not None
        and not start.meanwhile.has_files_cluster
        and volume is not None
        and volume.source == "hostPath"
        and proxy is not None
        and any(m.name == SOCKET_VOLUME and not m.read_only for m in proxy.mounts)
    )


def well_by_itself(requirement: str, start: Start, since: datetime, bundle: TrustBundle, within: float) -> Finding:
    """A pod becomes Ready in time, with its own certificate from tbot.

    Args:
        requirement: Id in the catalogue.
        start: The start of the pod.
        since: The earliest time at which it could be Ready.
        bundle: Teleport's authorities.
        within: Seconds.
    """
    proxy = start.proxy
    if proxy is None or start.ready is None:
        waiting = start.pod.proxy
        said = f"{waiting.reason} {waiting.message}".strip() if waiting else ""
        problems = [problem(start.pod, f"it is not Ready: {said or start.pod.phase}")]
    else:
        problems = supply_problems(proxy) + own_identity_problems(proxy, bundle)
    restarts = start.pod.proxy.restarts if start.pod.proxy else 0
    expected = f"the pod to be Ready within {within:g} s, with its own identity from tbot"
    return Claim(requirement, expected, str(start.pod.ref), readings(start, bundle)).judged(
        problems,
        f"it is Ready as {listed(proxy.spiffe_ids if proxy else ())}, after {restarts} restarts of its proxy",
        measures=(
            *time_until("time until the pod was Ready", since, start.ready, within),
            Measure("restarts of its proxy", restarts),
        ),
    )


def directory_is_made_again(relocation: Relocation, within: float) -> Finding:
    """RES-05: where the socket directory is lost, the next tbot on the node creates another and is Ready in time."""
    before, now = relocation.inodes
    said = [f"tbot is not Ready: {relocation.words}"] if relocation.back is None else []
    if not now:
        said.append("it has no socket directory")
    elif before == now:
        said.append("it still has the former socket directory")
    # The kubelet mounts volumes first: a pod that it has, without a directory, means that no volume creates one.
    waits_for_it = not now and relocation.back is None and NO_OTHER_TBOT not in relocation.words
    node, cause = ObjectRef("Node", relocation.node), NOT_RECREATED if waits_for_it else ""
    expected = f"the node to have another socket directory, and tbot to be Ready within {within:g} s of its deletion"
    return Claim("RES-05", expected, f"node {relocation.node}", relocation.evidence).judged(
        [Problem(node, each, cause, relocation.evidence) for each in said],
        f"the directory has the inode {now} instead of {before}, and tbot is Ready",
        measures=time_until("time until tbot was Ready", relocation.replaced, relocation.back, within),
    )


def lost_directory_is_found(history: History, after: Pod, relocation: Relocation, within: float) -> Finding:
    """RES-05: a proxy that mounts the lost directory shows by its streams, although its pod is Ready as before.

    Args:
        history: History of the proxy.
        after: Its pod at the end.
        relocation: The loss of the directory.
        within: Seconds from the deletion of tbot.
    """
    latest = history.latest
    without = next((h for h in history.streams if h.first_seen > relocation.lost and h.what < STREAMS), None)
    lacking = stream_problems(latest) if latest else []
    problems = []
    if not lacking:
        problems.append(problem(after, "it has its streams, so that it does not mount the lost directory"))
    elif without is None:
        problems.append(problem(after, "it had lost its streams before the directory was lost"))
    if not after.ready:
        problems.append(problem(after, "it is not Ready, which shows the defect without a look at its streams"))
    expected = "the suite to recognise a proxy that mounts the lost directory by its streams"
    return Claim("RES-05", expected, str(history.pod), readings(history, after, relocation), "2/2, Running").judged(
        problems,
        f"it is Ready, and yet {'; '.join(each.said for each in lacking)}",
        measures=(
            *time_until(
                "time until it was recognised", relocation.replaced, without.first_seen if without else None, within
            ),
            Measure("failed attempts to connect", latest.streams.cx_connect_fail if latest else 0),
        ),
    )


def node_came_back(restart: NodeRestart, bundle: TrustBundle, within: float) -> Finding:
    """RES-08: every pod on a restarted node is Ready again in time, and every proxy has its own identity from tbot.

    A pod that started before tbot has the right identity and keeps working; it is a note, and a measure counts it. If every
    proxy started before tbot, none has taken its identity from tbot's socket, and nothing shows that one could.

    Args:
        bundle: Teleport's authorities.
        within: Seconds from the order to restart it.
    """
    waiting = _waiting_for_the_directory(restart)
    problems = [
        problem(pod, f"it is not Ready: {beginning(pod.why_not_ready, 300)}", NOT_RECREATED if pod.uid in waiting else "")
        for pod in restart.after
        if not pod.ready
    ]
    if restart.back is None:
        node = ObjectRef("Node", restart.node)
        problems.append(Problem(node, "not every pod ran again and became Ready in time"))
    there = {pod.uid for pod in restart.after}
    owners = {(p.namespace, p.owner) for p in restart.after if p.owner}
    problems += [
        problem(pod, "it is gone")
        for pod in restart.before
        if pod.uid not in there and not (pod.owner and (pod.namespace, pod.owner) in owners)
    ]
    problems += not_read(restart.proxies.unread)
    late = [p for p in restart.proxies.proxies if p.sds_mode is SdsMode.RACE]
    started_early = len(late)
    for proxy in restart.proxies.proxies:
        wrong = stream_problems(proxy) if proxy in late else supply_problems(proxy)
        problems += wrong + own_identity_problems(proxy, bundle)
    if late and len(late) == len(restart.proxies.proxies):
        problems += [problem(p, "it started before tbot, like every other proxy on the node", STARTED_EARLY) for p in late]
        late = []
    told = f"; {len(late)} of them started before tbot: {listed(p.pod for p in late)}" if late else ""
    return Claim(
        "RES-08",
        f"every pod on the node to be Ready within {within:g} s, and every proxy to have its own identity from tbot",
        f"node {restart.node}",
        readings(restart, *restart.before, *restart.after, restart.proxies, bundle),
    ).judged(
        problems,
        f"{len(restart.after)} pods are Ready, {len(restart.proxies.proxies)} of them with their own identity{told}",
        left_out=went_away(restart.proxies.left_out),
        notes=[problem(p, "it started before tbot and needs a restart", STARTED_EARLY) for p in late],
        measures=(
            *time_until("time until every pod was Ready", restart.ordered, restart.back, within),
            *time_until("time until the machine ran", restart.ordered, restart.up),
            Measure("pods on the node", len(restart.after), at_least=1),
            Measure("proxies on the node", len(restart.proxies.proxies), at_least=1),
            Measure("proxies that started before tbot", started_early),
        ),
    )


def _waiting_for_the_directory(restart: NodeRestart) -> set[str]:
    """Uids of the pods that cannot start because the socket directory was not created again; empty for any other reason.

    All pods that have not started again require the directory to exist, and one of them is not injected: tbot.
    """
    ran = {c.container_id for pod in restart.before for c in pod.containers}
    stuck = [pod for pod in restart.after if not pod.ready and all(c.container_id in {"", *ran} for c in pod.containers)]
    volumes = (pod.spec.volume(SOCKET_VOLUME) for pod in (*restart.before, *restart.after))
    directories = {v.path.rstrip("/") for v in volumes if v is not None and v.source == "hostPath"}
    wants_it = all(any(v.type == "Directory" and v.path.rstrip("/") in directories for v in p.volumes) for p in stuck)
    return {pod.uid for pod in stuck} if wants_it and not all(pod.is_injected for pod in stuck) else set()
