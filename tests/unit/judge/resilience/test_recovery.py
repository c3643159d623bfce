"""Pods and nodes that come up while something is missing: RES-04 to RES-06 and RES-08."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from facts.kubernetes.pod_spec import Volume, VolumeMount
from facts.over_time.history import History
from facts.over_time.outage import NodeRestart, Outage, Relocation, Start
from facts.proxies.sds_mode import SdsMode, SecretState
from judge.resilience import recovery as judge
from judge.resilience.recovery import STARTED_EARLY
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, inapplicable, unknown, violated
from tests.unit.judge.certificates import NOW


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


OUTAGE = Outage("tbot", at(0), at(2), at(20), at(25), "none of its pods is left", ("ev-outage",))
POD = make.pod("late", namespace="run", service_account="late")
WAITING = replace(
    make.proxy(POD, sds_mode=SdsMode.SILENT, secret_state=SecretState.WARMING, chain=()), has_files_cluster=False
)
RACE = make.proxy(POD, sds_mode=SdsMode.RACE, csr_count=1, has_files_cluster=False)
WORDS = "info\nError: failed to check SDS socket: existing SDS socket could not be removed: unlinkat: permission denied"
BUNDLE = make.bundle()


def start(**changes: Any) -> Start:
    """A pod that found no socket at its start and is Ready 15 s after tbot was back."""
    return replace(Start(POD, at(3), "", WAITING, at(40), RACE, ("ev-start",)), **changes)


def measured(finding: Any) -> list[str]:
    return [str(m) for m in finding.measures]


# RES-04.


def test_a_pod_that_started_before_tbot_is_told_although_all_looks_right() -> None:
    finding = judge.late_start_is_found(start(), OUTAGE, BUNDLE)
    holds(finding, "RES-04", "ev-start", "ev-outage", "ev-bundle")
    assert "the suite recognises the late start: its certificate comes from the node's socket" in finding.seen
    assert measured(finding) == ["time until it was Ready, from tbot's return: 15 s"]


def test_a_pod_that_would_be_passed_is_a_defect() -> None:
    violated(judge.late_start_is_found(start(proxy=make.proxy(POD)), OUTAGE, BUNDLE), "RES-04", "ID-01 would pass")
    istiods = make.proxy(POD, sds_mode=SdsMode.ISTIO_CA)
    violated(
        judge.late_start_is_found(start(proxy=istiods), OUTAGE, BUNDLE),
        "RES-04",
        "the suite takes it for something else: its Istio agent",
    )


def test_nothing_is_shown_by_a_pod_that_found_a_socket_or_never_came_up() -> None:
    unknown(judge.late_start_is_found(start(meanwhile=make.proxy(POD)), OUTAGE, BUNDLE), "RES-04", "it found a socket")
    unknown(judge.late_start_is_found(start(meanwhile=None, last_words=WORDS), OUTAGE, BUNDLE), "RES-04", "could not be")
    unknown(judge.late_start_is_found(start(proxy=None, ready=None), OUTAGE, BUNDLE), "RES-04", "not Ready")
    waits = "agent configured for non-default SDS socket path: /x/other but no socket found"
    inapplicable(judge.late_start_is_found(start(meanwhile=None, last_words=waits), OUTAGE, BUNDLE), "RES-04", "ev-start")


# RES-06.


def test_the_agent_ends_beside_a_stale_socket_and_is_well_by_itself_later() -> None:
    beside = start(meanwhile=None, last_words=WORDS, proxy=make.proxy(POD))
    finding = judge.stale_socket_ends_the_agent(beside, OUTAGE)
    holds(finding, "RES-06", "ev-start", "ev-outage")
    assert "permission denied" in finding.seen
    finding = judge.well_by_itself("RES-06", beside, OUTAGE.back, BUNDLE, 60)
    holds(finding, "RES-06", "ev-start", "ev-bundle")
    assert measured(finding) == ["time until the pod was Ready: 15 s (at most 60 s)", "restarts of its proxy: 0"]


def test_an_agent_that_took_the_socket_away_or_ended_for_something_else_is_told() -> None:
    violated(
        judge.stale_socket_ends_the_agent(start(), OUTAGE),
        "RES-06",
        "its Envoy ran; no SDS server has supplied both",
        causes=(),
    )
    writable = make.istio_proxy(mounts=(VolumeMount("workload-socket", make.SOCKET_MOUNT),))
    mounts_it = replace(POD, spec=make.pod("late", proxy=writable).spec)
    took = judge.stale_socket_ends_the_agent(start(pod=mounts_it), OUTAGE)
    violated(took, "RES-06", "its Envoy ran", causes=("socket-directory-writable",))
    found_one = judge.stale_socket_ends_the_agent(start(pod=mounts_it, meanwhile=make.proxy(POD)), OUTAGE)
    violated(found_one, "RES-06", "its Envoy ran", causes=())
    apart = replace(POD, spec=make.pod("late", proxy=writable, socket=make.EMPTY_DIR).spec)
    violated(judge.stale_socket_ends_the_agent(start(pod=apart), OUTAGE), "RES-06", "its Envoy ran", causes=())
    other = start(meanwhile=None, last_words="out of memory")
    unknown(judge.stale_socket_ends_the_agent(other, OUTAGE), "RES-06", "out of memory")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"proxy": None, "ready": None}, "is not Ready"),
        ({"proxy": RACE}, "its certificate comes from the node's socket, which its Istio agent found too late (mode race)"),
        ({"proxy": make.proxy(POD), "ready": at(90)}, "65 s (at most 60 s)"),
        ({"proxy": make.proxy(make.pod("other", namespace="run", service_account="other"))}, "it carries"),
    ],
)
def test_a_pod_that_is_not_well_in_time_is_told(changes: dict[str, Any], words: str) -> None:
    late = start(meanwhile=None, last_words=WORDS, **changes)
    if changes.get("proxy") is not None and words == "it carries":
        late = replace(late, proxy=replace(changes["proxy"], pod=make.proxy(POD).pod))
    violated(judge.well_by_itself("RES-06", late, OUTAGE.back, BUNDLE, 60), "RES-06", words)


# RES-05.

NOT_MADE = "socket-directory-not-recreated"
RELOCATION = Relocation("node-1", at(0), at(1), at(6), "", ("11", "12"), ("ev-relocation",))


def test_another_directory_is_made_in_time() -> None:
    finding = judge.directory_is_made_again(RELOCATION, 30)
    holds(finding, "RES-05", "ev-relocation")
    assert measured(finding) == ["time until tbot was Ready: 5 s (at most 30 s)"]


@pytest.mark.parametrize(
    ("changes", "words", "causes"),
    [
        ({"back": None, "words": "containers with unready status: [tbot]", "inodes": ("11", "")},
         "tbot is not Ready: containers with unready status: [tbot]; it has no socket directory", (NOT_MADE,)),
        ({"back": None, "words": "no other tbot", "inodes": ("11", "")}, "it has no socket directory", ()),
        ({"back": None, "words": "containers with unready status: [tbot]"}, "tbot is not Ready", ()),
        ({"inodes": ("11", "")}, "it has no socket directory", ()),
        ({"inodes": ("11", "11")}, "it still has the former socket directory", ()),
        ({"back": at(40)}, "39 s (at most 30 s)", ()),
    ],
)  # fmt: skip
def test_a_directory_that_is_not_made_is_told(changes: dict[str, Any], words: str, causes: tuple[str, ...]) -> None:
    violated(judge.directory_is_made_again(replace(RELOCATION, **changes), 30), "RES-05", words, causes=causes)


def held(*streams: int) -> History:
    """A proxy's streams, second by second."""
    seen = History(make.proxy(POD).pod)
    for second, active in enumerate(streams):
        proxy = make.proxy(
            POD, read_at=at(second), uptime=600 + second, streams=make.streams(rq_active=active, cx_active=active)
        )
        seen = seen.seen(replace(proxy, evidence=(f"ev-{second}",)))
    return seen


