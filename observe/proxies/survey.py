"""One pass over a fleet in a cluster that lives on meanwhile: all that is wanted of each pod, in one go.

A pod that could not be read is looked at again. One that is gone or was replaced is left out, by name; where any is, the
pods are listed again, so that its successor is read in its place. One that is starting, or held up by an init container, is
waited for; one that is up is asked again, once. What cannot be read then is unread, whatever its excuse was.

A proxy that answers and holds no secrets may have come up a moment ago. It is read again once it holds them, or once it has
had its time to start. What it is then counts; a proxy that has not had that time when patience ends is unread.

To read something more of every pod, write a `Part` and name it in `ProxiesFacet._parts` (`observe.proxies.facet`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar, cast

from facts.document import Absent
from facts.errors import CouldNotTell, NotGiven
from facts.kubernetes.objects import Pod
from facts.proxies.identity import Fleet, LeftOut, Normalization, PodRef, ProxyIdentity, Unread
from facts.proxies.presence import STARTING, Stage, is_in_its_first_time, start_of, why_gone
from facts.proxies.pushes import Pushes
from facts.proxies.requests import SentRequests
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.denial import must_be_allowed
from observe.proxies.envoy import ProxyConnection, identity_of, normalization_of, pushes_of, requests_of
from observe.proxies.unread import read_or_unread
from observe.readings import at_once, each_at_once
from observe.wait import NotYet, Pace, eventually

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

Progress = Callable[[int, int], None]
"""Called with how many pods are done, and of how many."""

LOOK = 1.0
"""Seconds from one look at the pods that are starting to the next."""
AGAIN = timedelta(seconds=3)
"""Least time between two readings of a proxy that has had its time to start and still lacks something."""


@dataclass(frozen=True, slots=True)
class Part(Generic[R_co]):
    """One thing that is read of each pod, beside others over the same connection.

    Attributes:
        name: Unique among the parts.
        read: Reads it; raises `CouldNotTell` where that fails.
        wanted: Tells whether it is read of a pod.
        is_whole: Tells of what was read whether the proxy has all that it starts with; None where that cannot tell it.
    """

    name: str
    read: Callable[[ProxyConnection, Pod], R_co]
    wanted: Callable[[Pod], bool] = lambda _pod: True
    is_whole: Callable[[Any], bool] | None = None


IDENTITY: Part[ProxyIdentity] = Part("identity", identity_of, is_whole=lambda identity: identity.is_supplied)
NORMALIZATION: Part[Normalization] = Part("normalization", normalization_of)
PUSH_STATISTICS: Part[Pushes | None] = Part("pushes", pushes_of)
SENT_REQUESTS: Part[SentRequests] = Part("requests", requests_of)


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over a fleet found.

    Attributes:
        pods: Every pod that was asked, as it was listed, in the order of the lists.
        found: By name of the part, then by uid of the pod: what was read, or why not.
    """

    pods: tuple[Pod, ...]
    found: Mapping[str, Mapping[str, object]]

    def of(self, part: Part[T]) -> tuple[T | Unread | LeftOut, ...]:
        """The outcomes of a part, in the order of the pods.

        Raises:
            NotGiven: The identity in use may read none of them.
        """
        outcomes = [self.found[part.name][pod.uid] for pod in self.pods if pod.uid in self.found[part.name]]
        there = [outcome for outcome in outcomes if not isinstance(outcome, LeftOut)]
        must_be_allowed((o.why for o in there if isinstance(o, Unread)), len(there))
        # Only `Part.read` of that part puts other outcomes there.
        return tuple(cast("list[T | Unread | LeftOut]", outcomes))

    def by_uid(self, part: Part[T]) -> Mapping[str, T]:
        """What was read of a part, by uid of the pod; see `of`."""
        uids = [pod.uid for pod in self.pods if pod.uid in self.found[part.name]]
        outcomes = zip(uids, self.of(part), strict=True)
        return {uid: outcome for uid, outcome in outcomes if not isinstance(outcome, (Unread, LeftOut))}

    @property
    def unread(self) -> tuple[Unread, ...]:
        """The pods of which something could not be read, each once, in the order of the lists."""
        first = {
            uid: outcome for part in self.found.values() for uid, outcome in part.items() if isinstance(outcome, Unread)
        }
        return tuple(first[pod.uid] for pod in self.pods if pod.uid in first)

    @property
    def gone(self) -> frozenset[str]:
        """Uids of the pods that went away before anything of them was read."""
        found = [(uid, outcome) for outcomes in self.found.values() for uid, outcome in outcomes.items()]
        left_out = {uid for uid, outcome in found if isinstance(outcome, LeftOut)}
        return frozenset(left_out - {uid for uid, outcome in found if not isinstance(outcome, LeftOut)})


