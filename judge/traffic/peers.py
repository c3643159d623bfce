"""Judgments about certificates that a workload must not take: NEG-05.

Both ends have a say. The client sees a TLS alert, which may name its reason or not; the server's Envoy counts what it did
not accept, by why. The reason that is meant follows from the certificate that was shown, which is looked at itself: one that
was refused for its dates, or that does not come from where it is said to come from, shows nothing.
"""

from __future__ import annotations

from facts.finding import Finding
from facts.istio.istio_ca import IstioAuthorities
from facts.kubernetes.objects import Pod
from facts.svid import SpiffeId, is_signed_by, malformation, verify_chain
from facts.teleport.bundle import TrustBundle
from facts.traffic.attempts import Handshake, ShownCertificate
from facts.traffic.ledger import Exchange, Outcome
from facts.traffic.refusal import AttemptEnd
from facts.traffic.tls_alerts import Objection
from judge.findings import concluded, could_not_tell, listed
from judge.identity.refusals import shows_nothing
from judge.traffic.exchanges import certified

MEANT = frozenset({Objection.ISSUER, Objection.SIGNATURE, Objection.UNSAID})
"""What the server may object to in a certificate that Teleport has not issued; where it does not say, its counters do."""


def peer_is_refused(handshake: Handshake, bundle: TrustBundle, istiod: IstioAuthorities) -> Finding:
    """NEG-05: a certificate that is sound but not Teleport's is refused for that, by both ends' word.

    Args:
        handshake: The attempt.
        bundle: Teleport's authorities.
        istiod: Istiod's own.
    """
    evidence = [*handshake.evidence, *bundle.evidence, *istiod.evidence]
    completed = handshake.counted.inbound("ssl.handshake")
    problems = []
    if handshake.outcome.kind is AttemptEnd.GRANTED:
        problems.append(f"the server took {handshake.certificate}: {handshake.outcome}")
    if completed:
        problems.append(f"the server's Envoy counts {completed} completed handshakes")
    unclear = _why_the_claim_is_none(handshake, bundle, istiod)
    if not problems:
        unclear += _why_the_refusal_is_none(handshake, bundle)
    # A certificate of Teleport's that is taken is no problem.
    if unclear and (not problems or _is_teleports(handshake, bundle, istiod)):
        return could_not_tell("NEG-05", shows_nothing(unclear, handshake.where), evidence)
    said = handshake.outcome.objection
    counted = ", ".join(f"{times} {words}" for words, times in _refused(handshake).items() if times)
    return concluded(
        "NEG-05",
        expected=f"{handshake.claim} to be refused for the certificate, at both ends",
        problems=problems,
        confirmed=f"{handshake.outcome}; that is, {said}; at the server {counted}, none completed",
        where=handshake.where,
        evidence=evidence,
    )


def _why_the_claim_is_none(handshake: Handshake, bundle: TrustBundle, istiod: IstioAuthorities) -> list[str]:
    """Why what was shown is not what was to be shown: a sound certificate of that origin."""
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


def _why_the_refusal_is_none(handshake: Handshake, bundle: TrustBundle) -> list[str]:
    """Why it was not refused for being issued by somebody else than Teleport."""
    outcome, refused = handshake.outcome, _refused(handshake)
    found = []
    if outcome.objection is None:
        found.append(f"the client saw no alert on its certificate: {outcome}")
    elif outcome.objection not in MEANT:
        found.append(f"the client saw an alert for another reason, {outcome.objection}: {outcome}")
    if handshake.counted.inbound("ssl.handshake") is None:
        found.append("the server's Envoy counts no handshakes")
    # A name of another trust domain may be refused before anybody looks for the issuer.
    foreign = _trust_domain(handshake) != bundle.trust_domain
    if not refused[NOT_VERIFIED] and not (foreign and refused[MISNAMED]):
        counted = listed((f"{times} {words}" for words, times in refused.items() if times), "no certificate")
        found.append(f"the server's Envoy counts {counted}, and none whose issuer it could not verify")
    return found


NOT_VERIFIED, MISNAMED, NOT_SHOWN = "not verified", "with a name that is not accepted", "not shown"
_COUNTERS = {NOT_VERIFIED: "fail_verify_error", MISNAMED: "fail_verify_san", NOT_SHOWN: "fail_verify_no_cert"}


def _refused(handshake: Handshake) -> dict[str, int]:
    """How many certificates the server's Envoy did not accept, by why."""
    return {words: handshake.counted.inbound(f"ssl.{name}") or 0 for words, name in _COUNTERS.items()}


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
    where = f"{server.ref}, called by {client.ref}"
    evidence = [*exchange.evidence, *bundle.evidence]
    ends = certified(exchange, (client, server), bundle)
    problems = [str(r) for r in exchange.ledger.requests if r.outcome is not Outcome.ANSWERED]
    completed = exchange.server.inbound("ssl.handshake") if exchange.server else None
    if not completed:
        problems.append("the server's Envoy counts no completed handshake")
    problems += ends.problems
    if ends.unclear and not problems:
        return could_not_tell("NEG-05", shows_nothing(ends.unclear, where), evidence)
    return concluded(
        "NEG-05",
        expected="a handshake with a workload that tbot certified",
        problems=problems,
        confirmed=f"{exchange.asked} of {exchange.asked} requests answered, {completed} handshakes completed",
        where=where,
        evidence=evidence,
    )
