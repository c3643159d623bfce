"""Judgments about workloads without tbot's socket: NEG-01, NEG-04 and NEG-07.

Istio's agent falls back to istiod under one name of the socket, and ends under any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from facts.finding import Finding, Holds
from facts.guide import Defect, GuideAnswer
from facts.istio.istio_ca import IstioAuthorities
from facts.proxies.identity import Fleet
from facts.proxies.sds_mode import SdsMode
from facts.teleport.bundle import TrustBundle
from facts.teleport.tbot import Tbot
from facts.traffic.attempts import Candidate, Handshake, NotRun
from facts.traffic.refusal import AttemptEnd
from judge.findings import concluded, could_not_tell, listed
from judge.identity import proxies as identity
from judge.identity.proxies import ObservedProxies
from judge.identity.refusals import shows_nothing

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
    where = listed(str(pod.ref) for pod in fallback.pods)
    evidence = [*(e for f in judged for e in f.evidence), *(e for a in guide for e in a.evidence)]
    problems = [f"{f.requirement} holds for it: {f.seen}" for f in judged if f.holds is Holds.YES]
    unclear = [f"{f.requirement} cannot be told: {f.seen}" for f in judged if f.holds not in (Holds.YES, Holds.NO)]
    unclear += [f"the guide finds something: {a.asked}: {a.said}" for a in guide if not a.healthy]
    if unclear and not problems:
        return could_not_tell("NEG-01", shows_nothing(unclear, where), evidence)
    return concluded(
        "NEG-01",
        expected="ID-01, ID-03, ID-06 and ID-07 not to hold, although the guide's own checks find nothing",
        problems=problems,
        confirmed="; ".join(f"{f.requirement}: {f.seen}" for f in judged),
        where=where,
        evidence=evidence,
        guide_says="; ".join(a.said for a in guide),
    )


def lets_in_its_like(handshake: Handshake) -> Finding:
    """NEG-01, what makes it a working pod: it shakes hands with another that istiod certified."""
    where = handshake.where
    if handshake.outcome.kind is not AttemptEnd.GRANTED:
        return could_not_tell(
            "NEG-01", shows_nothing([f"it does not let in its like: {handshake.outcome}"], where), handshake.evidence
        )
    return concluded(
        "NEG-01",
        expected="mTLS between workloads that istiod certified",
        problems=[],
        confirmed=f"{handshake.outcome}, {handshake.counted.inbound('ssl.handshake')} handshakes completed",
        where=where,
        evidence=handshake.evidence,
    )


# --- NEG-04 ----------------------------------------------------------------------------------------------------------


def other_name_fails_closed(candidate: Candidate | NotRun) -> Finding:
    """NEG-04, first half: with another socket name and no socket, the agent ends for that reason and Envoy never runs."""
    expected = "an agent that ends because there is no socket of that name"
    if isinstance(candidate, NotRun):
        return could_not_tell("NEG-04", shows_nothing([candidate.reason], candidate.what), candidate.evidence)
    where = str(candidate.pod.ref)
    problems = []
    if candidate.pod.ready:
        problems.append("the pod is Ready")
    if candidate.proxy is not None:
        problems.append(f"its Envoy runs, in mode {candidate.proxy.sds_mode.value}")
    problems += _not_own_volume(candidate)
    if not problems and candidate.outcome.kind is not AttemptEnd.NO_SOCKET:
        return could_not_tell("NEG-04", shows_nothing([f"its agent {candidate.outcome}"], where), candidate.evidence)
    return concluded(
        "NEG-04",
        expected=expected,
        problems=problems,
        confirmed=f"not Ready, and Envoy never ran: {candidate.outcome}",
        where=where,
        evidence=candidate.evidence,
    )


def usual_name_falls_back(candidate: Candidate | NotRun) -> Finding:
    """NEG-04, second half: under the usual name and without a socket, the pod is Ready with a certificate of istiod."""
    if isinstance(candidate, NotRun):
        return could_not_tell("NEG-04", shows_nothing([candidate.reason], candidate.what), candidate.evidence)
    proxy = candidate.proxy
    problems = _not_own_volume(candidate)
    if proxy is None or proxy.sds_mode is not SdsMode.ISTIO_CA:
        problems.append(f"it is in mode {proxy.sds_mode.value}" if proxy else "its Envoy does not run")
    if not candidate.pod.ready:
        problems.append("it is not Ready")
    return concluded(
        "NEG-04",
        expected="a Ready pod whose certificate comes from istiod, without a word",
        problems=problems,
        confirmed=f"Ready in mode {SdsMode.ISTIO_CA.value}: {'; '.join(proxy.decided_by) if proxy else ''}",
        where=str(candidate.pod.ref),
        evidence=candidate.evidence,
    )


def _not_own_volume(candidate: Candidate) -> list[str]:
    """Why a pod's socket directory is not an empty one of its own, without which it proves nothing here."""
    volume = candidate.pod.spec.volume("workload-socket")
    source = volume.source if volume else "missing"
    return [] if source == "emptyDir" else [f"its workload-socket is {source}, not an emptyDir of its own"]


# --- NEG-07 ----------------------------------------------------------------------------------------------------------


def install_fails_closed(tbot: Tbot, proxies: Fleet) -> Finding:
    """NEG-07: tbot's socket and every proxy that is to use it have the same name, and it is not the one of the fallback.

    Args:
        tbot: tbot as it is installed.
        proxies: The proxies that mount tbot's socket directory.
    """
    name = tbot.socket_on_node.rpartition("/")[2]
    where = f"{tbot.daemon_set.ref} and {len(proxies.proxies)} proxies on its sockets"
    evidence = [*tbot.evidence, *proxies.evidence]
    problems = []
    if not name:
        problems.append("tbot listens on no socket of the node")
    if name == FAIL_OPEN_NAME:
        problems.append(
            f"tbot's socket is called `{name}`: a proxy that starts without it falls back to istiod and is Ready"
        )
    other = [p for p in proxies.proxies if p.socket_path.rpartition("/")[2] != name]
    if other and name != FAIL_OPEN_NAME:
        seen = listed(f"{p.pod} looks for `{p.socket_path.rpartition('/')[2]}`" for p in other)
        problems.append(f"tbot's socket is called `{name}`, but {seen}")
    if not problems and not proxies.proxies:
        return could_not_tell("NEG-07", shows_nothing(["no proxy mounts tbot's socket directory"], where), evidence)
    if not problems and proxies.unread:
        return could_not_tell("NEG-07", proxies.unread[0].why, evidence)
    return concluded(
        "NEG-07",
        expected=f"a socket of another name than `{FAIL_OPEN_NAME}`, in tbot's configuration and in every proxy",
        problems=problems,
        confirmed=f"tbot listens on `{name}`, and {len(proxies.proxies)} proxies start with nothing else",
        where=where,
        evidence=evidence,
        guide_says=f"the guide calls it `{FAIL_OPEN_NAME}`",
        guide_defect=Defect.SOCKET_NAME if name == FAIL_OPEN_NAME else None,
    )