def survey(
    cluster: Cluster,
    pods: Iterable[Pod],
    parts: Sequence[Part[Any]],
    *,
    patience: float = 0,
    list_again: Callable[[], tuple[Pod, ...]] | None = None,
    progress: Progress | None = None,
    within: float | None = None,
) -> Survey:
    """Reads parts of many pods, several pods at once.

    Args:
        pods: Pods with an istio-proxy.
        parts: What is read of each; a part that fails does not keep the others from being read.
        patience: Seconds for pods that are starting, all together; with 0 they are looked at again at once.
        list_again: Lists the pods of the fleet anew; without it nothing is read in place of pods that went away.
        progress: Called after each pod of the first round.
        within: Seconds after which nothing more is asked: what is left then is unread. None without such an end.
    """
    until = None if within is None else time.monotonic() + within
    subjects = [_Subject(cluster, pod, parts, until) for pod in pods]
    for done, _ in enumerate(each_at_once(_Subject.read, subjects), start=1):
        if progress is not None:
            progress(done, len(subjects))
    successors: list[_Subject] = []
    if list_again is not None and any(subject.has_moved for subject in subjects):
        known = {subject.pod.uid for subject in subjects}
        successors = [_Subject(cluster, pod, parts, until) for pod in list_again() if pod.uid not in known]
        at_once(_Subject.read, successors)
        subjects += successors
    starting = [subject for subject in subjects if subject.is_starting]
    _wait_for(starting, patience)
    at_once(_Subject.read_again, starting)
    _excuse_no_workload_twice(subjects, successors)
    return Survey(
        tuple(subject.pod for subject in subjects),
        {part.name: {s.pod.uid: s.found[part.name] for s in subjects if part.name in s.found} for part in parts},
    )


def read_fleet(cluster: Cluster, pods: Iterable[Pod], progress: Progress | None = None) -> Fleet:
    """Reads the identities of many proxies, several at once.

    Returns:
        Every pod is in it: read, gone meanwhile, or unread with the reason.

    Raises:
        NotGiven: The identity in use may read none of them.
    """
    return Fleet.of(survey(cluster, pods, (IDENTITY,), progress=progress).of(IDENTITY))


