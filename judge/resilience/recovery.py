"""Judgments about pods and nodes that come back, or come up, while tbot or its socket is not as it should be.

RES-04 to RES-06 and RES-08.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from facts.evidence import ObjectRef
from facts.finding import Finding, Problem
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.over_time.history import History
from facts.over_time.outage import NodeRestart, Outage, Relocation, Start
from facts.proxies.envoy import STREAMS
from facts.proxies.sds_mode import SdsMode
from facts.teleport.bundle import TrustBundle
from judge.findings import Claim, listed, problem
from judge.identity.proxies import CAUSES_OF_MODES, mode_problems, own_identity_problems, stream_problems, supply_problems
from judge.install.application import SOCKET_VOLUME

COULD_NOT_REMOVE = "existing SDS socket could not be removed"
"""What Istio's agent says of a socket that nobody answers on, when it is not allowed to take it away."""

WAITS_FOR_IT = "non-default SDS socket path"
"""What it says, and ends, where there is no socket and that has another name than `socket`."""

NOT_RECREATED = "socket-directory-not-recreated"

NO_OTHER_TBOT = "no other tbot"
"""What a `Relocation` says where no pod has taken the place of the tbot that was told to go."""


def late_start_is_found(start: Start, outage: Outage, bundle: TrustBundle) -> Finding:
    """RES-04: a pod that started before tbot is told by its mode, although its name, its issuer and its readiness are right.

    Args:
        start: The pod.
        outage: Of tbot.
        bundle: Teleport's.
    """
    proxy = start.proxy
    claim = Claim(
        "RES-04",
        "a pod that started before tbot to be told from others, for all that looks right about it",
        str(start.pod.ref),
        (*start.evidence, *outage.evidence, *bundle.evidence),
    )
    if start.meanwhile is None and WAITS_FOR_IT in start.last_words:
        return claim.not_applicable("the socket is not called `socket`, so Istio's agent waits for it")
    if start.meanwhile is None or start.meanwhile.has_files_cluster:
        said = f"did not start without a socket: {(start.last_words or 'it found a socket')[-300:]}"
        return claim.judged(
            unclear=[problem(start.pod, said)], settle="see what was left in the socket's directory of its node"
        )
    if proxy is None:
        said = f"is {start.pod.phase}, and not Ready, although tbot is back"
        return claim.judged(unclear=[problem(start.pod, said)], settle="look at the log of its istio-proxy")
    problems = own_identity_problems(proxy, bundle)
    if start.pod.ready and not problems:
        claim = replace(claim, guide_says="2/2, and its certificate is Teleport's")
    mode = f"in mode {proxy.sds_mode.value}: {'; '.join(proxy.decided_by)}"
    if proxy.sds_mode is not SdsMode.RACE:
        problems.append(problem(proxy, f"is taken for one {mode}"))
    if not (mode_problems(proxy) or supply_problems(proxy)):
        problems.append(problem(proxy, "ID-01 would pass it"))
    return claim.judged(
        problems,
        f"Ready, {listed(proxy.spiffe_ids)}, issued by Teleport, and yet {mode}",
        measures=[_measure("time until it was Ready, from tbot's return", outage.back, start.ready)] if start.ready else [],
    )


def stale_socket_ends_the_agent(start: Start, outage: Outage) -> Finding:
    """RES-06, first half: beside a socket that a killed tbot left, the agent ends, because it cannot take that away."""
    claim = Claim(
        "RES-06",
        "an agent that ends, again and again, and no Envoy",
        str(start.pod.ref),
        (*start.evidence, *outage.evidence),
    )
    if start.meanwhile is not None:
        said = f"its Envoy ran, in mode {start.meanwhile.sds_mode.value}: {'; '.join(start.meanwhile.decided_by)}"
        return claim.judged([problem(start.pod, said, "socket-directory-writable" if _took_it_away(start) else "")])
    if COULD_NOT_REMOVE not in start.last_words:
        said = f"its agent did not end with the words {COULD_NOT_REMOVE!r}, but {start.last_words[-300:] or 'with none'}"
        return claim.judged(unclear=[problem(start.pod, said)], settle="read the log of its istio-proxy")
    line = next(line for line in start.last_words.splitlines() if COULD_NOT_REMOVE in line)
    return claim.judged((), f"Envoy never ran: {line.strip()[-300:]}")


