"""Judgments about pods and nodes that come back, or come up, while tbot or its socket is not as it should be.

RES-04 to RES-06 and RES-08.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.over_time.history import STREAMS, History
from facts.over_time.outage import NodeRestart, Outage, Relocation, Start
from facts.proxies.sds_mode import SdsMode
from facts.teleport.bundle import TrustBundle
from judge.findings import concluded, could_not_tell, listed, not_applicable
from judge.identity.proxies import mode_problems, own_identity_problems, stream_problems, supply_problems

COULD_NOT_REMOVE = "existing SDS socket could not be removed"
"""What Istio's agent says of a socket that nobody answers on, when it is not allowed to take it away."""

WAITS_FOR_IT = "non-default SDS socket path"
"""What it says, and ends, where there is no socket and that has another name than `socket`."""


def late_start_is_found(start: Start, outage: Outage, bundle: TrustBundle) -> Finding:
    """RES-04: a pod that started before tbot is told by its mode, although its name, its issuer and its readiness are right.

    Args:
        start: The pod.
        outage: Of tbot.
        bundle: Teleport's.
    """
    where, proxy = str(start.pod.ref), start.proxy
    if start.meanwhile is None and WAITS_FOR_IT in start.last_words:
        condition = "Istio's agent waits for the socket, which has another name than `socket`."
        return not_applicable("RES-04", condition, where=where, evidence=start.evidence)
    if start.meanwhile is None or start.meanwhile.has_files_cluster:
        seen = start.last_words or "it found a socket"
        error = CouldNotTell(
            expected="a pod whose agent found no socket at its start",
            seen=seen[-300:],
            where=where,
            remedy="see what was left in the socket's directory of its node",
        )
        return could_not_tell("RES-04", error, start.evidence)
    if proxy is None:
        error = CouldNotTell(
            expected="that pod to be Ready once tbot is back",
            seen=f"it is {start.pod.phase}, and not Ready",
            where=where,
            remedy="look at the log of its istio-proxy",
        )
        return could_not_tell("RES-04", error, start.evidence)
    looks_right = not own_identity_problems(proxy, bundle) and start.pod.ready
    problems = own_identity_problems(proxy, bundle)
    if proxy.sds_mode is not SdsMode.RACE:
        problems.append(f"it is taken for one in mode {proxy.sds_mode.value}: {'; '.join(proxy.decided_by)}")
    if not (mode_problems(proxy) or supply_problems(proxy)):
        problems.append("ID-01 would pass it")
    return concluded(
        "RES-04",
        expected="a pod that started before tbot to be told from others, for all that looks right about it",
        problems=problems,
        confirmed=f"Ready, {listed(proxy.spiffe_ids)}, issued by Teleport, and yet in mode {proxy.sds_mode.value}: "
        f"{'; '.join(proxy.decided_by)}",
        where=where,
        evidence=(*start.evidence, *outage.evidence, *bundle.evidence),
        guide_says="2/2, and its certificate is Teleport's" if looks_right else "",
        measures=(_measure("time until it was Ready, from tbot's return", outage.back, start.ready),) if start.ready else (),
    )