def test_who_holds_the_lost_directory_is_told_by_its_streams() -> None:
    finding = judge.lost_directory_is_found(held(2, 2, 2, 0, 0), POD, RELOCATION, 10)
    holds(finding, "RES-05", "ev-3", "ev-pod-late", "ev-relocation")
    assert measured(finding)[0] == "time until it was recognised: 2 s (at most 10 s)"
    assert "it has 0 of 2 live streams" in finding.seen
    violated(judge.lost_directory_is_found(held(2, 2, 2), POD, RELOCATION, 10), "RES-05", "has its streams")
    before = replace(RELOCATION, lost=RELOCATION.lost + timedelta(minutes=1))
    violated(judge.lost_directory_is_found(held(2, 0, 0), POD, before, 10), "RES-05", "before the directory was lost")
    violated(judge.lost_directory_is_found(held(2, 0), replace(POD, ready=False), RELOCATION, 10), "RES-05", "is not Ready")
    violated(judge.lost_directory_is_found(held(2, 2, 2, 0), POD, RELOCATION, 1), "RES-05", "2 s (at most 1 s)")


def test_only_the_loss_of_streams_tells_it_and_not_a_change_of_them() -> None:
    finding = judge.lost_directory_is_found(held(1, 1, 2, 2, 0), POD, replace(RELOCATION, lost=at(1)), 10)
    holds(finding, "RES-05")
    assert measured(finding)[0].startswith(f"time until it was recognised: {(at(4) - RELOCATION.replaced).seconds} s")


