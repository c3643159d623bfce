"""Judgments about traffic: TRF-01 to TRF-07. Who called is what the server was told, not what the client says of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from facts.bundle import TrustBundle
from facts.document import Reading
from facts.errors import CouldNotTell
from facts.finding import Finding, Holds
from facts.guide import Defect, GuideAnswer
from facts.kubernetes import Node, Pod
from facts.ledger import Exchange, Ledger, Outcome, Request
from facts.mesh import Mesh
from facts.proxy import Fleet, ProxyIdentity
from facts.sds_mode import SdsMode
from facts.svid import verify_chain, workload_id
from facts.workloads import Deployment
from judge.findings import concluded, could_not_tell, listed, not_applicable

HTTP, TCP = 8080, 9090
CHECKLIST = 9
"""Items of the guide's verification checklist."""

ONE_NODE = "fewer than two nodes take workloads"
NO_GATEWAY = "the mesh has no ingress gateway"
NO_GATEWAY_API = "the cluster does not know the Gateway API"
"""As the catalogue words them."""

ISTIODS = "gateway certificate issued by istiod"


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
    def where(self) -> str:
        """Both, as a person names them."""
        return f"{self.client.ref} to {self.server.ref}"

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the readings of both pods."""
        return (*self.client.evidence, *self.server.evidence)


def needs_two_nodes(nodes: Sequence[Node], taking: Sequence[str]) -> Finding | None:
    """TRF-04: what makes it not applicable, if anything.

    Args:
        nodes: All nodes.
        taking: Names of those that take workloads.
    """
    if len(taking) > 1:
        return None
    where = listed(taking, "no node takes workloads")
    return not_applicable("TRF-04", ONE_NODE, where=where, evidence=[e for n in nodes for e in n.evidence])


def needs_an_ingress_gateway(mesh: Mesh, gateways: Sequence[Deployment]) -> Finding | None:
    """TRF-05: what makes it not applicable, if anything."""
    if gateways:
        return None
    return not_applicable("TRF-05", NO_GATEWAY, where="Deployments of all namespaces", evidence=mesh.evidence)


def needs_the_gateway_api(asked: Reading) -> Finding | None:
    """TRF-05, for gateways of the Gateway API: what makes it not applicable, if anything."""
    if asked.document is not None:
        return None
    return not_applicable("TRF-05", NO_GATEWAY_API, where="ApiGroup gateway.networking.k8s.io", evidence=[asked.evidence])


def answered_once(requirement: str, pair: Pair, exchange: Exchange) -> Finding:
    """Every request was answered by the server that was asked, and had arrived there once."""
    problems = outcomes_but(exchange.ledger, {Outcome.ANSWERED})
    for word in exchange.ledger.words:
        if (word.server.namespace, word.server.pod) != (pair.server.namespace, pair.server.name):
            problems.append(f"Pod {word.server.namespace}/{word.server.pod} answered instead")
        if word.arrivals != 1:
            problems.append(f"a request arrived {word.arrivals} times: a proxy has asked again")
    return _about(
        requirement,
        pair,
        exchange,
        expected=f"{pair.server.ref} to answer each of {exchange.asked} requests, once",
        problems=problems,
        so=f"{exchange.asked} of {exchange.asked} answered, each had arrived once",
    )


def caller_was_seen(requirement: str, pair: Pair, exchange: Exchange) -> Finding:
    """The server was told exactly the client's SPIFFE ID, by a proxy that has exactly the server's."""
    problems = outcomes_but(exchange.ledger, {Outcome.ANSWERED})
    problems += _strangers(exchange.ledger, pair.caller, pair.called)
    return _about(
        requirement,
        pair,
        exchange,
        expected=f"the server to see {pair.caller} in each of {exchange.asked} requests",
        problems=problems,
        so=f"{pair.caller}, {exchange.asked} of {exchange.asked} times, told by the proxy of {pair.called}",
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
    return _about(
        requirement,
        pair,
        exchange,
        expected=expected,
        problems=problems,
        so=", ".join(f"{counted[name]} {what}" for name, (what, _) in wanted.items()),
    )


def denied_by_policy(requirement: str, pair: Pair, exchange: Exchange) -> Finding:
    """Every request was refused with 403 by the server's own policy, which knows who called."""
    problems = outcomes_but(exchange.ledger, {Outcome.DENIED})
    problems += _decisions(exchange, "denied", tcp=False)
    return _about(
        requirement,
        pair,
        exchange,
        expected=f"each of {exchange.asked} requests refused with {Outcome.DENIED.value}",
        problems=problems,
        so=f"{exchange.asked} of {exchange.asked} refused with {Outcome.DENIED.value}, counted by the server's proxy",
    )


def let_in_over_tcp(requirement: str, pair: Pair, exchange: Exchange) -> Finding:
    """Every connection was answered, and the server's policy by principal had let it in."""
    problems = outcomes_but(exchange.ledger, {Outcome.ANSWERED})
    problems += [] if problems else _decisions(exchange, "allowed", tcp=True)
    return _about(
        requirement,
        pair,
        exchange,
        expected=f"each of {exchange.asked} connections let in by the policy for {pair.caller}",
        problems=problems,
        so=f"{exchange.asked} of {exchange.asked} answered, let in by the policy for {pair.caller}",
    )


