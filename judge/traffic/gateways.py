"""Judgments about gateways: TRF-05."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from facts.finding import Finding, Problem
from facts.istio.gateways import Gateway
from facts.kubernetes.objects import Pod
from facts.proxies.identity import Fleet, ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.teleport.bundle import TrustBundle
from facts.traffic.ledger import Exchange, Ledger, Outcome
from facts.traffic.load import reasons
from judge.findings import Claim, listed, problem
from judge.fleet import each_of
from judge.identity.proxies import own_identity_problems
from judge.traffic.exchanges import NOT_OURS, Pair, because, certified, outcomes_but, strangers, turned_away_by_others

ISTIODS = "gateway certificate issued by istiod"


def gateways_are_certified(fleet: Fleet, bundle: TrustBundle, through: Ledger | None) -> Finding:
    """TRF-05, first part: each ingress gateway has a certificate of Teleport's.

    Args:
        fleet: The gateways' identities.
        bundle: Teleport's authorities.
        through: What a client asked through the gateway, where one was asked.
    """
    claim = Claim(
        "TRF-05",
        "each ingress gateway to have its identity from tbot",
        listed([*(p.pod for p in fleet.proxies), *(u.pod for u in fleet.unread)], "ingress gateways"),
        (*fleet.evidence, *bundle.evidence, *(through.evidence if through else ())),
    )
    if fleet.unread:
        unread = [Problem(u.pod.ref, f"could not be read: {u.why.seen}") for u in fleet.unread]
        return claim.judged(unclear=unread, settle=fleet.unread[0].why.remedy)
    problems = [wrong for proxy in fleet.proxies for wrong in _gateway_problems(proxy, bundle)]
    if not fleet.proxies:
        problems.append(claim.problem("no pod of a gateway runs"))
    if problems and through is not None:
        lost = [r for r in through.requests if r.outcome is not Outcome.ANSWERED]
        problems += [
            claim.problem(f"through it {times} of {len(through.requests)} requests: {words}", evidence=through.evidence)
            for words, times in reasons(lost).items()
        ]
    return claim.judged(problems, held=each_of(fleet.proxies, lambda p: f"{listed(p.spiffe_ids)}, issued by Teleport"))


def _gateway_problems(proxy: ProxyIdentity, bundle: TrustBundle) -> list[Problem]:
    if proxy.leaf is not None and proxy.sds_mode is SdsMode.ISTIO_CA:
        said = f"{ISTIODS}, which no workload with an identity from tbot accepts"
        return [problem(proxy, said, "gateway-without-socket")]
    return own_identity_problems(proxy, bundle)


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
    seen = strangers(pair, exchange, gateway, pods)
    # The server sees the gateway as its client, and the gateway is where to look for what is wrong.
    asking = replace(pair, client=pods[0]) if pods else pair
    problems = outcomes_but(asking, exchange.ledger, {Outcome.ANSWERED}, others.requests)
    expected = f"each of {exchange.asked} requests through the gateway to arrive under the identity {gateway}"
    evidence = (*bundle.evidence, *(e for pod in pods for e in pod.evidence))
    return pair.claim("TRF-05", exchange, expected, evidence).judged(
        because(pair, exchange, [*problems, *seen.problems, *ends.problems]),
        f"{exchange.asked} of {exchange.asked} arrived as {gateway}, in the gateway's own certificate",
        unclear=[*others.unclear, *seen.unclear, *ends.unclear],
        settle=NOT_OURS,
    )


def no_way_in(gateways: Sequence[Gateway]) -> Finding:
    """TRF-05, second part, where no Service leads plain HTTP to a gateway: it cannot be told."""
    return Claim(
        "TRF-05",
        "a Service with a port for plain HTTP in front of an ingress gateway",
        listed(g.ref for g in gateways),
        [e for g in gateways for e in g.evidence],
    ).judged(
        unclear=[Problem(g.ref, "no Service leads plain HTTP to it", evidence=g.evidence) for g in gateways],
        settle="give a gateway a Service with port 80, or certify this requirement where there is one",
    )
