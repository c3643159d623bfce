"""Steps that features/6_rotation and features/7_resilience share: loads between test pods, and watched proxies."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_bdd import given, parsers, when

from facts.kubernetes.objects import Pod
from provision.disruption.lifetimes import Lifetimes, ShortLived
from provision.disruption.trial import Trial, planned_load
from provision.pods.clients_and_servers import TestPods
from settings import Settings
from steps.shared import BeginTrial

ONE_PER_REQUEST = "one per request"


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


@given(parsers.parse("the suite watches the proxies of {names}"), target_fixture="trial")
def watched_proxies_of(
    names: str, lifetimes: tuple[Lifetimes, ...], long_running: TestPods, begin_trial: BeginTrial
) -> Trial:
    return begin_trial(long_running.ready(*names.replace(" and ", ", ").split(", ")), (), lifetimes)


@given("the suite runs these loads and watches the proxies at both ends:", target_fixture="trial")
def loads_between(
    datatable: list[list[str]], lifetimes: tuple[Lifetimes, ...], long_running: TestPods, begin_trial: BeginTrial
) -> Trial:
    _title, *rows = datatable
    planned = [
        planned_load(long_running, client, server, float(rate), keep=connections != ONE_PER_REQUEST)
        for client, server, rate, connections in rows
    ]
    return begin_trial(_with_proxies([pod for load in planned for pod in (load.client, load.server)]), planned, lifetimes)


@when(parsers.re(r"each proxy has had time for (?P<count>\d+) new certificates?"), converters={"count": int})
def time_for_renewals(count: int, trial: Trial, settings: Settings) -> None:
    trial.await_renewals(count, settings.patience.svid)


def _with_proxies(pods: Sequence[Pod]) -> list[Pod]:
    """Return the pods that have a proxy, each once."""
    return list({pod.uid: pod for pod in pods if pod.proxy is not None}.values())
