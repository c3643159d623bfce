"""Judgments about traffic between workloads: TRF-01 to TRF-04, and TRF-06, a defect that the guide's checklist misses."""

from __future__ import annotations

from collections.abc import Sequence

from facts.evidence import readings
from facts.finding import Finding, Holds, Problem, told
from facts.guide import GuideAnswer
from facts.provider.trust import TrustBundle
from facts.traffic.ledger import Exchange, Outcome
from judge.findings import listed, place
from judge.traffic.exchanges import (
    HTTP,
    MISNAMED,
    Pair,
    Seen,
    because,
    certified,
    concluded,
    counted_by,
    misdelivered,
    outbound,
    outcomes_but,
    refused_certificates,
    strangers,
    turned_away_by_others,
)

CHECKLIST = 9
"""Items of the guide's verification checklist."""


def answered_once(requirement: str, pair: Pair, exchange: Exchange) -> Finding:
    """The requested server answered every request, and each arrived there once."""
    others = turned_away_by_others(pair, exchange)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.ANSWERED}, others.aside) + misdelivered(pair, exchange.ledger)
    claim = pair.claim(requirement, exchange, f"{pair.server.ref} to answer each of {exchange.asked} requests, once")
    confirmed = f"{exchange.asked} of {exchange.asked} requests were answered, and each arrived once"
    return concluded(pair, exchange, claim, problems, confirmed, others)


def caller_was_seen(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """The server's own proxy reported exactly the client's SPIFFE ID and certificate.

    Both proxies must hold certificates from Teleport: those of istiod have the same names.

    Args:
        requirement: Id in the catalogue.
        pair: Client and server.
        exchange: The exchange between them.
        bundle: Teleport's authorities.
    """
    others = turned_away_by_others(pair, exchange)
    ends = certified(exchange, pair.ends, bundle)
    seen = strangers(pair, exchange, pair.caller, [pair.client])
    problems = outcomes_but(pair, exchange.ledger, {Outcome.ANSWERED}, others.aside)
    expected = f"the server to see {pair.caller}, certified by Teleport, in each of {exchange.asked} requests"
    claim = pair.claim(requirement, exchange, expected, bundle.evidence)
    times = f"{exchange.asked} of {exchange.asked} times the proxy of {pair.called} reported {pair.caller}"
    confirmed = f"{times}, in the client's own certificate from Teleport"
    return concluded(pair, exchange, claim, problems, confirmed, others, seen, ends)


def every_request_was_a_handshake(requirement: str, pair: Pair, exchange: Exchange) -> Finding:
    """Each request had its own connection and full handshake between the proxies, and no proxy repeated one."""
    wanted = {
        "upstream_rq_total": ("requests sent on", exchange.asked),
        "upstream_rq_retry": ("repeated requests", 0),
        "upstream_cx_total": ("connections", exchange.asked),
        "ssl.handshake": ("handshakes", exchange.asked),
        "ssl.session_reused": ("resumed handshakes", 0),
    }
    expected = f"{exchange.asked} requests, connections and full handshakes, and no repetition"
    claim = pair.claim(requirement, exchange, expected)
    counted = {name: outbound(pair, exchange.client, HTTP, name) for name in wanted}
    if missing := [name for name, value in counted.items() if value is None]:
        return claim.judged(
            unclear=[counted_by(pair.client, exchange.client, f"its proxy does not count {listed(missing)}")],
            settle="check whether the proxy heeds the annotation sidecar.istio.io/statsInclusionSuffixes",
        )
    problems = [
        counted_by(pair.client, exchange.client, f"its proxy counts {counted[name]} {what}, not {right}")
        for name, (what, right) in wanted.items()
        if counted[name] != right
    ]
    confirmed = ", ".join(f"{counted[name]} {what}" for name, (what, _) in wanted.items())
    return claim.judged(because(pair, exchange, problems), confirmed)


def denied_by_policy(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """The server's own policy refused every request with 403, by principal: both ends hold certificates from Teleport."""
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.DENIED}) + _not_denied(pair, exchange, ends, tcp=False)
    expected = f"the server's policy to refuse each of {exchange.asked} requests with {Outcome.DENIED.value}"
    claim = pair.claim(requirement, exchange, expected, bundle.evidence)
    confirmed = f"all {exchange.asked} requests were refused with {Outcome.DENIED.value}, by the count of the server's proxy"
    return concluded(pair, exchange, claim, problems, confirmed, ends)


def let_in_over_tcp(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """The server's policy allowed every connection by principal; both ends are certified by Teleport."""
    others = turned_away_by_others(pair, exchange)
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.ANSWERED}, others.aside)
    problems += [] if problems or others.unclear else _decided_otherwise(pair, exchange, "allowed", tcp=True)
    expected = f"the policy for {pair.caller}, certified by Teleport, to allow each of {exchange.asked} connections"
    claim = pair.claim(requirement, exchange, expected, bundle.evidence)
    confirmed = f"the policy for {pair.caller} allowed all {exchange.asked} connections, under certificates from Teleport"
    return concluded(pair, exchange, claim, problems, confirmed, others, ends)


