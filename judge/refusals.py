"""Judgments about who must not be let in: NEG-01 to NEG-07.

A refusal counts only with its reason: one that everybody meets, or that is for something else, shows nothing. So each goes
with somebody who asks for the same and must be let in, and what ended otherwise than by a refusal is *could not tell*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from facts.agent import Agent
from facts.attempts import Candidate, Handshake, JoinAttempt, NotRun, OutsideProbe
from facts.bundle import TrustBundle
from facts.errors import CouldNotTell
from facts.finding import Finding, Holds
from facts.guide import Defect, GuideAnswer
from facts.istio_ca import IstioAuthorities
from facts.ledger import Exchange, Outcome
from facts.probe import Refused, SdsProbe
from facts.proxy import Fleet, ProxyIdentity
from facts.refusal import Because, Kind, reason_of
from facts.sds_mode import SdsMode
from facts.svid import verify_chain, workload_id
from facts.teleport import WorkloadIdentity
from judge import identity
from judge.findings import concluded, could_not_tell, listed, not_applicable
from judge.identity import Sidecars

NODES_CANNOT_BE_ENTERED = "the cluster admits no pod that enters its node"
OTHER_JOIN_METHOD = "tbot joins by another method than kubernetes"
"""Conditions of the catalogue."""

FAIL_OPEN_NAME = "socket"
"""The one name of a socket without which Istio's agent falls back to istiod; without any other it ends."""


# --- NEG-01 ----------------------------------------------------------------------------------------------------------


