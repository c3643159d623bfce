"""Judgments about gateways: TRF-05."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from facts.evidence import readings
from facts.finding import Finding, Problem
from facts.istio.gateways import Gateway
from facts.kubernetes.objects import Pod
from facts.provider.trust import TrustBundle
from facts.proxies.identity import Fleet, ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from facts.traffic.ledger import Exchange, Ledger, Outcome
from facts.traffic.load import reasons
from judge.findings import Claim, listed, problem
from judge.fleet import NONE_STAYED, READ_AGAIN, each_of, how_to_read, not_read, went_away
from judge.identity.proxies import own_identity_problems
from judge.traffic.exchanges import Pair, certified, concluded, outcomes_but, strangers, turned_away_by_others


def gateways_are_certified(fleet: Fleet, bundle: TrustBundle, through: Ledger | None) -> Finding:
    """TRF-05, first part: each ingress gateway has a certificate from Teleport.

    Args:
        fleet: The gateways' identities.
        bundle: Teleport's authorities.
        through: Requests of a client through the gateway, where there were any.
    """
    claim = Claim(
        "TRF-05",
        "each ingress gateway to have its identity from tbot",
        listed([*(p.pod for p in fleet.proxies), *(u.pod for u in fleet.unread)], "ingress gateways"),
        readings(fleet, bundle, through),
    )
    if fleet.unread:
        return claim.judged(unclear=not_read(fleet.unread), settle=how_to_read(fleet.unread))
    if fleet.left_out and not fleet.proxies:
        return claim.judged(unclear=[claim.problem(NONE_STAYED)], settle=READ_AGAIN, left_out=went_away(fleet.left_out))
    problems = [wrong for proxy in fleet.proxies for wrong in _gateway_problems(proxy, bundle)]
    if not fleet.proxies:
        problems.append(claim.problem("no pod of an ingress gateway runs"))
    if problems and through is not None:
        lost = [r for r in through.requests if r.outcome is not Outcome.ANSWERED]
        problems += [
            claim.problem(f"{times} of {len(through.requests)} requests through it: {words}", evidence=through.evidence)
            for words, times in reasons(lost).items()
        ]
    held = each_of(fleet.proxies, lambda p: f"{listed(p.spiffe_ids)}, issued by Teleport")
    return claim.judged(problems, held=held, left_out=went_away(fleet.left_out))


def _gateway_problems(proxy: ProxyIdentity, bundle: TrustBundle) -> list[Problem]:
    if proxy.leaf is not None and proxy.sds_mode is SdsMode.ISTIO_CA:
        said = "its certificate comes from istiod, which no workload with an identity from tbot accepts"
        return [problem(proxy, said, "gateway-without-socket")]
    return own_identity_problems(proxy, bundle)


def gateway_reaches(gateway: str, pods: Sequence[Pod], pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """TRF-05, second part: requests through the gateway arrive, and the server sees the gateway's identity and certificate.

    Args:
        gateway: The SPIFFE ID that the gateway must have.
        pods: Pods of the gateway.
        pair: The client outside of the mesh, and the server behind the gateway.
        exchange: The exchange between them.
        bundle: Teleport's authorities.
    """
    others = turned_away_by_others(pair, exchange)
    ends = certified(exchange, [pair.server, *pods], bundle)
    seen = strangers(pair, exchange, gateway, pods)
    # The server sees the gateway as its client, so that the problems are the gateway's.
    asking = replace(pair, client=pods[0]) if pods else pair
    problems = outcomes_but(asking, exchange.ledger, {Outcome.ANSWERED}, others.aside)
    expected = f"each of {exchange.asked} requests through the gateway to arrive under the identity {gateway}"
    claim = pair.claim("TRF-05", exchange, expected, readings(bundle, *pods))
    confirmed = f"{exchange.asked} of {exchange.asked} requests arrived as {gateway}, in the gateway's own certificate"
    return concluded(pair, exchange, claim, problems, confirmed, others, seen, ends)


def no_way_in(gateways: Sequence[Gateway]) -> Finding:
    """TRF-05, second part, where no Service takes plain HTTP to a gateway: it cannot be judged."""
    expected = "an ingress gateway to have a Service with a port for plain HTTP"
    return Claim("TRF-05", expected, listed(g.ref for g in gateways), readings(*gateways)).judged(
        unclear=[Problem(g.ref, "no Service takes plain HTTP to it", evidence=g.evidence) for g in gateways],
        settle="give a gateway a Service with port 80, or certify this requirement on a cluster that has one",
    )
