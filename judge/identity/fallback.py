"""Judgments about workloads without tbot's socket: NEG-01, NEG-04 and NEG-07.

Without the socket, Istio's agent falls back to istiod where the socket's name is `socket`, and exits under any other name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facts.evidence import readings
from facts.finding import Finding, Holds, Problem
from facts.guide import GuideAnswer
from facts.istio.istio_ca import IstioAuthorities
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import SOCKET_VOLUME
from facts.provider.agents import Agent, Agents
from facts.provider.trust import TrustBundle
from facts.proxies.identity import Fleet, ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.traffic.attempts import Candidate, Handshake, NotRun
from facts.traffic.refusal import AttemptEnd
from judge.findings import LOOK_FIRST, Claim, listed, problem
from judge.fleet import how_to_read, not_read, went_away
from judge.identity import proxies as identity
from judge.identity.proxies import ObservedProxies
from judge.identity.refusals import not_run
from judge.install.istio import NO_WORKLOAD

FAIL_OPEN_NAME = "socket"
"""The only name of a socket for which Istio's agent has a fallback; where any other is missing, the agent exits."""


# --- NEG-01 ----------------------------------------------------------------------------------------------------------


def fallback_is_recognised(
    fallback: ObservedProxies, guide: Sequence[GuideAnswer], bundle: TrustBundle, istiod: IstioAuthorities
) -> Finding:
    """NEG-01: ID-01, ID-03, ID-06 and ID-07 fail for a pod that istiod certified, while the guide's own checks find nothing.

    Args:
        fallback: A workload without the injection template.
        guide: Answers of the guide's own checks of a pod.
        bundle: Teleport's authorities.
        istiod: Istiod's authorities.
    """
    judged = (
        identity.secrets_come_from_the_socket(fallback),
        identity.teleport_issued(fallback, bundle, istiod),
        identity.authorities_are_teleports(fallback, bundle),
        identity.no_request_went_to_istiod(fallback),
    )
    claim = Claim(
        "NEG-01",
        expected="ID-01, ID-03, ID-06 and ID-07 to fail, although the guide's own checks find nothing",
        where=listed(str(pod.ref) for pod in fallback.pods),
        evidence=readings(*judged, *guide),
        guide_says="; ".join(a.said for a in guide),
    )
    undecided = [f for f in judged if f.holds not in (Holds.YES, Holds.NO)]
    return claim.judged(
        [claim.problem(f"{f.requirement} holds for it: {f.seen}") for f in judged if f.holds is Holds.YES],
        "; ".join(f"{f.requirement}: {f.seen}" for f in judged),
        unclear=[
            *(claim.problem(f"{f.requirement} could not be determined: {f.seen}") for f in undecided),
            *(claim.problem(f"the guide finds something: {a.asked}: {a.said}") for a in guide if not a.healthy),
        ],
        settle=LOOK_FIRST,
    )


def lets_in_its_like(handshake: Handshake) -> Finding:
    """NEG-01, proof that the pod works: it shakes hands with another pod that istiod certified."""
    claim = Claim("NEG-01", "mTLS to work between pods that istiod certified", handshake.where, handshake.evidence)
    refused = handshake.outcome.kind is not AttemptEnd.GRANTED
    return claim.judged(
        confirmed=f"{handshake.outcome}, {handshake.counted.inbound('ssl.handshake')} handshakes completed",
        unclear=[claim.problem(f"it refuses another pod that istiod certified: {handshake.outcome}")] if refused else [],
        settle=LOOK_FIRST,
    )


# --- NEG-04 ----------------------------------------------------------------------------------------------------------


def other_name_fails_closed(candidate: Candidate | NotRun) -> Finding:
    """NEG-04, first half: without a socket of another name, the agent exits for that reason, and Envoy never starts."""
    expected = "the Istio agent to exit because there is no socket of that name"
    if isinstance(candidate, NotRun):
        return not_run("NEG-04", expected, candidate)
    problems = [problem(candidate.pod, "it is Ready")] if candidate.pod.ready else []
    if candidate.proxy is not None:
        problems.append(problem(candidate.pod, f"its Envoy runs; {candidate.proxy.sds_mode.told}"))
    problems += _not_own_volume(candidate)
    otherwise = candidate.outcome.kind is not AttemptEnd.NO_SOCKET
    return Claim("NEG-04", expected, str(candidate.pod.ref), candidate.evidence).judged(
        problems,
        f"not Ready, and Envoy never started: {candidate.outcome}",
        unclear=[problem(candidate.pod, f"the start of its Istio agent: {candidate.outcome}")] if otherwise else [],
        settle=LOOK_FIRST,
    )