def denied_over_tcp(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """The server's policy by principal closed every connection unanswered; both ends are certified by Teleport."""
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(pair, exchange.ledger, {Outcome.CLOSED, Outcome.RESET})
    problems += _not_denied(pair, exchange, ends, tcp=True)
    expected = f"the policy, which does not name {pair.caller}, to close each of {exchange.asked} connections"
    claim = pair.claim(requirement, exchange, expected, bundle.evidence)
    confirmed = f"the server's policy denied all {exchange.asked} connections, which were closed without an answer"
    return concluded(pair, exchange, claim, problems, confirmed, ends)


def plain_text_was_refused(pair: Pair, exchange: Exchange) -> Finding:
    """TRF-03: the server's proxy reset every request in plain text, for which it has no filter chain."""
    problems = outcomes_but(pair, exchange.ledger, {Outcome.RESET})
    unmatched = exchange.server.inbound("no_filter_chain_match") if exchange.server else None
    if unmatched != exchange.asked:
        said = f"its proxy counts {unmatched or 0} connections without a matching filter chain, not {exchange.asked}"
        problems.append(counted_by(pair.server, exchange.server, said))
    problems += _past_the_proxy(pair, exchange)
    expected = f"the server's proxy to reset each of {exchange.asked} requests in plain text"
    return pair.claim("TRF-03", exchange, expected).judged(
        because(pair, exchange, problems),
        f"all {exchange.asked} requests were reset; the server's proxy has no filter chain for them",
    )


def unseen_by_the_checklist(
    defect: str, answers: Sequence[GuideAnswer], pair: Pair, exchange: Exchange, bundle: TrustBundle
) -> Finding:
    """TRF-06: under a defect the guide's own checklist finds nothing wrong, while TRF-01 fails for that defect.

    Args:
        defect: The defect, as a sentence.
        answers: Answers of the guide's commands under it.
        pair: Two workloads that were started under it.
        exchange: The exchange between them.
        bundle: Teleport's authorities.
    """
    expected = f"{CHECKLIST} healthy items of the guide, and every request to fail for the name in a certificate ({defect})"
    claim = pair.claim("TRF-06", exchange, expected, readings(*answers, bundle))
    problems = [
        Problem(place(answer.asked), f"the guide's check finds it: {answer.said}", evidence=answer.evidence)
        for answer in answers
        if not answer.healthy
    ]
    if len(answers) != CHECKLIST:
        problems.append(claim.problem(f"the suite ran {len(answers)} of the {CHECKLIST} items of the checklist"))
    judged = (answered_once("TRF-01", pair, exchange), caller_was_seen("TRF-01", pair, exchange, bundle))
    problems += [claim.problem(f"TRF-01 does not fail: {f.seen}") for f in judged if f.holds is not Holds.NO]
    problems += outcomes_but(pair, exchange.ledger, {Outcome.TLS_ERROR, Outcome.NO_UPSTREAM})
    refused = refused_certificates(pair, exchange)
    named = sum(each.times for each in refused if each.counter == MISNAMED)
    if named != exchange.asked:
        problems.append(claim.problem(f"{named} of {exchange.asked} handshakes failed for the name in a certificate"))
    reasons = told(each.problem for each in refused)
    return claim.judged(problems, f"{len(answers)} items are healthy, and TRF-01 fails: {judged[0].seen}; {reasons}")


def _decided_otherwise(pair: Pair, exchange: Exchange, decision: str, *, tcp: bool) -> list[Problem]:
    """A problem unless the server's policies decided so about each request."""
    counted = exchange.server.rbac(decision, tcp=tcp) if exchange.server else 0
    said = f"its proxy counts {counted} requests {decision} by policies, not {exchange.asked}"
    return [] if counted == exchange.asked else [counted_by(pair.server, exchange.server, said)]


def _not_denied(pair: Pair, exchange: Exchange, ends: Seen, *, tcp: bool) -> list[Problem]:
    """Problems unless the server's policies denied each request.

    The suite's own policy does not name the caller. If the caller is answered under its own identity, and the server's proxy
    counts that as allowed, another policy let it in; a request that bypasses the proxy is not counted.
    """
    problems = _decided_otherwise(pair, exchange, "denied", tcp=tcp)
    answered = sum(r.outcome is Outcome.ANSWERED for r in exchange.ledger.requests)
    allowed = exchange.server.rbac("allowed", tcp=tcp) if exchange.server else 0
    if allowed >= answered > 0 and not (ends.problems or ends.unclear):
        said = f"a policy allowed {answered} requests of {pair.caller}, which the suite's own policy does not name"
        problems.append(counted_by(pair.server, exchange.server, said, "policy-too-wide"))
    return problems


def _past_the_proxy(pair: Pair, exchange: Exchange) -> list[Problem]:
    """A problem if all requests in plain text were answered and the server's proxy saw none of them.

    A proxy that accepts plain text checks each request against the suite's policy, and counts the decision.
    """
    server = exchange.server
    if server is None or any(r.outcome is not Outcome.ANSWERED for r in exchange.ledger.requests):
        return []
    counts = [value for name, value in server.values.items() if ".rbac." in name]
    if not counts or any(counts) or server.inbound("no_filter_chain_match") != 0 or server.inbound("ssl.handshake"):
        return []
    said = f"its proxy saw none of the {exchange.asked} requests: it reset none, and no policy decided about any"
    return [counted_by(pair.server, server, said, "port-bypasses-proxy")]
