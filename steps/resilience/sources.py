"""Steps of features/7_resilience/1_sources.feature: RES-01 to RES-03 and RES-07."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_bdd import given, parsers, then, when

from facts.kubernetes.objects import Pod
from facts.over_time.outage import Outage, renewed_at, resupplied_at
from facts.recorder import Recorder
from judge.resilience import outages as judge
from judge.resilience.outages import Suffered
from judge.rotation.renewal import Watched
from judge.traffic.load import Traffic
from observe.install import Install
from provision.disruption.machines import machines_of
from provision.disruption.outages import Outages
from provision.disruption.trial import Trial
from provision.pods.clients_and_servers import TestPods
from provision.target import Target
from settings import Settings
from steps.shared import Conclude, outages_of


@pytest.fixture
def outages(target: Target, install: Install, settings: Settings, recorder: Recorder) -> Iterator[Outages]:
    """Outages of the install; at the end of the scenario the suite waits until each Envoy has its supply again."""
    made = outages_of(target, install, settings, lambda: machines_of(target.objects, recorder, settings.patience.command))
    with made.whole_again():
        yield made


@pytest.fixture
def loads_under_outage(outage: Outage, traffic: tuple[Traffic, ...], trial: Trial) -> Suffered:
    """The loads of the trial after their end, with the outage of the scenario."""
    return Suffered(outage, traffic, trial.histories)


@given("the pods of tbot before the outage", target_fixture="tbot_pods")
def tbot_pods(install: Install) -> tuple[Pod, ...]:
    return install.tbot.pods_now()


@when("the suite restarts tbot on every node", target_fixture="outage")
def restart_tbot(trial: Trial, outages: Outages) -> Outage:
    with trial.watch.acting("tbot is restarted on every node"):
        return outages.restart_tbot()


@when(
    parsers.parse("the suite keeps tbot away until {spare:d} s after the last certificate has expired"),
    target_fixture="outage",
)
def without_tbot(spare: int, trial: Trial, outages: Outages) -> Outage:
    return trial.past_the_end(outages.without_tbot(), spare)


@when(
    parsers.parse("the suite keeps Teleport from answering until {spare:d} s after the last certificate has expired"),
    target_fixture="outage",
)
def without_teleport(spare: int, trial: Trial, outages: Outages) -> Outage:
    return trial.past_the_end(outages.without_teleport(), spare)


@when(
    parsers.parse("the suite keeps istiod away until each proxy has had time for {count:d} new certificates"),
    target_fixture="outage",
)
def without_istiod(count: int, trial: Trial, outages: Outages, long_running: TestPods) -> Outage:
    return trial.past_renewals(outages.without_istiod(long_running.for_dry_run("alpha")), count)


@when(parsers.parse("each proxy has had {seconds:d} s for a new certificate"))
def time_for_a_renewal(seconds: int, trial: Trial, outage: Outage) -> None:
    trial.give_each_time("has a new certificate", lambda history: renewed_at(history, outage.recalled) is not None, seconds)


@when(parsers.parse("each proxy has had {seconds:d} s for a certificate from the new tbot"))
def time_for_the_new_tbot(seconds: int, trial: Trial, outage: Outage) -> None:
    since = outage.ordered
    trial.give_each_time("has a certificate of it", lambda history: resupplied_at(history, since) is not None, seconds)


@when(parsers.parse("the loads have continued for {seconds:d} s"))
def loads_continue(seconds: int, trial: Trial) -> None:
    trial.go_on(seconds)


@then(parsers.parse("each proxy must have a certificate from the new tbot within {within:d} s of the restart on its node"))
def renewed_soon(within: int, requirement: str, trial: Trial, outage: Outage, conclude: Conclude) -> None:
    conclude(judge.renewed_soon(requirement, trial.histories, outage, within))


@then(parsers.parse("the loads must have at most {at_most:d} failed requests before a certificate at either end expired"))
def none_failed_before_expiry(at_most: int, requirement: str, loads_under_outage: Suffered, conclude: Conclude) -> None:
    conclude(judge.untouched(requirement, loads_under_outage, at_most))


@then(parsers.parse("from {within:d} s after that until the suite ended the outage, each request must have been refused"))
def refused_after_expiry(within: int, requirement: str, loads_under_outage: Suffered, conclude: Conclude) -> None:
    conclude(judge.refused_after(requirement, loads_under_outage, within))


@then("each Envoy must have kept its last certificate, and its pod must have stayed Ready")
def last_certificate_was_kept(requirement: str, loads_under_outage: Suffered, conclude: Conclude) -> None:
    conclude(judge.kept_its_last(requirement, loads_under_outage))


@then(parsers.parse("every request must be answered again within {within:d} s after the suite ended the outage"))
def requests_recovered(within: int, requirement: str, loads_under_outage: Suffered, conclude: Conclude) -> None:
    conclude(judge.recovered(requirement, loads_under_outage, within))


@then("no pod of tbot must have been replaced or restarted")
def tbot_was_not_replaced(requirement: str, tbot_pods: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    conclude(judge.none_was_replaced(requirement, tbot_pods, install.tbot.pods_now()))


@then(parsers.parse("each proxy must have had at least {count:d} new certificates without istiod"))
def renewed_without_istiod(
    count: int, requirement: str, trial: Trial, outage: Outage, watched_proxies: tuple[Watched, ...], conclude: Conclude
) -> None:
    pushes = {watched.history.pod.uid: watched.pushes for watched in watched_proxies}
    conclude(judge.renewed_meanwhile(requirement, trial.histories, outage, count, pushes))
