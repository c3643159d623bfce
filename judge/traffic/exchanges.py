"""What one client asked of one server, judged: who they are, what their proxies hold, who turned a request away, and why.

Who called is what the server was told, not what the client says of itself. The judgments of the requirements are in
`judge.traffic.callers`, `judge.traffic.gateways` and `judge.traffic.paths`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from facts.errors import CouldNotTell
from facts.finding import Finding
from facts.guide import Defect
from facts.kubernetes.objects import Pod
from facts.svid import workload_id
from facts.teleport.bundle import TrustBundle
from facts.traffic.ledger import Exchange, Ledger, Outcome, Request
from judge.findings import concluded, could_not_tell, listed
from judge.identity.proxies import own_identity_problems

HTTP, TCP = 8080, 9090
FORBIDDEN = 403

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


def outcomes_but(ledger: Ledger, right: Iterable[Outcome], aside: Collection[str] = ()) -> list[str]:
    """How often each other outcome came about, with its words, most often first.

    Args:
        ledger: Everything that was asked.
        right: Outcomes that are as wanted.
        aside: Ids of requests that do not count.
    """
    wrong = Counter(str(r) for r in ledger.requests if r.outcome not in set(right) and r.id not in aside)
    return [f"{times} of {len(ledger.requests)}: {words}" for words, times in wrong.most_common()]


REFUSED_CERTIFICATES = {
    "fail_verify_san": "for the name in it",
    "fail_verify_error": "for its issuer or its dates",
    "fail_verify_no_cert": "which was not shown",
}
"""Envoy's counters of certificates that it did not accept, and why it did not."""


def refused_certificates(pair: Pair, exchange: Exchange) -> dict[str, int]:
    """How many certificates the proxies at both ends did not accept, by who and why, as a person says it."""
    found: dict[str, int] = {}
    for counter, why in REFUSED_CERTIFICATES.items():
        if exchange.client is not None:
            name, namespace = pair.server.name, pair.server.namespace
            refused = sum(exchange.client.outbound(name, namespace, port, f"ssl.{counter}") or 0 for port in (HTTP, TCP))
            found[f"the client's proxy refused the server's certificate {why}"] = refused
        if exchange.server is not None:
            refused = exchange.server.inbound(f"ssl.{counter}") or 0
            found[f"the server's proxy refused the client's certificate {why}"] = refused
    return {words: times for words, times in found.items() if times}


def a_certificate_was_refused(pair: Pair, exchange: Exchange) -> bool:
    """Whether a proxy at either end did not accept a certificate for its issuer or its dates."""
    why = REFUSED_CERTIFICATES["fail_verify_error"]
    return any(words.endswith(why) for words in refused_certificates(pair, exchange))


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found of one side of the matter.

    Attributes:
        problems: What is not as it must be, one sentence each.
        unclear: What could not be told.
    """

    problems: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


def certified(exchange: Exchange, pods: Iterable[Pod], bundle: TrustBundle) -> Seen:
    """Whether the proxies of some pods held certificates of their own from Teleport while they were asked."""
    held = [(pod, exchange.held_by(pod)) for pod in pods]
    problems = [w for _pod, proxies in held for p in proxies for w in own_identity_problems(p, bundle)]
    unclear = [f"nobody has read what the proxy of {pod.ref} holds" for pod, proxies in held if not proxies]
    return Seen(tuple(dict.fromkeys(problems)), tuple(unclear))


def strangers(exchange: Exchange, caller: str, callers: Iterable[Pod], called: str) -> Seen:
    """What the server was told of its peers that is not exactly one peer, the caller, told by the server's own proxy.

    Args:
        exchange: What was asked of the server.
        caller: The SPIFFE ID that the caller must have.
        callers: The pods that may have called: the certificate that the server's proxy saw must be one that theirs held.
        called: The SPIFFE ID that the server must have.
    """
    held = {proxy.leaf.sha256 for pod in callers for proxy in exchange.held_by(pod) if proxy.leaf}
    problems: dict[str, None] = {}
    unclear: dict[str, None] = {}
    for word in exchange.ledger.words:
        if len(word.peers) != 1:
            problems[f"the server was told of {len(word.peers)} peers"] = None
            continue
        (peer,) = word.peers
        if peer.uris != (caller,):
            problems[f"the server saw {listed(peer.uris, 'a peer without a SPIFFE ID')}, not {caller}"] = None
        if called not in peer.by:
            problems[f"it was told so by {listed(peer.by, 'a proxy without a name')}, not by {called}"] = None
        if not peer.hash:
            unclear["the server's proxy does not say which certificate it saw"] = None
        elif peer.hash.lower() not in held:
            problems[f"the server saw a certificate (SHA-256 {peer.hash[:16]}…) that is not the caller's own"] = None
    return Seen(tuple(problems), tuple(unclear))


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Requests that a policy of somebody else may have turned away: they show nothing about identities.

    Attributes:
        requests: Their ids.
        words: By whom, one sentence each.
    """

    requests: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()


