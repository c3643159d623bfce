"""Requests of one client to one server: who both are, what their proxies held and refused, and who turned a request away.

The caller is who the server was told it is, not who the client says it is. The judgments of the requirements are in
`judge.traffic.callers`, `judge.traffic.gateways` and `judge.traffic.paths`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from facts.evidence import ObjectRef
from facts.finding import Problem
from facts.kubernetes.objects import Pod
from facts.proxies.envoy_traffic import Counters
from facts.svid import workload_id
from facts.teleport.bundle import TrustBundle
from facts.traffic.ledger import Exchange, Ledger, Outcome, Request
from facts.traffic.load import reasons
from judge.findings import Claim, listed
from judge.identity.proxies import own_identity_problems

HTTP, TCP = 8080, 9090
FORBIDDEN = 403

BY_THE_SERVER = frozenset({Outcome.ANSWERED, Outcome.DENIED})
"""Outcomes that the server or its proxy decided; any other is what the client or its proxy met."""

NOT_OURS = (
    "look at what is named here; a policy that is not the run's own refuses for its own reasons: let it leave out the run's "
    "namespaces (conformance-…), or certify this requirement where there is none"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A client and the server that it asks.

    Attributes:
        client: The client's pod.
        server: The server's pod.
        trust_domain: Teleport's name: the trust domain that their identities must be of.
    """

    client: Pod
    server: Pod
    trust_domain: str

    @property
    def caller(self) -> str:
        """The SPIFFE ID that the client must have."""
        return workload_id(self.trust_domain, self.client.namespace, self.client.service_account)

    @property
    def called(self) -> str:
        """The SPIFFE ID that the server must have."""
        return workload_id(self.trust_domain, self.server.namespace, self.server.service_account)

    @property
    def ends(self) -> tuple[Pod, Pod]:
        """Both pods."""
        return (self.client, self.server)

    @property
    def where(self) -> str:
        """Both, as a person names them."""
        return f"{self.client.ref} to {self.server.ref}"

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings of both pods."""
        return (*self.client.evidence, *self.server.evidence)

    def claim(self, requirement: str, exchange: Exchange, expected: str, evidence: Iterable[str] = ()) -> Claim:
        """A claim about an exchange between them.

        Args:
            requirement: Id in the catalogue.
            exchange: Between them.
            expected: What must be so.
            evidence: Ids of further readings.
        """
        return Claim(requirement, expected, self.where, (*self.evidence, *exchange.evidence, *evidence))


def outcomes_but(pair: Pair, ledger: Ledger, right: Collection[Outcome], aside: Collection[str] = ()) -> list[Problem]:
    """Every other outcome with its words and its count, most frequent first.

    Args:
        pair: Client and server.
        ledger: Everything that was asked.
        right: Outcomes that are as wanted.
        aside: Ids of requests that do not count.
    """
    wrong = [r for r in ledger.requests if r.outcome not in right and r.id not in aside]
    decided = {str(r): pair.server if r.outcome in BY_THE_SERVER else pair.client for r in wrong}
    of_all = f"of {len(ledger.requests)} requests from {pair.client.name} to {pair.server.name}"
    return [
        Problem(decided[words].ref, f"{times} {of_all}: {words}", evidence=ledger.evidence)
        for words, times in reasons(wrong).items()
    ]


MISNAMED, NOT_VERIFIED, NOT_SHOWN = "fail_verify_san", "fail_verify_error", "fail_verify_no_cert"
REFUSED_CERTIFICATES = {
    MISNAMED: "for the name in it",
    NOT_VERIFIED: "for its issuer or its dates",
    NOT_SHOWN: "which was not shown",
}
"""Envoy's counters of certificates that it did not accept, and why it did not."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Certificates of its peer that one proxy did not accept, for one reason.

    Attributes:
        counter: Envoy's counter of that reason.
        times: How many.
        problem: The same as a person says it, of the proxy's pod.
    """

    counter: str
    times: int
    problem: Problem


def outbound(pair: Pair, counters: Counters | None, port: int, name: str) -> int | None:
    """A counter that the client's proxy keeps of its connections to the server; None where it does not keep it."""
    return counters.outbound(pair.server.name, pair.server.namespace, port, name) if counters else None


def counted_by(pod: Pod, counters: Counters | None, said: str, cause: str = "") -> Problem:
    """A problem that the counters of a pod's proxy show."""
    return Problem(pod.ref, said, cause, counters.evidence if counters else pod.evidence)


def refused_certificates(pair: Pair, exchange: Exchange) -> list[Refusals]:
    """Certificates that the proxies at both ends did not accept."""
    found = []
    for counter, why in REFUSED_CERTIFICATES.items():
        name = f"ssl.{counter}"
        if times := sum(outbound(pair, exchange.client, port, name) or 0 for port in (HTTP, TCP)):
            said = f"{times} times its proxy refused the server's certificate {why}"
            found.append(Refusals(counter, times, counted_by(pair.client, exchange.client, said)))
        if exchange.server is not None and (times := exchange.server.inbound(name) or 0):
            said = f"{times} times its proxy refused the client's certificate {why}"
            found.append(Refusals(counter, times, counted_by(pair.server, exchange.server, said)))
    return found


