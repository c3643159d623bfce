"""Dead streams beside a tbot that answers: the proxy's mount is of a directory that is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import Problem
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode
from judge.identity.proxies import secrets_come_from_the_socket
from judge.identity.streams import lost_directory
from providers.teleport.facts.tbot import Tbots
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import violated
from tests.unit.judge.certificates import NOW
from tests.unit.judge.diagnosis.told import named

POD = make.pod()
OF_TBOT = make.tbot_pod().uid
JOINED = {OF_TBOT: make.last_attempt()}
DEAD = make.streams(cx_active=0, rq_active=0, cx_connect_fail=66)


def started(minutes: float, *, ready: bool = True, **config: Any) -> Tbots:
    """A tbot on the node of the proxy, which itself has run for ten minutes."""
    since = f"{NOW - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
    pod = make.tbot_pod(ready=ready)
    containers = tuple(replace(c, started_at=since) for c in pod.containers)
    pod = replace(pod, spec=replace(pod.spec, containers=containers))
    return make.tbots(make.tbot(pod, config=make.tbot_config(**config)))


def judged(proxy: ProxyIdentity, tbots: Tbots) -> list[Problem]:
    found = lost_directory(proxy, {POD.uid: POD}, tbots, JOINED)
    return [] if found is None else [found]


def test_a_proxy_holds_a_directory_that_is_gone() -> None:
    found = judged(make.proxy(POD, streams=DEAD), started(5))
    assert named(found) == [("Pod test-app/app", "socket-directory-recreated")]
    assert "66 failed attempts" in found[0].said
    assert found[0].evidence == ("ev-proxy-app", "ev-pod-app", "ev-agent")


@pytest.mark.parametrize(
    ("proxy", "tbots"),
    [
        ({}, started(5)),
        ({"streams": replace(DEAD, cx_active=1)}, started(5)),
        ({"streams": replace(DEAD, cx_connect_fail=0)}, started(5)),
        ({"streams": DEAD, "sds_mode": SdsMode.ISTIO_CA}, started(5)),
        ({"streams": DEAD}, started(5, ready=False)),
        ({"streams": DEAD}, started(0.9)),
        ({"streams": DEAD}, started(11)),
        ({"streams": DEAD}, make.tbots(make.tbot(make.tbot_pod(node="node-2")))),
        ({"streams": DEAD}, started(5, services=(make.workload_api(listen="unix:///run/spire/sockets/agent.sock"),))),
    ],
    ids=[
        "healthy",
        "connected",
        "never failed",
        "istiod's",
        "tbot not Ready",
        "tbot just started",
        "tbot older than the proxy",
        "no tbot",
        "another name",
    ],
)
def test_proxies_with_another_reason_or_none(proxy: dict[str, Any], tbots: Tbots) -> None:
    assert judged(make.proxy(POD, **proxy), tbots) == []


def test_a_proxy_whose_pod_is_not_known() -> None:
    assert lost_directory(make.proxy(POD, streams=DEAD), {}, started(5), JOINED) is None


def test_a_tbot_that_is_ready_and_need_not_have_joined_shows_no_directory_that_is_gone() -> None:
    assert (
        lost_directory(make.proxy(POD, streams=DEAD), {POD.uid: POD}, started(5), {"uid-another": make.last_attempt()})
        is None
    )
    finding = secrets_come_from_the_socket(make.sidecars(make.proxy(POD, streams=DEAD), pods=[POD]), started(5))
    violated(finding, "ID-01", "0 of 2 live streams", causes=())


def test_the_requirement_names_it_beside_the_dead_streams() -> None:
    sidecars = make.sidecars(make.proxy(POD, streams=DEAD), pods=[POD])
    finding = secrets_come_from_the_socket(sidecars, started(5), JOINED)
    violated(finding, "ID-01", "0 of 2 live streams", "is gone", causes=("socket-directory-recreated",))
    violated(secrets_come_from_the_socket(sidecars), "ID-01", "0 of 2 live streams", causes=())


@pytest.mark.parametrize(("seconds", "is_named"), [(61, True), (60, False), (20, False)])
def test_a_socket_that_opened_too_late_for_the_proxy_to_try_again_shows_no_directory_that_is_gone(
    seconds: float, *, is_named: bool
) -> None:
    attempts = {OF_TBOT: make.last_attempt(opened_at=NOW - timedelta(seconds=seconds))}
    found = lost_directory(make.proxy(POD, streams=DEAD), {POD.uid: POD}, started(5), attempts)
    assert (found is not None) is is_named


LATE = {OF_TBOT: make.last_attempt(opened_at=NOW - timedelta(seconds=20), start=True)}
NOISY = {OF_TBOT: make.last_attempt(joined=False, opened=None)}


@pytest.mark.parametrize(
    ("beside", "attempts", "causes"),
    [
        ({}, {}, ("socket-directory-recreated",)),
        ({}, NOISY, ("socket-directory-recreated",)),
        ({}, LATE, ()),
        ({"node": "node-2"}, NOISY, ()),
        ({"socket": make.OTHER_NODES_SOCKET}, NOISY, ()),
    ],
    ids=["log unread", "log tells nothing", "joined too late", "another node", "another socket"],
)
def test_a_proxy_that_is_connected_shows_that_the_socket_is_open_where_the_log_does_not(
    beside: Any, attempts: Any, causes: tuple[str, ...]
) -> None:
    other = make.pod("b", **beside)
    sidecars = make.sidecars(make.proxy(POD, streams=DEAD), make.proxy(other), pods=[POD, other])
    assert secrets_come_from_the_socket(sidecars, started(5), attempts).causes == causes
