"""Steps of features/6_rotation: the age of certificates (ROT-01, ROT-05 to ROT-07), and renewals (ROT-02, ROT-03)."""

from __future__ import annotations

import pytest
from pytest_bdd import given, parsers, then, when

from judge.rotation import renewal as judge
from judge.rotation.renewal import Watched
from judge.traffic import load as load_judge
from judge.traffic.load import Traffic
from observe.install import Install
from observe.proxies.envoy import read_pushes
from provision.disruption.trial import Trial
from provision.pods.clients_and_servers import OLDER, TestPods
from steps.shared import Conclude


@pytest.fixture
def watched_proxies(trial: Trial, install: Install) -> tuple[Watched, ...]:
    """The watched proxies of the trial, from its beginning to now."""
    trial.end()
    cluster = install.cluster.reader
    return tuple(
        Watched(
            history=history,
            renewal=trial.lifetimes_of(history).renewal,
            before=pod,
            after=cluster.pod(pod.namespace, pod.name),
            pushes=read_pushes(cluster, pod),
        )
        for pod, history in zip(trial.pods, trial.histories, strict=True)
    )


# The age of certificates, read-only.


# Renewals during a trial.


@given("the suite also watches the proxy with an Envoy before 1.37, if there is one")
def watch_the_older_proxy(long_running: TestPods, trial: Trial) -> None:
    if OLDER.name in long_running.names():
        trial.also(*long_running.ready(OLDER.name))


@when("the suite stops the loads")
def stop_the_loads(trial: Trial) -> None:
    trial.end()


@then(
    parsers.re(
        r"each proxy must have had at least (?P<count>\d+) new certificates?,"
        r" each within one renewal interval plus (?P<spare>\d+) s"
    ),
    converters={"count": int, "spare": int},
)
def renewed_in_time(
    count: int, spare: int, requirement: str, watched_proxies: tuple[Watched, ...], conclude: Conclude
) -> None:
    conclude(judge.renewed_in_time(requirement, watched_proxies, count, spare))


@then("each new certificate must have another serial number, another key and a later expiry")
def each_is_new(requirement: str, watched_proxies: tuple[Watched, ...], conclude: Conclude) -> None:
    conclude(judge.each_is_new(requirement, watched_proxies))


@then("no pod, container or Envoy must have been replaced or restarted")
def nothing_was_replaced(requirement: str, watched_proxies: tuple[Watched, ...], conclude: Conclude) -> None:
    conclude(judge.nothing_was_replaced(requirement, watched_proxies))


@then(parsers.parse("the loads must have at most {at_most:d} failed requests"))
def failed_requests(at_most: int, requirement: str, traffic: tuple[Traffic, ...], conclude: Conclude) -> None:
    conclude(load_judge.failed_requests(requirement, traffic, at_most))


@then("each request must have used its own mTLS handshake between the proxies")
def each_used_a_handshake(requirement: str, traffic: tuple[Traffic, ...], conclude: Conclude) -> None:
    conclude(*load_judge.each_was_a_handshake(requirement, traffic))


@then("each server must have seen every certificate of its caller, and no other")
def peers_saw_each_certificate(requirement: str, traffic: tuple[Traffic, ...], trial: Trial, conclude: Conclude) -> None:
    conclude(load_judge.peers_saw_each_certificate(requirement, traffic, trial.histories))


@then("the connection that was kept open must have shown none of this")
def kept_connection_shows_nothing(requirement: str, traffic: tuple[Traffic, ...], trial: Trial, conclude: Conclude) -> None:
    conclude(load_judge.kept_connection_shows_nothing(requirement, traffic, trial.histories))