class _Subject:
    """One pod of a survey, and what is known of it so far. For one thread at a time.

    Attributes:
        pod: The pod as it was listed.
        found: By name of the part: what was read, or why not.
        is_starting: Its second reading waits until its proxy has started.
    """

    def __init__(self, cluster: Cluster, pod: Pod, parts: Sequence[Part[Any]], until: float | None = None) -> None:
        self.pod = pod
        self.found: dict[str, object] = {}
        self.is_starting = False
        self._first_read = datetime.now(UTC)
        self._cluster = cluster
        self._until = until
        self._parts = tuple(part for part in parts if part.wanted(pod))

    @property
    def workload(self) -> tuple[str, str]:
        """Namespace and controller; of a Deployment the same for every ReplicaSet that it makes."""
        revision = self.pod.labels.get("pod-template-hash", "")
        return self.pod.namespace, self.pod.owner.removesuffix(f"-{revision}") if self.pod.owner else self.pod.name

    @property
    def has_moved(self) -> bool:
        """It went away or is starting, so that another list of pods would differ."""
        return self.is_starting or any(isinstance(outcome, LeftOut) for outcome in self.found.values())

    def read(self) -> None:
        """The first reading, and the second one where the proxy is up; where it may be starting, that comes later."""
        failed = self._ask(stop=True)
        if failed is not None and self._time_is_over():
            self._leave_the_rest()
            return
        if failed is not None:
            now = self._look()
            stage = Stage.UP if now is None else start_of(now, datetime.now(UTC)).stage
            if stage is not Stage.UP:
                self.is_starting = stage.may_pass
                self.found |= {part.name: replace(failed, now=now) for part in self._left}
                return
            failed = self._ask()
        self._first_read, self.is_starting = datetime.now(UTC), not self._is_whole
        if failed is not None and self._is_whole:
            self._tell_why_unread()

    def read_again(self) -> None:
        """The second and last reading of what is left."""
        self.is_starting = False
        failed = None if self._time_is_over() else self._ask()
        if failed is not None or not self._is_whole:
            self._tell_why_unread()

    def _tell_why_unread(self) -> None:
        """Adds the state of the pod to what could not be read, or was read of a proxy that is still starting."""
        now = self._look()  # after the attempt: it may have gone away in between
        if now is not None and not self._is_whole and is_in_its_first_time(now, datetime.now(UTC)):
            self.found |= {part.name: self._starting(now) for part in self._left}
        unread = {name: outcome for name, outcome in self.found.items() if _may_be_read(outcome)}
        self.found |= {name: replace(cast("Unread", outcome), now=now) for name, outcome in unread.items()}

    def has_started(self) -> bool:
        """Whether to wait for it is over: it has all that it starts with, or has had its time, or the pod is gone."""
        unrecorded = self._cluster.recording_to(KeptInMemory())
        try:
            now = unrecorded.pod(self.pod.namespace, self.pod.name)
        except CouldNotTell:
            return False  # the second reading will say what is wrong
        if isinstance(now, Absent) or why_gone(self.pod, now):
            return True
        at = datetime.now(UTC)
        stage = start_of(now, at).stage
        if stage is not Stage.UP:
            return not stage.may_pass
        has_had_its_time = not is_in_its_first_time(now, at) and at - self._first_read >= AGAIN
        return has_had_its_time or self._would_be_whole(unrecorded)

    @property
    def _is_whole(self) -> bool:
        """Nothing that was read shows a proxy that still lacks what it starts with."""
        return all(_is_whole(part, self.found.get(part.name)) for part in self._parts)

    def _would_be_whole(self, cluster: Cluster) -> bool:
        """Whether a reading now would show a proxy with all that it starts with; the second reading shows why one fails."""
        with ProxyConnection(cluster, self.pod) as connection:
            return all(
                _is_whole(part, read_or_unread(self.pod, partial(part.read, connection, self.pod)))
                for part in self._parts
                if part.is_whole is not None
            )

    def _starting(self, now: Pod) -> Unread:
        why = CouldNotTell(
            expected=f"an Envoy that has both of its secrets, or has been up for {STARTING.total_seconds():.0f} s",
            seen="it is starting: its Envoy answers and holds no secrets yet, in two readings",
            where=str(self.pod.ref),
            remedy="run again once the workload has started",
        )
        return Unread(PodRef.of(self.pod), why, datetime.now(UTC), now)

    @property
    def _left(self) -> list[Part[Any]]:
        """The parts that another attempt may read; all of them where one shows a proxy that is starting."""
        is_whole = self._is_whole
        return [p for p in self._parts if not is_whole or p.name not in self.found or _may_be_read(self.found[p.name])]

    def _ask(self, *, stop: bool = False) -> Unread | None:
        """Asks for what is left; returns the first failure that another attempt may not meet.

        Args:
            stop: Ask no further after it.
        """
        if self._time_is_over():
            return self._leave_the_rest()
        first = None
        with ProxyConnection(self._cluster, self.pod) as connection:
            for part in self._left:
                if self._time_is_over():
                    first = first or self._leave_the_rest()
                    break
                outcome = read_or_unread(self.pod, partial(part.read, connection, self.pod))
                self.found[part.name] = outcome
                if _may_be_read(outcome):
                    first = first or cast("Unread", outcome)
                    if stop:
                        break
        return first

    def _time_is_over(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def _leave_the_rest(self) -> Unread:
        """Leaves unread what was not asked for, because the time for all proxies is over."""
        why = CouldNotTell(
            expected="the answers of all proxies within the time for them (`timeouts.survey`)",
            seen="the time was over before this one was asked for all of them",
            where=str(self.pod.ref),
            remedy="see which proxies do not answer, or give more time (`timeouts.survey` in the settings)",
        )
        left = Unread(PodRef.of(self.pod), why, datetime.now(UTC))
        self.found |= {part.name: left for part in self._parts if part.name not in self.found}
        return left

    def _look(self) -> Pod | None:
        """The pod now; None where it cannot be looked at, or is gone and so left out."""
        try:
            now = self._cluster.pod(self.pod.namespace, self.pod.name)
        except CouldNotTell:
            return None  # the reading itself has failed as well, and its reason is in the finding
        if gone := why_gone(self.pod, now):
            outcome = LeftOut(PodRef.of(self.pod), gone, (*self.pod.evidence, *now.evidence))
            self.found |= {part.name: outcome for part in self._left}
        return None if gone or isinstance(now, Absent) else now


def _excuse_no_workload_twice(subjects: Sequence[_Subject], successors: Sequence[_Subject]) -> None:
    """Makes a successor unread that went away as well, where nothing else of its workload was read.

    Otherwise the pods of a workload that never settles would never be judged.
    """
    read = {
        (name, subject.workload)
        for subject in subjects
        for name, outcome in subject.found.items()
        if not isinstance(outcome, LeftOut)
    }
    for subject in successors:
        for name, outcome in subject.found.items():
            if isinstance(outcome, LeftOut) and (name, subject.workload) not in read:
                why = CouldNotTell(
                    expected="a pod that stays until it is read",
                    seen=f"{outcome.why}, as others of its workload before",
                    where=str(outcome.pod),
                    remedy="run again when the workload is not being rolled out",
                )
                subject.found[name] = Unread(outcome.pod, why, datetime.now(UTC))


def _may_be_read(outcome: object) -> bool:
    """Whether another attempt may do better; a right that is missing does not come back."""
    return isinstance(outcome, Unread) and not isinstance(outcome.why, NotGiven)


def _is_whole(part: Part[Any], outcome: object) -> bool:
    """Whether an outcome does not show a proxy that still lacks what it starts with; no answer shows nothing."""
    if part.is_whole is None or outcome is None or isinstance(outcome, (Unread, LeftOut)):
        return True
    return part.is_whole(outcome)


def _wait_for(starting: Sequence[_Subject], patience: float) -> None:
    """Waits until every proxy has started, or time is over."""
    still = list(starting)

    def look() -> None:
        still[:] = [s for s, started in zip(still, at_once(_Subject.has_started, still), strict=True) if not started]
        if still:
            raise NotYet(f"{len(still)} proxies are starting")

    if still and patience:
        with suppress(CouldNotTell):  # time is over: the second reading says what each of them is then
            eventually("every proxy has started", look, Pace(patience, LOOK))
