"""A load between test pods: it begins, runs by itself, and ends with its ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from facts.document import decoded, need, when
from facts.errors import CouldNotTell
from facts.kubernetes.objects import Pod
from facts.traffic.load import WHERE, Clock, Load, parse_load
from observe.kubernetes.cluster import Cluster
from observe.traffic.requests import CONTAINER, counted, since

PROGRAM = "/traffic/load.py"
PATIENCE = 10
"""Seconds that the client waits for a connection and for an answer. A late answer of a busy node is no refusal; the suite
measures the delay separately."""
LONGEST = 900
"""Seconds after which a load stops by itself, if the suite does not end it."""


@dataclass(frozen=True, slots=True)
class PlannedLoad:
    """The parameters of a load.

    Attributes:
        client: A test pod.
        server: The pod that it sends requests to.
        url: The URL: ``http://…``, or ``tcp://…`` where the load keeps the connection.
        rate: Requests a second.
        keep: Send all requests over one TCP connection, as long as it lasts.
    """

    client: Pod
    server: Pod
    url: str
    rate: float
    keep: bool = False


class Running:
    """A running load.

    Attributes:
        wanted: Its parameters.
        began: UTC, on the suite's clock.
    """

    def __init__(self, cluster: Cluster, wanted: PlannedLoad) -> None:
        """Begins it.

        Raises:
            CouldNotTell: The client or a proxy does not answer.
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
        """Ends it and waits for its last answers; a second call returns the same.

        Raises:
            CouldNotTell: The load ended early, or a proxy does not answer.
        """
        if self._ended is None:
            load = parse_load(decoded(self._run("end", self._name)), self._clock, self._evidence)
            after = counted(self._cluster, self.wanted.client, self.wanted.server)
            client, server = since(after, self._before)
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
                remedy="see whether the client's pod restarted meanwhile",
            )
        self._evidence = done.evidence
        return done.stdout


@contextmanager
def under_load(cluster: Cluster, wanted: Sequence[PlannedLoad]) -> Iterator[tuple[Running, ...]]:
    """Loads that begin on entry and end on exit at the latest.

    Raises:
        CouldNotTell: One cannot begin, or ended early.
    """
    running: list[Running] = []
    try:
        running.extend(Running(cluster, each) for each in wanted)
        yield tuple(running)
    except BaseException:
        for begun in running:
            with suppress(CouldNotTell):  # the first error says more; a load that goes on stops by itself
                begun.end()
        raise
    for begun in running:
        begun.end()