def because(pair: Pair, exchange: Exchange, problems: Sequence[Problem]) -> list[Problem]:
    """Problems of an exchange, and with them the certificates that its proxies refused, which may be the reason."""
    return [*problems, *(r.problem for r in refused_certificates(pair, exchange))] if problems else []


def a_certificate_was_refused(pair: Pair, exchange: Exchange) -> bool:
    """Tell whether a proxy at either end did not accept a certificate for its issuer or its dates."""
    return any(r.counter == NOT_VERIFIED for r in refused_certificates(pair, exchange))


@dataclass(frozen=True, slots=True)
class Seen:
    """Result of looking at one part of an exchange.

    Attributes:
        problems: What is wrong.
        unclear: What could not be told.
    """

    problems: tuple[Problem, ...] = ()
    unclear: tuple[Problem, ...] = ()


def certified(exchange: Exchange, pods: Iterable[Pod], bundle: TrustBundle) -> Seen:
    """Judge whether the proxies of some pods held certificates of their own from Teleport during an exchange."""
    held = [(pod, exchange.held_by(pod)) for pod in pods]
    # Each proxy was read before and after: what is wrong both times is said once.
    problems = {(w.subject, w.said): w for _, proxies in held for p in proxies for w in own_identity_problems(p, bundle)}
    unclear = [Problem(pod.ref, "its proxy was not read", evidence=pod.evidence) for pod, proxies in held if not proxies]
    return Seen(tuple(problems.values()), tuple(unclear))


def strangers(pair: Pair, exchange: Exchange, caller: str, callers: Iterable[Pod]) -> Seen:
    """Peers that the server was told of where it must be exactly one, the caller, told by the server's own proxy.

    Args:
        pair: Client and server.
        exchange: What was asked of the server.
        caller: The SPIFFE ID that the caller must have.
        callers: The pods that may have called: the certificate that the server's proxy saw must be one that theirs held.
    """
    held = {proxy.leaf.sha256 for pod in callers for proxy in exchange.held_by(pod) if proxy.leaf}
    problems: list[str] = []
    unclear: list[str] = []
    for word in exchange.ledger.words:
        if len(word.peers) != 1:
            problems.append(f"was told of {len(word.peers)} peers")
            continue
        (peer,) = word.peers
        if peer.uris != (caller,):
            problems.append(f"saw {listed(peer.uris, 'a peer without a SPIFFE ID')}, not {caller}")
        if pair.called not in peer.by:
            problems.append(f"was told so by {listed(peer.by, 'a proxy without a name')}, not by {pair.called}")
        if not peer.hash:
            unclear.append("its proxy does not say which certificate it saw")
        elif peer.hash.lower() not in held:
            problems.append(f"saw a certificate (SHA-256 {peer.hash[:16]}…) that is not the caller's own")

    def of_server(said: Iterable[str]) -> tuple[Problem, ...]:
        return tuple(Problem(pair.server.ref, each, evidence=exchange.ledger.evidence) for each in dict.fromkeys(said))

    return Seen(of_server(problems), of_server(unclear))


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Requests that a policy of somebody else may have turned away: they show nothing about identities.

    Attributes:
        requests: Their ids.
        unclear: The policies that may have done so, as far as they are known.
    """

    requests: frozenset[str] = frozenset()
    unclear: tuple[Problem, ...] = ()


def turned_away_by_others(pair: Pair, exchange: Exchange) -> TurnedAway:
    """Requests that were refused on the way to the server, or there where others' policies turn callers away as well.

    The run's own policies let in by principal: where no other policy can have refused a caller, they have, for who it is.
    """
    server = pair.server.ref
    foreign = [p for p in exchange.policies if p.namespace != server.namespace]
    at_server = f"{server.namespace}/{server.name}"
    here = [p for p in foreign if p.enforced_by == at_server and p.action != "ALLOW"]
    before = [p for p in foreign if p.enforced_by != at_server]
    requests: list[str] = []
    unclear: list[Problem] = []

    def add(refused: Sequence[Request], subject: ObjectRef, how: str) -> None:
        requests.extend(r.id for r in refused)
        said = f"{len(refused)} of {exchange.asked} requests were refused {how}: {listed(refused)}"
        unclear.append(Problem(subject, said, evidence=exchange.evidence))

    if refused := [r for r in exchange.ledger.requests if r.outcome is Outcome.OTHER_ANSWER and r.status == FORBIDDEN]:
        add(refused, server, "in other words than the run's own policies use")
    for tcp, outcomes in ((False, {Outcome.DENIED}), (True, {Outcome.CLOSED, Outcome.RESET})):
        refused = [r for r in exchange.ledger.requests if r.outcome in outcomes and r.url.startswith("tcp:") is tcp]
        counted = exchange.server.rbac("denied", tcp=tcp) if exchange.server else 0
        if not refused or (tcp and not counted):
            continue
        for policy in here if counted else before:
            at = (
                f"at {server}, by this or the run's own policy"
                if counted
                else f"before they came to {server}, maybe by this"
            )
            ref = ObjectRef("AuthorizationPolicy", policy.name, policy.namespace)
            add(refused, ref, f"{at} ({policy.action})")
        if not counted and not before:
            add(refused, server, "before they came to it, and no policy on the way is known")
    return TurnedAway(frozenset(requests), tuple(unclear))
