"""A timeline: the events of one scenario on one clock; one JSON document, from which the page draws.

Everything in it follows from readings that are evidence of their own; no verdict stands on the timeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from facts.declared import Declared, ListOf, Time, read
from facts.masks import WHOLE, keeps
from facts.over_time.history import History
from facts.traffic.ledger import Outcome
from facts.traffic.load import Clock, Load

WHERE = "timeline"

STILL_SILENT = timedelta(seconds=15)
"""Failed looks with the same reason are one silence up to this far apart: a look without an answer takes some seconds."""


@dataclass(frozen=True, slots=True)
class SvidBar(Declared):
    """One certificate in one proxy.

    Attributes:
        pod: ``namespace/name``.
        spiffe_id: Of the certificate.
        serial: Of the certificate.
        issuer: Its issuer's name.
        not_before: Of the certificate.
        not_after: Of the certificate.
        first_seen: When the proxy was first seen with it.
        last_seen: When last.
    """

    pod: str
    spiffe_id: str
    serial: str
    issuer: str
    not_before: Time
    not_after: Time
    first_seen: Time
    last_seen: Time


@dataclass(frozen=True, slots=True)
class Authorities(Declared):
    """The authorities that one proxy trusted for a while.

    Attributes:
        pod: ``namespace/name``.
        sha256: Hex digest of each authority's certificate.
        first_seen: When it was first seen with them.
        last_seen: When last.
    """

    pod: str
    sha256: ListOf[str]
    first_seen: Time
    last_seen: Time


@dataclass(frozen=True, slots=True)
class StreamHealth(Declared):
    """The number of SDS streams of one proxy for a while.

    Attributes:
        pod: ``namespace/name``.
        active: Streams; two when all is well.
        first_seen: When it was first seen so.
        last_seen: When last.
    """

    pod: str
    active: int
    first_seen: Time
    last_seen: Time


@dataclass(frozen=True, slots=True)
class Silence(Declared):
    """A while in which one proxy could not be read.

    Attributes:
        pod: ``namespace/name``.
        why: The reason that the failed look gave.
        looks: Number of failed looks.
        first: When the first of them did.
        last: When the last did.
    """

    pod: str
    why: str
    looks: int
    first: Time
    last: Time


@dataclass(frozen=True, slots=True)
class Failures(Declared):
    """Requests that began in the same second and failed alike. Each has its own row in the ledger.

    Attributes:
        first: When the first of them began.
        last: When the last did.
        count: Their number.
        reason: Their common outcome.
    """

    first: Time
    last: Time
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class LoadLine(Declared):
    """The requests of one client to one server.

    Attributes:
        client: ``namespace/name``.
        url: The URL of the requests.
        rate: Requests a second.
        keeps_connection: All over one connection; otherwise each over its own.
        began: When.
        ended: When.
        sent: Number of requests.
        connections: Number of the client's connections.
        answered: For each second since `began`, the number of answered requests that began in it.
        failures: Requests without an answer, by second and reason, in order.
    """

    client: str
    url: str
    rate: float
    keeps_connection: bool
    began: Time
    ended: Time
    sent: int
    connections: int
    answered: ListOf[int]
    failures: ListOf[Failures]

    @property
    def failed(self) -> int:
        """Number of requests without an answer."""
        return sum(f.count for f in self.failures)


@dataclass(frozen=True, slots=True)
class Action(Declared):
    """An action of the suite.

    Attributes:
        words: What, as a sentence.
        began: When.
        ended: When it was done.
    """

    words: str
    began: Time
    ended: Time


@dataclass(frozen=True, slots=True)
class Happening(Declared):
    """An event that the suite noticed.

    Attributes:
        of: Whose it is: ``tbot``, ``Envoy``, ``Kubernetes``, ``Teleport``, with a name where there are several.
        at: When.
        words: What, as a sentence.
    """

    of: str
    at: Time
    words: str


@dataclass(frozen=True, slots=True)
class Timeline(Declared):
    """The events of one scenario. All times are UTC and on the suite's clock.

    Attributes:
        title: Of the scenario.
        began: When watching began.
        ended: When it ended.
        clocks: Other clocks, and how far they are off.
        svids: Certificates by proxy, in order.
        authorities: Trusted authorities by proxy, in order.
        streams: SDS streams by proxy, in order.
        silences: When proxies could not be read.
        loads: Requests.
        actions: Actions of the suite, in order.
        happenings: Other events, in order.
    """

    title: str
    began: Time
    ended: Time
    clocks: ListOf[Clock] = ()
    svids: ListOf[SvidBar] = ()
    authorities: ListOf[Authorities] = ()
    streams: ListOf[StreamHealth] = ()
    silences: ListOf[Silence] = ()
    loads: ListOf[LoadLine] = ()
    actions: ListOf[Action] = ()
    happenings: ListOf[Happening] = ()

    @property
    def pods(self) -> tuple[str, ...]:
        """The proxies in it, in the order in which they are named."""
        named = (
            *(s.pod for s in self.svids),
            *(a.pod for a in self.authorities),
            *(s.pod for s in self.streams),
            *(s.pod for s in self.silences),
        )
        return tuple(dict.fromkeys(named))

    def as_document(self) -> dict[str, Any]:
        """As JSON has it; times are RFC 3339."""
        document: dict[str, Any] = _plain(asdict(self))
        return document


def draw_up(
    title: str,
    *,
    histories: Sequence[History] = (),
    loads: Sequence[Load] = (),
    clocks: Iterable[Clock] = (),
    actions: Iterable[Action] = (),
    happenings: Iterable[Happening] = (),
) -> Timeline:
    """Puts a timeline together.

    Args:
        title: Of the scenario.
        histories: Histories of the watched proxies.
        loads: Loads of that time; the clocks of their clients are added.
        clocks: Further clocks.
        actions: Actions of the suite.
        happenings: Other events.

    Raises:
        ValueError: There is nothing to draw.
    """
    acted = tuple(sorted(actions, key=lambda a: a.began))
    noticed = tuple(sorted(happenings, key=lambda h: h.at))
    moments = [
        *(m for h in histories for s in h.sightings for m in (s.first_seen, s.last_seen)),
        *(u.at for h in histories for u in h.unread),
        *(m for load in loads for m in (load.began, load.ended)),
        *(m for a in acted for m in (a.began, a.ended)),
        *(h.at for h in noticed),
    ]
    if not moments:
        raise ValueError(f"timeline of {title!r}: nothing was seen")
    return Timeline(
        title=title,
        began=min(moments),
        ended=max(moments),
        clocks=tuple(dict.fromkeys([*(load.clock for load in loads), *clocks])),
        svids=tuple(
            SvidBar(
                _name(history),
                ", ".join(held.what.uri_sans),
                held.what.serial,
                held.what.issuer,
                held.what.not_before,
                held.what.not_after,
                held.first_seen,
                held.last_seen,
            )
            for history in histories
            for held in history.svids
        ),
        authorities=tuple(
            Authorities(_name(h), tuple(c.sha256 for c in held.what), held.first_seen, held.last_seen)
            for h in histories
            for held in h.authorities
        ),
        streams=tuple(
            StreamHealth(_name(h), held.what, held.first_seen, held.last_seen) for h in histories for held in h.streams
        ),
        silences=tuple(silence for h in histories for silence in _silences(h)),
        loads=tuple(_line(load) for load in loads),
        actions=acted,
        happenings=noticed,
    )


@keeps(WHOLE)
def parse_timeline(document: Any) -> Timeline:
    """Reads a timeline as `Timeline.as_document` writes it.

    Raises:
        CouldNotTell: It is damaged.
    """
    return read(Timeline, document, WHERE)


def _name(history: History) -> str:
    return f"{history.pod.namespace}/{history.pod.name}"


def _silences(history: History) -> list[Silence]:
    found: list[Silence] = []
    for unread in history.unread:
        last = found[-1] if found else None
        if last is not None and last.why == unread.why.seen and unread.at - last.last <= STILL_SILENT:
            found[-1] = replace(last, looks=last.looks + 1, last=unread.at)
        else:
            found.append(Silence(_name(history), unread.why.seen, 1, unread.at, unread.at))
    return found


def _line(load: Load) -> LoadLine:
    answered = [0] * (max(0, int((load.ended - load.began).total_seconds())) + 1)
    failed: dict[tuple[int, str], list[datetime]] = {}
    for request in load.ledger.requests:
        second = min(len(answered) - 1, max(0, int((request.at - load.began).total_seconds())))
        if request.outcome is Outcome.ANSWERED:
            answered[second] += 1
        else:
            failed.setdefault((second, str(request)), []).append(request.at)
    client = load.ledger.client
    return LoadLine(
        client=f"{client.namespace}/{client.pod}",
        url=load.url,
        rate=load.rate,
        keeps_connection=load.keeps_connection,
        began=load.began,
        ended=load.ended,
        sent=load.sent,
        connections=load.connections,
        answered=tuple(answered),
        failures=tuple(Failures(min(ats), max(ats), len(ats), reason) for (_second, reason), ats in failed.items()),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
