"""What scenarios share that do something to the source of identities while workloads call each other and are watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from pytest_bdd import given, parsers, when
from pytest_bdd.parser import Scenario

from facts.kubernetes.objects import Pod
from facts.over_time.history import History
from facts.proxies.identity import ProxyIdentity
from facts.traffic.load import Load
from observe.install import Install
from observe.proxies.watch import Watch
from observe.traffic.load import PlannedLoad, Running, under_load
from observe.wait import NotYet
from provision.disruption.lifetimes import Lifetimes, ShortLived
from provision.pods.clients_and_servers import SECOND_SOCKET, TestPods
from settings import Settings

HTTP, TCP = 8080, 9090
ONE_EACH = "one each"
TOO_LATE = 10
"""Seconds behind its interval after which nobody waits for a renewal any longer: no budget of a scenario is that wide."""

SCENARIO = pytest.StashKey[str]()


def pytest_bdd_before_scenario(request: pytest.FixtureRequest, scenario: Scenario) -> None:
    """Keeps what the scenario is called, which the timeline has as its title."""
    request.node.stash[SCENARIO] = scenario.name


class Trial:
    """One scenario's proxies under observation, and the loads between them.

    Attributes:
        watch: Of the proxies at both ends of all loads.
        pods: The pods of these proxies, as they were when it began.
        lifetimes: Of certificates from the mesh's own socket, and from the second one.
    """

    def __init__(
        self, watch: Watch, pods: Sequence[Pod], running: Sequence[Running], lifetimes: Sequence[Lifetimes]
    ) -> None:
        self.watch = watch
        self.pods = tuple(pods)
        self.lifetimes = tuple(lifetimes)
        self._running = tuple(running)

    @property
    def slowest_renewal(self) -> int:
        """Seconds after which every watched proxy must have a new certificate, if all is well."""
        return max(each.renewal for each in self.lifetimes)

    def lifetimes_of(self, history: History) -> Lifetimes:
        """Of the certificates that a proxy gets, by the socket that it asks."""
        on_second = history.latest is not None and history.latest.socket_path.endswith(f"/{SECOND_SOCKET}")
        return self.lifetimes[-1 if on_second else 0]

    def await_renewals(self, count: int, patience: float) -> None:
        """Waits until each proxy has had so many new certificates, or one of them has waited too long for its next.

        Args:
            count: How many.
            patience: Seconds that looking may take besides.

        Raises:
            CouldNotTell: A proxy cannot be read.
        """

        def look(histories: Sequence[History]) -> None:
            late = [h for h in histories if h.waiting > self.lifetimes_of(h).renewal + TOO_LATE]
            behind = [f"{h.pod}: {len(h.svids) - 1}" for h in histories if len(h.svids) <= count]
            if behind and not late:
                raise NotYet(f"new certificates so far: {', '.join(behind)}")

        longest = count * (self.slowest_renewal + TOO_LATE) + patience
        self.watch.until(f"each proxy has had {count} new certificates, or is late", look, longest)

    def await_each(self, what: str, lacks: Callable[[ProxyIdentity], str], patience: float) -> None:
        """Waits until every watched proxy was seen to be as it is looked for.

        Args:
            what: What is waited for.
            lacks: How a proxy is not so; empty where it is.
            patience: Seconds.

        Raises:
            CouldNotTell: One was not in time.
        """

        def look(histories: Sequence[History]) -> None:
            said = [(h.pod, lacks(h.latest) if h.latest else "was not read yet") for h in histories]
            if behind := [f"{pod} {words}" for pod, words in said if words]:
                raise NotYet("; ".join(behind))

        self.watch.until(what, look, patience)

    def give_each_time(self, what: str, has: Callable[[History], bool], seconds: float) -> None:
        """Waits until each proxy is as it is looked for, or the time for that is over: judgments say which it was.

        Args:
            what: Of a proxy, as in "has a new certificate".
            has: Whether it is so.
            seconds: How long.

        Raises:
            CouldNotTell: A proxy cannot be read.
        """
        until = datetime.now(UTC) + timedelta(seconds=seconds)

        def look(histories: Sequence[History]) -> None:
            lacking = [str(h.pod) for h in histories if not has(h)]
            if lacking and datetime.now(UTC) < until:
                raise NotYet(", ".join(lacking))

        self.watch.until(f"each proxy {what}, or is late", look, seconds + TOO_LATE)

    def also(self, *pods: Pod) -> None:
        """Watches further proxies from now on."""
        self.watch.follow(*pods)
        self.pods = (*self.pods, *pods)

    @property
    def running(self) -> tuple[Running, ...]:
        """The loads."""
        return self._running

    def end(self) -> tuple[Load, ...]:
        """Ends the loads and the watch; a second call answers the same.

        Raises:
            CouldNotTell: A load has not gone on until now.
        """
        loads = tuple(running.end() for running in self._running)
        self.watch.stop()
        return loads

    @property
    def loads(self) -> tuple[Load, ...]:
        """The loads that have ended."""
        return tuple(running.load for running in self._running if running.load is not None)

    @property
    def histories(self) -> tuple[History, ...]:
        """What was seen of the proxies so far."""
        return self.watch.histories


@given(
    parsers.parse(
        "tbot issues certificates for {ttl:d} s and renews them every {renewal:d} s,"
        " and on a second socket for {other_ttl:d} s and every {other_renewal:d} s"
    ),
    target_fixture="lifetimes",
)
def short_lifetimes(
    ttl: int, renewal: int, other_ttl: int, other_renewal: int, short_lived: ShortLived
) -> tuple[Lifetimes, Lifetimes]:
    first, second = Lifetimes(ttl, renewal), Lifetimes(other_ttl, other_renewal)
    short_lived.begin(first, second)
    return first, second


Begin = Callable[[Sequence[Pod], Sequence[PlannedLoad], Sequence[Lifetimes]], Trial]
"""Takes the pods to watch, the loads between them, and how long their certificates live."""


@pytest.fixture
def begin_trial(request: pytest.FixtureRequest, install: Install) -> Iterator[Begin]:
    """Begins a trial, which ends with its scenario."""
    with ExitStack() as stack:

        def begin(pods: Sequence[Pod], wanted: Sequence[PlannedLoad], lifetimes: Sequence[Lifetimes]) -> Trial:
            watch = Watch(install.cluster.reader, pods)
            running: tuple[Running, ...] = ()
            # Drawn whatever becomes of the scenario, after everything has ended: where it fails, a person needs it most.
            stack.callback(
                lambda: watch.timeline(request.node.stash[SCENARIO], [r.load for r in running if r.load is not None])
            )
            stack.enter_context(watch)
            running = stack.enter_context(under_load(install.cluster.reader, wanted))
            return Trial(watch, pods, running, lifetimes)

        yield begin


@given(parsers.parse("the proxies of {names}, watched"), target_fixture="trial")
def watched(names: str, lifetimes: tuple[Lifetimes, ...], long_running: TestPods, begin_trial: Begin) -> Trial:
    return begin_trial(long_running.ready(*names.replace(" and ", ", ").split(", ")), (), lifetimes)


@given("this traffic, watched at both ends:", target_fixture="trial")
def traffic(
    datatable: list[list[str]], lifetimes: tuple[Lifetimes, ...], long_running: TestPods, begin_trial: Begin
) -> Trial:
    _title, *rows = datatable
    wanted = []
    for client, server, rate, connections in rows:
        calling, called = long_running.known_to(client, server)
        keep = connections != ONE_EACH
        address = f"{server}.{long_running.namespace(server)}"
        url = f"tcp://{address}:{TCP}" if keep else f"http://{address}:{HTTP}/"
        wanted.append(PlannedLoad(calling, called, url, float(rate), keep))
    pods = {pod.uid: pod for each in wanted for pod in (each.client, each.server) if pod.proxy is not None}
    return begin_trial(list(pods.values()), wanted, lifetimes)


@when(parsers.re(r"each of them has had time for (?P<count>\d+) new certificates?"), converters={"count": int})
def renewed(count: int, trial: Trial, settings: Settings) -> None:
    trial.await_renewals(count, settings.patience.svid)
