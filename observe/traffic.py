"""Traffic, watched: the ledger of a client, and what the proxies at both ends count while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from facts.document import decoded
from facts.envoy_traffic import COUNTERS, Counters, parse_counters
from facts.errors import CouldNotTell
from facts.kubernetes import Pod
from facts.ledger import Exchange, Ledger, parse_ledger
from observe.cluster import Cluster
from observe.envoy import read_admin

CONTAINER = "traffic"
PROGRAM = "/traffic/traffic.py"
PATIENCE = 3
"""Seconds that the client waits for a connection and for an answer."""


def exchange(cluster: Cluster, client: Pod, server: Pod, urls: Sequence[str], *, count: int = 1, host: str = "") -> Exchange:
    """Lets a client ask, and reads what both proxies counted meanwhile.

    Args:
        cluster: The cluster.
        client: A workload of the run.
        server: The pod that is asked.
        urls: What is asked for, each in its turn.
        count: How often.
        host: Name to ask for, where it is not the address.

    Raises:
        CouldNotTell: A proxy cannot be read, or the client cannot be run.
    """
    before = counted(cluster, client, server)
    ledger = ask(cluster, client, urls, count=count, host=host)
    after = counted(cluster, client, server)
    differences = [a.since(b) if a is not None and b is not None else None for a, b in zip(after, before, strict=True)]
    return Exchange(ledger, differences[0], differences[1])


def ask(cluster: Cluster, client: Pod, urls: Sequence[str], *, count: int = 1, host: str = "") -> Ledger:
    """Lets a client ask each URL in its turn, `count` times.

    Raises:
        CouldNotTell: The client cannot be run, or prints no ledger.
    """
    options = ["--count", str(count), "--timeout", str(PATIENCE), *(["--host", host] if host else [])]
    argv = ["python3", PROGRAM, "call", *urls, *options]
    parser = f"{parse_ledger.__module__}.{parse_ledger.__qualname__}"
    done = cluster.exec_in(client.namespace, client.name, CONTAINER, argv, parser=parser)
    if done.exit_code != 0:
        raise CouldNotTell(
            expected="the traffic client to print its ledger",
            seen=f"exit code {done.exit_code}: {done.stderr.strip()[-300:]}",
            where=str(client.ref),
            remedy="see whether the workload image has python3",
        )
    return parse_ledger(decoded(done.stdout), done.evidence)


def counted(cluster: Cluster, *pods: Pod) -> tuple[Counters | None, ...]:
    """What the proxy of each pod has counted so far; None for a pod without one.

    Raises:
        CouldNotTell: A proxy cannot be read.
    """

    def one(pod: Pod) -> Counters | None:
        if pod.proxy is None:
            return None
        reading = read_admin(cluster, pod, [COUNTERS])[COUNTERS]
        return parse_counters(reading.document, (reading.evidence,))

    with ThreadPoolExecutor(len(pods), thread_name_prefix="counters") as pool:
        return tuple(pool.map(one, pods))