def stale_socket_ends_the_agent(start: Start, outage: Outage) -> Finding:
    """RES-06, first half: beside a socket that a killed tbot left, the agent ends, because it cannot take that away."""
    where = str(start.pod.ref)
    problems = []
    if start.meanwhile is not None:
        problems.append(f"its Envoy ran, in mode {start.meanwhile.sds_mode.value}: {'; '.join(start.meanwhile.decided_by)}")
    elif COULD_NOT_REMOVE not in start.last_words:
        error = CouldNotTell(
            expected=f"an agent that ends with the words {COULD_NOT_REMOVE!r}",
            seen=start.last_words[-300:] or "nothing",
            where=where,
            remedy="read the log of its istio-proxy",
        )
        return could_not_tell("RES-06", error, start.evidence)
    said = next((line for line in start.last_words.splitlines() if COULD_NOT_REMOVE in line), "")
    return concluded(
        "RES-06",
        expected="an agent that ends, again and again, and no Envoy",
        problems=problems,
        confirmed=f"Envoy never ran: {said.strip()[-300:]}",
        where=where,
        evidence=(*start.evidence, *outage.evidence),
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
        problems = [f"it is not Ready: {said or start.pod.phase}"]
    else:
        problems = supply_problems(proxy) + own_identity_problems(proxy, bundle)
    restarts = start.pod.proxy.restarts if start.pod.proxy else 0
    return concluded(
        requirement,
        expected=f"the pod Ready within {within:g} s, with its own identity from tbot",
        problems=problems,
        confirmed=f"Ready with {listed(proxy.spiffe_ids if proxy else ())}, after {restarts} restarts of its proxy",
        where=str(start.pod.ref),
        evidence=(*start.evidence, *bundle.evidence),
        measures=(
            *([_measure("time until the pod was Ready", since, start.ready, within)] if start.ready else []),
            Measure("restarts of its proxy", restarts),
        ),
    )


def directory_is_made_again(relocation: Relocation, within: float) -> Finding:
    """RES-05: where the socket's directory is lost, the next tbot on the node makes another and is Ready soon."""
    before, now = relocation.inodes
    problems = [f"tbot is not Ready: {relocation.words}"] if relocation.back is None else []
    if not now:
        problems.append("there is no directory")
    elif before == now:
        problems.append("it is the directory of before")
    return concluded(
        "RES-05",
        expected=f"another directory, and tbot Ready within {within:g} s of the order to replace it",
        problems=problems,
        confirmed=f"the directory has the inode {now}, it had {before}; tbot is Ready",
        where=f"node {relocation.node}",
        evidence=relocation.evidence,
        measures=(_measure("time until tbot was Ready", relocation.replaced, relocation.back, within),)
        if relocation.back
        else (),
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
    problems = []
    if latest is None or not stream_problems(latest):
        problems.append(f"{history.pod} has its streams, so it does not hold the lost directory")
    elif without is None:
        problems.append(f"{history.pod} was without its streams before the directory was lost")
    if not after.ready:
        problems.append(f"{history.pod} is not Ready, so that nobody needs to look at its streams")
    failures = latest.streams.cx_connect_fail if latest else 0
    return concluded(
        "RES-05",
        expected="a proxy that holds the lost directory to be told by its streams",
        problems=problems,
        confirmed=f"Ready, and yet {'; '.join(stream_problems(latest)) if latest else ''}",
        where=str(history.pod),
        evidence=(*history.evidence, *after.evidence, *relocation.evidence),
        guide_says="2/2, Running",
        measures=(
            *([_measure("time until it was told", relocation.replaced, without.first_seen, within)] if without else []),
            Measure("failed attempts to connect", failures),
        ),
    )


def node_came_back(restart: NodeRestart, bundle: TrustBundle, within: float) -> Finding:
    """RES-08: every pod on a node that was restarted is well again, or is named with what it lives from instead of tbot.

    A pod that started before tbot has the right identity and goes on; it is named, and `late` counts it.

    Args:
        restart: What became of the node.
        bundle: Teleport's.
        within: Seconds from the order to restart it.
    """
    problems = [f"{pod.ref} is not Ready: {_why(pod)}" for pod in restart.after if not pod.ready]
    if restart.back is None:
        problems.append("not every pod was seen to run anew and to be Ready in time")
    there = {pod.uid for pod in restart.after}
    owners = {(p.namespace, p.owner) for p in restart.after if p.owner}
    problems += [
        f"{pod.ref} is gone"
        for pod in restart.before
        if pod.uid not in there and not (pod.owner and (pod.namespace, pod.owner) in owners)
    ]
    problems += [f"{unread.pod}: {unread.why}" for unread in restart.proxies.unread]
    late = [p for p in restart.proxies.proxies if p.sds_mode is SdsMode.RACE]
    for proxy in restart.proxies.proxies:
        wrong = stream_problems(proxy) if proxy in late else supply_problems(proxy)
        problems += wrong + own_identity_problems(proxy, bundle)
    named = f"; started before tbot, and to be restarted (ID-01): {listed(p.pod for p in late)}" if late else ""
    return concluded(
        "RES-08",
        expected=f"every pod on the node Ready within {within:g} s, each proxy with its own identity from tbot",
        problems=problems,
        confirmed=f"{len(restart.after)} pods Ready, {len(restart.proxies.proxies)} of them with their own identity{named}",
        where=f"node {restart.node}",
        evidence=(
            *restart.evidence,
            *(e for pod in (*restart.before, *restart.after) for e in pod.evidence),
            *restart.proxies.evidence,
            *bundle.evidence,
        ),
        remedy="restart the pods that are named; with a socket name other than `socket` they would have waited (NEG-07)"
        if late and not problems
        else "",
        measures=(
            *([_measure("time until every pod was well", restart.ordered, restart.back, within)] if restart.back else []),
            _measure("time until the machine ran", restart.ordered, restart.up),
            Measure("pods on the node", len(restart.after), at_least=1),
            Measure("proxies on the node", len(restart.proxies.proxies), at_least=1),
            Measure("proxies that started before tbot", len(late)),
        ),
    )


def _why(pod: Pod) -> str:
    said = [f"{c.reason} {c.message}".strip() for c in pod.containers if c.reason]
    said += [c.message for c in pod.conditions if c.status != "True" and c.message]
    return "; ".join(dict.fromkeys(said))[:300] or pod.phase


def _measure(name: str, first: datetime, last: datetime, at_most: float | None = None) -> Measure:
    return Measure(name, (last - first) / timedelta(seconds=1), "s", at_most=at_most)
