"""Judgments about traffic between workloads: TRF-01 to TRF-04, and TRF-06, what the guide's checklist does not see of it."""

from __future__ import annotations

from collections.abc import Sequence

from facts.finding import Finding, Holds, Problem, told
from facts.guide import GuideAnswer
from facts.teleport.bundle import TrustBundle
from facts.traffic.ledger import Exchange, Outcome
from judge.findings import listed, place
from judge.traffic.exchanges import (
    HTTP,
    MISNAMED,
    NOT_OURS,
    Pair,
    Seen,
    because,
    certified,
    counted_by,
    outbound,
    outcomes_but,
    refused_certificates,
    strangers,
    turned_away_by_others,
)

CHECKLIST = 9
"""Items of the guide's verification checklist."""


def answered_once(requirement: str, pair: Pair, exchange: Exchange) -> Finding:
    """Every request was answered by the server that was asked, and had arrived there once."""
    others = turned_away_by_others(pair, exchange)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.ANSWERED}, others.requests)
    said = []
    for word in exchange.ledger.words:
        if (word.server.namespace, word.server.pod) != (pair.server.namespace, pair.server.name):
            said.append(f"Pod {word.server.namespace}/{word.server.pod} answered instead")
        if word.arrivals != 1:
            said.append(f"a request arrived {word.arrivals} times: a proxy has asked again")
    problems += [Problem(pair.server.ref, each, evidence=exchange.ledger.evidence) for each in said]
    return pair.claim(requirement, exchange, f"{pair.server.ref} to answer each of {exchange.asked} requests, once").judged(
        because(pair, exchange, problems),
        f"{exchange.asked} of {exchange.asked} answered, each had arrived once",
        unclear=others.unclear,
        settle=NOT_OURS,
    )


def caller_was_seen(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """The server was told exactly the client's SPIFFE ID and certificate, by a proxy that has exactly the server's ID.

    What both proxies hold is Teleport's: certificates of istiod bear the same names.

    Args:
        requirement: Id in the catalogue.
        pair: Client and server.
        exchange: Between them.
        bundle: Teleport's authorities.
    """
    others = turned_away_by_others(pair, exchange)
    ends = certified(exchange, pair.ends, bundle)
    seen = strangers(pair, exchange, pair.caller, [pair.client])
    problems = outcomes_but(pair, exchange.ledger, {Outcome.ANSWERED}, others.requests)
    expected = f"the server to see {pair.caller}, certified by Teleport, in each of {exchange.asked} requests"
    return pair.claim(requirement, exchange, expected, bundle.evidence).judged(
        because(pair, exchange, [*problems, *seen.problems, *ends.problems]),
        f"{pair.caller} in the client's own certificate of Teleport, {exchange.asked} of {exchange.asked} times, "
        f"told by the proxy of {pair.called}",
        unclear=[*others.unclear, *seen.unclear, *ends.unclear],
        settle=NOT_OURS,
    )


def every_request_was_a_handshake(requirement: str, pair: Pair, exchange: Exchange) -> Finding:
    """Between the proxies, each request had a connection and a full handshake of its own, and none was repeated."""
    wanted = {
        "upstream_rq_total": ("requests sent on by the client's proxy", exchange.asked),
        "upstream_rq_retry": ("of them repetitions", 0),
        "upstream_cx_total": ("connections", exchange.asked),
        "ssl.handshake": ("handshakes", exchange.asked),
        "ssl.session_reused": ("of them resumed", 0),
    }
    expected = f"{exchange.asked} requests, connections and full handshakes, no repetition"
    claim = pair.claim(requirement, exchange, expected)
    counted = {name: outbound(pair, exchange.client, HTTP, name) for name in wanted}
    if missing := [name for name, value in counted.items() if value is None]:
        return claim.judged(
            unclear=[counted_by(pair.client, exchange.client, f"its proxy does not keep {listed(missing)}")],
            settle="see whether the proxy heeds the annotation sidecar.istio.io/statsInclusionSuffixes",
        )
    problems = [
        counted_by(pair.client, exchange.client, f"{counted[name]} {what}, {right} expected")
        for name, (what, right) in wanted.items()
        if counted[name] != right
    ]
    confirmed = ", ".join(f"{counted[name]} {what}" for name, (what, _) in wanted.items())
    return claim.judged(because(pair, exchange, problems), confirmed)


def denied_by_policy(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """Every request was refused with 403 by the server's own policy, which knows who called: both ends are Teleport's."""
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.DENIED}) + _not_denied(pair, exchange, ends, tcp=False)
    expected = f"each of {exchange.asked} requests refused with {Outcome.DENIED.value}"
    return pair.claim(requirement, exchange, expected, bundle.evidence).judged(
        because(pair, exchange, [*problems, *ends.problems]),
        f"{exchange.asked} of {exchange.asked} refused with {Outcome.DENIED.value}, counted by the server's proxy",
        unclear=ends.unclear,
        settle=NOT_OURS,
    )


def let_in_over_tcp(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """Every connection was answered, and the server's policy by principal had let it in; both ends are Teleport's."""
    others = turned_away_by_others(pair, exchange)
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.ANSWERED}, others.requests)
    problems += [] if problems or others.unclear else _decided_otherwise(pair, exchange, "allowed", tcp=True)
    expected = f"each of {exchange.asked} connections let in by the policy for {pair.caller}, certified by Teleport"
    return pair.claim(requirement, exchange, expected, bundle.evidence).judged(
        because(pair, exchange, [*problems, *ends.problems]),
        f"{exchange.asked} of {exchange.asked} answered, let in by the policy for {pair.caller}; both ends hold "
        "certificates of Teleport",
        unclear=[*others.unclear, *ends.unclear],
        settle=NOT_OURS,
    )


