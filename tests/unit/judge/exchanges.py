"""What alpha asked of beta. Each builder takes as `changes` the fields in which a test's exchange differs."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from facts.proxies.envoy_traffic import Counters
from facts.traffic.ledger import End, Exchange, Ledger, Outcome, Peer, Request, Word
from judge.traffic.exchanges import Pair
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN

_IDS = itertools.count()

ALPHA = make.pod("alpha", namespace="run", service_account="alpha")
BETA = make.pod("beta", namespace="run", service_account="beta")
PLAIN = make.pod("plain", namespace="run", service_account="plain", injected=False, socket=None)
PAIR = Pair(ALPHA, BETA, TRUST_DOMAIN)
CALLER, CALLED = (f"spiffe://{TRUST_DOMAIN}/ns/run/sa/{name}" for name in ("alpha", "beta"))
GATEWAY = f"spiffe://{TRUST_DOMAIN}/ns/istio-system/sa/istio-ingressgateway-service-account"
CLUSTER = "cluster.outbound|8080||beta.run.svc.cluster.local;."
FRESH = {
    f"{CLUSTER}upstream_rq_total": 2,
    f"{CLUSTER}upstream_rq_retry": 0,
    f"{CLUSTER}upstream_cx_total": 2,
    f"{CLUSTER}ssl.handshake": 2,
    f"{CLUSTER}ssl.session_reused": 0,
}
TO_BETA = "requests from alpha to beta:"
"""How the outcomes of an exchange are told: `1 of 2 requests …`."""
EVIDENCE = ("ev-ledger", "ev-client", "ev-server", "ev-proxy-alpha", "ev-proxy-beta")
HELD = (make.proxy(ALPHA), make.proxy(BETA))
OF_ALPHA = HELD[0].chain[0].sha256


def word(**changes: Any) -> Word:
    """What beta says of a request of alpha."""
    peer = Peer((CALLED,), (CALLER,), OF_ALPHA)
    return replace(Word(End("beta", "run"), 1, "/", (peer,)), **changes)


def request(outcome: Outcome = Outcome.ANSWERED, said: Word | None = None, **changes: Any) -> Request:
    """A request of alpha to beta, with an id of its own."""
    said = said or (word() if outcome is Outcome.ANSWERED else None)
    words = "" if said else "in the system's words"
    made = Request(f"id-{next(_IDS)}", "http://beta.run:8080/", NOW, 0.01, "10.0.0.1:4000", outcome, 200, words, said)
    return replace(made, **changes)


def exchange(
    *requests: Request, client: dict[str, int] | None = None, server: dict[str, int] | None = None, **changes: Any
) -> Exchange:
    """Two answered requests of alpha to beta, unless others are given; both ends hold certificates of Teleport."""
    ledger = Ledger(End("alpha", "run"), requests or (request(), request()), ("ev-ledger",))
    counted = Counters(FRESH if client is None else client, ("ev-client",))
    return replace(Exchange(ledger, counted, Counters(server or {}, ("ev-server",)), HELD), **changes)
