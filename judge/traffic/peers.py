"""Judgments about certificates that a workload must not take: NEG-05.

Both ends have a say. The client sees a TLS alert, which may name its reason or not; the server's Envoy counts what it did
not accept, by why. The reason that is meant follows from the certificate that was shown, which is looked at itself: one that
was refused for its dates, or that does not come from where it is said to come from, shows nothing.
"""

from __future__ import annotations

from facts.finding import Finding, Problem
from facts.istio.istio_ca import IstioAuthorities
from facts.kubernetes.objects import Pod
from facts.svid import SpiffeId, is_signed_by, malformation, verify_chain
from facts.teleport.bundle import TrustBundle
from facts.traffic.attempts import Handshake, ShownCertificate
from facts.traffic.ledger import Exchange, Outcome
from facts.traffic.refusal import AttemptEnd
from facts.traffic.tls_alerts import Objection
from judge.findings import Claim, listed
from judge.traffic.exchanges import MISNAMED, NOT_VERIFIED, REFUSED_CERTIFICATES, Pair, certified, counted_by, outcomes_but

MEANT = frozenset({Objection.ISSUER, Objection.SIGNATURE, Objection.UNSAID})
"""Objections of the server to a certificate that Teleport has not issued; where it does not say which, its counters do."""

LOOK_FIRST = "look at the other findings of this run first: where every peer is refused, a refusal shows nothing"


def peer_is_refused(handshake: Handshake, bundle: TrustBundle, istiod: IstioAuthorities) -> Finding:
    """NEG-05: a certificate that is sound but not Teleport's is refused for that, by both ends' word.

    Args:
        handshake: The attempt.
        bundle: Teleport's authorities.
        istiod: Istiod's own.
    """
    claim = Claim(
        "NEG-05",
        f"{handshake.claim} to be refused for the certificate, at both ends",
        handshake.where,
        (*handshake.evidence, *bundle.evidence, *istiod.evidence),
    )
    problems = []
    if handshake.outcome.kind is AttemptEnd.GRANTED:
        said = f"took {handshake.certificate}: {handshake.outcome}"
        problems.append(_of_server(handshake, said, "foreign-authority-trusted"))
    if completed := handshake.counted.inbound("ssl.handshake"):
        problems.append(_of_server(handshake, f"its Envoy counts {completed} completed handshakes"))
    unclear = [claim.problem(said) for said in _why_the_claim_is_none(handshake, bundle, istiod)]
    if not problems:
        unclear += _why_the_refusal_is_none(claim, handshake, bundle)
    elif _is_teleports(handshake, bundle, istiod):
        problems = []  # a certificate of Teleport's is to be taken
    return claim.judged(
        problems,
        f"{handshake.outcome}; that is, {handshake.outcome.objection}; the server's Envoy refused {_refused(handshake)}, "
        "and completed no handshake",
        unclear=unclear,
        settle=LOOK_FIRST,
    )


def _of_server(handshake: Handshake, said: str, cause: str = "") -> Problem:
    return Problem(handshake.server, said, cause, handshake.evidence)


def _why_the_claim_is_none(handshake: Handshake, bundle: TrustBundle, istiod: IstioAuthorities) -> list[str]:
    """Reasons why what was shown is not what was to be shown: a sound certificate of that origin."""
    shown, at = handshake.certificate, handshake.at
    found = []
    if not shown.is_valid_at(at):
        found.append(f"at {at:%F %T} UTC it showed {shown}, which is refused for its dates")
    if _is_teleports(handshake, bundle, istiod):
        found.append(f"it showed {shown}, which Teleport has issued")
    if (handshake.claim is ShownCertificate.ISTIODS) is not _is_istiods(handshake, istiod):
        found.append(f"it showed {shown}, issued by {shown.issuer or 'an authority without a name'}")
    if (handshake.claim is ShownCertificate.FOREIGN) is (_trust_domain(handshake) == bundle.trust_domain) and (
        handshake.claim is not ShownCertificate.ISTIODS  # whose trust domain is the mesh's own, whatever that is
    ):
        found.append(f"it showed {shown}, where Teleport's trust domain is {bundle.trust_domain}")
    return found


def _why_the_refusal_is_none(claim: Claim, handshake: Handshake, bundle: TrustBundle) -> list[Problem]:
    """Reasons why it was not refused for being issued by somebody else than Teleport."""
    outcome, counted = handshake.outcome, handshake.counted
    found = []
    if outcome.objection is None:
        found.append(claim.problem(f"the client saw no alert on its certificate: {outcome}"))
    elif outcome.objection not in MEANT:
        found.append(claim.problem(f"the client saw an alert for another reason, {outcome.objection}: {outcome}"))
    if counted.inbound("ssl.handshake") is None:
        found.append(_of_server(handshake, "its Envoy counts no handshakes"))
    # A name of another trust domain may be refused before anybody looks for the issuer.
    foreign = _trust_domain(handshake) != bundle.trust_domain
    if not counted.inbound(f"ssl.{NOT_VERIFIED}") and not (foreign and counted.inbound(f"ssl.{MISNAMED}")):
        said = f"its Envoy refused {_refused(handshake)}, and none {REFUSED_CERTIFICATES[NOT_VERIFIED]}"
        found.append(_of_server(handshake, said))
    return found


def _refused(handshake: Handshake) -> str:
    """The certificates that the server's Envoy did not accept, by why."""
    counted = {why: handshake.counted.inbound(f"ssl.{counter}") for counter, why in REFUSED_CERTIFICATES.items()}
    return listed((f"{times} {why}" for why, times in counted.items() if times), "no certificate")


def _is_istiods(handshake: Handshake, istiod: IstioAuthorities) -> bool:
    return is_signed_by(handshake.certificate, istiod.authorities, handshake.chain[1:])


def _is_teleports(handshake: Handshake, bundle: TrustBundle, istiod: IstioAuthorities) -> bool:
    """Teleport itself has issued it: those of an authority of istiod's below Teleport's are istiod's."""
    chain = verify_chain(handshake.certificate, bundle.authorities, handshake.at, handshake.chain[1:])
    return chain.ok and not _is_istiods(handshake, istiod)


def _trust_domain(handshake: Handshake) -> str:
    names = [name for name in handshake.certificate.uri_sans if not malformation(name)]
    return SpiffeId.parse(names[0]).trust_domain if names else ""


def right_peer_is_let_in(exchange: Exchange, client: Pod, server: Pod, bundle: TrustBundle) -> Finding:
    """NEG-05, the other side of it: the same server shakes hands with a workload that tbot certified.

    Args:
        exchange: What that workload asked of the server.
        client: The workload's pod.
        server: The server's.
        bundle: Teleport's authorities, who must have certified both.
    """
    pair = Pair(client, server, bundle.trust_domain)
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.ANSWERED})
    completed = exchange.server.inbound("ssl.handshake") if exchange.server else None
    if not completed:
        problems.append(counted_by(server, exchange.server, "its Envoy counts no completed handshake"))
    return pair.claim("NEG-05", exchange, "a handshake with a workload that tbot certified", bundle.evidence).judged(
        [*problems, *ends.problems],
        f"{exchange.asked} of {exchange.asked} requests answered, {completed} handshakes completed",
        unclear=ends.unclear,
        settle=LOOK_FIRST,
    )