def fallback_is_recognised(
    fallback: Sidecars, guide: Sequence[GuideAnswer], bundle: TrustBundle, istiod: IstioAuthorities
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
        return could_not_tell("NEG-01", _unclear(unclear, where), evidence)
    return concluded(
        "NEG-01",
        expected="ID-01, ID-03, ID-06 and ID-07 not to hold, although the guide's own checks find nothing",
        problems=problems,
        so="; ".join(f"{f.requirement}: {f.seen}" for f in judged),
        where=where,
        evidence=evidence,
        guide_says="; ".join(a.said for a in guide),
    )


def lets_in_its_like(handshake: Handshake) -> Finding:
    """NEG-01, what makes it a working pod: it shakes hands with another that istiod certified."""
    where = f"{handshake.server}, dialled with {handshake.who}"
    if handshake.outcome.kind is not Kind.GRANTED:
        return could_not_tell(
            "NEG-01", _unclear([f"it does not let in its like: {handshake.outcome}"], where), handshake.evidence
        )
    return concluded(
        "NEG-01",
        expected="mTLS between workloads that istiod certified",
        problems=[],
        so=f"{handshake.outcome}, {handshake.counted.inbound('ssl.handshake')} handshakes completed",
        where=where,
        evidence=handshake.evidence,
    )


# --- NEG-02 ----------------------------------------------------------------------------------------------------------


def outside_is_refused(
    outside: Sequence[OutsideProbe | NotRun], beside: Sequence[SdsProbe | Refused], bundle: TrustBundle
) -> Finding:
    """NEG-02: on each node a process in no pod is refused for that, while one in a pod is given its identity.

    Args:
        outside: What processes in no pod got, one for each node.
        beside: What probes in pods got from the same sockets at the same time.
        bundle: Teleport's authorities.
    """
    where = f"sockets of {listed(p.node for p in beside)}"
    evidence = [*(e for p in (*outside, *beside) for e in p.evidence), *bundle.evidence]
    entered = [p for p in outside if isinstance(p, OutsideProbe)]
    problems = [f"{p.node}: a process in no pod was given {p.leaf}" for p in entered if p.leaf is not None]
    problems += [
        f"{p.node}: a process in a pod is refused as one in no pod: nobody is attested ({p.reason})"
        for p in beside
        if isinstance(p, SdsProbe) and p.leaf is None and reason_of(p.reason) is Because.NO_POD
    ]
    # What is wrong is wrong even where the rest could not be told.
    if not problems:
        if outside and all(isinstance(p, NotRun) and p.by_policy for p in outside):
            return not_applicable("NEG-02", NODES_CANNOT_BE_ENTERED, where=where, evidence=evidence)
        unclear = [f"{p.what} did not run: {p.reason}" for p in outside if isinstance(p, NotRun)]
        unclear += [w for p in entered for w in _why_outside_proves_nothing(p)]
        unclear += [w for p in beside for w in _why_beside_proves_nothing(p, bundle)]
        if unclear or not entered:
            return could_not_tell("NEG-02", _unclear(unclear or ["no node hosts an injected pod"], where), evidence)
    return concluded(
        "NEG-02",
        expected="a process in no pod to be refused for being in none, where one in a pod is given its identity",
        problems=problems,
        so=listed(f"{p.node}: {p.outcome}" for p in entered),
        where=where,
        evidence=evidence,
    )


def _why_outside_proves_nothing(probe: OutsideProbe) -> list[str]:
    if not probe.is_outside:
        return [f"{probe.node}: the process is still in a pod: its cgroup root is {probe.cgroup_root}"]
    if probe.outcome.kind is not Kind.SDS or probe.outcome.because not in (Because.NO_POD, Because.NO_RULE):
        return [f"{probe.node}: the process was not refused for being in no pod: {probe.outcome}"]
    return []


def _why_beside_proves_nothing(probe: SdsProbe | Refused, bundle: TrustBundle) -> list[str]:
    if isinstance(probe, Refused) or probe.leaf is None:
        return [f"{probe.node}: a process in a pod got nothing either: {probe.reason}"]
    chain = verify_chain(probe.leaf, bundle.authorities, probe.read_at)
    return [] if chain.ok else [f"{probe.node}: a process in a pod got a certificate that is not Teleport's: {chain.reason}"]


# --- NEG-03 ----------------------------------------------------------------------------------------------------------


def rules_are_enforced(
    refused: Candidate | NotRun, allowed: Candidate | NotRun, former: WorkloadIdentity, bundle: TrustBundle
) -> Finding:
    """NEG-03: a service account that the rules leave out gets nothing, and its pod is not Ready when one beside it is.

    Args:
        refused: The workload of that account.
        allowed: The workload of another account, started at the same time under the same rules.
        former: The workload identity as the install has it, without the run's own condition.
        bundle: Teleport's authorities.
    """
    where = "workloads of the run, under rules that leave out one service account"
    evidence = [*refused.evidence, *allowed.evidence, *former.evidence, *bundle.evidence]
    if isinstance(refused, NotRun):
        return could_not_tell("NEG-03", _unclear([f"{refused.what}: {refused.reason}"], where), evidence)
    problems = []
    if refused.proxy is not None and refused.proxy.leaf is not None:
        problems.append(f"{refused.proxy.pod} holds {refused.proxy.leaf}")
    if refused.pod.ready:
        problems.append(f"{refused.pod.ref} is Ready")
    unclear = [] if refused.outcome.because is Because.NO_RULE else [f"{refused.pod.ref} was not refused: {refused.outcome}"]
    if isinstance(allowed, NotRun):
        unclear.append(f"{allowed.what}, which the rules allow, did not start either: {allowed.reason}")
    elif not _has_own_identity(allowed.proxy, bundle):
        unclear.append(f"{allowed.pod.ref}, which the rules allow, has no identity of its own from Teleport either")
    if unclear and not problems:
        return could_not_tell("NEG-03", _unclear(unclear, where), evidence)
    own = f"the install's own has {len(former.rules)}" if former.rules else "the install's own has none: it issues to all"
    return concluded(
        "NEG-03",
        expected="no identity and no Ready pod for a service account that the rules leave out",
        problems=problems,
        so=f"{refused.pod.ref}: {refused.outcome}; not Ready when {allowed_name(allowed)} was (rules: {own})",
        where=where,
        evidence=evidence,
    )


def allowed_name(allowed: Candidate | NotRun) -> str:
    """The workload that is let in, in words."""
    return allowed.what if isinstance(allowed, NotRun) else str(allowed.pod.ref)


def _has_own_identity(proxy: ProxyIdentity | None, bundle: TrustBundle) -> bool:
    if proxy is None or proxy.leaf is None:
        return False
    own = workload_id(bundle.trust_domain, proxy.pod.namespace, proxy.pod.service_account)
    return proxy.spiffe_ids == (own,) and verify_chain(proxy.leaf, bundle.authorities, proxy.read_at).ok


# --- NEG-04 ----------------------------------------------------------------------------------------------------------


def other_name_fails_closed(candidate: Candidate | NotRun) -> Finding:
    """NEG-04, first half: with another socket name and no socket, the agent ends for that reason and Envoy never runs."""
    expected = "an agent that ends because there is no socket of that name"
    if isinstance(candidate, NotRun):
        return could_not_tell("NEG-04", _unclear([candidate.reason], candidate.what), candidate.evidence)
    where = str(candidate.pod.ref)
    problems = []
    if candidate.pod.ready:
        problems.append("the pod is Ready")
    if candidate.proxy is not None:
        problems.append(f"its Envoy runs, in mode {candidate.proxy.sds_mode.value}")
    problems += _not_own_volume(candidate)
    if not problems and candidate.outcome.kind is not Kind.NO_SOCKET:
        return could_not_tell("NEG-04", _unclear([f"its agent {candidate.outcome}"], where), candidate.evidence)
    return concluded(
        "NEG-04",
        expected=expected,
        problems=problems,
        so=f"not Ready, and Envoy never ran: {candidate.outcome}",
        where=where,
        evidence=candidate.evidence,
    )


def usual_name_falls_back(candidate: Candidate | NotRun) -> Finding:
    """NEG-04, second half: under the usual name and without a socket, the pod is Ready with a certificate of istiod."""
    if isinstance(candidate, NotRun):
        return could_not_tell("NEG-04", _unclear([candidate.reason], candidate.what), candidate.evidence)
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
        so=f"Ready in mode {SdsMode.ISTIO_CA.value}: {'; '.join(proxy.decided_by) if proxy else ''}",
        where=str(candidate.pod.ref),
        evidence=candidate.evidence,
    )