def turned_away_by_others(pair: Pair, exchange: Exchange) -> TurnedAway:
    """Requests that were refused on the way to the server, or there where others' policies turn callers away as well.

    The run's own policies let in by principal: where no other policy can have refused a caller, they have, for who it is.
    """
    at_server = f"{pair.server.namespace}/{pair.server.name}"
    foreign = [p for p in exchange.policies if p.namespace != pair.server.namespace]
    here = [p for p in foreign if p.enforced_by == at_server and p.action != "ALLOW"]
    before = [p for p in foreign if p.enforced_by != at_server]
    requests: list[str] = []
    words: list[str] = []

    def add(refused: Sequence[Request], by_whom: str) -> None:
        if refused:
            requests.extend(r.id for r in refused)
            words.append(f"{len(refused)} of {exchange.asked}: {listed(refused)}, {by_whom}")

    add(
        [r for r in exchange.ledger.requests if r.outcome is Outcome.OTHER_ANSWER and r.status == FORBIDDEN],
        "which are not the words of the run's own policies",
    )
    for tcp, outcomes in ((False, {Outcome.DENIED}), (True, {Outcome.CLOSED, Outcome.RESET})):
        refused = [r for r in exchange.ledger.requests if r.outcome in outcomes and r.url.startswith("tcp:") is tcp]
        counted = exchange.server.rbac("denied", tcp=tcp) if exchange.server else 0
        if counted and here:
            add(refused, f"by the policy of the run or by {listed(here)} at {pair.server.ref}")
        elif not counted and not tcp:
            add(refused, f"before they came to {pair.server.ref}, by {listed(before, 'nobody whose policies are known')}")
    return TurnedAway(frozenset(requests), tuple(words))


def about(
    requirement: str,
    pair: Pair,
    exchange: Exchange,
    *,
    expected: str,
    problems: Sequence[str],
    confirmed: str,
    unclear: Sequence[str] = (),
    evidence: Iterable[str] = (),
    guide_defect: Defect | None = None,
) -> Finding:
    """A finding about an exchange: NO with all problems and what the proxies refused; UNKNOWN if it is merely unclear.

    Args:
        requirement: Id in the catalogue.
        pair: Client and server.
        exchange: Between them.
        expected: What must be so.
        problems: What is not so.
        confirmed: What is so when there is no problem.
        unclear: What could not be told.
        evidence: Ids of further readings.
        guide_defect: The defect of the guide that shows here, if one does.
    """
    read = (*pair.evidence, *exchange.evidence, *evidence)
    if unclear and not problems:
        seen = "; ".join(dict.fromkeys(unclear))
        error = CouldNotTell(expected=expected, seen=seen, where=pair.where, remedy=NOT_OURS)
        return could_not_tell(requirement, error, read)
    because = [f"{times} times {words}" for words, times in refused_certificates(pair, exchange).items()] if problems else []
    return concluded(
        requirement,
        expected=expected,
        problems=list(dict.fromkeys([*problems, *because])),
        confirmed=confirmed,
        where=pair.where,
        evidence=read,
        guide_defect=guide_defect,
    )
