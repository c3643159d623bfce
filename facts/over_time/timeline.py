"""A timeline: what happened in one scenario, on one clock; one JSON document, from which the page draws.

Everything in it was concluded from readings that are evidence of their own; no verdict stands on the timeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from facts.document import mappings, maybe, need, texts, when
from facts.over_time.history import History
from facts.traffic.ledger import Outcome
from facts.traffic.load import Clock, Load

WHERE = "timeline"

STILL_SILENT = timedelta(seconds=15)
"""Looks that fail alike are one silence up to this far apart: a look that nobody answers takes some seconds."""


@dataclass(frozen=True, slots=True)
class SvidBar:
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
    not_before: datetime
    not_after: datetime
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Authorities:
    """The authorities that one proxy trusted for a while.

    Attributes:
        pod: ``namespace/name``.
        sha256: Hex digest of each authority's certificate.
        first_seen: When it was first seen with them.
        last_seen: When last.
    """

    pod: str
    sha256: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """How many SDS streams one proxy had for a while.

    Attributes:
        pod: ``namespace/name``.
        active: Streams; two when all is well.
        first_seen: When it was first seen so.
        last_seen: When last.
    """

    pod: str
    active: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Silence:
    """A while in which one proxy could not be read.

    Attributes:
        pod: ``namespace/name``.
        why: What was seen instead of an answer.
        looks: How many looks failed.
        first: When the first of them did.
        last: When the last did.
    """

    pod: str
    why: str
    looks: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Failures:
    """Requests that began in the same second and failed alike. Each has its own row in the ledger.

    Attributes:
        first: When the first of them began.
        last: When the last did.
        count: How many.
        reason: What became of them.
    """

    first: datetime
    last: datetime
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class LoadLine:
    """The requests of one client to one server.

    Attributes:
        client: ``namespace/name``.
        url: What was asked for.
        rate: Requests a second.
        keeps_connection: All over one connection; otherwise each over its own.
        began: When.
        ended: When.
        sent: How many requests.
        connections: Over how many connections of the client's.
        answered: In each second since `began`, how many requests that began in it were answered.
        failures: Those that were not, by second and reason, in order.
    """

    client: str
    url: str
    rate: float
    keeps_connection: bool
    began: datetime
    ended: datetime
    sent: int
    connections: int
    answered: tuple[int, ...]
    failures: tuple[Failures, ...]

    @property
    def failed(self) -> int:
        """How many were not answered."""
        return sum(f.count for f in self.failures)


@dataclass(frozen=True, slots=True)
class Action:
    """Something that the suite did.

    Attributes:
        words: What, as a sentence.
        began: When.
        ended: When it was done.
    """

    words: str
    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that was noticed.

    Attributes:
        of: Whose it is: ``tbot``, ``Envoy``, ``Kubernetes``, ``Teleport``, with a name where there are several.
        at: When.
        words: What, as a sentence.
    """

    of: str
    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened in one scenario. All times are UTC and on the suite's clock.

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
        actions: What the suite did, in order.
        happenings: What else was noticed, in order.
    """

    title: str
    began: datetime
    ended: datetime
    clocks: tuple[Clock, ...] = ()
    svids: tuple[SvidBar, ...] = ()
    authorities: tuple[Authorities, ...] = ()
    streams: tuple[StreamHealth, ...] = ()
    silences: tuple[Silence, ...] = ()
    loads: tuple[LoadLine, ...] = ()
    actions: tuple[Action, ...] = ()
    happenings: tuple[Happening, ...] = ()

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
        histories: Proxies that were watched.
        loads: Requests that were made meanwhile; their clients' clocks are added.
        clocks: Further clocks.
        actions: What the suite did.
        happenings: What else was noticed.

    Raises:
        ValueError: Nothing at all was seen.
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


def parse_timeline(document: Any) -> Timeline:
    """Reads a timeline as `Timeline.as_document` writes it.

    Raises:
        CouldNotTell: It is damaged.
    """

    def at(entry: Mapping[str, Any], key: str) -> datetime:
        return when(need(entry, key, str, WHERE), WHERE)

    def text(entry: Mapping[str, Any], key: str) -> str:
        return need(entry, key, str, WHERE)

    return Timeline(
        title=text(document, "title"),
        began=at(document, "began"),
        ended=at(document, "ended"),
        clocks=tuple(
            Clock(text(c, "of"), need(c, "ahead", float, WHERE), need(c, "uncertainty", float, WHERE))
            for c in mappings(document, "clocks", WHERE)
        ),
        svids=tuple(
            SvidBar(
                pod=text(s, "pod"),
                spiffe_id=text(s, "spiffe_id"),
                serial=text(s, "serial"),
                issuer=text(s, "issuer"),
                not_before=at(s, "not_before"),
                not_after=at(s, "not_after"),
                first_seen=at(s, "first_seen"),
                last_seen=at(s, "last_seen"),
            )
            for s in mappings(document, "svids", WHERE)
        ),
        authorities=tuple(
            Authorities(text(a, "pod"), texts(a, "sha256", WHERE), at(a, "first_seen"), at(a, "last_seen"))
            for a in mappings(document, "authorities", WHERE)
        ),
        streams=tuple(
            StreamHealth(text(s, "pod"), need(s, "active", int, WHERE), at(s, "first_seen"), at(s, "last_seen"))
            for s in mappings(document, "streams", WHERE)
        ),
        silences=tuple(
            Silence(text(s, "pod"), text(s, "why"), need(s, "looks", int, WHERE), at(s, "first"), at(s, "last"))
            for s in mappings(document, "silences", WHERE)
        ),
        loads=tuple(
            LoadLine(
                client=text(load, "client"),
                url=text(load, "url"),
                rate=need(load, "rate", float, WHERE),
                keeps_connection=need(load, "keeps_connection", bool, WHERE),
                began=at(load, "began"),
                ended=at(load, "ended"),
                sent=need(load, "sent", int, WHERE),
                connections=need(load, "connections", int, WHERE),
                answered=tuple(need(load, "answered", list, WHERE)),
                failures=tuple(
                    Failures(at(f, "first"), at(f, "last"), need(f, "count", int, WHERE), text(f, "reason"))
                    for f in mappings(load, "failures", WHERE)
                ),
            )
            for load in mappings(document, "loads", WHERE)
        ),
        actions=tuple(
            Action(text(a, "words"), at(a, "began"), at(a, "ended")) for a in mappings(document, "actions", WHERE)
        ),
        happenings=tuple(
            Happening(text(h, "of"), at(h, "at"), maybe(h, "words", "", WHERE))
            for h in mappings(document, "happenings", WHERE)
        ),
    )


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
