"""A load: requests at a fixed rate over minutes, each with one outcome. Sent is answered plus failed with a reason.

The program is the traffic client of ``manifests/traffic/traffic.py``; its rows are short, because there are thousands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from facts.declared import Declared
from facts.document import damaged, maybe, need, parse_json, texts, when
from facts.errors import CouldNotTell
from facts.evidence import readings
from facts.masks import WHOLE, keeps
from facts.proxies.envoy_traffic import Counters
from facts.redaction import beginning, prose
from facts.traffic.ledger import End, Ledger, Outcome, Peer, Request, Word, of_answer, of_error, parse_end, parse_peers

WHERE = "ledger of the load"
COLUMNS = ("at_ms", "ms", "port", "status", "arrivals", "said", "error", "detail")
"""Of a row: milliseconds since the beginning; milliseconds that it took; the client's port (0: no connection); HTTP status;
how often the server says it has arrived (0: the server did not answer); and three indexes into the texts: what was said, the
word for an error, its detail."""


@dataclass(frozen=True, slots=True)
class Clock(Declared):
    """Another clock against the suite's.

    Attributes:
        of: Whose it is, e.g. ``Pod mesh/alpha``.
        ahead: Seconds that it is ahead of the suite's.
        uncertainty: Seconds that this may be wrong by: half of the time that asking took.
    """

    of: str
    ahead: float
    uncertainty: float

    @classmethod
    def read(cls, of: str, said: datetime, asked: datetime, answered: datetime) -> Clock:
        """From what it said between two moments of the suite's clock."""
        half = (answered - asked) / 2
        return cls(of, (said - (asked + half)).total_seconds(), half.total_seconds())

    def corrected(self, moment: datetime) -> datetime:
        """A moment of this clock on the suite's."""
        return moment - timedelta(seconds=self.ahead)


@dataclass(frozen=True, slots=True)
class Load:
    """The requests of one client to one server, at a fixed rate.

    Attributes:
        ledger: Every request, in the order in which they were due; times are on the suite's clock.
        rate: Requests a second.
        keeps_connection: All go over one connection, as long as it lasts; otherwise each has its own.
        began: UTC, on the suite's clock.
        ended: UTC likewise, when the last answer had come.
        clock: The client's.
        client: Counters of the client's proxy for that time; None where the suite did not look.
        server: Counters of the server's proxy; likewise.
    """

    ledger: Ledger
    rate: float
    keeps_connection: bool
    began: datetime
    ended: datetime
    clock: Clock
    client: Counters | None = None
    server: Counters | None = None

    @property
    def url(self) -> str:
        """The URL that the client asked for."""
        return self.ledger.requests[0].url

    @property
    def sent(self) -> int:
        """Number of requests sent."""
        return len(self.ledger.requests)

    @property
    def achieved(self) -> float:
        """Requests a second from the first to the last: less than `rate` where the client could not keep up with it."""
        spread = (self.ledger.requests[-1].at - self.ledger.requests[0].at).total_seconds()
        return (self.sent - 1) / spread if spread else self.rate

    @property
    def failed(self) -> tuple[Request, ...]:
        """The requests that the server did not answer, in their order."""
        return tuple(r for r in self.ledger.requests if r.outcome is not Outcome.ANSWERED)

    @property
    def connections(self) -> int:
        """Number of the client's connections.

        A port that the client's kernel reuses is another connection, unless the load keeps a single one.
        """
        made = [r.connection for r in self.ledger.requests if r.connection]
        return len(set(made)) if self.keeps_connection else len(made)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of all readings."""
        return readings(self.ledger, self.client, self.server)

    def between(self, first: datetime, last: datetime) -> tuple[Request, ...]:
        """The requests that began in a span of time."""
        return tuple(r for r in self.ledger.requests if first <= r.at <= last)

    def seen_hashes(self) -> tuple[str, ...]:
        """SHA-256 of each certificate under which the server's proxy saw the client, in the order of their first use."""
        return tuple(dict.fromkeys(p.hash for w in self.ledger.words for p in w.peers[-1:] if p.hash))


