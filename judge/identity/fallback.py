"""Judgments about workloads without tbot's socket: NEG-01, NEG-04 and NEG-07.

Istio's agent falls back to istiod under one name of the socket, and ends under any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from facts.finding import Finding, Holds, Problem
from facts.guide import GuideAnswer
from facts.istio.istio_ca import IstioAuthorities
from facts.proxies.identity import Fleet
from facts.proxies.sds_mode import SdsMode
from facts.teleport.bundle import TrustBundle
from facts.teleport.tbot import Tbot
from facts.traffic.attempts import Candidate, Handshake, NotRun
from facts.traffic.refusal import AttemptEnd
from judge.findings import Claim, listed, problem
from judge.identity import proxies as identity
from judge.identity.proxies import ObservedProxies
from judge.identity.refusals import SHOWS_NOTHING, not_run
from judge.install.application import SOCKET_VOLUME

FAIL_OPEN_NAME = "socket"
"""The one name of a socket without which Istio's agent falls back to istiod; without any other it ends."""


# --- NEG-01 ----------------------------------------------------------------------------------------------------------


def fallback_is_recognised(
    fallback: ObservedProxies, guide: Sequence[GuideAnswer], bundle: TrustBundle, istiod: IstioAuthorities
) -> Finding:
    """NEG-01: ID-01, ID-03, ID-06 and ID-07 say no for a pod certified by istiod, with which the guide's checks are content.

    Args:
        fallback: A workload without the injection template.
        guide: What the guide's own checks of a pod answer for it.
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
        expected="ID-01, ID-03, ID-06 and ID-07 not to hold, although the guide's own checks find nothing",
        where=listed(str(pod.ref) for pod in fallback.pods),
        evidence=[*(e for f in judged for e in f.evidence), *(e for a in guide for e in a.evidence)],
        guide_says="; ".join(a.said for a in guide),
    )
    undecided = [f for f in judged if f.holds not in (Holds.YES, Holds.NO)]
    return claim.judged(
        [claim.problem(f"{f.requirement} holds for it: {f.seen}") for f in judged if f.holds is Holds.YES],
        "; ".join(f"{f.requirement}: {f.seen}" for f in judged),
        unclear=[
            *(claim.problem(f"{f.requirement} cannot be told: {f.seen}") for f in undecided),
            *(claim.problem(f"the guide finds something: {a.asked}: {a.said}") for a in guide if not a.healthy),
        ],
        settle=SHOWS_NOTHING,
    )


def lets_in_its_like(handshake: Handshake) -> Finding:
    """NEG-01, what makes it a working pod: it shakes hands with another that istiod certified."""
    claim = Claim("NEG-01", "mTLS between workloads that istiod certified", handshake.where, handshake.evidence)
    refused = handshake.outcome.kind is not AttemptEnd.GRANTED
    return claim.judged(
        confirmed=f"{handshake.outcome}, {handshake.counted.inbound('ssl.handshake')} handshakes completed",
        unclear=[claim.problem(f"it does not let in its like: {handshake.outcome}")] if refused else [],
        settle=SHOWS_NOTHING,
    )


# --- NEG-04 ----------------------------------------------------------------------------------------------------------


def other_name_fails_closed(candidate: Candidate | NotRun) -> Finding:
    """NEG-04, first half: with another socket name and no socket, the agent ends for that reason and Envoy never runs."""
    expected = "an agent that ends because there is no socket of that name"
    if isinstance(candidate, NotRun):
        return not_run("NEG-04", expected, candidate)
    problems = []
    if candidate.pod.ready:
        problems.append(problem(candidate.pod, "it is Ready"))
    if candidate.proxy is not None:
        problems.append(problem(candidate.pod, f"its Envoy runs, in mode {candidate.proxy.sds_mode.value}"))
    problems += _not_own_volume(candidate)
    otherwise = candidate.outcome.kind is not AttemptEnd.NO_SOCKET
    return Claim("NEG-04", expected, str(candidate.pod.ref), candidate.evidence).judged(
        problems,
        f"not Ready, and Envoy never ran: {candidate.outcome}",
        unclear=[problem(candidate.pod, f"its agent {candidate.outcome}")] if otherwise else [],
        settle=SHOWS_NOTHING,
    )


def usual_name_falls_back(candidate: Candidate | NotRun) -> Finding:
    """NEG-04, second half: under the usual name and without a socket, the pod is Ready with a certificate of istiod."""
    expected = "a Ready pod whose certificate comes from istiod, without a word"
    if isinstance(candidate, NotRun):
        return not_run("NEG-04", expected, candidate)
    proxy = candidate.proxy
    problems = _not_own_volume(candidate)
    if proxy is None or proxy.sds_mode is not SdsMode.ISTIO_CA:
        said = f"it is in mode {proxy.sds_mode.value}" if proxy else "its Envoy does not run"
        problems.append(problem(candidate.pod, said))
    if not candidate.pod.ready:
        problems.append(problem(candidate.pod, "it is not Ready"))
    return Claim("NEG-04", expected, str(candidate.pod.ref), candidate.evidence).judged(
        problems, f"Ready in mode {SdsMode.ISTIO_CA.value}: {'; '.join(proxy.decided_by) if proxy else ''}"
    )


def _not_own_volume(candidate: Candidate) -> list[Problem]:
    """Why a pod's socket directory is not an empty one of its own, without which it proves nothing here."""
    volume = candidate.pod.spec.volume(SOCKET_VOLUME)
    source = volume.source if volume else "missing"
    if source == "emptyDir":
        return []
    # The test pod declares an emptyDir; a template that is not asked for has put another volume in its place.
    said = f"its {SOCKET_VOLUME} is {source}, not an emptyDir of its own"
    return [problem(candidate.pod, said, "socket-in-istios-template" if source in ("hostPath", "csi") else "")]


