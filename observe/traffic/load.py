"""A load between test pods: begun, left to itself, and ended with its ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from facts.document import decoded, need, when
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.proxies.envoy_traffic import Counters
from facts.traffic.load import WHERE, Clock, Load, parse_load
from observe.kubernetes.cluster import Cluster
from observe.traffic.requests import CONTAINER, counted

PROGRAM = "/traffic/load.py"
PATIENCE = 10
"""Seconds that the client waits for a connection and for an answer. A busy node answers late, and that is no refusal: how
late is a number of its own."""
LONGEST = 900
"""Seconds after which a load stops by itself, if the suite does not end it."""


@dataclass(frozen=True, slots=True)
class PlannedLoad:
    """A load as it is wanted.

    Attributes:
        client: A test pod.
        server: The pod that is asked.
        url: What is asked for: ``http://…``, or ``tcp://…`` where the connection is kept.
        rate: Requests a second.
        keep: All over one TCP connection, as long as it lasts.
    """

    client: Pod
    server: Pod
    url: str
    rate: float
    keep: bool = False


class Running:
    """A load that is under way.

    Attributes:
        wanted: What it is.
        began: UTC, on the suite's clock.
    """

    def __init__(self, cluster: Cluster, wanted: PlannedLoad) -> None:
        """Begins it.

        Raises:
            CouldNotTell: The client or a proxy cannot be asked.
        """
        self.wanted = wanted
        self._cluster = cluster
        self._before = counted(cluster, wanted.client, wanted.server)
        self.began = datetime.now(UTC)
        options = ["--rate", f"{wanted.rate:g}", "--seconds", str(LONGEST), "--timeout", str(PATIENCE)]
        said = self._run("begin", wanted.url, *options, *(["--keep"] if wanted.keep else []))
        document = decoded(said)
        where = f"{WHERE} of {wanted.client.ref}"
        self._name = need(document, "load", str, where)
        theirs = when(need(document, "now", str, where), where)
        self._clock = Clock.read(str(wanted.client.ref), theirs, self.began, datetime.now(UTC))
        self._ended: Load | None = None

    @property
    def load(self) -> Load | None:
        """The load, once it has ended."""
        return self._ended

    def end(self) -> Load:
        """Ends it, and waits for its last answers; a second call answers the same.

        Raises:
            CouldNotTell: It has not gone on until now, or a proxy cannot be asked.
        """
        if self._ended is None:
            load = parse_load(decoded(self._run("end", self._name)), self._clock, self._evidence)
            after = counted(self._cluster, self.wanted.client, self.wanted.server)
            client, server = (_since(a, b) for a, b in zip(after, self._before, strict=True))
            self._ended = replace(load, client=client, server=server)
        return self._ended

    def _run(self, *words: str) -> str:
        pod = self.wanted.client
        parser = parse_load if words[0] == "end" else None
        done = self._cluster.exec_in(pod.namespace, pod.name, CONTAINER, ["python3", PROGRAM, *words], parser=parser)
        if done.exit_code != 0:
            raise CouldNotTell(
                expected=f"the load to {words[0]}",
                seen=f"exit code {done.exit_code}: {done.tail(300)}",
                where=f"{pod.ref} to {self.wanted.url}",
                remedy="see whether the client's pod was restarted meanwhile",
            )
        self._evidence = done.evidence
        return done.stdout


@contextmanager
def under_load(cluster: Cluster, wanted: Sequence[PlannedLoad]) -> Iterator[tuple[Running, ...]]:
    """Loads, each begun on entry, and ended on exit at the latest.

    Raises:
        CouldNotTell: One cannot be begun, or has not gone on to the end.
    """
    running: list[Running] = []
    try:
        running.extend(Running(cluster, each) for each in wanted)
        yield tuple(running)
    except BaseException:
        for begun in running:
            with suppress(CouldNotTell):  # what went wrong before says more; a load that is left stops by itself
                begun.end()
        raise
    for begun in running:
        begun.end()


def _since(after: Counters | None, before: Counters | None) -> Counters | None:
    return after.since(before) if after is not None and before is not None else None