def _took_it_away(start: Start) -> bool:
    """Whether an Envoy that ran beside a dead socket ran because its agent had removed that.

    An agent that finds a socket dead goes on only once it has removed it; one without the node's directory never saw it.
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
    """A pod is Ready so soon, with its own certificate of Teleport's and from tbot.

    Args:
        requirement: Id in the catalogue.
        start: The pod.
        since: From when on it could have been.
        bundle: Teleport's.
        within: Seconds.
    """
    proxy = start.proxy
    if proxy is None or start.ready is None:
        waiting = start.pod.proxy
        said = f"{waiting.reason} {waiting.message}".strip() if waiting else ""
        problems = [problem(start.pod, f"is not Ready: {said or start.pod.phase}")]
    else:
        problems = supply_problems(proxy) + own_identity_problems(proxy, bundle)
    restarts = start.pod.proxy.restarts if start.pod.proxy else 0
    return Claim(
        requirement,
        f"the pod Ready within {within:g} s, with its own identity from tbot",
        str(start.pod.ref),
        (*start.evidence, *bundle.evidence),
    ).judged(
        problems,
        f"Ready with {listed(proxy.spiffe_ids if proxy else ())}, after {restarts} restarts of its proxy",
        measures=(
            *([_measure("time until the pod was Ready", since, start.ready, within)] if start.ready else []),
            Measure("restarts of its proxy", restarts),
        ),
    )


def directory_is_made_again(relocation: Relocation, within: float) -> Finding:
    """RES-05: where the socket's directory is lost, the next tbot on the node makes another and is Ready soon."""
    before, now = relocation.inodes
    said = [f"tbot is not Ready: {relocation.words}"] if relocation.back is None else []
    if not now:
        said.append("there is no directory")
    elif before == now:
        said.append("it is the directory of before")
    # The kubelet mounts volumes before anything else: a pod that it has, and no directory, means that no volume makes one.
    waits_for_it = not now and relocation.back is None and NO_OTHER_TBOT not in relocation.words
    node, cause = ObjectRef("Node", relocation.node), NOT_RECREATED if waits_for_it else ""
    return Claim(
        "RES-05",
        f"another directory, and tbot Ready within {within:g} s of the order to replace it",
        f"node {relocation.node}",
        relocation.evidence,
    ).judged(
        [Problem(node, each, cause, relocation.evidence) for each in said],
        f"the directory has the inode {now}, it had {before}; tbot is Ready",
        measures=[_measure("time until tbot was Ready", relocation.replaced, relocation.back, within)]
        if relocation.back
        else [],
    )


def lost_directory_is_found(history: History, after: Pod, relocation: Relocation, within: float) -> Finding:
    """RES-05: a proxy that holds a directory that is lost is told by its streams, although its pod is Ready as before.

    Args:
        history: Of the proxy.
        after: Its pod, when it was over.
        relocation: What became of the directory.
        within: Seconds from the order to replace tbot.
    """
    latest = history.latest
    without = next((h for h in history.streams if h.first_seen > relocation.lost and h.what < STREAMS), None)
    lacking = stream_problems(latest) if latest else []
    problems = []
    if not lacking:
        problems.append(problem(after, "has its streams, so it does not hold the lost directory"))
    elif without is None:
        problems.append(problem(after, "was without its streams before the directory was lost"))
    if not after.ready:
        problems.append(problem(after, "is not Ready, so that nobody needs to look at its streams"))
    return Claim(
        "RES-05",
        "a proxy that holds the lost directory to be told by its streams",
        str(history.pod),
        (*history.evidence, *after.evidence, *relocation.evidence),
        "2/2, Running",
    ).judged(
        problems,
        f"Ready, and yet {'; '.join(each.said for each in lacking)}",
        measures=(
            *([_measure("time until it was told", relocation.replaced, without.first_seen, within)] if without else []),
            Measure("failed attempts to connect", latest.streams.cx_connect_fail if latest else 0),
        ),
    )


