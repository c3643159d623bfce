"""Judgments about a load: no request was lost, each was a handshake, peers saw each certificate; what keep-alive shows.

Rotation and outages use them alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.measure import Measure
from facts.over_time.history import History
from facts.traffic.ledger import Exchange, Outcome, Request
from facts.traffic.load import Load, reasons
from judge.findings import concluded, could_not_tell, listed
from judge.traffic.callers import every_request_was_a_handshake
from judge.traffic.exchanges import TCP, Pair

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
    outside = [r for t in controls for r in t.load.failed]
    if tell_nothing(failed, controls, at_most):
        return could_not_tell(requirement, starved(traffic, at_most), [e for t in traffic for e in t.evidence])
    sent = sum(t.load.sent for t in counted)
    answered = sum(r.outcome is Outcome.ANSWERED for t in counted for r in t.load.ledger.requests)
    problems = [] if answered + len(failed) == sent else [f"{sent} sent, {answered} answered and {len(failed)} failed"]
    problems += [w for t in counted for w in _answered_by_others(t)]
    if len(failed) > at_most:
        problems += [words for t in counted for words in _failures(t)]
    slowest = max((r.seconds for t in counted for r in t.load.ledger.requests), default=0.0)
    return concluded(
        requirement,
        expected=f"at most {at_most} failed requests",
        problems=problems,
        confirmed=f"{sent} sent = {answered} answered + {len(failed)} failed; {listed(counted)}",
        where=listed(t.pair.where for t in counted),
        evidence=[e for t in counted for e in t.evidence],
        measures=(
            Measure("failed requests", len(failed), at_most=at_most),
            Measure("requests sent", sent, at_least=1),
            Measure("slowest request", slowest, "s"),
            Measure("lowest rate of a load", min((t.load.achieved for t in counted), default=0.0), "/s"),
            *([Measure("failed requests outside the mesh", len(outside))] if controls else []),
        ),
    )


def tell_nothing(failed: Sequence[Request], controls: Iterable[Traffic], at_most: int) -> bool:
    """Whether failures are within the budget but for timeouts while requests outside the mesh timed out as well."""
    outside = [r.at for t in controls for r in t.load.failed if r.outcome is Outcome.TIMEOUT]
    excused = [r for r in failed if r.outcome is Outcome.TIMEOUT and any(abs(r.at - at) <= BUSY for at in outside)]
    return len(failed) > at_most >= len(failed) - len(excused)


def starved(traffic: Sequence[Traffic], at_most: int) -> CouldNotTell:
    """Why `tell_nothing` leaves nothing to be told."""
    counted = [t for t in traffic if t.is_control or not t.load.keeps_connection]
    return CouldNotTell(
        expected=f"at most {at_most} failed requests, where requests outside the mesh are answered",
        seen="; ".join(w for t in counted for w in _failures(t)),
        where=listed(t.pair.where for t in counted),
        remedy="the nodes or the network were too busy to answer anybody: certify where they have time to spare",
    )


def _failures(traffic: Traffic) -> list[str]:
    """How many requests failed for which reason, most frequent first."""
    load = traffic.load
    return [f"{traffic}: {times} of {load.sent}: {why}" for why, times in reasons(load.failed).items()]


def _answered_by_others(traffic: Traffic) -> list[str]:
    server = traffic.pair.server
    wrong = {
        f"{traffic}: Pod {word.server.namespace}/{word.server.pod} answered instead"
        for word in traffic.load.ledger.words
        if (word.server.namespace, word.server.pod) != (server.namespace, server.name)
    }
    repeated = sum(word.arrivals != 1 for word in traffic.load.ledger.words)
    return [*sorted(wrong), *([f"{traffic}: {repeated} requests arrived more than once"] if repeated else [])]


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
    problems: list[str] = []
    delays: list[float] = []
    shown = 0
    for each in counted:
        history = by_pod[each.pair.client.uid]
        first_use = _first_use(each.load)
        held = {svid.what.sha256: svid for svid in history.svids}
        for sha256, svid in held.items():
            asked = [
                r
                for r in each.load.between(svid.first_seen, svid.last_seen)
                if r.outcome is Outcome.ANSWERED
            ]  # fmt: skip
            if sha256 in first_use:
                shown += 1
            elif len(asked) >= ENOUGH:
                problems.append(f"{each}: the server never saw the certificate with the serial {svid.what.serial}")
        problems += [
            f"{each}: the server saw a certificate (SHA-256 {seen[:16]}…) that the client's proxy never held"
            for seen in first_use
            if seen not in held
        ]
        taken_up = zip(history.svids[1:], history.taken_up[1:], strict=True)
        delays += [
            max(0.0, (first_use[svid.what.sha256].at - at).total_seconds())
            for svid, at in taken_up
            if svid.what.sha256 in first_use and at >= each.load.began
        ]
    return concluded(
        requirement,
        expected="each server to see every certificate of its caller, and no other",
        problems=problems,
        confirmed=f"{shown} certificates seen by peers, by the SHA-256 that their proxies report",
        where=listed(t.pair.where for t in counted),
        evidence=[*(e for t in counted for e in t.evidence), *(e for h in histories for e in h.evidence)],
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
    if not kept:
        error = CouldNotTell(expected="a kept connection", seen="none", where=listed(traffic), remedy="ask for one")
        return could_not_tell(requirement, error)
    by_pod = {h.pod.uid: h for h in histories}
    problems: list[str] = []
    said: list[str] = []
    for each in kept:
        load, server = each.load, each.pair.server
        handshakes = load.client.outbound(server.name, server.namespace, TCP, "ssl.handshake") if load.client else None
        problems += _failures(each)
        if load.connections != 1 or handshakes != 1:
            problems.append(f"{each}: {load.connections} connections and {handshakes} handshakes, one of each expected")
        svids = by_pod[each.pair.client.uid].svids
        replaced = [s for s in svids[1:] if load.began <= s.first_seen <= load.ended]
        if not replaced:
            problems.append(f"{each}: no certificate was replaced meanwhile")
            continue
        presented = svids[svids.index(replaced[0]) - 1].what
        expired = (load.ended - presented.not_after).total_seconds()
        over = f"; it ended {expired:.0f} s after that certificate had expired" if expired > 0 else ""
        said.append(
            f"{each}: {load.sent} answers over one connection and one handshake, made under the serial {presented.serial}, "
            f"which was replaced {len(replaced)} times meanwhile{over}: they say nothing about any certificate after it"
        )
    return concluded(
        requirement,
        expected="one connection and one handshake, answered under certificates that no handshake has ever shown",
        problems=problems,
        confirmed="; ".join(said),
        where=listed(t.pair.where for t in kept),
        evidence=[*(e for t in kept for e in t.evidence), *(e for h in histories for e in h.evidence)],
        measures=(
            Measure("answers over a kept connection", sum(t.load.sent for t in kept)),
            Measure("handshakes of a kept connection", sum(t.load.connections for t in kept), at_most=len(kept)),
        ),
    )