# --- NEG-07 ----------------------------------------------------------------------------------------------------------


def install_fails_closed(tbot: Tbot, proxies: Fleet) -> Finding:
    """NEG-07: tbot's socket and every proxy that is to use it have the same name, and it is not the one of the fallback.

    Args:
        tbot: tbot as it is installed.
        proxies: The proxies that mount tbot's socket directory.
    """
    name = tbot.socket_on_node.rpartition("/")[2]
    claim = Claim(
        "NEG-07",
        expected=f"a socket of another name than `{FAIL_OPEN_NAME}`, in tbot's configuration and in every proxy",
        where=f"{tbot.daemon_set.ref} and {len(proxies.proxies)} proxies on its sockets",
        evidence=[*tbot.evidence, *proxies.evidence],
        guide_says=f"the guide calls it `{FAIL_OPEN_NAME}`",
    )
    problems = []
    if not name:
        problems.append(Problem(tbot.daemon_set.ref, "tbot listens on no socket of the node", evidence=tbot.evidence))
    if name == FAIL_OPEN_NAME:
        said = f"its socket is called `{name}`: a proxy that starts without it falls back to istiod and is Ready"
        problems.append(Problem(tbot.daemon_set.ref, said, "socket-name-default", tbot.evidence))
    elif name:
        problems += [
            problem(p, f"looks for `{p.socket_path.rpartition('/')[2]}`, tbot's socket is called `{name}`")
            for p in proxies.proxies
            if p.socket_path.rpartition("/")[2] != name
        ]
    unclear = [Problem(each.pod.ref, f"could not be read: {each.why.seen}") for each in proxies.unread]
    if not (proxies.proxies or proxies.unread):
        unclear.append(claim.problem("no proxy mounts tbot's socket directory"))
    return claim.judged(
        problems,
        f"tbot listens on `{name}`, and {len(proxies.proxies)} proxies start with nothing else",
        unclear=unclear,
        settle=proxies.unread[0].why.remedy if proxies.unread else SHOWS_NOTHING,
    )
