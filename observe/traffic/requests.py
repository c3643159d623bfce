"""Requests of a test pod: the ledger of the client, and identities and counters of the proxies at both ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from facts.document import decoded
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.proxies.envoy_traffic import COUNTERS, Counters, parse_counters
from facts.proxies.identity import ProxyIdentity
from facts.proxies.policies import OF_GATEWAY, OF_SIDECAR, Policy, parse_policies
from facts.traffic.handshakes import SeenHandshake, ended_of
from facts.traffic.ledger import Exchange, Ledger, Outcome, parse_ledger
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_admin, read_proxy
from observe.readings import at_once

CONTAINER = "traffic"
PROGRAM = "/traffic/traffic.py"
PATIENCE = 3
"""Seconds that the client waits for a connection and for an answer."""


def exchange(
    cluster: Cluster,
    client: Pod,
    server: Pod,
    urls: Sequence[str],
    *,
    count: int = 1,
    host: str = "",
    through: Sequence[Pod] = (),
) -> Exchange:
    """Sends requests from a client; reads the identities of both proxies before and after, and their counters.

    Args:
        client: A test pod.
        server: The pod that it sends requests to.
        urls: The URLs, in turn.
        count: Number of requests to each URL.
        host: Value of the Host header, where it is not the address.
        through: The pods of a gateway on the way.

    Raises:
        CouldNotTell: A proxy cannot be read, or the client does not run.
    """
    before = counted(cluster, client, server)
    held = [*_held(cluster, client, server, *through)]
    ledger = ask(cluster, client, urls, count=count, host=host)
    after = counted(cluster, client, server)
    held += _held(cluster, client, server, *through)
    made = Exchange(ledger, *since(after, before), tuple(held))
    if all(request.outcome is Outcome.ANSWERED for request in ledger.requests):
        return made
    policies, evidence = _policies(cluster, [server, *through])
    return replace(made, policies=policies, policies_evidence=evidence)


def ask(cluster: Cluster, client: Pod, urls: Sequence[str], *, count: int = 1, host: str = "") -> Ledger:
    """Sends requests from a client to each URL in turn, `count` times.

    Raises:
        CouldNotTell: The client does not run, or prints no ledger.
    """
    options = ["--count", str(count), "--timeout", str(PATIENCE), *(["--host", host] if host else [])]
    argv = ["python3", PROGRAM, "call", *urls, *options]
    done = cluster.exec_in(client.namespace, client.name, CONTAINER, argv, parser=parse_ledger)
    if done.exit_code != 0:
        raise CouldNotTell(
            expected="the traffic client to print its ledger",
            seen=f"exit code {done.exit_code}: {done.tail(300)}",
            where=str(client.ref),
            remedy="see whether the workload image has python3",
        )
    return parse_ledger(decoded(done.stdout), done.evidence)


def handshakes_with(cluster: Cluster, client: Pod, servers: Mapping[str, tuple[Pod, int]]) -> tuple[SeenHandshake, ...]:
    """Sends one request of a client to each server, over a connection of its own, and returns how each connection ended.

    Args:
        client: A test pod.
        servers: By URL: the pod behind it, and the port there. Proxies on the way must keep no connection open.

    Raises:
        CouldNotTell: See `ask`.
    """
    ledger = ask(cluster, client, list(servers))
    found = []
    for request in ledger.requests:
        server, port = servers[request.url]
        ended = ended_of(request)
        found.append(SeenHandshake(client.ref, server.ref, port, ended, str(request), request.at, ledger.evidence))
    return tuple(found)


Ends = tuple[Counters | None, Counters | None]
"""Counters of the client's proxy and of the server's; None for a pod without a proxy."""


def counted(cluster: Cluster, client: Pod, server: Pod) -> Ends:
    """The counters of both proxies so far.

    Raises:
        CouldNotTell: A proxy cannot be read.
    """

    def one(pod: Pod) -> Counters | None:
        if pod.proxy is None:
            return None
        reading = read_admin(cluster, pod, [COUNTERS])[COUNTERS]
        return parse_counters(reading.document, (reading.evidence,))

    of_client, of_server = at_once(one, (client, server))
    return of_client, of_server


def since(after: Ends, before: Ends) -> Ends:
    """Counts of the proxies of client and server between two readings."""
    client, server = (a.since(b) if a and b else None for a, b in zip(after, before, strict=True))
    return client, server


def _held(cluster: Cluster, *pods: Pod) -> tuple[ProxyIdentity, ...]:
    """The identity that the proxy of each pod holds; a pod without one is left out."""
    return at_once(lambda pod: read_proxy(cluster, pod), [pod for pod in pods if pod.proxy is not None])


def _policies(cluster: Cluster, pods: Sequence[Pod]) -> tuple[tuple[Policy, ...], tuple[str, ...]]:
    """The policies that the proxies of the pods enforce, and the ids of the readings."""
    found: list[Policy] = []
    evidence = []
    for pod in pods:
        if pod.proxy is not None:
            path = OF_GATEWAY if pod.is_gateway else OF_SIDECAR
            reading = read_admin(cluster, pod, [path])[path]
            found += parse_policies(reading.document, f"{pod.namespace}/{pod.name}")
            evidence.append(reading.evidence)
    return tuple(found), tuple(evidence)
