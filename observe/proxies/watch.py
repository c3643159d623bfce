"""Repeated readings of proxies while the suite disturbs a source that they depend on.

The watch records the looks that saw a change, and the last one; a look with the same answer as before is no evidence of its
own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from facts.evidence import Evidence, ObjectRef, evidence_of
from facts.kubernetes.objects import Pod
from facts.over_time.history import History
from facts.over_time.timeline import Action, Happening, Timeline, draw_up, parse_timeline
from facts.proxies.identity import PodRef, Unread
from facts.recorder import KeptInMemory, Recorder
from facts.traffic.load import Clock, Load
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_proxy
from observe.proxies.unread import read_or_unread
from observe.wait import Pace, eventually

T = TypeVar("T")

INTERVAL = 1.0
"""Seconds from one look at a proxy to the next."""


class Watch:
    """Proxies under observation, and the suite's actions meanwhile. A context manager; safe to use from several threads."""

    def __init__(self, cluster: Cluster, pods: Sequence[Pod], *, interval: float = INTERVAL) -> None:
        """The first look comes when the context is entered.

        Args:
            pods: Pods with a proxy.
            interval: Seconds from one look to the next.
        """
        self._cluster = cluster
        self._wanted = tuple(pods)
        self._interval = interval
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._histories: dict[str, History] = {}
        self._actions: list[Action] = []
        self._happenings: list[Happening] = []
        self._followers: list[threading.Thread] = []
        self._broken: list[BaseException] = []
        self._last: dict[str, tuple[Evidence, ...]] = {}

    def __enter__(self) -> Watch:
        self.follow(*self._wanted)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the observation; a second call does nothing."""
        self._ended.set()
        for follower in self._followers:
            follower.join()
        with self._lock:
            for uid, last in self._last.items():
                ids = tuple(self._cluster.recorder.record(evidence) for evidence in last)
                self._histories[uid] = self._histories[uid].shown_by(ids)
            self._last.clear()

    def follow(self, *pods: Pod) -> None:
        """Follows further pods from now on."""
        for pod in pods:
            with self._lock:
                if pod.uid in self._histories:
                    continue
                self._histories[pod.uid] = History(PodRef.of(pod))
            follower = threading.Thread(target=self._follow, args=(pod,), name=f"watch {pod.name}", daemon=True)
            self._followers.append(follower)
            follower.start()

    @property
    def histories(self) -> tuple[History, ...]:
        """The histories so far, in the order of the pods."""
        with self._lock:
            if self._broken:
                raise RuntimeError("a watch failed") from self._broken[0]
            return tuple(self._histories.values())

    def until(self, what: str, look: Callable[[tuple[History, ...]], T], timeout: float, *, remedy: str = "") -> T:
        """Waits until the histories show something.

        Args:
            what: The expected state.
            look: Takes the histories; returns what it sees, or raises `NotYet` with the observation.
            timeout: Seconds.
            remedy: The next step for a person when the wait fails.

        Raises:
            CouldNotTell: The histories did not show it in time.
        """
        pace = Pace(timeout, min(0.25, self._interval))
        return eventually(what, lambda: look(self.histories), pace, remedy=remedy or "look at the timeline of the scenario")

    @contextmanager
    def acting(self, words: str) -> Iterator[None]:
        """Notes an action of the suite, from its beginning to its end."""
        began = datetime.now(UTC)
        try:
            yield
        finally:
            with self._lock:
                self._actions.append(Action(words, began, datetime.now(UTC)))

    def note(self, of: str, words: str, at: datetime | None = None) -> None:
        """Notes an event, see `Happening`."""
        with self._lock:
            self._happenings.append(Happening(of, at or datetime.now(UTC), words))

    def timeline(self, title: str, loads: Sequence[Load] = (), clocks: Sequence[Clock] = ()) -> Timeline | None:
        """The timeline so far, recorded so that the page can draw it; None where nothing was seen yet."""
        with self._lock:
            actions, happenings = tuple(self._actions), tuple(self._happenings)
        histories = self.histories
        if not (actions or happenings or loads or any(history.sightings for history in histories)):
            return None
        drawn = draw_up(title, histories=histories, loads=loads, clocks=clocks, actions=actions, happenings=happenings)
        record_timeline(self._cluster.recorder, drawn)
        return drawn

    def _follow(self, pod: Pod) -> None:
        try:
            while not self._ended.is_set():
                self._look(pod)
                self._ended.wait(self._interval)
        except BaseException as error:
            with self._lock:
                self._broken.append(error)

    def _look(self, pod: Pod) -> None:
        held = KeptInMemory()
        outcome = read_or_unread(pod, lambda: read_proxy(self._cluster.recording_to(held), pod))
        with self._lock:
            before = self._histories[pod.uid]
            if isinstance(outcome, Unread):
                self._histories[pod.uid] = before.missed(outcome)
                return
            after = self._histories[pod.uid] = before.seen(outcome)
            read = tuple(held.evidence.values())
            changed = len(after.sightings) > len(before.sightings)
            self._last[pod.uid] = () if changed else read
        if changed:
            for evidence in read:
                self._cluster.recorder.record(evidence)


def record_timeline(recorder: Recorder, timeline: Timeline) -> str:
    """Keeps a timeline as evidence; returns its id."""
    return recorder.record(
        evidence_of(
            f"timeline of {timeline.title}",
            ObjectRef("Timeline", timeline.title),
            json.dumps(timeline.as_document(), separators=(",", ":")),
            read_at=timeline.ended,
            parser=parse_timeline,
        )
    )