def node_came_back(restart: NodeRestart, bundle: TrustBundle, within: float) -> Finding:
    """RES-08: every pod on a node that was restarted is well again, or is named with what it lives from instead of tbot.

    A pod that started before tbot has the right identity and goes on; it is noted, and `late` counts it.

    Args:
        restart: What became of the node.
        bundle: Teleport's.
        within: Seconds from the order to restart it.
    """
    waiting = _waiting_for_the_directory(restart)
    problems = [
        problem(pod, f"is not Ready: {_why(pod)}", NOT_RECREATED if pod.uid in waiting else "")
        for pod in restart.after
        if not pod.ready
    ]
    if restart.back is None:
        node = ObjectRef("Node", restart.node)
        problems.append(Problem(node, "not every pod was seen to run anew and to be Ready in time"))
    there = {pod.uid for pod in restart.after}
    owners = {(p.namespace, p.owner) for p in restart.after if p.owner}
    problems += [
        problem(pod, "is gone")
        for pod in restart.before
        if pod.uid not in there and not (pod.owner and (pod.namespace, pod.owner) in owners)
    ]
    problems += [Problem(u.pod.ref, f"could not be read: {u.why.seen}") for u in restart.proxies.unread]
    late = [p for p in restart.proxies.proxies if p.sds_mode is SdsMode.RACE]
    for proxy in restart.proxies.proxies:
        wrong = stream_problems(proxy) if proxy in late else supply_problems(proxy)
        problems += wrong + own_identity_problems(proxy, bundle)
    told = f"; {len(late)} of these started before tbot: {listed(p.pod for p in late)}" if late else ""
    return Claim(
        "RES-08",
        f"every pod on the node Ready within {within:g} s, each proxy with its own identity from tbot",
        f"node {restart.node}",
        (
            *restart.evidence,
            *(e for pod in (*restart.before, *restart.after) for e in pod.evidence),
            *restart.proxies.evidence,
            *bundle.evidence,
        ),
    ).judged(
        problems,
        f"{len(restart.after)} pods Ready, {len(restart.proxies.proxies)} of them with their own identity{told}",
        notes=[problem(p, "started before tbot, and is to be restarted", CAUSES_OF_MODES[SdsMode.RACE]) for p in late],
        measures=(
            *([_measure("time until every pod was well", restart.ordered, restart.back, within)] if restart.back else []),
            _measure("time until the machine ran", restart.ordered, restart.up),
            Measure("pods on the node", len(restart.after), at_least=1),
            Measure("proxies on the node", len(restart.proxies.proxies), at_least=1),
            Measure("proxies that started before tbot", len(late)),
        ),
    )


def _waiting_for_the_directory(restart: NodeRestart) -> set[str]:
    """Uids of the pods that cannot start because nobody has made the socket's directory again; empty for any other reason.

    All pods that have not started anew want it to be there already, and one of them is no workload: it is tbot.
    """
    ran = {c.container_id for pod in restart.before for c in pod.containers}
    stuck = [pod for pod in restart.after if not pod.ready and all(c.container_id in {"", *ran} for c in pod.containers)]
    volumes = (pod.spec.volume(SOCKET_VOLUME) for pod in (*restart.before, *restart.after))
    directories = {v.path.rstrip("/") for v in volumes if v is not None and v.source == "hostPath"}
    wants_it = all(any(v.type == "Directory" and v.path.rstrip("/") in directories for v in p.volumes) for p in stuck)
    return {pod.uid for pod in stuck} if wants_it and not all(pod.is_injected for pod in stuck) else set()


def _why(pod: Pod) -> str:
    said = [f"{c.reason} {c.message}".strip() for c in pod.containers if c.reason]
    said += [c.message for c in pod.conditions if c.status != "True" and c.message]
    return "; ".join(dict.fromkeys(said))[:300] or pod.phase


def _measure(name: str, first: datetime, last: datetime, at_most: float | None = None) -> Measure:
    return Measure(name, (last - first) / timedelta(seconds=1), "s", at_most=at_most)
