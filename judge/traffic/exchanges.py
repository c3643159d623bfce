"""Requests of one client to one server: the identities of both ends, the certificates that their proxies held and refused.

The caller is the one that the server's proxy reports, not the one that the client claims to be. The judgments of the
requirements are in `judge.traffic.callers`, `judge.traffic.gateways` and `judge.traffic.paths`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from facts.evidence import ObjectRef, readings
from facts.finding import Finding, Problem
from facts.kubernetes.objects import Pod
from facts.provider.trust import TrustBundle
from facts.proxies.envoy_traffic import Counters
from facts.svid import workload_id
from facts.traffic.ledger import Exchange, Ledger, Outcome, Request
from facts.traffic.load import reasons
from judge.findings import Claim, listed
from judge.identity.proxies import own_identity_problems

HTTP, TCP = 8080, 9090
FORBIDDEN = 403

BY_THE_SERVER = frozenset({Outcome.ANSWERED, Outcome.DENIED})
"""Outcomes that the server or its proxy decided; the client or its proxy met any other."""

NOT_OURS = (
    "check the policies named here: one that the suite did not make refuses for reasons of its own; exempt the suite's "
    "namespaces (conformance-…) from it, or certify this requirement on a cluster without it"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A client and the server that it asks.

    Attributes:
        client: The client's pod.
        server: The server's pod.
        trust_domain: Teleport's cluster name, the trust domain of their identities.
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
        """Both, as people name them."""
        return f"{self.client.ref} to {self.server.ref}"

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings of both pods."""
        return readings(self.client, self.server)

    def claim(self, requirement: str, exchange: Exchange, expected: str, evidence: Iterable[str] = ()) -> Claim:
        """A claim about an exchange between them.

        Args:
            requirement: Id in the catalogue.
            expected: The promise.
            evidence: Ids of further readings.
        """
        return Claim(requirement, expected, self.where, (*readings(self, exchange), *evidence))


def outcomes_but(pair: Pair, ledger: Ledger, right: Collection[Outcome], aside: Collection[str] = ()) -> list[Problem]:
    """Problems: every other outcome with its words and its count, most frequent first.

    Args:
        pair: Client and server.
        ledger: All requests.
        right: Outcomes that are as expected.
        aside: Ids of requests that do not count.
    """
    wrong = [r for r in ledger.requests if r.outcome not in right and r.id not in aside]
    decided = {str(r): pair.server if r.outcome in BY_THE_SERVER else pair.client for r in wrong}
    of_all = f"of {len(ledger.requests)} requests from {pair.client.name} to {pair.server.name}"
    return [
        Problem(decided[words].ref, f"{times} {of_all}: {words}", evidence=ledger.evidence)
        for words, times in reasons(wrong).items()
    ]


def misdelivered(pair: Pair, ledger: Ledger) -> list[Problem]:
    """Problems of answers by another server than the requested one, and of requests that did not arrive exactly once."""
    server, client = pair.server.ref, pair.client.name
    others = sorted({f"Pod {word.server.namespace}/{word.server.pod}" for word in ledger.words} - {str(server)})
    said = [f"{other} answered {client} instead of it" for other in others]
    if repeated := sum(word.arrivals != 1 for word in ledger.words):
        said.append(f"{repeated} requests of {client} did not arrive exactly once")
    return [Problem(server, each, evidence=ledger.evidence) for each in said]


MISNAMED, NOT_VERIFIED, NOT_SHOWN = "fail_verify_san", "fail_verify_error", "fail_verify_no_cert"
REFUSED_CERTIFICATES = {
    MISNAMED: "for the name in it",
    NOT_VERIFIED: "for its issuer or its dates",
    NOT_SHOWN: "because the peer showed none",
}
"""Envoy's counters of certificates that it refused, each with the reason."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Certificates of its peer that one proxy refused for one reason.

    Attributes:
        counter: Envoy's counter of that reason.
        times: Number of refusals.
        problem: The same as a problem of the proxy's pod.
    """

    counter: str
    times: int
    problem: Problem


def outbound(pair: Pair, counters: Counters | None, port: int, name: str) -> int | None:
    """A counter of the client's proxy for its connections to the server; None where the proxy does not keep it."""
    return counters.outbound(pair.server.name, pair.server.namespace, port, name) if counters else None


def counted_by(pod: Pod, counters: Counters | None, said: str, cause: str = "") -> Problem:
    """A problem that the counters of a pod's proxy show."""
    return Problem(pod.ref, said, cause, counters.evidence if counters else pod.evidence)


def refused_certificates(pair: Pair, exchange: Exchange) -> list[Refusals]:
    """Certificates that the proxies at both ends refused."""
    found = []
    for counter, why in REFUSED_CERTIFICATES.items():
        name = f"ssl.{counter}"
        if times := sum(outbound(pair, exchange.client, port, name) or 0 for port in (HTTP, TCP)):
            said = f"its proxy refused the server's certificate {times} times {why}"
            found.append(Refusals(counter, times, counted_by(pair.client, exchange.client, said)))
        if exchange.server is not None and (times := exchange.server.inbound(name) or 0):
            said = f"its proxy refused the client's certificate {times} times {why}"
            found.append(Refusals(counter, times, counted_by(pair.server, exchange.server, said)))
    return found