def denied_over_tcp(requirement: str, pair: Pair, exchange: Exchange) -> Finding:
    """Every connection was ended without an answer by the server's policy by principal."""
    problems = outcomes_but(exchange.ledger, {Outcome.CLOSED, Outcome.RESET})
    problems += [] if problems else _decisions(exchange, "denied", tcp=True)
    return _about(
        requirement,
        pair,
        exchange,
        expected=f"each of {exchange.asked} connections ended by the policy, which does not name {pair.caller}",
        problems=problems,
        so=f"{exchange.asked} of {exchange.asked} ended without an answer, denied by the server's policy",
    )


def plain_text_was_refused(pair: Pair, exchange: Exchange) -> Finding:
    """TRF-03: every request in plain text was cut off by the server's proxy, which has no place for plain text."""
    problems = outcomes_but(exchange.ledger, {Outcome.RESET})
    unmatched = exchange.server.inbound("no_filter_chain_match") if exchange.server else None
    if not problems and unmatched != exchange.asked:
        problems.append(f"the server's proxy turned away {unmatched or 0} connections as none that it takes")
    return _about(
        "TRF-03",
        pair,
        exchange,
        expected=f"each of {exchange.asked} requests in plain text reset by the server's proxy",
        problems=problems,
        so=f"{exchange.asked} of {exchange.asked} reset; the server's proxy takes no such connection",
    )


def gateways_are_certified(fleet: Fleet, bundle: TrustBundle, through: Ledger | None) -> Finding:
    """TRF-05, first part: each ingress gateway has a certificate of Teleport's.

    Args:
        fleet: The gateways' identities.
        bundle: Teleport's authorities.
        through: What a client asked through the gateway, where one was asked.
    """
    where = listed([*(p.pod for p in fleet.proxies), *(u.pod for u in fleet.unread)], "ingress gateways")
    evidence = (*fleet.evidence, *bundle.evidence, *(through.evidence if through else ()))
    if fleet.unread:
        return could_not_tell("TRF-05", fleet.unread[0].why, evidence)
    problems = [problem for proxy in fleet.proxies if (problem := _gateway_problem(proxy, bundle))]
    if not fleet.proxies:
        problems.append("no pod of a gateway runs")
    if problems and through is not None:
        problems += [f"through it: {words}" for words in outcomes_but(through, {Outcome.ANSWERED})]
    return concluded(
        "TRF-05",
        expected="each ingress gateway to have its identity from tbot",
        problems=problems,
        so=listed(f"{p.pod}: {listed(p.spiffe_ids)}, issued by Teleport" for p in fleet.proxies),
        where=where,
        evidence=evidence,
        guide_defect=Defect.GATEWAY if any(p.sds_mode is SdsMode.ISTIO_CA for p in fleet.proxies) else None,
    )


def _gateway_problem(proxy: ProxyIdentity, bundle: TrustBundle) -> str:
    if proxy.leaf is None:
        return f"{proxy.pod}: no certificate ({listed(proxy.decided_by)})"
    if proxy.sds_mode is SdsMode.ISTIO_CA:
        return f"{proxy.pod}: {ISTIODS}, which no workload with an identity from tbot accepts"
    check = verify_chain(proxy.leaf, bundle.authorities, proxy.read_at, proxy.chain[1:])
    wanted = workload_id(bundle.trust_domain, proxy.pod.namespace, proxy.pod.service_account)
    if not check.ok:
        return f"{proxy.pod}: its certificate is not Teleport's: {check.reason}"
    if proxy.spiffe_ids != (wanted,):
        return f"{proxy.pod}: its identity is {listed(proxy.spiffe_ids)}, not {wanted}"
    return ""


def gateway_reaches(gateway: str, pair: Pair, exchange: Exchange) -> Finding:
    """TRF-05, second part: requests through the gateway arrive, and the server sees the gateway's identity.

    Args:
        gateway: The SPIFFE ID that the gateway must have.
        pair: The client outside the mesh, and the server behind the gateway.
        exchange: Between them.
    """
    problems = outcomes_but(exchange.ledger, {Outcome.ANSWERED})
    problems += _strangers(exchange.ledger, gateway, pair.called)
    return _about(
        "TRF-05",
        pair,
        exchange,
        expected=f"each of {exchange.asked} requests through the gateway to arrive under the identity {gateway}",
        problems=problems,
        so=f"{exchange.asked} of {exchange.asked} arrived under the identity {gateway}",
    )


def no_way_in(gateways: Sequence[Deployment]) -> Finding:
    """TRF-05, second part, where no Service leads plain HTTP to a gateway: nobody can tell."""
    where = listed(g.ref for g in gateways)
    error = CouldNotTell(
        expected="a Service with a port for plain HTTP in front of an ingress gateway",
        seen="none has one",
        where=where,
        remedy="give a gateway a Service with port 80, or certify this requirement where there is one",
    )
    return could_not_tell("TRF-05", error, [e for g in gateways for e in g.evidence])


