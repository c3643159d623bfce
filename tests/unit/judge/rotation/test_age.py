"""The age of certificates and what is left of their life: ROT-01, ROT-06 and ROT-07."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.proxies.pushes import Pushes
from facts.versions import Version
from judge.install.components import Component, of_tbots
from judge.rotation.age import Supply, none_is_overdue, nothing_expires_soon, overdue, renewed_before_expiry
from providers.teleport.facts.tbot import Tbots
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import NOW, authority, svid

MONTH = 30 * 86400


def old(minutes: float, name: str = "app", *, lives: float = 61, key: str = "leaf", **changes: Any) -> Any:
    """A proxy whose certificate was issued so long ago; it starts a minute earlier."""
    of = make.pod(name)
    leaf = svid(starts=NOW - timedelta(minutes=minutes + 1), minutes=lives, key=key)
    issue = NOW - timedelta(minutes=minutes)
    return make.proxy(of, **{"chain": (leaf,), "version_info": f"{issue.isoformat()}", **changes})


def tbot(renewal: float = 1200, ttl: float = 3600) -> Tbots:
    config = make.tbot_config(services=(make.workload_api(renewal_interval=renewal, credential_ttl=ttl),))
    return make.tbots(make.tbot(config=config))


PUSHED, TOO_SLOW = "tbot-pushes-without-renewing", "renewal-interval-beyond-lifetime"
LATELY = (NOW - timedelta(minutes=10)).isoformat()
"""Version of a push of ten minutes ago."""

IMAGE = "registry.example/tbot:18.6.3"
AFFECTED = make.tbots(make.tbot(make.tbot_pod(image=IMAGE), runs=make.tbot_container(image=IMAGE)))


# How it is to be renewed.


def in_directory(path: str, name: str, socket: str) -> tuple[Any, Any]:
    """A pod that mounts a directory of the node, and its proxy, which asks a socket there."""
    pod = make.pod(name, socket=replace(make.NODES_SOCKET, path=path))
    return pod, make.proxy(pod, socket_path=f"./var/run/secrets/workload-spiffe-uds/{socket}")


def test_the_interval_is_that_of_the_service_whose_socket_the_proxy_asks() -> None:
    first = make.workload_api()
    second = make.workload_api(listen="unix:///run/spire/sockets/second", renewal_interval=30, credential_ttl=90)
    both = make.tbots(make.tbot(config=make.tbot_config(services=(first, second))))
    on = [
        in_directory("/run/spire/sockets", "a", "socket"),
        in_directory("/run/spire/sockets/", "b", "second"),
        in_directory("/run/spire/sockets", "c", "x"),
        # The file names alone are alike.
        in_directory("/run/another", "d", "second"),
        (make.pod("csi", socket=replace(make.NODES_SOCKET, source="csi", path="")), make.proxy(make.pod("csi"))),
    ]
    supply = Supply.of(make.sidecars(*(proxy for _pod, proxy in on), pods=[pod for pod, _proxy in on]), both)

    paces = {pod.name: supply.pace_of(proxy, proxy.chain[0]) for pod, proxy in on}

    renewals = {name: pace.renewal.total_seconds() for name, pace in paces.items()}
    assert renewals == {"a": 1200, "b": 30, "c": 1770, "d": 1770, "csi": 1770}
    assert "unknown" in paces["d"].said
    assert (paces["a"].margin, paces["b"].margin) == (timedelta(seconds=120), timedelta(seconds=30))


def test_a_pod_that_is_listed_no_more_keeps_its_service() -> None:
    services = (make.workload_api(), make.workload_api(listen="unix:///run/spire/sockets/second", renewal_interval=3000))
    both = make.tbots(make.tbot(config=make.tbot_config(services=services)))
    pod, _proxy = in_directory("/run/spire/sockets", "gone", "second")
    proxy = old(40, "gone", socket_path="./var/run/secrets/workload-spiffe-uds/second")
    gone = replace(make.sidecars(proxy), pods=(), asked=(pod,))
    holds(renewed_before_expiry(gone, both), "ROT-01", "ev-proxy-gone")
    holds(none_is_overdue(gone, both, (), {}), "ROT-07")
    unknown_service = replace(gone, asked=())
    violated(renewed_before_expiry(unknown_service, both), "ROT-01", "the renewal interval is unknown")


def test_each_proxy_is_held_against_the_tbot_of_its_node() -> None:
    slow = replace(tbot(renewal=7200, ttl=14400).first, pods={"node-2": make.tbot_pod(node="node-2")})
    slow = replace(slow, config_changed_at=(NOW + timedelta(hours=1)).isoformat())
    supply = Supply(make.tbots(tbot().first, slow), {})
    here, there = make.proxy(), make.proxy(make.pod("b", node="node-2"))
    renewals = [supply.pace_of(proxy, proxy.chain[0]).renewal for proxy in (here, there)]
    assert renewals == [timedelta(seconds=1200), timedelta(seconds=7200)]
    nowhere = make.proxy(make.pod("c", node="node-3"))
    assert "unknown" in supply.pace_of(nowhere, nowhere.chain[0]).said


def test_the_only_service_needs_no_path() -> None:
    _pod, proxy = in_directory("/run/another", "a", "socket")
    assert Supply(tbot(), {}).pace_of(proxy, proxy.chain[0]).renewal == timedelta(seconds=1200)


# ROT-01.


def test_a_certificate_in_its_first_third_is_due_in_time() -> None:
    finding = renewed_before_expiry(make.sidecars(old(9)), tbot())
    holds(finding, "ROT-01", "ev-proxy-app", "ev-agent", "ev-pods")
    assert finding.held[0].said == "540 s old, 3060 s left; tbot renews every 1200 s"
    assert [str(m) for m in finding.measures] == ["shortest remaining life: 3060 s"]


@pytest.mark.parametrize(
    ("proxy", "config", "words", "causes"),
    [
        (old(9), tbot(renewal=7200), "lives 3600 s and tbot renews every 7200 s", (TOO_SLOW,)),
        (old(0.1, lives=2), tbot(renewal=40, ttl=60), "less than 30 s after that was due", (TOO_SLOW,)),
        # The file is right, and the certificate is not what the file asks for.
        (old(0.1, lives=2), tbot(), "lives 60 s and tbot renews every 1200 s", ()),
        (old(70), tbot(), "its certificate expired 600 s ago and was not renewed", ()),
        (old(70), tbot(renewal=7200), "its certificate expired 600 s ago and was not renewed", (TOO_SLOW,)),
        (old(70, version_info=LATELY), tbot(), "its certificate expired 600 s ago", (PUSHED,)),
        (old(30), tbot(), "1800 s old, more than 1320 s", ()),
        (old(30, version_info=LATELY), tbot(), "1800 s old, more than 1320 s", (PUSHED,)),
        (make.proxy(chain=()), tbot(), "it holds no certificate", ()),
    ],
)
def test_what_will_not_be_renewed_in_time_is_told(proxy: Any, config: Tbots, words: str, causes: tuple[str, ...]) -> None:
    violated(renewed_before_expiry(make.sidecars(proxy), config), "ROT-01", words, causes=causes)


def test_two_readings_want_what_was_due_in_between() -> None:
    first, same = old(19), replace(old(19), read_at=NOW + timedelta(minutes=10))
    renewed = replace(old(-1, key="new"), read_at=NOW + timedelta(minutes=10))
    longer = replace(old(-1, key="leaf"), read_at=NOW + timedelta(minutes=10))

    violated(renewed_before_expiry(make.sidecars(first), tbot(), make.fleet(same)), "ROT-01", "1740 s old")
    violated(renewed_before_expiry(make.sidecars(first), tbot(), make.fleet(longer)), "ROT-01", "the key of the old one")
    finding = renewed_before_expiry(make.sidecars(first), tbot(), make.fleet(renewed))
    holds(finding, "ROT-01")
    assert "read again after 600 s: a new certificate" in finding.seen
    gone = renewed_before_expiry(make.sidecars(first, old(9, "lost")), tbot(), make.fleet(renewed))
    assert (
        "Pod test-app/lost: 540 s old, 3060 s left; tbot renews every 1200 s; the suite could not read it again" in gone.seen
    )


def test_a_pod_that_went_away_before_the_second_reading_is_told() -> None:
    finding = renewed_before_expiry(make.sidecars(old(9)), tbot(), make.fleet(make.left_out("app")))
    holds(finding, "ROT-01", "ev-gone-app")
    assert finding.seen.endswith(f"tbot renews every 1200 s; {make.GONE}")


def test_a_second_reading_that_failed_everywhere_tells_nothing() -> None:
    unknown(renewed_before_expiry(make.sidecars(old(9)), tbot(), make.fleet(make.unread())), "ROT-01", "forbidden")


@pytest.mark.parametrize(
    ("judged", "requirement"),
    [
        (renewed_before_expiry, "ROT-01"),
        (lambda sidecars, tbot: nothing_expires_soon(sidecars, tbot, 0, MONTH), "ROT-06"),
        (lambda sidecars, tbot: none_is_overdue(sidecars, tbot, (), {}), "ROT-07"),
    ],
)
def test_without_workloads_without_a_service_and_without_an_answer(judged: Any, requirement: str) -> None:
    inapplicable(judged(make.sidecars(), tbot()), requirement, "ev-pods")
    on_istiod = replace(make.sidecars(), others=[make.pod(f"app-{n}") for n in range(500)])
    finding = judged(on_istiod, tbot())
    unknown(finding, requirement, "none of 500 injected pods mounts the directory of tbot's socket", evidence=("ev-pods",))
    assert "CHK-6" in finding.settle
    idle = make.tbots(make.tbot(config=make.tbot_config(services=())))
    unknown(judged(make.sidecars(old(1)), idle), requirement, "no service")
    unknown(judged(make.sidecars(make.unread()), tbot()), requirement, "forbidden")
    unknown(judged(make.sidecars(make.left_out()), tbot()), requirement, "every proxy went away")
    holds(judged(make.sidecars(old(1), make.left_out()), tbot()), requirement, "ev-gone-gone")


# ROT-06.


def test_what_ends_within_the_threshold_is_named() -> None:
    holds(nothing_expires_soon(make.sidecars(old(39)), tbot(), 0, MONTH), "ROT-06", "ev-proxy-app")
    violated(nothing_expires_soon(make.sidecars(old(41)), tbot(), 0, MONTH), "ROT-06", "ends in 1140 s, less than 1200 s")
    holds(nothing_expires_soon(make.sidecars(old(41)), tbot(), 600, MONTH), "ROT-06")
    violated(nothing_expires_soon(make.sidecars(old(62)), tbot(), 0, MONTH), "ROT-06", "expired 120 s ago", causes=())
    for minutes in (41, 62):
        pushed = make.sidecars(old(minutes, version_info=LATELY))
        violated(nothing_expires_soon(pushed, tbot(), 0, MONTH), "ROT-06", causes=(PUSHED,))
    slow = nothing_expires_soon(make.sidecars(old(41)), tbot(renewal=7200), 1800, MONTH)
    violated(slow, "ROT-06", "ends in 1140 s, less than 1800 s", causes=(TOO_SLOW,))
    violated(nothing_expires_soon(make.sidecars(make.proxy(chain=())), tbot(), 0, MONTH), "ROT-06", "no certificate")


def test_an_authority_that_ends_soon_is_named_as_well() -> None:
    ends = authority(days=10, starts=NOW - timedelta(days=1))
    proxy = old(1, root_authorities={"td": (ends,)})
    violated(nothing_expires_soon(make.sidecars(proxy), tbot(), 0, MONTH), "ROT-06", f"the authority {ends.serial}")


# ROT-07.


def judged(proxy: Any, tbot: Tbots = AFFECTED, pushes: Pushes | None = None, versions: Any = None) -> Any:
    told = of_tbots(tbot, ()) if versions is None else versions
    return none_is_overdue(make.sidecars(proxy), tbot, told, {proxy.pod.uid: pushes})


def test_a_young_certificate_is_not_overdue_whatever_the_release() -> None:
    finding = judged(old(21))
    holds(finding, "ROT-07", "ev-proxy-app")
    assert [str(m) for m in finding.measures] == ["oldest certificate: 1260 s (at most 1320 s)"]
    assert overdue(make.sidecars(old(21), old(30, "late")), AFFECTED)[0].pod.name == "late"


def test_before_envoy_1_37_the_version_tells_that_it_was_pushed() -> None:
    pushed = old(30, version_info=LATELY, envoy_version=Version(1, 36, 4))
    finding = judged(pushed)
    violated(
        finding, "ROT-07", "1800 s old, more than 1320 s", "tbot pushed without renewing: its last push, at 11:50:00 UTC",
        "tbot 18.6.3 has that defect", causes=(PUSHED,),
    )  # fmt: skip


def test_from_envoy_1_37_on_a_statistic_tells_it() -> None:
    pushes = Pushes(LATELY, ("ev-pushes",))
    finding = judged(old(30), pushes=pushes)
    violated(finding, "ROT-07", "pushed without renewing", evidence=("ev-pushes",), causes=(PUSHED,))
    assert finding.problems[0].evidence == ("ev-proxy-app", "ev-pushes")


def test_a_push_that_clocks_may_have_put_after_its_own_certificate_proves_nothing() -> None:
    near = (NOW - timedelta(minutes=30) + timedelta(seconds=25)).isoformat()
    violated(judged(old(30), pushes=Pushes(near)), "ROT-07", "tbot pushed nothing: the streams of the proxy live", causes=())


def test_where_no_push_came_the_release_is_not_to_blame() -> None:
    pushes = Pushes((NOW - timedelta(minutes=30)).isoformat(), ("ev-pushes",))
    for release in (tbot(), AFFECTED):
        finding = judged(old(30), release, pushes)
        violated(finding, "ROT-07", "tbot pushed nothing: the streams of the proxy live, and no push came after", causes=())
        assert "is known for" not in finding.seen


def test_a_dead_stream_is_told_from_both() -> None:
    finding = judged(old(30, streams=make.streams(rq_active=0, cx_connect_fail=66)))
    violated(
        finding,
        "ROT-07",
        "tbot pushed nothing: the proxy has 0 of 2 live streams on its socket, and 66 failed attempts to connect",
        causes=(),
    )


def test_a_tbot_that_started_before_its_configuration_was_changed_does_not_go_by_it() -> None:
    def started(minutes_before_the_change: int) -> Tbots:
        at = (NOW - timedelta(hours=1) - timedelta(minutes=minutes_before_the_change)).isoformat()
        pod = make.tbot_pod()
        runs = replace(pod.spec.containers[0], state="running", started_at=at)
        pod = replace(pod, spec=replace(pod.spec, containers=(runs,)))
        changed = (NOW - timedelta(hours=1)).isoformat()
        return make.tbots(replace(tbot().first, pods={pod.node: pod}, config_changed_at=changed))

    words = "the tbot on its node started before its configuration was changed"
    for pushes in (None, Pushes((NOW - timedelta(minutes=30)).isoformat(), ("ev-pushes",))):
        violated(judged(old(30), started(5), pushes), "ROT-07", words, causes=("tbot-config-not-in-force",))
        violated(judged(old(30), started(-5), pushes), "ROT-07", causes=())
    violated(renewed_before_expiry(make.sidecars(old(30)), started(5)), "ROT-01", causes=("tbot-config-not-in-force",))
    holds(judged(old(20), started(5)), "ROT-07")
    violated(judged(old(30), started(5), Pushes(LATELY)), "ROT-07", "pushed without renewing", causes=(PUSHED,))
    elsewhere = old(30, pod=make.proxy(make.pod(node="node-2")).pod)
    violated(judged(elsewhere, started(5)), "ROT-07", causes=())


def test_where_nothing_tells_it_that_is_said() -> None:
    floating = Component("tbot", (make.tbot().daemon_set.ref,), None, "floats", ())
    finding = judged(old(30, version_info="7"), tbot(), versions=[floating])
    violated(finding, "ROT-07", "an Envoy 1.40.0 does not show", causes=())
    violated(judged(old(30, version_info="7")), "ROT-07", "tbot 18.6.3 has that defect", causes=(PUSHED,))
    elsewhere = make.tbots(make.tbot(make.tbot_pod(image=IMAGE), make.tbot_pod("tbot-2", node="node-2")))
    other = make.proxy(make.pod(node="node-2")).pod
    violated(judged(old(30, version_info="7", pod=other), elsewhere), "ROT-07", "an Envoy 1.40.0 does not show", causes=())
    violated(judged(old(30, version_info="7"), elsewhere), "ROT-07", "tbot 18.6.3 has that defect", causes=(PUSHED,))
    rolling = make.tbots(make.tbot(make.tbot_pod(image=IMAGE)))
    both = [*of_tbots(rolling, ()), *of_tbots(make.tbots(), ())]
    violated(judged(old(30, version_info="7"), rolling, versions=both), "ROT-07", "does not show", causes=())


def test_pushed_by_an_unknown_release() -> None:
    finding = judged(old(30, version_info=LATELY), tbot(), versions=())
    violated(finding, "ROT-07", "pushed without renewing", causes=(PUSHED,))
