"""Attempts that ended as they must. Each builder takes as `changes` the fields in which a test's attempt differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from facts.evidence import ObjectRef
from facts.istio.istio_ca import IstioAuthorities
from facts.kubernetes.objects import Pod
from facts.proxies.envoy_traffic import Counters
from facts.traffic.attempts import Candidate, Handshake, JoinAttempt, NotRun, OutsideProbe, ShownCertificate
from facts.traffic.ledger import End, Exchange, Ledger, Outcome, Request
from facts.traffic.refusal import AttemptEnd, Because
from facts.traffic.refusal import AttemptOutcome as Ending
from judge.identity.proxies import ObservedProxies
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, authority, svid

RUN = "conformance-1"
NO_POD = Ending(AttemptEnd.SDS, "INVALID_ARGUMENT", "workload.kubernetes is unset", Because.NO_POD)
NO_RULE = Ending(AttemptEnd.SDS, "PERMISSION_DENIED", "no matching rule found", Because.NO_RULE)
NO_ALLOW_RULE = Ending(AttemptEnd.JOIN, "", "kubernetes token did not match any allow rules", Because.NO_ALLOW_RULE)
NO_SOCKET = Ending(AttemptEnd.NO_SOCKET, "", "agent configured for non-default SDS socket path: … but no socket found")
UNKNOWN_CERTIFICATE = Ending(AttemptEnd.TLS_ALERT, "certificate_unknown", "SSLError: …")
GRANTED = Ending(AttemptEnd.GRANTED)
TIMEOUT = Ending(AttemptEnd.TIMEOUT)


def outside(node: str = make.NODE, **changes: Any) -> OutsideProbe:
    """A process of the node, in no pod, that was refused for that."""
    return replace(OutsideProbe(node, True, "/", None, NO_POD, (f"ev-outside-{node}",)), **changes)


def not_run(what: str = "outside-node-1", reason: str = "violates PodSecurity: privileged", **changes: Any) -> NotRun:
    """A pod that the cluster did not admit."""
    return replace(NotRun(what, reason, (f"ev-not-run-{what}",), by_policy=True), **changes)


def pod(name: str, **changes: Any) -> Pod:
    """A Ready test pod under a service account of its own name."""
    return make.pod(name, namespace=RUN, service_account=name, **changes)


def allowed(**changes: Any) -> Candidate:
    """A workload that the changed rules allow."""
    its = pod("allowed")
    return replace(Candidate(its, make.proxy(its), GRANTED, ("ev-allowed",)), **changes)


def refused(**changes: Any) -> Candidate:
    """A workload that the changed rules refuse."""
    its = pod("refused", ready=False)
    return replace(Candidate(its, make.proxy(its, chain=()), NO_RULE, ("ev-refused",)), **changes)


def closed(**changes: Any) -> Candidate:
    """A workload whose agent ended for want of a socket of another name."""
    its = pod("fail-closed", ready=False, socket=make.EMPTY_DIR)
    return replace(Candidate(its, None, NO_SOCKET, ("ev-closed",)), **changes)


def fallen_back(**changes: Any) -> Candidate:
    """A workload that fell back to istiod."""
    its = pod("stranger", socket=make.EMPTY_DIR)
    return replace(Candidate(its, make.istiod_proxy(its), GRANTED, ("ev-stranger",)), **changes)


def counted(**values: int) -> Counters:
    """What a server's Envoy counted: the names are those of its listener's TLS statistics."""
    made = {"handshake": 0, "fail_verify_error": 0, "fail_verify_san": 0} | values
    return Counters({f"listener.0.0.0.0_15006.ssl.{name}": value for name, value in made.items()}, ("ev-counted",))


def handshake(**changes: Any) -> Handshake:
    """A certificate of istiod that was refused for what it is."""
    made = Handshake(
        claim=ShownCertificate.ISTIODS,
        chain=(svid(RUN, "stranger", issuer="istiod"),),
        at=NOW,
        outcome=UNKNOWN_CERTIFICATE,
        counted=counted(fail_verify_error=1),
        server=ObjectRef("Pod", "beta", RUN),
        evidence=("ev-handshake",),
    )
    return replace(made, **changes)


def exchange(outcome: Outcome = Outcome.ANSWERED, **values: int) -> Exchange:
    """What alpha asked of beta."""
    client = End("alpha", RUN)
    request = Request("id", "http://beta:8080/", NOW, 0.1, "10.0.0.1:1", outcome, 200, "", None)
    return Exchange(Ledger(client, (request,), ("ev-ledger",)), None, counted(**values))


def fallback(**changes: Any) -> ObservedProxies:
    """A test pod without the template, certified by istiod."""
    its = pod("fallback", socket=make.EMPTY_DIR)
    return ObservedProxies((its,), make.fleet(make.istiod_proxy(its, **changes)), ("ev-pods",))


def istiod() -> IstioAuthorities:
    """Istiod's own authority."""
    return IstioAuthorities((authority("istiod", uri=""),), ("ev-istiod",))


def join_attempt(**changes: Any) -> JoinAttempt:
    """A tbot of another service account that Teleport refused for it."""
    made = JoinAttempt(f"{RUN}:joiner", NO_ALLOW_RULE, (), ("ev-joiner",))
    return replace(made, **changes)
