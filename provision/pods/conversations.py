"""Requests of one test pod to another, with the certificates and counters of the proxies at both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facts.kubernetes.objects import Pod
from facts.traffic.addresses import with_port
from facts.traffic.handshakes import SeenHandshake, seen_at_gateway, seen_behind_gateway
from facts.traffic.ledger import Exchange, Ledger, Outcome
from observe.kubernetes.cluster import Cluster
from observe.readings import at_once
from observe.traffic.requests import ask, exchange, handshakes_with
from observe.wait import NotYet, Pace, eventually
from provision.names import HTTP, TCP
from provision.pods.clients_and_servers import TestPods
from provision.pods.gateway_handshakes import OUTSIDE, OpenGateway
from provision.pods.ingress_access import IngressAccess


@dataclass(frozen=True, slots=True)
class Conversation:
    """Requests of one client to one server.

    Attributes:
        trust_domain: Name of Teleport: the trust domain that their identities must have.
        exchange: Requests and their answers.
    """

    client: Pod
    server: Pod
    trust_domain: str
    exchange: Exchange


class Conversations:
    """Conversations of one scenario, by client and server.

    Args:
        test_pods: Clients and servers.
        cluster: Reads their proxies, and runs the clients.
        trust_domain: Name of Teleport.
    """

    def __init__(self, test_pods: TestPods, cluster: Cluster, trust_domain: str) -> None:
        self._test_pods = test_pods
        self._cluster = cluster
        self._trust_domain = trust_domain
        self._held: dict[tuple[str, str], Conversation] = {}

    def over_http(self, client: str, server: str, *, count: int = 1, paths: Sequence[str] = ("/",)) -> Conversation:
        """Let a client request each path in turn from a server's Service, `count` times."""
        return self._converse(client, server, [f"http://{self._address(server)}:{HTTP}{path}" for path in paths], count)

    def over_tcp(self, client: str, server: str, *, count: int) -> Conversation:
        """Let a client open connections to a server's Service."""
        return self._converse(client, server, [f"tcp://{self._address(server)}:{TCP}"], count)

    def by_address(self, client: str, server: str, *, count: int) -> Conversation:
        """Let a client send HTTP requests to the address of a server's pod."""
        (pod,) = self._test_pods.ready(server)
        return self._converse(client, server, [f"http://{with_port(pod.ip, HTTP)}/"], count)

    def through(self, access: IngressAccess, client: str, server: str, *, count: int) -> Conversation:
        """Let a client send requests to a server through a gateway."""
        return self._converse(client, server, [access.url], count, access)

    def of_every_pair(self) -> tuple[SeenHandshake, ...]:
        """Let every test pod send one request to the Service of every other, and return how each connection ended.

        Raises:
            CouldNotTell: A test pod is not Ready in time, a proxy does not learn of a server, or a client does not run.
        """
        names = self._test_pods.names()
        pods = dict(zip(names, self._test_pods.ready(*names), strict=True))

        def of(client: str) -> tuple[SeenHandshake, ...]:
            # Between two pods without a proxy there is no Envoy to predict anything of.
            meshed = pods[client].is_injected
            others = {name: pod for name, pod in pods.items() if name != client and (meshed or pod.is_injected)}
            self._test_pods.known_to(client, *others)
            servers = {f"http://{self._address(name)}:{HTTP}/": (pod, HTTP) for name, pod in others.items()}
            return handshakes_with(self._cluster, pods[client], servers)

        return tuple(seen for found in at_once(of, names) for seen in found)

    def over_gateway(self, opened: OpenGateway) -> tuple[SeenHandshake, ...]:
        """Let every test pod send a request to a gateway, and one from outside go through it to every test pod.

        Returns:
            How each connection to the gateway ended, then each from it.

        Raises:
            CouldNotTell: A test pod is not Ready in time, or a client does not run.
        """
        names = self._test_pods.names()
        pods = dict(zip(names, self._test_pods.ready(*names), strict=True))
        gateway = [pod.ref for pod in opened.pods]

        def ask_for(client: str, host: str) -> Ledger:
            return ask(self._cluster, pods[client], [opened.url], host=host)

        to_it = dict(zip(names, at_once(lambda name: ask_for(name, opened.own_host), names), strict=True))
        denies = to_it[OUTSIDE].requests[0].outcome is Outcome.DENIED
        over_it = zip(names, at_once(lambda name: ask_for(OUTSIDE, opened.hosts[name]), names), strict=True)
        return (
            *(seen_at_gateway(ledger, pods[name].ref, gateway, opened.port) for name, ledger in to_it.items()),
            *(seen_behind_gateway(each, gateway, pods[name].ref, HTTP, gateway_denies=denies) for name, each in over_it),
        )

    def until_none_arrives(self, client: str, server: str, *, count: int, pace: Pace) -> Conversation:
        """Repeat `over_http` until none of the requests reaches the server, and keep the last conversation.

        Raises:
            CouldNotTell: Requests still arrived when the time was over.
        """

        def look() -> Conversation:
            held = self.over_http(client, server, count=count)
            if held.exchange.ledger.words:
                raise NotYet("requests still pass")
            return held

        return eventually("the fault shows in traffic", look, pace)

    def between(self, client: str, server: str) -> Conversation:
        """Return the conversation of a client with a server."""
        return self._held[client, server]

    def last_with(self, server: str) -> Conversation:
        """Return the last conversation with a server."""
        return next(self._held[pair] for pair in reversed(self._held) if pair[1] == server)

    def all(self) -> tuple[Conversation, ...]:
        """Return all conversations."""
        return tuple(self._held.values())

    def _converse(
        self, client: str, server: str, urls: Sequence[str], count: int, access: IngressAccess | None = None
    ) -> Conversation:
        calling, called = self._test_pods.known_to(client, server)
        host, through = (access.host, access.pods) if access else ("", ())
        asked = exchange(self._cluster, calling, called, urls, count=count, host=host, through=through)
        held = self._held[client, server] = Conversation(calling, called, self._trust_domain, asked)
        return held

    def _address(self, server: str) -> str:
        return f"{server}.{self._test_pods.namespace(server)}"
