"""Conversations of test pods: which addresses are asked, and when one that must not get through is taken to be so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from facts.errors import CouldNotTell
from facts.traffic.handshakes import OF_THE_GATEWAY, Ended
from facts.traffic.ledger import End, Exchange, Ledger, Outcome
from observe.wait import Pace
from provision.pods import conversations as module
from provision.pods.conversations import Conversations
from provision.pods.gateway_handshakes import OpenGateway
from provision.pods.ingress_access import IngressAccess
from tests.unit.judge import builders as make
from tests.unit.judge.exchanges import ALPHA, BETA, exchange, request

PODS = {"alpha": ALPHA, "beta": BETA, "gamma": make.pod("gamma", namespace="run")}
GATEWAY = make.pod("ingress", namespace="istio-system")


class TestPods:
    """Pods that are Ready and know each other."""

    __test__ = False

    def ready(self, *names: str) -> tuple[Any, ...]:
        return tuple(PODS[name] for name in names)

    known_to = ready

    def names(self) -> tuple[str, ...]:
        return tuple(PODS)

    def namespace(self, _name: str) -> str:
        return "run"


class Asked:
    """Records requests, and answers with the given exchanges in turn, repeating the last one."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, list[str], dict[str, Any]]] = []
        self.answers: list[Exchange] = [exchange()]

    def __call__(self, _cluster: object, client: Any, server: Any, urls: list[str], **options: Any) -> Exchange:
        self.calls.append((client.name, server.name, urls, options))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked()
    monkeypatch.setattr(module, "exchange", made)
    return made


@pytest.fixture
def conversations(asked: Asked) -> Conversations:
    return Conversations(cast("Any", TestPods()), cast("Any", None), "teleport.test")


def plainly(count: int) -> dict[str, Any]:
    return {"count": count, "host": "", "through": ()}


def test_a_server_is_asked_by_its_service_over_http_and_over_tcp(conversations: Conversations, asked: Asked) -> None:
    conversations.over_http("alpha", "beta", count=5)
    conversations.over_tcp("alpha", "beta", count=2)
    conversations.over_http("alpha", "gamma", paths=["/open/a", "/open/../b"])
    assert asked.calls == [
        ("alpha", "beta", ["http://beta.run:8080/"], plainly(5)),
        ("alpha", "beta", ["tcp://beta.run:9090"], plainly(2)),
        ("alpha", "gamma", ["http://gamma.run:8080/open/a", "http://gamma.run:8080/open/../b"], plainly(1)),
    ]


def test_plain_text_goes_to_the_pods_own_address(conversations: Conversations, asked: Asked) -> None:
    conversations.by_address("alpha", "beta", count=3)
    assert asked.calls == [("alpha", "beta", [f"http://{BETA.ip}:8080/"], plainly(3))]


def test_a_gateway_is_asked_for_the_host_and_its_pods_are_read(conversations: Conversations, asked: Asked) -> None:
    access = IngressAccess("http://gateway:80/", "beta.test", "spiffe://teleport.test/ns/x/sa/y", (GATEWAY,))
    conversations.through(access, "alpha", "beta", count=5)
    through = {"count": 5, "host": "beta.test", "through": (GATEWAY,)}
    assert asked.calls == [("alpha", "beta", ["http://gateway:80/"], through)]


def test_conversations_are_found_by_their_ends(conversations: Conversations) -> None:
    first = conversations.over_http("alpha", "beta")
    second = conversations.over_http("gamma", "beta")
    assert (first.client, first.server, first.trust_domain) == (ALPHA, BETA, "teleport.test")
    assert conversations.between("alpha", "beta") is first
    assert conversations.last_with("beta") is second
    assert conversations.all() == (first, second)


@pytest.fixture
def ticking() -> Pace:
    """A second from look to look, three of them at most, and no real time."""
    now = [0.0]
    return Pace(3, 1, sleep=lambda seconds: now.__setitem__(0, now[0] + seconds), clock=lambda: now[0])