def reasons(requests: Iterable[Request]) -> Mapping[str, int]:
    """Number of requests by outcome, most frequent first."""
    return dict(Counter(str(r) for r in requests).most_common())


@keeps(WHOLE)
def parse_load(document: Any, clock: Clock, evidence: tuple[str, ...] = ()) -> Load:
    """Reads the ledger of a load.

    Args:
        document: As the program prints it.
        clock: The client's, which the times in it are of.
        evidence: Ids of the readings.

    Raises:
        CouldNotTell: The document is not the program's; requests that were due are missing; or something else ended the
            client.
    """
    try:
        return _load(document, clock, evidence)
    except OverflowError as error:
        raise damaged("times that a calendar has", str(error), WHERE) from error


def _load(document: Any, clock: Clock, evidence: tuple[str, ...]) -> Load:
    if not maybe(document, "ended", "", WHERE):
        raise CouldNotTell(
            expected="the load generator to run until the suite stops it",
            seen="its process exited early",
            where=f"{WHERE} {need(document, 'url', str, WHERE)}",
            remedy="see whether the client's pod was restarted",
        )
    if tuple(texts(document, "columns", WHERE)) != COLUMNS:
        raise damaged(f"the columns {', '.join(COLUMNS)}", ", ".join(texts(document, "columns", WHERE)) or "none", WHERE)
    began = clock.corrected(when(need(document, "began", str, WHERE), WHERE))
    url = need(document, "url", str, WHERE)
    said = _Said(texts(document, "texts", WHERE))
    rows = sorted(map(_row, need(document, "rows", list, WHERE)), key=lambda row: row[0])
    if not rows:
        raise damaged("at least one request", "none", WHERE)
    if len(rows) != need(document, "due", int, WHERE):
        raise damaged(f"{document['due']} requests, which were due", f"{len(rows)}", WHERE)
    requests = tuple(_request(number, row, url, began, said) for number, row in enumerate(rows))
    return Load(
        ledger=Ledger(parse_end(need(document, "client", dict, WHERE)), requests, evidence),
        rate=need(document, "rate", float, WHERE),
        keeps_connection=need(document, "keep", bool, WHERE),
        began=began,
        ended=clock.corrected(when(need(document, "ended", str, WHERE), WHERE)),
        clock=clock,
    )


class _Said:
    """The texts of a ledger, each understood once."""

    def __init__(self, every: Sequence[str]) -> None:
        self._texts = tuple(every)
        self._understood: dict[int, tuple[End, tuple[Peer, ...]]] = {}

    def text(self, index: int) -> str:
        if not 0 <= index < len(self._texts):
            raise damaged(f"the number of one of {len(self._texts)} texts", str(index), WHERE)
        return self._texts[index]

    def server(self, index: int) -> tuple[End, tuple[Peer, ...]]:
        """A server's account of itself and of its caller."""
        if index not in self._understood:
            document = parse_json(self.text(index), WHERE)
            peers = tuple(peer for header in texts(document, "peer", WHERE) for peer in parse_peers(header))
            self._understood[index] = (parse_end(need(document, "server", dict, WHERE)), peers)
        return self._understood[index]


def _row(row: Any) -> Sequence[int]:
    if not isinstance(row, list) or len(row) != len(COLUMNS) or not all(isinstance(cell, int) for cell in row):
        raise damaged(f"{len(COLUMNS)} whole numbers in a row", beginning(repr(row), 120), WHERE)
    return row


def _request(number: int, row: Sequence[int], url: str, began: datetime, said: _Said) -> Request:
    at, took, port, status, arrivals, answer, error, detail = row
    word = None
    if arrivals:
        server, peers = said.server(answer)
        word = Word(server, arrivals, "", peers)
    words = said.text(error)
    outcome = of_error(words) if words else Outcome.ANSWERED if word else of_answer(status, said.text(answer))
    return Request(
        id=str(number),
        url=url,
        at=began + timedelta(milliseconds=at),
        seconds=took / 1000,
        connection=str(port) if port else "",
        outcome=outcome,
        status=status,
        words="" if word and not words else prose(said.text(detail)) or beginning(said.text(answer), 300),
        word=None if words else word,
    )
