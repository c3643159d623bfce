"""Steps of features/6_resilience/1_sources.feature: RES-01 to RES-03 and RES-07."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_bdd import given, parsers, then, when

from facts.evidence import Recorder
from facts.kubernetes.objects import Pod
from facts.over_time.outage import Outage, renewed_at, resupplied_at
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
    """Outages of the install; when the scenario is over, every Envoy that was supplied before is so again."""
    made = outages_of(target, install, settings, lambda: machines_of(target.objects, recorder, settings.patience.command))
    with made.whole_again():
        yield made


@pytest.fixture
def suffered(outage: Outage, traffic: tuple[Traffic, ...], trial: Trial) -> Suffered:
    """The loads, ended, under the outage of the scenario."""
    return Suffered(outage, traffic, trial.histories)


@given("tbot's pods as they are", target_fixture="tbots")
def tbots(install: Install) -> tuple[Pod, ...]:
    return install.tbot.pods_now()


@when("tbot is restarted on every node", target_fixture="outage")
def restarted(trial: Trial, outages: Outages) -> Outage:
    with trial.watch.acting("tbot is restarted on every node"):
        return outages.restart_tbot()


@when(
    parsers.parse("tbot is away from every node until {spare:d} s after the last certificate has ended, and comes back"),
    target_fixture="outage",
)
def without_tbot(spare: int, trial: Trial, outages: Outages) -> Outage:
    return trial.past_the_end(outages.without_tbot(), spare)


@when(
    parsers.parse("Teleport answers nobody until {spare:d} s after the last certificate has ended, and then answers again"),
    target_fixture="outage",
)
def without_teleport(spare: int, trial: Trial, outages: Outages) -> Outage:
    return trial.past_the_end(outages.without_teleport(), spare)


@when(
    parsers.parse("istiod is away until each proxy has had time for {count:d} new certificates, and comes back"),
    target_fixture="outage",
)
def without_istiod(count: int, trial: Trial, outages: Outages, long_running: TestPods) -> Outage:
    return trial.past_renewals(outages.without_istiod(long_running.for_dry_run("alpha")), count)


@when(parsers.parse("each proxy has had {seconds:d} s for a new certificate"))
def time_for_a_new_one(seconds: int, trial: Trial, outage: Outage) -> None:
    trial.give_each_time("has a new certificate", lambda history: renewed_at(history, outage.recalled) is not None, seconds)


@when(parsers.parse("each proxy has had {seconds:d} s for a certificate from the new tbot"))
def time_for_the_new_tbots(seconds: int, trial: Trial, outage: Outage) -> None:
    since = outage.ordered
    trial.give_each_time("has a certificate of it", lambda history: resupplied_at(history, since) is not None, seconds)


@when(parsers.parse("the traffic has gone on for {seconds:d} s more"))
def gone_on(seconds: int, trial: Trial) -> None:
    trial.go_on(seconds)


@then(parsers.parse("each proxy must have a certificate from the new tbot within {within:d} s of the restart on its node"))
def renewed(within: int, requirement: str, trial: Trial, outage: Outage, conclude: Conclude) -> None:
    conclude(judge.renewed_soon(requirement, trial.histories, outage, within))


@then(parsers.parse("at most {at_most:d} requests may have failed before a certificate of theirs had ended"))
def untouched(at_most: int, requirement: str, suffered: Suffered, conclude: Conclude) -> None:
    conclude(judge.untouched(requirement, suffered, at_most))


@then(parsers.parse("from {within:d} s after that end on, each request must have been refused until the recall"))
def refused(within: int, requirement: str, suffered: Suffered, conclude: Conclude) -> None:
    conclude(judge.refused_after(requirement, suffered, within))


@then("each Envoy must have kept the last certificate that it was given, and its pod have been Ready")
def kept(requirement: str, suffered: Suffered, conclude: Conclude) -> None:
    conclude(judge.kept_its_last(requirement, suffered))


@then(parsers.parse("every request must be answered again within {within:d} s of the order to come back"))
def recovered(within: int, requirement: str, suffered: Suffered, conclude: Conclude) -> None:
    conclude(judge.recovered(requirement, suffered, within))


@then("no tbot may have been replaced or restarted")
def same_tbots(requirement: str, tbots: tuple[Pod, ...], install: Install, conclude: Conclude) -> None:
    conclude(judge.none_was_replaced(requirement, tbots, install.tbot.pods_now()))


@then(parsers.parse("each must have had at least {count:d} new certificates without istiod"))
def renewed_meanwhile(
    count: int, requirement: str, trial: Trial, outage: Outage, watched_proxies: tuple[Watched, ...], conclude: Conclude
) -> None:
    pushes = {watched.history.pod.uid: watched.pushes for watched in watched_proxies}
    conclude(judge.renewed_meanwhile(requirement, trial.histories, outage, count, pushes))
