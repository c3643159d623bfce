"""Steps of features/6_rotation: the age of certificates (ROT-01, ROT-05 to ROT-07), and renewals (ROT-02, ROT-03)."""

from __future__ import annotations

import pytest
from pytest_bdd import given, parsers, then, when

from checks import rotation as checks
from checks.mtls import Sweeps
from facts.kubernetes.workloads import CronJob
from facts.proxies.identity import Fleet
from judge.identity.proxies import ObservedProxies
from judge.install.components import Component
from judge.rotation import age
from judge.rotation import renewal as judge
from judge.rotation.renewal import Watched
from judge.traffic import load as load_judge
from judge.traffic.load import Traffic
from observe.install import Install
from observe.proxies.envoy import read_pushes
from provision.disruption.trial import Trial
from provision.pods.clients_and_servers import OLDER, TestPods
from settings import Settings
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


@given("every proxy on tbot's sockets, as its own Envoy reports it", target_fixture="on_sockets")
def proxies_to_renew(install: Install, sweeps: Sweeps) -> ObservedProxies:
    return checks.proxies_to_renew(install, sweeps)


@given("a second reading of the same proxies, if --observe asks for it", target_fixture="second_reading")
def second_reading(install: Install, settings: Settings) -> Fleet | None:
    return install.proxies.fleet_on_sockets_after(settings.observe) if settings.observe else None


@then("each certificate must be due for renewal well before it expires, and none must be overdue")
def renewed_before_expiry(
    on_sockets: ObservedProxies, second_reading: Fleet | None, install: Install, conclude: Conclude
) -> None:
    conclude(age.renewed_before_expiry(on_sockets, install.tbot.all(), second_reading))


@given("tbot's version, as its image and its bot instances report it", target_fixture="versions")
def versions(install: Install) -> list[Component]:
    return checks.versions_of_tbot(install)


@then("no certificate must be older than tbot's renewal interval and a margin")
def none_is_overdue(on_sockets: ObservedProxies, install: Install, conclude: Conclude) -> None:
    conclude(checks.none_is_overdue(install, on_sockets))


@then("no certificate and no trusted authority must expire within its warning threshold")
def nothing_expires_soon(on_sockets: ObservedProxies, install: Install, settings: Settings, conclude: Conclude) -> None:
    thresholds = settings.expiry_warning, settings.authority_expiry_warning
    conclude(age.nothing_expires_soon(on_sockets, install.tbot.all(), *thresholds))


@given("all CronJobs of the cluster", target_fixture="cron_jobs")
def cron_jobs(install: Install) -> tuple[CronJob, ...]:
    return install.cluster.cron_jobs()


@then("no CronJob must restart workloads of the mesh")
def no_cron_job_restarts(install: Install, conclude: Conclude) -> None:
    conclude(checks.no_cron_job_restarts_workloads(install))


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
