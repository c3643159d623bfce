"""Judgments about certificates that a workload must not accept: NEG-05.

Both ends report the refusal. The client sees a TLS alert, which may name its reason or not; the server's Envoy counts the
certificates that it refused, by reason. The right reason follows from the certificate that the client showed: one that is
out of date, or that does not come from the claimed issuer, proves nothing.
"""

from __future__ import annotations

from facts.evidence import readings
from facts.finding import Finding, Problem
from facts.istio.istio_ca import IstioAuthorities
from facts.kubernetes.objects import Pod
from facts.provider.trust import TrustBundle
from facts.proxies.identity import Fleet
from facts.proxies.sds_mode import SdsMode
from facts.svid import SpiffeId, is_signed_by, malformation, verify_chain
from facts.traffic.attempts import Handshake, ShownCertificate
from facts.traffic.ledger import Exchange, Outcome
from facts.traffic.refusal import AttemptEnd
from facts.traffic.tls_alerts import Objection
from judge.findings import LOOK_FIRST, Claim, listed
from judge.identity.proxies import CAUSES_OF_MODES
from judge.install.application import cause_of_no_socket
from judge.traffic.exchanges import MISNAMED, NOT_VERIFIED, REFUSED_CERTIFICATES, Pair, certified, counted_by, outcomes_but

MEANT = frozenset({Objection.ISSUER, Objection.SIGNATURE, Objection.UNSAID})
"""The server's objections to a certificate that Teleport has not issued; where its alert names none, its counters do."""


def peer_is_refused(handshake: Handshake, bundle: TrustBundle, istiod: IstioAuthorities, server: Pod, own: Fleet) -> Finding:
    """NEG-05: the server refuses a certificate that is sound but not from Teleport, for that reason, as both ends report.

    Args:
        handshake: The attempt.
        bundle: Teleport's authorities.
        istiod: Istiod's own authorities.
        server: The server's pod.
        own: Its proxy, read or unread.
    """
    expected = f"the server to refuse {handshake.claim} for its issuer, as both ends report it"
    claim = Claim("NEG-05", expected, handshake.where, readings(handshake, bundle, istiod, own))
    problems = []
    if handshake.outcome.kind is AttemptEnd.GRANTED:
        said = f"it accepted {handshake.certificate}: {handshake.outcome}"
        problems.append(_of_server(handshake, said, _cause_of_trust(handshake, istiod, server, own)))
    if completed := handshake.counted.inbound("ssl.handshake"):
        problems.append(_of_server(handshake, f"its Envoy counts {completed} completed handshakes"))
    unclear = [claim.problem(said) for said in _why_the_claim_is_none(handshake, bundle, istiod)]
    if not problems:
        unclear += _why_the_refusal_is_none(claim, handshake, bundle)
    elif _is_teleports(handshake, bundle, istiod):
        problems = []  # a server must accept a certificate from Teleport
    return claim.judged(
        problems,
        f"{handshake.outcome}; that is, {handshake.outcome.objection}; the server's Envoy refused {_refused(handshake)}, "
        "and completed no handshake",
        unclear=unclear,
        settle=LOOK_FIRST,
    )


def _of_server(handshake: Handshake, said: str, cause: str = "") -> Problem:
    return Problem(handshake.server, said, cause, handshake.evidence)


def _cause_of_trust(handshake: Handshake, istiod: IstioAuthorities, server: Pod, own: Fleet) -> str:
    """Cause for which a server accepted a certificate; empty where it cannot be determined.

    A server that istiod certifies itself, or whose secrets come from another pod's agent, trusts istiod for that reason.
    """
    if not _is_istiods(handshake, istiod):
        return "foreign-authority-trusted"
    modes = {proxy.sds_mode for proxy in own.proxies}
    if SdsMode.ISTIO_CA in modes:
        return cause_of_no_socket(server)
    if SdsMode.TAKEOVER in modes:
        return CAUSES_OF_MODES[SdsMode.TAKEOVER]
    return "foreign-authority-trusted" if modes else ""


