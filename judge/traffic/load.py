"""Judgments about a load: lost requests, handshakes, certificates that peers saw, and kept connections.

The judgments of rotation and of outages share them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from facts.errors import CouldNotTell
from facts.evidence import Shown, readings
from facts.finding import Finding, Problem, Remark, told
from facts.measure import Measure
from facts.over_time.history import History
from facts.traffic.ledger import Exchange, Outcome, Request
from facts.traffic.load import Load
from judge.findings import Claim, listed, longest
from judge.traffic.callers import every_request_was_a_handshake
from judge.traffic.exchanges import TCP, Pair, misdelivered, outbound, outcomes_but

BUSY = timedelta(seconds=10)
"""Time around a timeout outside of the mesh in which the nodes or the network count as too busy to answer."""

ENOUGH = 3
"""Requests begun while a proxy held a certificate, of which at least one must have shown it to the peer."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """A load, with the pods at its ends.

    Attributes:
        pair: Client and server.
        load: The requests of the one to the other.
    """

    pair: Pair
    load: Load

    @property
    def is_control(self) -> bool:
        """True if it passes no proxy: its failures tell about the machines and the network, and about no certificate."""
        return all(pod.proxy is None for pod in self.pair.ends)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return readings(self.pair, self.load)

    @property
    def exchange(self) -> Exchange:
        """The load as an exchange."""
        return Exchange(self.load.ledger, client=self.load.client, server=self.load.server)

    def __str__(self) -> str:
        return f"{self.pair.client.name} to {self.pair.server.name}"


def load_problem(traffic: Traffic, said: str, cause: str = "") -> Problem:
    """A problem of the server, as one client saw it."""
    return Problem(traffic.pair.server.ref, f"requests from {traffic.pair.client.name}: {said}", cause, traffic.evidence)


def fresh(traffic: Iterable[Traffic]) -> tuple[Traffic, ...]:
    """The loads between proxies with a connection for each request."""
    return tuple(t for t in traffic if not t.load.keeps_connection and not t.is_control)


def failed_requests(requirement: str, traffic: Sequence[Traffic], at_most: int) -> Finding:
    """The requested servers failed to answer at most so many requests, and each failure has its reason.

    The answer is open where only timeouts break the budget, and requests outside of the mesh timed out at the same time.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads; those over a kept connection do not count, because they prove nothing.
        at_most: The budget.
    """
    counted, controls = fresh(traffic), [t for t in traffic if t.is_control]
    failed = [r for t in counted for r in t.load.failed]
    claim = _claim(requirement, f"at most {at_most} requests to fail", counted, controls)
    if tell_nothing(failed, controls, at_most):
        return claim.unknown(starved(traffic, at_most))
    sent = sum(t.load.sent for t in counted)
    answered = sum(r.outcome is Outcome.ANSWERED for t in counted for r in t.load.ledger.requests)
    problems = [wrong for t in counted for wrong in misdelivered(t.pair, t.load.ledger)]
    if answered + len(failed) != sent:
        problems.append(
            claim.problem(f"{sent} requests were sent, {answered} answered and {len(failed)} failed, which does not add up")
        )
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


def _claim(requirement: str, expected: str, traffic: Sequence[Traffic], others: Iterable[Shown]) -> Claim:
    """A claim about loads."""
    return Claim(requirement, expected, listed(t.pair.where for t in traffic), readings(*traffic, *others))


def tell_nothing(failed: Sequence[Request], controls: Iterable[Traffic], at_most: int) -> bool:
    """Tell whether only timeouts break the budget, while requests outside of the mesh timed out as well."""
    outside = [r.at for t in controls for r in t.load.failed if r.outcome is Outcome.TIMEOUT]
    excused = [r for r in failed if r.outcome is Outcome.TIMEOUT and any(abs(r.at - at) <= BUSY for at in outside)]
    return len(failed) > at_most >= len(failed) - len(excused)


def starved(traffic: Sequence[Traffic], at_most: int) -> CouldNotTell:
    """The reason that `tell_nothing` finds: the nodes or the network were too busy."""
    counted = [t for t in traffic if t.is_control or not t.load.keeps_connection]
    return CouldNotTell(
        expected=f"at most {at_most} requests to fail, and requests outside of the mesh to be answered",
        seen=told(each for t in counted for each in _failures(t)),
        where=listed(t.pair.where for t in counted),
        remedy="the nodes or the network were too busy to answer: certify at a time or on machines with less load",
    )


def _failures(traffic: Traffic) -> list[Problem]:
    """Failed requests by reason, most frequent first."""
    return outcomes_but(traffic.pair, traffic.load.ledger, {Outcome.ANSWERED})


def each_was_a_handshake(requirement: str, traffic: Sequence[Traffic]) -> tuple[Finding, ...]:
    """Each request had its own connection and full handshake between the proxies: one finding for each load."""
    return tuple(every_request_was_a_handshake(requirement, t.pair, t.exchange) for t in fresh(traffic))


def peers_saw_each_certificate(requirement: str, traffic: Sequence[Traffic], histories: Sequence[History]) -> Finding:
    """Each server saw every certificate that the client's proxy held during the load, and no other.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads.
        histories: Histories of the proxies of their clients.
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
                said.append(f"it never saw the certificate of {client} with the serial {svid.what.serial}")
        said += [
            f"it saw a certificate (SHA-256 {seen[:16]}…) that the proxy of {client} never held"
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
    return _claim(requirement, expected, counted, histories).judged(
        problems,
        f"peers saw {shown} certificates, by the SHA-256 that their proxies report",
        measures=(
            Measure("certificates that peers saw", shown, at_least=1),
            *longest("longest time from a new certificate to its first handshake", delays),
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
    """A kept connection was answered all the time under its first handshake, whatever happened to its certificates.

    Args:
        requirement: Id in the catalogue.
        traffic: The loads, one of them over a kept connection.
        histories: Histories of the proxies of their clients.
    """
    kept = [t for t in traffic if t.load.keeps_connection]
    expected = (
        "requests over one connection with one handshake to be answered, under certificates that no handshake has shown"
    )
    claim = _claim(requirement, expected, kept or traffic, histories)
    if not kept:
        return claim.judged(
            unclear=[claim.problem("no load keeps its connection")], settle="run a load that keeps its connection"
        )
    by_pod = {h.pod.uid: h for h in histories}
    problems: list[Problem] = []
    held: list[Remark] = []
    for each in kept:
        load, client, server = each.load, each.pair.client, each.pair.server
        handshakes = outbound(each.pair, load.client, TCP, "ssl.handshake")
        problems += _failures(each)
        if load.connections != 1 or handshakes != 1:
            said = f"it had {load.connections} connections and {handshakes} handshakes with {server.name}, not one of each"
            problems.append(Problem(client.ref, said, evidence=load.evidence))
        svids = by_pod[client.uid].svids
        replaced = [s for s in svids[1:] if load.began <= s.first_seen <= load.ended]
        if not replaced:
            problems.append(Problem(client.ref, "its certificate was not replaced during the load", evidence=load.evidence))
            continue
        presented = svids[svids.index(replaced[0]) - 1].what
        expired = (load.ended - presented.not_after).total_seconds()
        over = f"; it ended {expired:.0f} s after that certificate had expired" if expired > 0 else ""
        said = (
            f"{server.name} answered {load.sent} requests over one connection with one handshake, made under the serial "
            f"{presented.serial}, which was replaced {len(replaced)} times meanwhile{over}: they prove nothing about any "
            "later certificate"
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
