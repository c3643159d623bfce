"""Judgments about traffic between workloads: TRF-01 to TRF-04, and TRF-06, what the guide's checklist does not see of it."""

from __future__ import annotations

from collections.abc import Sequence

from facts.errors import CouldNotTell
from facts.finding import Finding, Holds
from facts.guide import GuideAnswer
from facts.teleport.bundle import TrustBundle
from facts.traffic.ledger import Exchange, Outcome
from judge.findings import concluded, could_not_tell, listed
from judge.traffic.exchanges import (
    HTTP,
    REFUSED_CERTIFICATES,
    Pair,
    about,
    certified,
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
    problems = outcomes_but(exchange.ledger, {Outcome.ANSWERED}, others.requests)
    for word in exchange.ledger.words:
        if (word.server.namespace, word.server.pod) != (pair.server.namespace, pair.server.name):
            problems.append(f"Pod {word.server.namespace}/{word.server.pod} answered instead")
        if word.arrivals != 1:
            problems.append(f"a request arrived {word.arrivals} times: a proxy has asked again")
    return about(
        requirement,
        pair,
        exchange,
        expected=f"{pair.server.ref} to answer each of {exchange.asked} requests, once",
        problems=problems,
        unclear=others.words,
        confirmed=f"{exchange.asked} of {exchange.asked} answered, each had arrived once",
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
    seen = strangers(exchange, pair.caller, [pair.client], pair.called)
    problems = outcomes_but(exchange.ledger, {Outcome.ANSWERED}, others.requests)
    return about(
        requirement,
        pair,
        exchange,
        expected=f"the server to see {pair.caller}, certified by Teleport, in each of {exchange.asked} requests",
        problems=[*problems, *seen.problems, *ends.problems],
        unclear=[*others.words, *seen.unclear, *ends.unclear],
        confirmed=f"{pair.caller} in the client's own certificate of Teleport, {exchange.asked} of {exchange.asked} times, "
        f"told by the proxy of {pair.called}",
        evidence=bundle.evidence,
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
    counted = {name: _outbound(pair, exchange, name) for name in wanted}
    missing = [name for name, value in counted.items() if value is None]
    if missing:
        error = CouldNotTell(
            expected="the client's proxy to count its connections to the server",
            seen=f"it does not keep {listed(missing)}",
            where=str(pair.client.ref),
            remedy="see whether the proxy heeds the annotation sidecar.istio.io/statsInclusionSuffixes",
        )
        return could_not_tell(requirement, error, (*pair.evidence, *exchange.evidence))
    problems = [
        f"{counted[name]} {what}, {right} expected" for name, (what, right) in wanted.items() if counted[name] != right
    ]
    return about(
        requirement,
        pair,
        exchange,
        expected=expected,
        problems=problems,
        confirmed=", ".join(f"{counted[name]} {what}" for name, (what, _) in wanted.items()),
    )


def denied_by_policy(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """Every request was refused with 403 by the server's own policy, which knows who called: both ends are Teleport's."""
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(exchange.ledger, {Outcome.DENIED})
    problems += _decisions(exchange, "denied", tcp=False)
    return about(
        requirement,
        pair,
        exchange,
        expected=f"each of {exchange.asked} requests refused with {Outcome.DENIED.value}",
        problems=[*problems, *ends.problems],
        unclear=ends.unclear,
        confirmed=f"{exchange.asked} of {exchange.asked} refused with {Outcome.DENIED.value}, counted by the server's proxy",
        evidence=bundle.evidence,
    )


def let_in_over_tcp(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """Every connection was answered, and the server's policy by principal had let it in; both ends are Teleport's."""
    others = turned_away_by_others(pair, exchange)
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(exchange.ledger, {Outcome.ANSWERED}, others.requests)
    problems += [] if problems or others.words else _decisions(exchange, "allowed", tcp=True)
    return about(
        requirement,
        pair,
        exchange,
        expected=f"each of {exchange.asked} connections let in by the policy for {pair.caller}, certified by Teleport",
        problems=[*problems, *ends.problems],
        unclear=[*others.words, *ends.unclear],
        confirmed=f"{exchange.asked} of {exchange.asked} answered, let in by the policy for {pair.caller}; both ends hold "
        "certificates of Teleport",
        evidence=bundle.evidence,
    )


def denied_over_tcp(requirement: str, pair: Pair, exchange: Exchange, bundle: TrustBundle) -> Finding:
    """Every connection was ended without an answer by the server's policy by principal; both ends are Teleport's."""
    ends = certified(exchange, pair.ends, bundle)
    problems = outcomes_but(exchange.ledger, {Outcome.CLOSED, Outcome.RESET})
    problems += [] if problems else _decisions(exchange, "denied", tcp=True)
    return about(
        requirement,
        pair,
        exchange,
        expected=f"each of {exchange.asked} connections ended by the policy, which does not name {pair.caller}",
        problems=[*problems, *ends.problems],
        unclear=ends.unclear,
        confirmed=f"{exchange.asked} of {exchange.asked} ended without an answer, denied by the server's policy",
        evidence=bundle.evidence,
    )


def plain_text_was_refused(pair: Pair, exchange: Exchange) -> Finding:
    """TRF-03: every request in plain text was cut off by the server's proxy, which has no place for plain text."""
    problems = outcomes_but(exchange.ledger, {Outcome.RESET})
    unmatched = exchange.server.inbound("no_filter_chain_match") if exchange.server else None
    if not problems and unmatched != exchange.asked:
        problems.append(f"the server's proxy turned away {unmatched or 0} connections as none that it takes")
    return about(
        "TRF-03",
        pair,
        exchange,
        expected=f"each of {exchange.asked} requests in plain text reset by the server's proxy",
        problems=problems,
        confirmed=f"{exchange.asked} of {exchange.asked} reset; the server's proxy takes no such connection",
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
    problems = [f"the guide sees it: {answer.asked}: {answer.said}" for answer in answers if not answer.healthy]
    problems += [] if len(answers) == CHECKLIST else [f"{len(answers)} of the {CHECKLIST} items of the checklist were run"]
    judged = (answered_once("TRF-01", pair, exchange), caller_was_seen("TRF-01", pair, exchange, bundle))
    problems += [f"TRF-01 does not see it: {f.seen}" for f in judged if f.holds is not Holds.NO]
    problems += outcomes_but(exchange.ledger, {Outcome.TLS_ERROR, Outcome.NO_UPSTREAM})
    refused = refused_certificates(pair, exchange)
    named = sum(times for words, times in refused.items() if words.endswith(REFUSED_CERTIFICATES["fail_verify_san"]))
    if named != exchange.asked:
        problems.append(f"{named} of {exchange.asked} handshakes were ended for the name in a certificate")
    return concluded(
        "TRF-06",
        expected=f"{CHECKLIST} healthy items of the guide, and every request ended for the name in a certificate ({defect})",
        problems=list(dict.fromkeys(problems)),
        confirmed=f"{len(answers)} items healthy; TRF-01 fails: {judged[0].seen}; {listed(refused)}",
        where=pair.where,
        evidence=[*pair.evidence, *(e for a in answers for e in a.evidence), *exchange.evidence, *bundle.evidence],
    )


def _decisions(exchange: Exchange, decision: str, *, tcp: bool) -> list[str]:
    """Why the server's proxy does not bear a decision out."""
    counted = exchange.server.rbac(decision, tcp=tcp) if exchange.server else 0
    if counted == exchange.asked:
        return []
    return [f"the policy at the server counts {counted} {decision}, not {exchange.asked}"]


def _outbound(pair: Pair, exchange: Exchange, name: str) -> int | None:
    if exchange.client is None:
        return None
    return exchange.client.outbound(pair.server.name, pair.server.namespace, HTTP, name)
