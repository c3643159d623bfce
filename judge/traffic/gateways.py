"""Judgments about gateways: TRF-05."""

from __future__ import annotations

from collections.abc import Sequence

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.guide import Defect
from facts.istio.gateways import Gateway
from facts.kubernetes.objects import Pod
from facts.proxies.identity import Fleet, ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.teleport.bundle import TrustBundle
from facts.traffic.ledger import Exchange, Ledger, Outcome
from judge.findings import concluded, could_not_tell, listed
from judge.identity.proxies import own_identity_problems
from judge.traffic.exchanges import Pair, about, certified, outcomes_but, strangers, turned_away_by_others

ISTIODS = "gateway certificate issued by istiod"


def gateways_are_certified(fleet: Fleet, bundle: TrustBundle, through: Ledger | None) -> Finding:
    """TRF-05, first part: each ingress gateway has a certificate of Teleport's.

    Args:
        fleet: The gateways' identities.
        bundle: Teleport's authorities.
        through: What a client asked through the gateway, where one was asked.
    """
    where = listed([*(p.pod for p in fleet.proxies), *(u.pod for u in fleet.unread)], "ingress gateways")
    evidence = (*fleet.evidence, *bundle.evidence, *(through.evidence if through else ()))
    if fleet.unread:
        return could_not_tell("TRF-05", fleet.unread[0].why, evidence)
    problems = [problem for proxy in fleet.proxies if (problem := _gateway_problem(proxy, bundle))]
    if not fleet.proxies:
        problems.append("no pod of a gateway runs")
    if problems and through is not None:
        problems += [f"through it: {words}" for words in outcomes_but(through, {Outcome.ANSWERED})]
    return concluded(
        "TRF-05",
        expected="each ingress gateway to have its identity from tbot",
        problems=problems,
        confirmed=listed(f"{p.pod}: {listed(p.spiffe_ids)}, issued by Teleport" for p in fleet.proxies),
        where=where,
        evidence=evidence,
        guide_defect=Defect.GATEWAY if any(p.sds_mode is SdsMode.ISTIO_CA for p in fleet.proxies) else None,
    )


def _gateway_problem(proxy: ProxyIdentity, bundle: TrustBundle) -> str:
    if proxy.leaf is not None and proxy.sds_mode is SdsMode.ISTIO_CA:
        return f"{proxy.pod}: {ISTIODS}, which no workload with an identity from tbot accepts"
    return "; ".join(own_identity_problems(proxy, bundle))


def gateway_reaches(gateway: str, pods: Sequence[Pod], pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """TRF-05, second part: requests through the gateway arrive, and the server sees the gateway's identity and certificate.

    Args:
        gateway: The SPIFFE ID that the gateway must have.
        pods: Its pods.
        pair: The client outside the mesh, and the server behind the gateway.
        exchange: Between them.
        bundle: Teleport's authorities.
    """
    others = turned_away_by_others(pair, exchange)
    ends = certified(exchange, [pair.server, *pods], bundle)
    seen = strangers(exchange, gateway, pods, pair.called)
    problems = outcomes_but(exchange.ledger, {Outcome.ANSWERED}, others.requests)
    return about(
        "TRF-05",
        pair,
        exchange,
        expected=f"each of {exchange.asked} requests through the gateway to arrive under the identity {gateway}",
        problems=[*problems, *seen.problems, *ends.problems],
        unclear=[*others.words, *seen.unclear, *ends.unclear],
        confirmed=f"{exchange.asked} of {exchange.asked} arrived as {gateway}, in the gateway's own certificate",
        evidence=(*bundle.evidence, *(e for pod in pods for e in pod.evidence)),
    )


def no_way_in(gateways: Sequence[Gateway]) -> Finding:
    """TRF-05, second part, where no Service leads plain HTTP to a gateway: nobody can tell."""
    where = listed(g.ref for g in gateways)
    error = CouldNotTell(
        expected="a Service with a port for plain HTTP in front of an ingress gateway",
        seen="none has one",
        where=where,
        remedy="give a gateway a Service with port 80, or certify this requirement where there is one",
    )
    return could_not_tell("TRF-05", error, [e for g in gateways for e in g.evidence])
