"""What scenarios share that do something to the source of identities while workloads call each other and are watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest
from pytest_bdd import given, parsers, when

from facts.history import History
from facts.load import Load
from observe.install import Install
from observe.load import Running, Wanted, under_load
from observe.wait import NotYet
from observe.watch import Watch
from provision.lifetimes import Lifetimes, ShortLived
from provision.workloads import Workloads
from settings import Settings

HTTP, TCP = 8080, 9090
ONE_EACH = "one each"


class Trial:
    """One scenario's proxies under observation, and the loads between them.

    Attributes:
        watch: Of the proxies at both ends of all loads.
        lifetimes: Of certificates from the mesh's own socket, and from the second one.
    """

    def __init__(self, watch: Watch, running: Sequence[Running], lifetimes: Sequence[Lifetimes]) -> None:
        self.watch = watch
        self.lifetimes = tuple(lifetimes)
        self._running = tuple(running)

    @property
    def slowest_renewal(self) -> int:
        """Seconds after which every watched proxy must have a new certificate, if all is well."""
        return max(each.renewal for each in self.lifetimes)

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


Begin = Callable[[Sequence[Wanted], Sequence[Lifetimes]], Trial]


@pytest.fixture
def begin_trial(request: pytest.FixtureRequest, install: Install) -> Iterator[Begin]:
    """Begins a trial, which ends with its scenario."""
    with ExitStack() as stack:

        def begin(wanted: Sequence[Wanted], lifetimes: Sequence[Lifetimes]) -> Trial:
            pods = {pod.uid: pod for each in wanted for pod in (each.client, each.server)}
            watch = Watch(install.cluster, list(pods.values()))
            running: tuple[Running, ...] = ()
            # Drawn whatever becomes of the scenario, after everything has ended: where it fails, a person needs it most.
            stack.callback(lambda: watch.timeline(str(request.node.name), Trial(watch, running, lifetimes).loads))
            stack.enter_context(watch)
            running = stack.enter_context(under_load(install.cluster, wanted))
            return Trial(watch, running, lifetimes)

        yield begin


@given("this traffic, watched at both ends:", target_fixture="trial")
def traffic(datatable: list[list[str]], lifetimes: tuple[Lifetimes, ...], lasting: Workloads, begin_trial: Begin) -> Trial:
    _title, *rows = datatable
    wanted = []
    for client, server, rate, connections in rows:
        calling, called = lasting.known_to(client, server)
        keep = connections != ONE_EACH
        address = f"{server}.{lasting.namespace(server)}"
        url = f"tcp://{address}:{TCP}" if keep else f"http://{address}:{HTTP}/"
        wanted.append(Wanted(calling, called, url, float(rate), keep))
    return begin_trial(wanted, lifetimes)


@when(parsers.parse("each of their proxies has had {count:d} new certificates"))
def renewed(count: int, trial: Trial, settings: Settings) -> None:
    def look(histories: Sequence[History]) -> None:
        behind = [f"{h.pod}: {len(h.svids) - 1}" for h in histories if len(h.svids) <= count]
        if behind:
            raise NotYet(f"new certificates so far: {', '.join(behind)}")

    patience = count * trial.slowest_renewal + settings.patience.svid
    trial.watch.until(f"each proxy has had {count} new certificates", look, patience)