def _why_the_claim_is_none(handshake: Handshake, bundle: TrustBundle, istiod: IstioAuthorities) -> list[str]:
    """Reasons why the client did not show a sound certificate of the claimed origin."""
    shown, at = handshake.certificate, handshake.at
    found = []
    if not shown.is_valid_at(at):
        found.append(f"at {at:%F %T} UTC the client showed {shown}, which is refused for its dates")
    if _is_teleports(handshake, bundle, istiod):
        found.append(f"the client showed {shown}, which Teleport has issued")
    if (handshake.claim is ShownCertificate.ISTIODS) is not _is_istiods(handshake, istiod):
        found.append(f"the client showed {shown}, issued by {shown.issuer or 'an authority without a name'}")
    if (handshake.claim is ShownCertificate.FOREIGN) is (_trust_domain(handshake) == bundle.trust_domain) and (
        handshake.claim is not ShownCertificate.ISTIODS  # whose trust domain is the mesh's own, whatever that is
    ):
        found.append(f"the client showed {shown}, where Teleport's trust domain is {bundle.trust_domain}")
    return found


def _why_the_refusal_is_none(claim: Claim, handshake: Handshake, bundle: TrustBundle) -> list[Problem]:
    """Reasons why the refusal is not one for an issuer other than Teleport."""
    outcome, counted = handshake.outcome, handshake.counted
    found = []
    if outcome.objection is None:
        found.append(claim.problem(f"the client saw no alert on its certificate: {outcome}"))
    elif outcome.objection not in MEANT:
        found.append(claim.problem(f"the client saw an alert for another reason, {outcome.objection}: {outcome}"))
    if counted.inbound("ssl.handshake") is None:
        found.append(_of_server(handshake, "its Envoy does not count handshakes"))
    # Envoy may refuse a name of another trust domain before it looks at the issuer.
    foreign = _trust_domain(handshake) != bundle.trust_domain
    if not counted.inbound(f"ssl.{NOT_VERIFIED}") and not (foreign and counted.inbound(f"ssl.{MISNAMED}")):
        said = f"its Envoy refused {_refused(handshake)}, and none {REFUSED_CERTIFICATES[NOT_VERIFIED]}"
        found.append(_of_server(handshake, said))
    return found


def _refused(handshake: Handshake) -> str:
    """The certificates that the server's Envoy refused, by reason."""
    counted = {why: handshake.counted.inbound(f"ssl.{counter}") for counter, why in REFUSED_CERTIFICATES.items()}
    return listed((f"{times} {why}" for why, times in counted.items() if times), "no certificate")


def _is_istiods(handshake: Handshake, istiod: IstioAuthorities) -> bool:
    return is_signed_by(handshake.certificate, istiod.authorities, handshake.chain[1:])


def _is_teleports(handshake: Handshake, bundle: TrustBundle, istiod: IstioAuthorities) -> bool:
    """Tell whether Teleport itself has issued it: certificates of an istiod authority below Teleport's are istiod's."""
    chain = verify_chain(handshake.certificate, bundle.authorities, handshake.at, handshake.chain[1:])
    return chain.ok and not _is_istiods(handshake, istiod)


def _trust_domain(handshake: Handshake) -> str:
    names = [name for name in handshake.certificate.uri_sans if not malformation(name)]
    return SpiffeId.parse(names[0]).trust_domain if names else ""


def right_peer_is_let_in(exchange: Exchange, client: Pod, server: Pod, bundle: TrustBundle) -> Finding:
    """NEG-05, second part: the same server shakes hands with a workload that tbot certified.

    Args:
        exchange: Requests of that workload to the server.
        client: The workload's pod.
        server: The server's pod.
        bundle: Teleport's authorities, which must have certified both.
    """
    pair = Pair(client, server, bundle.trust_domain)
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.ANSWERED})
    completed = exchange.server.inbound("ssl.handshake") if exchange.server else None
    if not completed:
        problems.append(counted_by(server, exchange.server, "its Envoy counts no completed handshake"))
    return pair.claim(
        "NEG-05", exchange, "the server to shake hands with a workload that tbot certified", bundle.evidence
    ).judged(
        [*problems, *ends.problems],
        f"{exchange.asked} of {exchange.asked} requests were answered, {completed} handshakes completed",
        unclear=ends.unclear,
        settle=LOOK_FIRST,
    )