def denied_over_tcp(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """Every connection was ended without an answer by the server's policy by principal; both ends are Teleport's."""
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.CLOSED, Outcome.RESET})
    problems += _not_denied(pair, exchange, ends, tcp=True)
    expected = f"each of {exchange.asked} connections ended by the policy, which does not name {pair.caller}"
    return pair.claim(requirement, exchange, expected, bundle.evidence).judged(
        because(pair, exchange, [*problems, *ends.problems]),
        f"{exchange.asked} of {exchange.asked} ended without an answer, denied by the server's policy",
        unclear=ends.unclear,
        settle=NOT_OURS,
    )


def plain_text_was_refused(pair: Pair, exchange: Exchange) -> Finding:
    """TRF-03: every request in plain text was cut off by the server's proxy, which has no place for plain text."""
    problems = outcomes_but(pair, exchange.ledger, {Outcome.RESET})
    unmatched = exchange.server.inbound("no_filter_chain_match") if exchange.server else None
    if unmatched != exchange.asked:
        said = f"its proxy turned away {unmatched or 0} connections as none that it takes"
        problems.append(counted_by(pair.server, exchange.server, said))
    problems += _past_the_proxy(pair, exchange)
    expected = f"each of {exchange.asked} requests in plain text reset by the server's proxy"
    return pair.claim("TRF-03", exchange, expected).judged(
        because(pair, exchange, problems),
        f"{exchange.asked} of {exchange.asked} reset; the server's proxy takes no such connection",
    )


def unseen_by_the_checklist(
    defect: str, answers: Sequence[GuideAnswer], pair: Pair, exchange: Exchange, bundle: TrustBundle
) -> Finding:
    """TRF-06: the guide's own checklist finds nothing wrong under a defect, and the judgments of TRF-01 do, for its reason.

    Args:
        defect: What is wrong with the install, as a sentence.
        answers: The guide's commands under it, as they are written.
        pair: Two workloads that were started under it.
        exchange: Between them.
        bundle: Teleport's authorities.
    """
    expected = f"{CHECKLIST} healthy items of the guide, and every request ended for the name in a certificate ({defect})"
    claim = pair.claim("TRF-06", exchange, expected, (*(e for a in answers for e in a.evidence), *bundle.evidence))
    problems = [
        Problem(place(answer.asked), f"the guide sees it: {answer.said}", evidence=answer.evidence)
        for answer in answers
        if not answer.healthy
    ]
    if len(answers) != CHECKLIST:
        problems.append(claim.problem(f"{len(answers)} of the {CHECKLIST} items of the checklist were run"))
    judged = (answered_once("TRF-01", pair, exchange), caller_was_seen("TRF-01", pair, exchange, bundle))
    problems += [claim.problem(f"TRF-01 does not see it: {f.seen}") for f in judged if f.holds is not Holds.NO]
    problems += outcomes_but(pair, exchange.ledger, {Outcome.TLS_ERROR, Outcome.NO_UPSTREAM})
    refused = refused_certificates(pair, exchange)
    named = sum(each.times for each in refused if each.counter == MISNAMED)
    if named != exchange.asked:
        problems.append(claim.problem(f"{named} of {exchange.asked} handshakes were ended for the name in a certificate"))
    reasons = told(each.problem for each in refused)
    return claim.judged(problems, f"{len(answers)} items healthy; TRF-01 fails: {judged[0].seen}; {reasons}")


def _decided_otherwise(pair: Pair, exchange: Exchange, decision: str, *, tcp: bool) -> list[Problem]:
    """A problem where the server's policies did not decide so about each request."""
    counted = exchange.server.rbac(decision, tcp=tcp) if exchange.server else 0
    said = f"its policies count {counted} {decision}, not {exchange.asked}"
    return [] if counted == exchange.asked else [counted_by(pair.server, exchange.server, said)]


def _not_denied(pair: Pair, exchange: Exchange, ends: Seen, *, tcp: bool) -> list[Problem]:
    """Problems where the server's policies did not deny each request, or one of them let the caller in.

    The run's own policy does not name the caller. Where it is answered under its own identity, and the server's proxy counts
    that as allowed, another policy let it in; of a request that bypasses the proxy no policy counts anything.
    """
    problems = _decided_otherwise(pair, exchange, "denied", tcp=tcp)
    answered = sum(r.outcome is Outcome.ANSWERED for r in exchange.ledger.requests)
    allowed = exchange.server.rbac("allowed", tcp=tcp) if exchange.server else 0
    if allowed >= answered > 0 and not (ends.problems or ends.unclear):
        said = f"a policy let in {answered} requests of {pair.caller}, whom the run's own policy does not name"
        problems.append(counted_by(pair.server, exchange.server, said, "policy-too-wide"))
    return problems


def _past_the_proxy(pair: Pair, exchange: Exchange) -> list[Problem]:
    """A problem where all requests in plain text were answered and the server's proxy saw none of them.

    A proxy that accepts plain text holds each request against the run's policy, and counts its decision.
    """
    server = exchange.server
    if server is None or any(r.outcome is not Outcome.ANSWERED for r in exchange.ledger.requests):
        return []
    counts = [value for name, value in server.values.items() if ".rbac." in name]
    if not counts or any(counts) or server.inbound("no_filter_chain_match") != 0 or server.inbound("ssl.handshake"):
        return []
    said = f"its proxy saw none of the {exchange.asked} requests: none was turned away, and no policy decided about any"
    return [counted_by(pair.server, server, said, "port-bypasses-proxy")]