def because(pair: Pair, exchange: Exchange, problems: Sequence[Problem]) -> list[Problem]:
    """Problems of an exchange, followed by the certificates that its proxies refused, which may be the reason."""
    return [*problems, *(r.problem for r in refused_certificates(pair, exchange))] if problems else []


NO_CERTIFICATE_REFUSED = "no proxy refused a certificate for its issuer or its dates"
"""The problem of an exchange for which `a_certificate_was_refused` is false, although its requests failed."""


def a_certificate_was_refused(pair: Pair, exchange: Exchange) -> bool:
    """Tell whether a proxy at either end refused a certificate for its issuer or its dates."""
    return any(r.counter == NOT_VERIFIED for r in refused_certificates(pair, exchange))


@dataclass(frozen=True, slots=True)
class Seen:
    """Result of a look at one part of an exchange.

    Attributes:
        unclear: Open points.
        aside: Ids of requests that prove nothing about identities.
    """

    problems: tuple[Problem, ...] = ()
    unclear: tuple[Problem, ...] = ()
    aside: frozenset[str] = frozenset()


def concluded(
    pair: Pair, exchange: Exchange, claim: Claim, problems: Sequence[Problem], confirmed: str, *looks: Seen
) -> Finding:
    """Judge a claim about an exchange by its own problems and by looks at its parts."""
    return claim.judged(
        because(pair, exchange, [*problems, *(each for look in looks for each in look.problems)]),
        confirmed,
        unclear=[each for look in looks for each in look.unclear],
        settle=NOT_OURS,
    )


def certified(exchange: Exchange, pods: Iterable[Pod], bundle: TrustBundle) -> Seen:
    """Judge whether the proxies of some pods held their own certificates from Teleport during an exchange."""
    held = [(pod, exchange.held_by(pod)) for pod in pods]
    # Each proxy was read before and after: a problem seen both times is reported once.
    problems = {(w.subject, w.said): w for _, proxies in held for p in proxies for w in own_identity_problems(p, bundle)}
    unclear = [
        Problem(pod.ref, "the suite did not read its proxy", evidence=pod.evidence) for pod, proxies in held if not proxies
    ]
    return Seen(tuple(problems.values()), tuple(unclear))


def strangers(pair: Pair, exchange: Exchange, caller: str, callers: Iterable[Pod]) -> Seen:
    """Problems unless the server's own proxy reported exactly one peer for each request, the caller.

    Args:
        pair: Client and server.
        exchange: The requests to the server.
        caller: The SPIFFE ID that the caller must have.
        callers: The pods that may have called; one of their proxies must have held the certificate that the server saw.
    """
    held = {proxy.leaf.sha256 for pod in callers for proxy in exchange.held_by(pod) if proxy.leaf}
    problems: list[str] = []
    unclear: list[str] = []
    for word in exchange.ledger.words:
        if len(word.peers) != 1:
            problems.append(f"its proxy reported {len(word.peers)} peers for a request, not 1")
            continue
        (peer,) = word.peers
        if peer.uris != (caller,):
            problems.append(f"it saw {listed(peer.uris, 'a peer without a SPIFFE ID')}, not {caller}")
        if pair.called not in peer.by:
            problems.append(f"its caller was reported by {listed(peer.by, 'a proxy without a name')}, not by {pair.called}")
        if not peer.hash:
            unclear.append("its proxy does not report which certificate it saw")
        elif peer.hash.lower() not in held:
            problems.append(f"it saw a certificate (SHA-256 {peer.hash[:16]}…) that is not the caller's own")

    def of_server(said: Iterable[str]) -> tuple[Problem, ...]:
        return tuple(Problem(pair.server.ref, each, evidence=exchange.ledger.evidence) for each in dict.fromkeys(said))

    return Seen(of_server(problems), of_server(unclear))


def turned_away_by_others(pair: Pair, exchange: Exchange) -> Seen:
    """Set requests aside that policies of other owners may have refused, on the way to the server or there.

    The suite's own policies allow by principal: where no other policy can have refused a caller, they did, for its identity.
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
        add(refused, server, "in other words than the suite's own policies use")
    for tcp, outcomes in ((False, {Outcome.DENIED}), (True, {Outcome.CLOSED, Outcome.RESET})):
        refused = [r for r in exchange.ledger.requests if r.outcome in outcomes and r.url.startswith("tcp:") is tcp]
        counted = exchange.server.rbac("denied", tcp=tcp) if exchange.server else 0
        if not refused or (tcp and not counted):
            continue
        for policy in here if counted else before:
            at = (
                f"at {server}, by this policy or the suite's own"
                if counted
                else f"before they reached {server}, maybe by this policy"
            )
            ref = ObjectRef("AuthorizationPolicy", policy.name, policy.namespace)
            add(refused, ref, f"{at} ({policy.action})")
        if not counted and not before:
            add(refused, server, "before they reached it, by no policy that is known")
    return Seen(unclear=tuple(unclear), aside=frozenset(requests))