def _not_own_volume(candidate: Candidate) -> list[str]:
    """Why a pod's socket directory is not an empty one of its own, without which it proves nothing here."""
    volume = candidate.pod.spec.volume("workload-socket")
    source = volume.source if volume else "missing"
    return [] if source == "emptyDir" else [f"its workload-socket is {source}, not an emptyDir of its own"]


# --- NEG-05 ----------------------------------------------------------------------------------------------------------


def peer_is_refused(handshake: Handshake, bundle: TrustBundle) -> Finding:
    """NEG-05: a certificate that is sound but not Teleport's is refused, and by both ends' word for that reason.

    The client sees a TLS alert that names the certificate; the server's Envoy counts a certificate that it could not verify
    (or whose name is wrong), and no completed handshake.
    """
    evidence = [*handshake.evidence, *bundle.evidence]
    where = f"{handshake.server}, dialled with {handshake.who}"
    completed = handshake.counted.inbound("ssl.handshake")
    unverified = handshake.counted.inbound("ssl.fail_verify_error") or 0
    misnamed = handshake.counted.inbound("ssl.fail_verify_san") or 0
    problems = []
    if handshake.outcome.kind is Kind.GRANTED:
        problems.append(f"the server took {handshake.certificate}: {handshake.outcome}")
    if completed:
        problems.append(f"the server's Envoy counts {completed} completed handshakes")
    if not problems:
        unclear = []
        if not handshake.outcome.is_on_the_certificate:
            unclear.append(f"the client saw no alert on its certificate: {handshake.outcome}")
        if completed is None or not unverified + misnamed:
            unclear.append("the server's Envoy counts no certificate that it could not verify")
        if unclear:
            return could_not_tell("NEG-05", _unclear(unclear, where), evidence)
    return concluded(
        "NEG-05",
        expected=f"{handshake.who} to be refused for the certificate, at both ends",
        problems=problems,
        so=f"{handshake.outcome}; at the server {unverified} not verified, {misnamed} with a wrong name, none completed",
        where=where,
        evidence=evidence,
    )


