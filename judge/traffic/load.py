"""Judgments about a load: no request was lost, each was a handshake, peers saw each certificate; keep-alive shows nothing.

Rotation and outages use them alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from facts.errors import CouldNotTell
from facts.finding import Finding, Problem, Remark, told
from facts.measure import Measure
from facts.over_time.history import History
from facts.traffic.ledger import Exchange, Outcome, Request
from facts.traffic.load import Load
from judge.findings import Claim, listed
from judge.traffic.callers import every_request_was_a_handshake
from judge.traffic.exchanges import TCP, Pair, outbound, outcomes_but

BUSY = timedelta(seconds=10)
"""Around a request outside the mesh that timed out: for so long nodes or network were too busy to answer anybody."""

ENOUGH = 3
"""So many requests begun while a proxy was seen with a certificate that one of them has shown it to the peer for certain."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """A load, and who its ends are.

    Attributes:
        pair: Client and server.
        load: What the one asked of the other.
    """

    pair: Pair
    load: Load

    @property
    def is_control(self) -> bool:
        """It passes no proxy: what becomes of it tells of the machines and the network, and of no certificate."""
        return all(pod.proxy is None for pod in self.pair.ends)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return (*self.pair.evidence, *self.load.evidence)

    def __str__(self) -> str:
        return f"{self.pair.client.name} to {self.pair.server.name}"


def load_problem(traffic: Traffic, said: str, cause: str = "") -> Problem:
    """A problem of the server, as one client met it."""
    return Problem(traffic.pair.server.ref, f"asked by {traffic.pair.client.name}: {said}", cause, traffic.evidence)


def fresh(traffic: Iterable[Traffic]) -> tuple[Traffic, ...]:
    """The loads between proxies with a connection for each request."""
    return tuple(t for t in traffic if not t.load.keeps_connection and not t.is_control)


def failed_requests(requirement: str, traffic: Sequence[Traffic], at_most: int) -> Finding:
    """Of all requests no more than so many were not answered by the server that was asked, and each has its reason.

    Nobody can tell where the budget is kept but for timeouts, while requests outside the mesh timed out as well.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads; those over a kept connection do not count, because they show nothing.
        at_most: The budget.
    """
    counted, controls = fresh(traffic), [t for t in traffic if t.is_control]
    failed = [r for t in counted for r in t.load.failed]
    claim = _claim(requirement, f"at most {at_most} failed requests", counted, (e for t in controls for e in t.evidence))
    if tell_nothing(failed, controls, at_most):
        return claim.unknown(starved(traffic, at_most))
    sent = sum(t.load.sent for t in counted)
    answered = sum(r.outcome is Outcome.ANSWERED for t in counted for r in t.load.ledger.requests)
    problems = [wrong for t in counted for wrong in _answered_by_others(t)]
    if answered + len(failed) != sent:
        problems.append(claim.problem(f"{sent} sent, {answered} answered and {len(failed)} failed"))
    if len(failed) > at_most:
        problems += [wrong for t in counted for wrong in _failures(t)]
    slowest = max((r.seconds for t in counted for r in t.load.ledger.requests), default=0.0)
    return claim.judged(
        problems,
        f"{sent} sent = {answered} answered + {len(failed)} failed; {listed(counted)}",
        measures=(
            Measure("failed requests", len(failed), at_most=at_most),
            Measure("requests sent", sent, at_least=1),
            Measure("slowest request", slowest, "s"),
            Measure("lowest rate of a load", min((t.load.achieved for t in counted), default=0.0), "/s"),
            *([Measure("failed requests outside the mesh", sum(len(t.load.failed) for t in controls))] if controls else []),
        ),
    )


def _claim(requirement: str, expected: str, traffic: Sequence[Traffic], evidence: Iterable[str]) -> Claim:
    """A claim about loads."""
    read = (*(e for t in traffic for e in t.evidence), *evidence)
    return Claim(requirement, expected, listed(t.pair.where for t in traffic), read)


def tell_nothing(failed: Sequence[Request], controls: Iterable[Traffic], at_most: int) -> bool:
    """Tell whether failures are within the budget but for timeouts while requests outside the mesh timed out as well."""
    outside = [r.at for t in controls for r in t.load.failed if r.outcome is Outcome.TIMEOUT]
    excused = [r for r in failed if r.outcome is Outcome.TIMEOUT and any(abs(r.at - at) <= BUSY for at in outside)]
    return len(failed) > at_most >= len(failed) - len(excused)


def starved(traffic: Sequence[Traffic], at_most: int) -> CouldNotTell:
    """The reason that `tell_nothing` finds: nodes or network were too busy."""
    counted = [t for t in traffic if t.is_control or not t.load.keeps_connection]
    return CouldNotTell(
        expected=f"at most {at_most} failed requests, where requests outside the mesh are answered",
        seen=told(each for t in counted for each in _failures(t)),
        where=listed(t.pair.where for t in counted),
        remedy="the nodes or the network were too busy to answer anybody: certify where they have time to spare",
    )


def _failures(traffic: Traffic) -> list[Problem]:
    """Failed requests by reason, most frequent first."""
    return outcomes_but(traffic.pair, traffic.load.ledger, {Outcome.ANSWERED})


def _answered_by_others(traffic: Traffic) -> list[Problem]:
    server, words = traffic.pair.server, traffic.load.ledger.words
    answered = sorted({f"Pod {word.server.namespace}/{word.server.pod}" for word in words} - {str(server.ref)})
    said = [f"{other} answered {traffic.pair.client.name} instead" for other in answered]
    if repeated := sum(word.arrivals != 1 for word in words):
        said.append(f"{repeated} requests of {traffic.pair.client.name} arrived more than once")
    return [Problem(server.ref, each, evidence=traffic.load.ledger.evidence) for each in said]


def each_was_a_handshake(requirement: str, traffic: Sequence[Traffic]) -> tuple[Finding, ...]:
    """Between the proxies each request had a connection and a full handshake of its own: one finding for each load."""
    return tuple(
        every_request_was_a_handshake(
            requirement, t.pair, Exchange(t.load.ledger, client=t.load.client, server=t.load.server)
        )
        for t in fresh(traffic)
    )


def peers_saw_each_certificate(requirement: str, traffic: Sequence[Traffic], histories: Sequence[History]) -> Finding:
    """Each server was shown every certificate that the client's proxy held under way, and no other.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads.
        histories: What the proxies of their clients held.
    """
    by_pod = {h.pod.uid: h for h in histories}
    counted = fresh(traffic)
    problems: list[Problem] = []
    delays: list[float] = []
    shown = 0
    for each in counted:
        client, history = each.pair.client.name, by_pod[each.pair.client.uid]
        first_use = _first_use(each.load)
        held = {svid.what.sha256: svid for svid in history.svids}
        said = []
        for sha256, svid in held.items():
            asked = [r for r in each.load.between(svid.first_seen, svid.last_seen) if r.outcome is Outcome.ANSWERED]
            if sha256 in first_use:
                shown += 1
            elif len(asked) >= ENOUGH:
                said.append(f"never saw the certificate of {client} with the serial {svid.what.serial}")
        said += [
            f"saw a certificate (SHA-256 {seen[:16]}…) that the proxy of {client} never held"
            for seen in first_use
            if seen not in held
        ]
        problems += [Problem(each.pair.server.ref, words, evidence=each.evidence) for words in said]
        taken_up = zip(history.svids[1:], history.taken_up[1:], strict=True)
        delays += [
            max(0.0, (first_use[svid.what.sha256].at - at).total_seconds())
            for svid, at in taken_up
            if svid.what.sha256 in first_use and at >= each.load.began
        ]
    expected = "each server to see every certificate of its caller, and no other"
    return _claim(requirement, expected, counted, (e for h in histories for e in h.evidence)).judged(
        problems,
        f"{shown} certificates seen by peers, by the SHA-256 that their proxies report",
        measures=(
            Measure("certificates that peers saw", shown, at_least=1),
            *([Measure("longest time from a new certificate to its first handshake", max(delays), "s")] if delays else []),
        ),
    )


def _first_use(load: Load) -> dict[str, Request]:
    """The first request in which the server saw each certificate, by its SHA-256."""
    found: dict[str, Request] = {}
    for request in load.ledger.requests:
        for peer in request.word.peers[-1:] if request.word else ():
            found.setdefault(peer.hash.lower(), request)
    found.pop("", None)
    return found


def kept_connection_shows_nothing(requirement: str, traffic: Sequence[Traffic], histories: Sequence[History]) -> Finding:
    """A connection that is kept was answered all the time under the first handshake, whatever came of its certificates.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads, one of them over a kept connection.
        histories: What the proxies of their clients held.
    """
    kept = [t for t in traffic if t.load.keeps_connection]
    expected = "one connection and one handshake, answered under certificates that no handshake has ever shown"
    claim = _claim(requirement, expected, kept or traffic, (e for h in histories for e in h.evidence))
    if not kept:
        return claim.judged(unclear=[claim.problem("no load keeps its connection")], settle="run a load that keeps it")
    by_pod = {h.pod.uid: h for h in histories}
    problems: list[Problem] = []
    held: list[Remark] = []
    for each in kept:
        load, client, server = each.load, each.pair.client, each.pair.server
        handshakes = outbound(each.pair, load.client, TCP, "ssl.handshake")
        problems += _failures(each)
        if load.connections != 1 or handshakes != 1:
            said = f"{load.connections} connections and {handshakes} handshakes with {server.name}, one of each expected"
            problems.append(Problem(client.ref, said, evidence=load.evidence))
        svids = by_pod[client.uid].svids
        replaced = [s for s in svids[1:] if load.began <= s.first_seen <= load.ended]
        if not replaced:
            problems.append(Problem(client.ref, "no certificate was replaced meanwhile", evidence=load.evidence))
            continue
        presented = svids[svids.index(replaced[0]) - 1].what
        expired = (load.ended - presented.not_after).total_seconds()
        over = f"; it ended {expired:.0f} s after that certificate had expired" if expired > 0 else ""
        said = (
            f"{load.sent} answers of {server.name} over one connection and one handshake, made under the serial "
            f"{presented.serial}, which was replaced {len(replaced)} times meanwhile{over}: they say nothing about any "
            "certificate after it"
        )
        held.append(Remark(client.ref, said))
    return claim.judged(
        problems,
        held=held,
        measures=(
            Measure("answers over a kept connection", sum(t.load.sent for t in kept)),
            Measure("handshakes of a kept connection", sum(t.load.connections for t in kept), at_most=len(kept)),
        ),
    )