# RES-08.


def restarted(**changes: Any) -> NodeRestart:
    made = NodeRestart("node-1", at(0), at(8), at(60), (POD,), (POD,), make.fleet(make.proxy(POD)), ("ev-restart",))
    return replace(made, **changes)


def test_every_pod_is_well_again() -> None:
    finding = judge.node_came_back(restarted(), BUNDLE, 180)
    holds(finding, "RES-08", "ev-restart", "ev-pod-late", "ev-proxy-late", "ev-bundle")
    assert measured(finding)[:2] == [
        "time until every pod was Ready: 60 s (at most 180 s)",
        "time until the machine ran: 8 s",
    ]


def test_a_pod_that_went_away_during_the_sweep_is_left_out() -> None:
    finding = judge.node_came_back(restarted(proxies=make.fleet(make.proxy(POD), make.left_out())), BUNDLE, 180)
    holds(finding, "RES-08", "ev-gone-gone")
    assert [str(each.subject) for each in finding.left_out] == ["Pod test-app/gone"]


def test_one_that_started_before_tbot_is_named() -> None:
    finding = judge.node_came_back(restarted(proxies=make.fleet(RACE, make.proxy())), BUNDLE, 180)
    holds(finding, "RES-08")
    assert "1 of them started before tbot: Pod run/late" in finding.seen
    assert [(note.subject.name, note.cause) for note in finding.notes] == [("late", "pod-started-before-tbot")]
    assert "proxies that started before tbot: 1" in measured(finding)


@pytest.mark.parametrize("count", [1, 3])
def test_a_node_on_which_every_proxy_started_before_tbot_did_not_come_back(count: int) -> None:
    late = [replace(RACE, pod=replace(RACE.pod, name=f"late-{n}", uid=f"uid-late-{n}")) for n in range(count)]
    finding = judge.node_came_back(restarted(proxies=make.fleet(*late)), BUNDLE, 180)
    violated(finding, "RES-08", "it started before tbot, like every other proxy on the node", causes=(STARTED_EARLY,))
    assert [problem.subject.name for problem in finding.problems] == [proxy.pod.name for proxy in late]
    assert f"proxies that started before tbot: {count}" in measured(finding)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"after": (replace(POD, ready=False, phase="Pending"),), "back": None}, "Pod run/late: it is not Ready: Pending"),
        ({"after": (make.pod("other"),)}, "Pod run/late: it is gone"),
        ({"proxies": make.fleet(make.unread(POD), make.proxy(POD))}, "forbidden"),
        (
            {"proxies": make.fleet(make.proxy(POD, sds_mode=SdsMode.ISTIO_CA))},
            "its Istio agent supplies its certificate, which istiod issued (mode istio-ca)",
        ),
        ({"proxies": make.fleet(make.proxy(POD, streams=make.streams(rq_active=0)))}, "it has 0 of 2 live streams"),
        ({"back": at(200)}, "200 s (at most 180 s)"),
        ({"back": None}, "not every pod ran again"),
    ],
)
def test_who_is_not_well_is_told(changes: dict[str, Any], words: str) -> None:
    pod = replace(POD, owner="")
    made = restarted(before=(pod,), **changes)
    violated(judge.node_came_back(made, BUNDLE, 180), "RES-08", words)


SOCKETS = Volume("sockets", "hostPath", path=f"{make.SOCKETS}/", type="Directory")
TBOT = make.pod("tbot-1", namespace="teleport-system", socket=SOCKETS, injected=False, ready=False)
STUCK = replace(POD, ready=False)
RUNS = make.container("app", container_id="containerd://another")


@pytest.mark.parametrize(
    ("after", "causes"),
    [
        ((STUCK, TBOT), (NOT_MADE,)),
        ((POD, TBOT), (NOT_MADE,)),
        ((STUCK,), ()),
        ((POD, make.pod("tbot-1", socket=replace(SOCKETS, type="DirectoryOrCreate"), injected=False, ready=False)), ()),
        ((POD, make.pod("tbot-1", socket=replace(SOCKETS, path="/var/lib/other"), injected=False, ready=False)), ()),
        ((POD, replace(TBOT, spec=replace(TBOT.spec, containers=(RUNS,)))), ()),
        ((STUCK, TBOT, make.pod("other", socket=None, injected=False, ready=False)), ()),
    ],
)
def test_a_directory_that_all_wait_for_after_a_restart_is_told(after: tuple[Any, ...], causes: tuple[str, ...]) -> None:
    made = restarted(before=(POD, replace(TBOT, ready=True)), after=after, back=None)
    violated(judge.node_came_back(made, BUNDLE, 180), "RES-08", "is not Ready", causes=causes)