def usual_name_falls_back(candidate: Candidate | NotRun) -> Finding:
    """NEG-04, second half: under the usual name and without a socket, the pod is Ready with a certificate of istiod."""
    expected = "the pod to be Ready with a certificate of istiod, and no warning"
    if isinstance(candidate, NotRun):
        return not_run("NEG-04", expected, candidate)
    proxy = candidate.proxy
    problems = _not_own_volume(candidate)
    if proxy is None or proxy.sds_mode is not SdsMode.ISTIO_CA:
        said = proxy.sds_mode.told if proxy else "its Envoy does not run"
        problems.append(problem(candidate.pod, said))
    if not candidate.pod.ready:
        problems.append(problem(candidate.pod, "it is not Ready"))
    return Claim("NEG-04", expected, str(candidate.pod.ref), candidate.evidence).judged(
        problems, f"Ready; {SdsMode.ISTIO_CA.told}: {'; '.join(proxy.decided_by) if proxy else ''}"
    )


def _not_own_volume(candidate: Candidate) -> list[Problem]:
    """A problem unless a pod's socket directory is an empty one of its own; with another, the pod proves nothing here."""
    volume = candidate.pod.spec.volume(SOCKET_VOLUME)
    source = volume.source if volume else "missing"
    if source == "emptyDir":
        return []
    return [problem(candidate.pod, f"its volume {SOCKET_VOLUME} is {source}, not an emptyDir of its own")]


# --- NEG-07 ----------------------------------------------------------------------------------------------------------


def install_fails_closed(tbots: Agents, proxies: Fleet, pods: Iterable[Pod]) -> Finding:
    """NEG-07: every proxy dials a socket on which tbot listens, and whose name is not the one with a fallback.

    Args:
        tbots: Every tbot that serves the mesh.
        proxies: The proxies that mount tbot's socket directory.
        pods: All pods with a proxy. Their volumes tell which directory of the node that is; a CSI volume does not tell it,
            so that the names alone are compared. Without any the requirement does not apply.
    """
    by_uid = {pod.uid: pod for pod in pods}
    claim = Claim(
        "NEG-07",
        expected=f"every proxy to dial a socket of tbot, under another name than `{FAIL_OPEN_NAME}`",
        where=f"{tbots.where} and {len(proxies.proxies)} proxies on its sockets",
        evidence=readings(tbots, proxies),
        guide_says=f"the guide calls it `{FAIL_OPEN_NAME}`",
    )
    problems = []
    for tbot in tbots.each:
        if not _names(tbot):
            problems.append(Problem(tbot.daemon_set.ref, "tbot listens on no socket of the node", evidence=tbot.evidence))
        if FAIL_OPEN_NAME in _names(tbot):
            falls_back = "a proxy that starts without it falls back to istiod and becomes Ready"
            said = f"its socket is called `{FAIL_OPEN_NAME}`: {falls_back}"
            problems.append(Problem(tbot.daemon_set.ref, said, "socket-name-default", tbot.evidence))
    for proxy in proxies.proxies:
        there = tbots.on(proxy.pod.node) or tbots.each
        # Where tbot's own name is wrong, that is the one thing to say.
        if not any(FAIL_OPEN_NAME in _names(tbot) for tbot in there):
            problems += _dials_none(proxy, by_uid.get(proxy.pod.uid), there)
    if not (problems or by_uid or proxies.outcomes):
        return claim.not_applicable(NO_WORKLOAD)
    unclear = not_read(proxies.unread)
    if not (proxies.proxies or proxies.unread):
        unclear.append(claim.problem("no proxy mounts tbot's socket directory"))
    own = listed(name for tbot in tbots.each for name in _names(tbot))
    return claim.judged(
        problems,
        f"tbot listens on `{own}`, and {len(proxies.proxies)} proxies look for it under that name",
        unclear=unclear,
        settle=how_to_read(proxies.unread, LOOK_FIRST),
        left_out=went_away(proxies.left_out),
    )


def _dials_none(proxy: ProxyIdentity, pod: Pod | None, there: Sequence[Agent]) -> list[Problem]:
    """A problem unless a proxy dials a socket of one of the tbots of its node."""
    paths = {socket.path for tbot in there for socket in tbot.sockets_of_mesh}
    names = {name for tbot in there for name in _names(tbot)}
    path, name = proxy.socket_on_node(pod) if pod else "", proxy.socket_path.rpartition("/")[2]
    if path and paths and path not in paths:
        return [problem(proxy, f"it looks for `{path}` on its node, tbot's socket there is `{listed(paths)}`")]
    if not path and names and name not in names:
        return [problem(proxy, f"it looks for `{name}`, tbot's socket is called `{listed(names)}`")]
    return []


def _names(tbot: Agent) -> list[str]:
    """File names of its sockets that the mesh uses."""
    return [socket.path.rpartition("/")[2] for socket in tbot.sockets_of_mesh]