def policy_tells_paths_apart(pair: Pair, exchange: Exchange, inside: str, outside: str) -> Finding:
    """TRF-07, what the rest stands on: a plain path inside is let in, a plain path outside is refused.

    Args:
        pair: Client and server.
        exchange: Requests for both paths, among others.
        inside: A path that the policy allows.
        outside: One that it does not.
    """
    problems = []
    for path, right in ((inside, Outcome.ANSWERED), (outside, Outcome.DENIED)):
        found = [r for r in exchange.ledger.requests if _path(r) == path]
        problems += [f"{path}: {r}" for r in found if r.outcome is not right]
        problems += [] if found else [f"{path} was not asked for"]
    return _about(
        "TRF-07",
        pair,
        exchange,
        expected=f"{inside} let in and {outside} refused by the policy",
        problems=problems,
        so=f"{inside} let in, {outside} refused",
    )


def no_path_leads_outside(pair: Pair, exchange: Exchange, allowed: str, normalization: str) -> Finding:
    """TRF-07: no request arrived under a path that leads out of what the policy allows.

    Args:
        pair: Client and server.
        exchange: Requests for paths that are written so as to lead outside.
        allowed: What the policy allows, as a path that ends in a slash.
        normalization: The mesh's path normalization, for the words.
    """
    outside = [
        f"{_path(r)} was let in and arrived as {r.word.target}, which means {meaning}"
        for r in exchange.ledger.requests
        if r.word is not None and not (meaning := meant(r.word.target)).startswith(allowed)
    ]
    problems = outside + outcomes_but(exchange.ledger, {Outcome.ANSWERED, Outcome.DENIED, Outcome.OTHER_ANSWER})
    refused = sum(r.outcome is not Outcome.ANSWERED for r in exchange.ledger.requests)
    return _about(
        "TRF-07",
        pair,
        exchange,
        expected=f"no request to arrive under a path outside {allowed}",
        problems=[*problems, *([f"pathNormalization is {normalization}"] if problems else [])],
        so=f"under {normalization}, {refused} of {exchange.asked} refused, the others stayed inside {allowed}",
        guide_defect=Defect.PATH_NORMALIZATION if outside and normalization == "NONE" else None,
    )


def unseen_by_the_checklist(defect: str, answers: Sequence[GuideAnswer], pair: Pair, exchange: Exchange) -> Finding:
    """TRF-06: the guide's own checklist finds nothing wrong under a defect, and the judgments of TRF-01 do, for its reason.

    Args:
        defect: What is wrong with the install, as a sentence.
        answers: The guide's commands under it, as they are written.
        pair: Two workloads that were started under it.
        exchange: Between them.
    """
    problems = [f"the guide sees it: {answer.asked}: {answer.said}" for answer in answers if not answer.healthy]
    problems += [] if len(answers) == CHECKLIST else [f"{len(answers)} of the {CHECKLIST} items of the checklist were run"]
    judged = (answered_once("TRF-01", pair, exchange), caller_was_seen("TRF-01", pair, exchange))
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
        so=f"{len(answers)} items healthy; TRF-01 fails: {judged[0].seen}; {listed(refused)}",
        where=pair.where,
        evidence=[*pair.evidence, *(e for a in answers for e in a.evidence), *exchange.evidence],
    )


def meant(target: str) -> str:
    """What an application that decodes a path and follows its dots takes it for."""
    parts: list[str] = []
    for part in unquote(target.partition("?")[0]).split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def outcomes_but(ledger: Ledger, right: Iterable[Outcome]) -> list[str]:
    """How often each other outcome came about, with its words, most often first."""
    wrong = Counter(str(r) for r in ledger.requests if r.outcome not in set(right))
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


def _strangers(ledger: Ledger, caller: str, called: str) -> list[str]:
    """What the server was told of its peers that is not exactly one peer, the caller, told by the server's own proxy."""
    problems: dict[str, None] = {}
    for word in ledger.words:
        if len(word.peers) != 1:
            problems[f"the server was told of {len(word.peers)} peers"] = None
            continue
        (peer,) = word.peers
        if peer.uris != (caller,):
            problems[f"the server saw {listed(peer.uris, 'a peer without a SPIFFE ID')}, not {caller}"] = None
        if called not in peer.by:
            problems[f"it was told so by {listed(peer.by, 'a proxy without a name')}, not by {called}"] = None
    return list(problems)


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


def _path(request: Request) -> str:
    return "/" + request.url.partition("://")[2].partition("/")[2]


def _about(
    requirement: str,
    pair: Pair,
    exchange: Exchange,
    *,
    expected: str,
    problems: Sequence[str],
    so: str,
    guide_defect: Defect | None = None,
) -> Finding:
    because = [f"{times} times {words}" for words, times in refused_certificates(pair, exchange).items()] if problems else []
    return concluded(
        requirement,
        expected=expected,
        problems=list(dict.fromkeys([*problems, *because])),
        so=so,
        where=pair.where,
        evidence=(*pair.evidence, *exchange.evidence),
        guide_defect=guide_defect,
    )