REFUSED = exchange(request(Outcome.TLS_ERROR), request(Outcome.NO_UPSTREAM))


def test_a_fault_has_shown_once_no_request_arrives(conversations: Conversations, asked: Asked, ticking: Pace) -> None:
    asked.answers = [exchange(), exchange(request(), request(Outcome.TLS_ERROR)), REFUSED]
    held = conversations.until_none_arrives("alpha", "beta", count=2, pace=ticking)
    assert held.exchange is REFUSED
    assert conversations.between("alpha", "beta") is held
    assert len(asked.calls) == 3


def test_a_fault_that_does_not_show_cannot_be_told(conversations: Conversations, ticking: Pace) -> None:
    with pytest.raises(CouldNotTell, match="requests still pass"):
        conversations.until_none_arrives("alpha", "beta", count=2, pace=ticking)


def test_every_pair_with_an_envoy_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, bare = (make.pod(name, namespace="run", injected=False) for name in ("plain", "bare"))
    monkeypatch.setattr(f"{__name__}.PODS", {"alpha": ALPHA, "plain": plain, "bare": bare})
    asked: dict[str, list[str]] = {}

    def handshakes(_cluster: object, client: Any, servers: dict[str, Any]) -> tuple[Any, ...]:
        asked[client.name] = list(servers)
        return tuple((client.name, pod.name, port) for pod, port in servers.values())

    monkeypatch.setattr(module, "handshakes_with", handshakes)
    seen = cast("Any", Conversations(cast("Any", TestPods()), cast("Any", None), "t.test").of_every_pair())
    assert set(seen) == {
        ("alpha", "plain", 8080),
        ("alpha", "bare", 8080),
        ("plain", "alpha", 8080),
        ("bare", "alpha", 8080),
    }
    assert asked["plain"] == ["http://alpha.run:8080/"]


@pytest.mark.parametrize(
    # Where the gateway denies the client itself, its 403 says nothing about the server.
    ("of_itself", "behind"),
    [(Outcome.OTHER_ANSWER, Ended.LET_IN), (Outcome.DENIED, Ended.UNTOLD)],
)
def test_a_gateway_is_asked_by_every_test_pod_and_asks_each(
    monkeypatch: pytest.MonkeyPatch, of_itself: Outcome, behind: Ended
) -> None:
    monkeypatch.setattr(f"{__name__}.PODS", {"alpha": ALPHA, "plain": make.pod("plain", namespace="run", injected=False)})
    own = replace(request(Outcome.OTHER_ANSWER), status=OF_THE_GATEWAY)
    answers = {("plain", "own.test"): replace(own, outcome=of_itself), ("plain", "to-alpha"): request(Outcome.DENIED)}

    def ask(_cluster: object, client: Any, urls: list[str], *, host: str) -> Ledger:
        assert urls == ["http://gate.istio-system:80/"]
        return Ledger(End(client.name, "run"), (answers.get((client.name, host), own),), (f"ev-{client.name}-{host}",))

    monkeypatch.setattr(module, "ask", ask)
    opened = OpenGateway(
        "http://gate.istio-system:80/", "own.test", {"alpha": "to-alpha", "plain": "to-plain"}, (GATEWAY,), 80
    )
    seen = Conversations(cast("Any", TestPods()), cast("Any", None), "t.test").over_gateway(opened)
    assert [(s.client.name, s.server.name, s.port, s.ended, s.evidence[0]) for s in seen] == [
        ("alpha", "ingress", 80, Ended.LET_IN, "ev-alpha-own.test"),
        ("plain", "ingress", 80, Ended.LET_IN, "ev-plain-own.test"),
        ("ingress", "alpha", 8080, behind, "ev-plain-to-alpha"),
        ("ingress", "plain", 8080, Ended.UNTOLD, "ev-plain-to-plain"),
    ]
