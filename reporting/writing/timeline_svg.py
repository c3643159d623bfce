"""A timeline as a drawing: inline SVG, styled by the page's own style sheet, readable without JavaScript.

The table beside it (`timeline_words.rows_of`) says all that is in it; the drawing is for the eye alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from markupsafe import Markup

from facts.over_time.timeline import Action, Authorities, Failures, Happening, LoadLine, StreamHealth, SvidBar, Timeline
from facts.proxies.envoy import STREAMS
from reporting.writing import timeline_words as words
from reporting.writing.svg import LETTER, Label, Rows, element, pixels, text

WIDTH, WIDEST = 940, 6000
"""Pixels: what fits beside the margins of the page, and what a timeline of hours may take at most."""
PER_SECOND = 1.5
"""Pixels for a second at least, so that a load that fails for one second can be seen."""
EDGE = 10
HEAD = 17
"""Height of a lane's heading."""
BETWEEN_TICKS = 74
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
MOST_ROWS = 4
"""Rows of labels for what was noticed by one; what finds no room has a mark alone."""
TALL = 30
"""Height of the lane of a load."""
THINNEST = 3.0
"""Width of the smallest mark that one can see."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a lane, which the page keeps in sight while one scrolls.

    Attributes:
        top: Pixels from the upper edge of the drawing.
        text: The words.
    """

    top: int
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing.

    Attributes:
        svg: The element.
        headings: Of its lanes.
        width: Pixels.
        height: Pixels.
    """

    svg: Markup
    headings: tuple[Heading, ...]
    width: int
    height: int


def draw(timeline: Timeline) -> Drawing:
    """Draws a timeline: one axis, what was done and noticed, the requests, then each proxy."""
    return _Sheet(timeline).drawn()


class _Sheet:
    """A drawing that grows from top to bottom."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._zero = timeline.began.replace(microsecond=0)
        seconds = max(1.0, (timeline.ended - self._zero).total_seconds())
        self._width = round(min(WIDEST, max(WIDTH, seconds * PER_SECOND)))
        self._scale = (self._width - 2 * EDGE) / seconds
        self._seconds = seconds
        self._y = 0
        self._headings: list[Heading] = []
        self._behind: list[Markup] = []
        self._lanes: list[Markup] = []

    def drawn(self) -> Drawing:
        timeline = self._timeline
        self._y = 34
        flags = self._actions(timeline.actions)
        self._happenings(timeline.happenings)
        for load in timeline.loads:
            self._load(load)
        for pod in timeline.pods:
            self._proxy(pod)
        self._y += 4
        self._behind += self._axis()
        self._behind += [
            element("rect", class_="act", x=x, y=top, width=wide, height=self._y - top) for x, wide, top in flags
        ]
        height = self._y + 34
        svg = element(
            "svg",
            *self._behind,
            *self._lanes,
            viewBox=f"0 0 {self._width} {height}",
            width=self._width,
            height=height,
            role="img",
            aria_label=f"Drawing of the timeline of {timeline.title}; the table below says the same",
        )
        return Drawing(svg, tuple(self._headings), self._width, height)

    def _x(self, moment: datetime) -> float:
        """Where a moment is; the nearest edge for one outside of the timeline."""
        return EDGE + min(self._seconds, max(0.0, (moment - self._zero).total_seconds())) * self._scale

    def _bar(self, look: str, first: datetime, last: datetime, y: float, high: float, *inside: Markup) -> Markup:
        """A bar from one moment to another, wide enough to be seen."""
        x = self._x(first)
        return element("rect", *inside, class_=look, x=x, y=y, width=max(THINNEST, self._x(last) - x), height=high)

    def _heading(self, text: str) -> None:
        self._headings.append(Heading(self._y, text))
        self._y += HEAD

    def _axis(self) -> list[Markup]:
        step = next((s for s in STEPS if s * self._scale >= BETWEEN_TICKS), STEPS[-1])
        drawn = []
        for second in range(0, int(self._seconds) + 1, step):
            x = self._x(self._zero + timedelta(seconds=second))
            drawn.append(element("line", class_="grid", x1=x, x2=x, y1=30, y2=self._y))
            if x + 56 > self._width:
                continue
            for top in (12, self._y + 15):
                drawn.append(text(f"+{second} s", x + 2, top, "tick"))
                drawn.append(text(words.clock_time(self._zero + timedelta(seconds=second)), x + 2, top + 12, "tick utc"))
        return drawn

    def _actions(self, actions: Sequence[Action]) -> list[tuple[float, float, int]]:
        """The labels of actions; returns where the band of each begins, its width, and its top."""
        if not actions:
            return []
        self._heading("What the suite did")
        rows = Rows(14)
        flags = []
        for action in actions:
            x = self._x(action.began)
            wide = max(1.5, self._x(action.ended) - x)
            label = Label.beside((x, x + wide), action.words, self._edges)
            y = self._y + rows.place(label.begins, label.ends)
            told = f"{words.offset(action.began, self._zero)} to {words.offset(action.ended, self._zero)}: {action.words}"
            self._lanes.append(label.drawn(y + 11, told))
            flags.append((x, wide, y + 2))
        self._y += rows.height + 4
        return flags

    @property
    def _edges(self) -> tuple[float, float]:
        return EDGE, self._width - EDGE

    def _happenings(self, happenings: Sequence[Happening]) -> None:
        for of in dict.fromkeys(h.of for h in happenings):
            own = [h for h in happenings if h.of == of]
            self._heading(f"{of}: {words.several(len(own), 'event')}")
            rows = Rows(14)
            for happening in own:
                x = self._x(happening.at)
                label = Label.beside((x - 4, x + 4), happening.words, self._edges)
                top = rows.place_among(MOST_ROWS, label.begins, label.ends)
                title = f"{words.offset(happening.at, self._zero)}, {of}: {happening.words}"
                y = self._y + (top or 0)
                mark = f"M{pixels(x)} {y + 3}l4 4l-4 4l-4-4z"
                self._lanes.append(element("path", element("title", title), class_="noticed", d=mark))
                if top is not None:
                    self._lanes.append(label.drawn(y + 11, title))
            self._y += max(rows.height, 14) + 4

    def _load(self, load: LoadLine) -> None:
        self._heading(words.load_in_words(load))
        base = self._y + TALL
        self._lanes.append(element("line", class_="base", x1=self._x(load.began), x2=self._x(load.ended), y1=base, y2=base))
        self._lanes.append(element("path", class_="answered", d=self._skyline(load, base, load.answered)))
        for failures in spans_of(load.failures):
            # One that failed among many is too low to be seen; the strip below the line is always there.
            title = element("title", words.failed_in_words(failures, self._zero))
            self._lanes.append(self._bar("failed", failures.first, failures.last, base + 1, 5, title))
        if load.failures:
            self._lanes.append(element("path", class_="failed", d=self._failed_skyline(load, base)))
        self._y = base + 10

    def _skyline(self, load: LoadLine, base: float, counts: Sequence[int]) -> str:
        """The requests of each second as one outline, equal neighbours drawn as one."""
        path, second = [f"M{pixels(self._x(load.began))} {pixels(base)}"], 0
        for count, same in groupby(counts):
            second += len(list(same))
            y = base - _high(load, count)
            path.append(f"V{pixels(y)}H{pixels(self._x(min(load.ended, load.began + timedelta(seconds=second))))}")
        return "".join([*path, f"V{pixels(base)}z"])

    def _failed_skyline(self, load: LoadLine, base: int) -> str:
        """The failures of each second, on top of its answers."""
        failed = [0] * len(load.answered)
        for failures in load.failures:
            failed[min(len(failed) - 1, max(0, int((failures.first - load.began).total_seconds())))] += failures.count
        path = []
        for second, (answered, lost) in enumerate(zip(load.answered, failed, strict=True)):
            if lost:
                begin = load.began + timedelta(seconds=second)
                left, right = self._x(begin), self._x(min(load.ended, begin + timedelta(seconds=1)))
                low, high = base - _high(load, answered), base - _high(load, answered + lost)
                path.append(f"M{pixels(left)} {pixels(low)}V{pixels(high)}H{pixels(right)}V{pixels(low)}z")
        return "".join(path)

    def _proxy(self, pod: str) -> None:
        timeline = self._timeline
        svids = [s for s in timeline.svids if s.pod == pod]
        if svids:
            names = ", ".join(dict.fromkeys(s.spiffe_id for s in svids))
            self._heading(f"{pod}: {words.several(len(svids), 'certificate')}, {names}")
            rows = Rows(11)
            for svid in svids:
                valid = self._x(max(svid.not_before, self._zero)), self._x(max(svid.not_after, svid.last_seen))
                y = self._y + rows.place(valid[0], valid[1] + 1)
                self._lanes.append(self._svid(svid, y))
            self._y += rows.height + 3
        roots = [a for a in timeline.authorities if a.pod == pod]
        if roots:
            letters = words.letters_of(timeline)
            sets = [("+".join(letters[d] for d in a.sha256) or "none", a) for a in roots]
            self._heading(f"{pod}: trusts {' → '.join(name for name, _ in sets)}")
            for index, (name, held) in enumerate(sets):
                title = f"trusts {name} {self._held(held)}"
                span = held.first_seen, held.last_seen
                self._span(span, f"roots {'odd' if index % 2 else 'even'}", title, high=10, inside=name)
            self._y += 14
        self._streams(pod)

    def _svid(self, svid: SvidBar, y: float) -> Markup:
        """One certificate: its lifetime as a frame, filled while the proxy had it, marked where it had it after its end."""
        left, right, first = (self._x(moment) for moment in (svid.not_before, svid.not_after, svid.first_seen))
        held_until = min(svid.last_seen, svid.not_after)
        title = (
            f"serial {svid.serial}, valid {words.clock_time(svid.not_before)} to {words.clock_time(svid.not_after)} UTC, "
            f"in the proxy {self._held(svid)}, issued by {svid.issuer}"
        )
        parts = [element("title", title)]
        if right > left:
            parts.append(element("rect", class_="valid", x=left, y=y, width=right - left, height=8))
        if svid.first_seen <= svid.not_after:
            parts.append(self._bar("held", svid.first_seen, held_until, y, 8))
        if svid.last_seen > svid.not_after:
            parts.append(self._bar("over", max(svid.first_seen, svid.not_after), svid.last_seen, y, 8))
        serial = words.short_serial(svid.serial)
        if self._x(held_until) - first > len(serial) * LETTER:
            parts.append(text(serial, first + 2, y + 7, "serial"))
        return element("g", *parts)

    def _streams(self, pod: str) -> None:
        streams = [s for s in self._timeline.streams if s.pod == pod]
        silences = [s for s in self._timeline.silences if s.pod == pod]
        if not streams and not silences:
            return
        seen = " → ".join(str(s.active) for s in streams) or "unknown"
        unread = f", {sum(s.looks for s in silences)} looks failed" if silences else ""
        self._heading(f"{pod}: SDS streams {seen}{unread}")
        for stream in streams:
            tone = "live" if stream.active == STREAMS else "cut"
            title = f"{stream.active} SDS streams {self._held(stream)}"
            self._span((stream.first_seen, stream.last_seen), f"streams {tone}", title, high=6)
        for silence in silences:
            title = (
                f"{silence.looks} looks failed from {words.offset(silence.first, self._zero)} to "
                f"{words.offset(silence.last, self._zero)}: {silence.why}"
            )
            self._span((silence.first, silence.last), "silent", title, high=10)
        self._y += 13

    def _span(self, span: tuple[datetime, datetime], look: str, title: str, *, high: int, inside: str = "") -> None:
        """A bar from one moment to another in the lane that is being drawn."""
        told = [element("title", title), self._bar(look, *span, self._y, high)]
        x, end = (self._x(moment) for moment in span)
        if inside and end - x > len(inside) * LETTER + 4:
            told.append(text(inside, x + 3, self._y + high - 2, "serial"))
        self._lanes.append(element("g", *told))

    def _held(self, held: SvidBar | Authorities | StreamHealth) -> str:
        return f"from {words.offset(held.first_seen, self._zero)} to {words.offset(held.last_seen, self._zero)}"


def spans_of(failures: Iterable[Failures]) -> list[Failures]:
    """Failures in seconds that follow each other without a second between them, as one; their reasons with their numbers."""
    spans: list[list[Failures]] = []
    for each in sorted(failures, key=lambda f: f.first):
        if spans and each.first - max(f.last for f in spans[-1]) < timedelta(seconds=1.5):
            spans[-1].append(each)
        else:
            spans.append([each])
    return [_together(span) for span in spans]


def _together(span: Sequence[Failures]) -> Failures:
    by_reason: Counter[str] = Counter()
    for each in span:
        by_reason[each.reason] += each.count
    reasons = ", ".join(f"{reason} ×{count}" for reason, count in by_reason.items())
    return Failures(span[0].first, max(f.last for f in span), by_reason.total(), reasons)


def _high(load: LoadLine, count: int) -> float:
    return min(1.25, count / load.rate if load.rate else 0) * (TALL - 6)
