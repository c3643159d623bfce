"""Trials: what they wait for, what they write on the timeline, and what is left of the pods afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from facts.document import Absent
from facts.errors import CouldNotTell
from facts.over_time.history import History
from observe.wait import NotYet
from provision.disruption import trial as module
from provision.disruption.lifetimes import Lifetimes
from provision.disruption.outages import OngoingOutage
from provision.disruption.trial import TOO_LATE, Trial, planned_load
from provision.pods.clients_and_servers import SECOND_SOCKET
from tests.unit.judge import builders as make

NOW = datetime.now(UTC)
ALPHA, BETA = make.pod("alpha"), make.pod("beta", node="node-2")
LIFETIMES = Lifetimes(60, 20), Lifetimes(90, 30)


def held(pod: Any, *seen: float, socket: str = "socket", ends: float = 60) -> History:
    """A proxy that took up a certificate at each of these seconds, the last of which ends so many seconds from now."""
    history = None
    for number, seconds in enumerate(seen):
        proxy = make.proxy(pod)
        leaf = replace(proxy.chain[0], serial=f"{number:02}", not_after=NOW + timedelta(seconds=ends))
        leaf = replace(leaf, sha256=f"{pod.name}-{number}")
        at = NOW + timedelta(seconds=seconds)
        identity = replace(proxy, chain=(leaf,), read_at=at, last_updated=at, socket_path=f"/run/{socket}")
        history = (history or History(proxy.pod)).seen(identity)
    assert history is not None
    return history


class Watch:
    """Shows these histories, looks once, and keeps what is written down."""

    def __init__(self, *histories: History) -> None:
        self.histories = histories
        self.written: list[str] = []
        self.waits: list[tuple[str, float]] = []
        self.stopped = 0

    def until(self, what: str, look: Callable[[Sequence[History]], None], timeout: float) -> None:
        self.waits.append((what, timeout))
        look(self.histories)

    @contextmanager
    def acting(self, words: str) -> Iterator[None]:
        self.written.append(f"begins: {words}")
        yield
        self.written.append(f"ends: {words}")

    def note(self, of: str, words: str, _at: datetime | None = None) -> None:
        self.written.append(f"{of}: {words}")

    def follow(self, *pods: Any) -> None:
        self.written += [f"follows {pod.name}" for pod in pods]

    def stop(self) -> None:
        self.stopped += 1


class Cluster:
    """Alpha has been replaced by another pod of its name; beta is gone."""

    alpha = replace(ALPHA, uid="another")

    def pod(self, _namespace: str, name: str) -> Any:
        return self.alpha if name == "alpha" else Absent(BETA.ref, ("ev-gone",))


def trial(*histories: History) -> tuple[Trial, Watch]:
    watch = Watch(*histories)
    return Trial(cast("Any", Cluster()), cast("Any", watch), (ALPHA, BETA), (), LIFETIMES), watch


def test_a_proxys_lifetimes_are_those_of_the_socket_that_it_asks() -> None:
    first, second = held(ALPHA, 0), held(BETA, 0, socket=SECOND_SOCKET)
    watched, _watch = trial(first, second)
    assert [watched.lifetimes_of(history) for history in (first, second)] == list(LIFETIMES)
    assert watched.slowest_renewal == 30


def test_renewals_are_awaited_until_one_is_late() -> None:
    waiting, watch = trial(held(ALPHA, 0, 20), held(BETA, 0))
    with pytest.raises(NotYet, match=r"new certificates so far: .*beta.*: 0"):
        waiting.await_renewals(1, 5)
    assert watch.waits == [("each proxy has had 1 new certificates, or is late", 30 + TOO_LATE + 5)]
    there, _watch = trial(held(ALPHA, 0, 20), held(BETA, 0, 20))
    there.await_renewals(1, 5)
    late = held(BETA, 0).seen(replace(held(BETA, 0).sightings[-1].what, read_at=NOW + timedelta(seconds=31)))
    given_up, _watch = trial(held(ALPHA, 0, 20), late)
    given_up.await_renewals(1, 5)


def test_each_proxy_must_be_seen_as_it_is_looked_for() -> None:
    watched, _watch = trial(held(ALPHA, 0), History(make.proxy(BETA).pod))
    with pytest.raises(NotYet, match=r"alpha is behind; .*beta was not read yet"):
        watched.await_each("they follow", lambda _proxy: "is behind", 5)


def test_the_time_for_each_proxy_ends() -> None:
    watched, watch = trial(held(ALPHA, 0))
    with pytest.raises(NotYet, match="alpha"):
        watched.give_each_time("has one", lambda _history: False, 5)
    watched.give_each_time("has one", lambda _history: False, -1)
    watched.give_each_time("has one", lambda _history: True, 5)
    assert watch.waits[0] == ("each proxy has one, or is late", 5 + TOO_LATE)


@contextmanager
def away(going: OngoingOutage) -> Iterator[OngoingOutage]:
    going.gone = NOW
    yield going
    going.recalled = going.back = NOW + timedelta(seconds=40)


def test_an_outage_past_the_end_of_certificates_takes_the_pods_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[datetime] = []
    monkeypatch.setattr(module, "wait_until", waited.append)
    watched, watch = trial(held(ALPHA, 0, ends=60), held(BETA, 0, ends=90))
    outage = watched.past_the_end(away(OngoingOutage("tbot", "no pod is left")), 5)
    assert waited == [NOW + timedelta(seconds=95)]
    assert outage.suffering == (Cluster.alpha,)
    assert watch.written == ["begins: tbot is away", "tbot: no pod is left", "ends: tbot is away", "tbot: it is back"]


def test_an_outage_past_renewals_counts_those_since_it_began() -> None:
    behind, watch = trial(held(ALPHA, -20, -5, 5))
    with pytest.raises(NotYet):
        behind.past_renewals(away(OngoingOutage("istiod", "no pod is left")), 2)
    assert watch.waits == [("each proxy has had 2 new certificates, or is late", 2 * 30 + 10 + TOO_LATE)]
    there, _watch = trial(held(ALPHA, -20, 5, 25))
    assert there.past_renewals(away(OngoingOutage("istiod", "no pod is left")), 2).back == NOW + timedelta(seconds=40)


def test_traffic_goes_on_from_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[datetime] = []
    monkeypatch.setattr(module, "wait_until", waited.append)
    trial(held(ALPHA, 0), held(BETA, 7))[0].go_on(30)
    assert waited == [NOW + timedelta(seconds=37)]


def test_a_pod_is_found_by_its_name_and_must_stay() -> None:
    watched, watch = trial()
    assert watched.node_of("beta") == "node-2"
    assert watched.pod_now(ALPHA) is Cluster.alpha
    with pytest.raises(CouldNotTell, match="the pod to stay"):
        watched.pod_now(BETA)
    watched.also(late := make.pod("late"))
    assert (watched.pods, watch.written) == ((ALPHA, BETA, late), ["follows late"])


class TestPods:
    __test__ = False

    def known_to(self, *_names: str) -> tuple[Any, Any]:
        return ALPHA, BETA

    def namespace(self, _name: str) -> str:
        return "run"


@pytest.mark.parametrize(("keep", "url"), [(True, "tcp://beta.run:9090"), (False, "http://beta.run:8080/")])
def test_a_load_keeps_a_connection_over_tcp_or_asks_once_each_over_http(keep: bool, url: str) -> None:
    load = planned_load(cast("Any", TestPods()), "alpha", "beta", 20.0, keep=keep)
    assert (load.client, load.server, load.url, load.rate, load.keep) == (ALPHA, BETA, url, 20.0, keep)
