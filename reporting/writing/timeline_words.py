"""A timeline in words: its sentence, its clocks, and the table that says all that the drawing shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from string import ascii_uppercase

from facts.measure import amount
from facts.over_time.timeline import Authorities, Failures, LoadLine, StreamHealth, SvidBar, Timeline
from facts.proxies.envoy import STREAMS
from facts.traffic.load import Clock


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        at: When it was so, or began.
        words: What was so.
        tone: ``bad``, ``unsure``, or empty.
    """

    at: datetime
    subject: str
    words: str
    tone: str = ""


def rows_of(timeline: Timeline) -> list[Row]:
    """Everything in a timeline, in the order of time."""
    zero = timeline.began.replace(microsecond=0)
    letters = letters_of(timeline)
    rows = [Row(a.began, "suite", f"{a.words} (until {offset(a.ended, zero)})") for a in timeline.actions]
    rows += [Row(h.at, h.of, h.words) for h in timeline.happenings]
    rows += _certificates(timeline, zero)
    rows += [Row(a.first_seen, a.pod, f"trusts {_named(a, letters)}{_until(a, zero)}") for a in timeline.authorities]
    rows += [
        Row(s.first_seen, s.pod, f"{s.active} SDS streams{_until(s, zero)}", "" if s.active == STREAMS else "unsure")
        for s in timeline.streams
    ]
    rows += [
        Row(s.first, s.pod, f"{several(s.looks, 'look')} failed until {offset(s.last, zero)}: {s.why}", "unsure")
        for s in timeline.silences
    ]
    for load in timeline.loads:
        rows.append(
            Row(load.began, load.client, f"begins: {amount(load.rate)} requests/s to {load.url}, {_connections(load)}")
        )
        rows += [Row(f.first, load.client, f"to {load.url}: {failed_in_words(f, zero)}", "bad") for f in load.failures]
        rows.append(Row(load.ended, load.client, f"ends: {load_in_words(load)}"))
    return sorted(rows, key=lambda row: row.at)


def sentence_of(timeline: Timeline) -> str:
    """One sentence on a timeline."""
    renewed = len(timeline.svids) - len({s.pod for s in timeline.svids})
    sent, failed = sum(load.sent for load in timeline.loads), sum(load.failed for load in timeline.loads)
    parts = []
    if timeline.pods:
        parts.append(f"{several(len(timeline.pods), 'proxy', 'proxies')} had {several(renewed, 'new certificate')}")
    if timeline.loads:
        parts.append(f"{sent} requests were sent and {failed} of them failed")
    if timeline.actions:
        parts.append(f"the suite took {several(len(timeline.actions), 'action')}")
    seconds = (timeline.ended - timeline.began).total_seconds()
    told = ", ".join(parts) or "the suite saw only what is below"
    return f"In {amount(round(seconds, 1), 's')} from {clock_time(timeline.began)} UTC {told}."


def clocks_in_words(clocks: Sequence[Clock]) -> tuple[str, ...]:
    """The offset of each clock, once for each owner: of several readings the largest."""
    worst: dict[str, Clock] = {}
    for clock in clocks:
        if clock.of not in worst or abs(clock.ahead) > abs(worst[clock.of].ahead):
            worst[clock.of] = clock
    return tuple(
        f"{c.of} {_milliseconds(abs(c.ahead))} {'ahead' if c.ahead >= 0 else 'behind'} (± {_milliseconds(c.uncertainty)})"
        for c in worst.values()
    )


def letters_of(timeline: Timeline) -> Mapping[str, str]:
    """A short name for each authority, by its digest, in the order in which they were first trusted."""
    digests = dict.fromkeys(d for a in sorted(timeline.authorities, key=lambda a: a.first_seen) for d in a.sha256)
    return {
        digest: ascii_uppercase[number] if number < len(ascii_uppercase) else f"A{number}"
        for number, digest in enumerate(digests)
    }


def home_of(timeline: Timeline) -> str:
    """The namespace that all proxies and clients in a timeline live in; empty where there are several."""
    namespaces = {name.partition("/")[0] for name in (*timeline.pods, *(load.client for load in timeline.loads))}
    return namespaces.pop() if len(namespaces) == 1 else ""


def at_home(text: str, home: str) -> str:
    """A text in which pods and Services of that namespace are called by their names alone; SPIFFE IDs stay as they are."""
    if not home:
        return text
    return re.sub(rf"(?<![\w/-]){re.escape(home)}/|\.{re.escape(home)}(?=[:/])", "", text)


def load_in_words(load: LoadLine) -> str:
    """A load and what became of it."""
    outcome = f"{load.sent} sent, {load.sent - load.failed} answered, {load.failed} failed"
    return f"{load.client} → {load.url}: {outcome}; {_connections(load)}"


def failed_in_words(failures: Failures, zero: datetime) -> str:
    """Requests that failed, and why; from when to when."""
    first, last = offset(failures.first, zero), offset(failures.last, zero)
    return f"{failures.count} failed, {first if first == last else f'{first} to {last}'}: {failures.reason}"


def offset(moment: datetime, zero: datetime) -> str:
    """Seconds since the beginning of the axis."""
    return f"{(moment - zero).total_seconds():+.1f} s"


def clock_time(moment: datetime) -> str:
    """The time of day, UTC."""
    return f"{moment:%H:%M:%S}"


def short_serial(serial: str) -> str:
    """The end of a serial, which is enough to tell it from its neighbours."""
    return f"…{serial.replace(':', '')[-4:]}"


def _certificates(timeline: Timeline, zero: datetime) -> list[Row]:
    by_pod: dict[str, list[SvidBar]] = {}
    for svid in timeline.svids:
        by_pod.setdefault(svid.pod, []).append(svid)
    rows = []
    for pod, svids in by_pod.items():
        first = svids[0]
        rows.append(
            Row(first.first_seen, pod, f"has {_certificate(first, zero)}, {first.spiffe_id}, issued by {first.issuer}")
        )
        for before, svid in pairwise(svids):
            other = "".join(
                f", {word} {now}"
                for word, was, now in (("now", before.spiffe_id, svid.spiffe_id), ("issued by", before.issuer, svid.issuer))
                if was != now
            )
            rows.append(Row(svid.first_seen, pod, f"renewed: {_certificate(svid, zero)}{other}"))
        rows += [
            Row(s.not_after, pod, f"serial {s.serial} expired, in the proxy until {offset(s.last_seen, zero)}", "bad")
            for s in svids
            if s.last_seen > s.not_after
        ]
    return rows


def _certificate(svid: SvidBar, zero: datetime) -> str:
    valid = f"valid {clock_time(svid.not_before)} to {clock_time(svid.not_after)} UTC"
    lifetime = amount((svid.not_after - svid.not_before).total_seconds(), "s")
    return f"serial {svid.serial}, {valid} ({lifetime}){_until(svid, zero)}"


def _until(held: SvidBar | Authorities | StreamHealth, zero: datetime) -> str:
    return f", until {offset(held.last_seen, zero)}"


def _named(authorities: Authorities, letters: Mapping[str, str]) -> str:
    return ", ".join(f"{letters[d]} ({d[:16]}…)" for d in authorities.sha256) or "no authority"


def _connections(load: LoadLine) -> str:
    how = "all over one connection as long as it lasts" if load.keeps_connection else "a connection for each"
    return f"{how} ({several(load.connections, 'connection')} in all)"


def several(number: int, one: str, many: str = "") -> str:
    """A number of things, such as ``1 certificate``."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else amount(seconds, "s")