def right_peer_is_let_in(exchange: Exchange, server: str) -> Finding:
    """NEG-05, the other side of it: the same server shakes hands with a workload that tbot certified.

    Args:
        exchange: What that workload asked of the server.
        server: The server's pod.
    """
    client = exchange.ledger.client
    problems = [str(r) for r in exchange.ledger.requests if r.outcome is not Outcome.ANSWERED]
    completed = exchange.server.inbound("ssl.handshake") if exchange.server else None
    if not completed:
        problems.append("the server's Envoy counts no completed handshake")
    return concluded(
        "NEG-05",
        expected="a handshake with a workload that tbot certified",
        problems=problems,
        so=f"{exchange.asked} of {exchange.asked} requests answered, {completed} handshakes completed",
        where=f"{server}, called by Pod {client.namespace}/{client.pod}",
        evidence=exchange.evidence,
    )


# --- NEG-06 ----------------------------------------------------------------------------------------------------------


def cannot_join(attempt: JoinAttempt | NotRun, agent: Agent) -> Finding:
    """NEG-06: Teleport refuses the join for its service account, and knows no bot instance of it.

    Args:
        attempt: A tbot with the bot's configuration and another service account.
        agent: tbot as it is installed, which joined with the same configuration.
    """
    where = f"join token {agent.config.token}"
    evidence = [*attempt.evidence, *agent.evidence]
    if agent.config.join_method != "kubernetes":
        return not_applicable("NEG-06", OTHER_JOIN_METHOD, where=where, evidence=evidence)
    if isinstance(attempt, NotRun):
        return could_not_tell("NEG-06", _unclear([f"{attempt.what} did not run: {attempt.reason}"], where), evidence)
    problems = [f"Teleport has the bot instance {i.id} of it" for i in attempt.instances or ()]
    if attempt.outcome.kind is Kind.GRANTED:
        problems.append(f"{attempt.service_account} joined as the bot: {attempt.outcome.said}")
    if not problems:
        unclear = []
        if attempt.outcome.because is not Because.NO_ALLOW_RULE:
            unclear.append(f"its join did not get as far as the service account: {attempt.outcome}")
        if not any(pod.ready for pod in agent.pods.values()):
            unclear.append("no tbot with the right service account is Ready either")
        if unclear:
            return could_not_tell("NEG-06", _unclear(unclear, where), evidence)
    instances = "no admin session to list its instances" if attempt.instances is None else "no bot instance of it"
    return concluded(
        "NEG-06",
        expected=f"{attempt.service_account} to be refused by the join token's allow rules",
        problems=problems,
        so=f"{attempt.outcome}; {instances}",
        where=where,
        evidence=evidence,
    )


# --- NEG-07 ----------------------------------------------------------------------------------------------------------


def install_fails_closed(agent: Agent, proxies: Fleet) -> Finding:
    """NEG-07: tbot's socket and every proxy that is to use it have the same name, and it is not the one of the fallback.

    Args:
        agent: tbot as it is installed.
        proxies: The proxies that mount tbot's socket directory.
    """
    name = agent.socket_on_node.rpartition("/")[2]
    where = f"{agent.daemon_set.ref} and {len(proxies.proxies)} proxies on its sockets"
    evidence = [*agent.evidence, *proxies.evidence]
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
        return could_not_tell("NEG-07", _unclear(["no proxy mounts tbot's socket directory"], where), evidence)
    if not problems and proxies.unread:
        return could_not_tell("NEG-07", proxies.unread[0].why, evidence)
    return concluded(
        "NEG-07",
        expected=f"a socket of another name than `{FAIL_OPEN_NAME}`, in tbot's configuration and in every proxy",
        problems=problems,
        so=f"tbot listens on `{name}`, and {len(proxies.proxies)} proxies start with nothing else",
        where=where,
        evidence=evidence,
        guide_says=f"the guide calls it `{FAIL_OPEN_NAME}`",
        guide_defect=Defect.SOCKET_NAME if name == FAIL_OPEN_NAME else None,
    )


def _unclear(what: Iterable[str], where: str) -> CouldNotTell:
    return CouldNotTell(
        expected="a refusal with its reason, and the same granted to whom it is due",
        seen="; ".join(what),
        where=where,
        remedy="look at the other findings of this run first: where nobody is let in, nothing is shown by a refusal",
    )
