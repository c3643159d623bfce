"""Claims about many proxies: what is wrong, what is not up, what could not be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import Finding, Problem, Remark
from facts.kubernetes.objects import Pod
from facts.measure import Measure
from facts.proxies.identity import ProxyIdentity, Unread
from facts.proxies.presence import STARTING
from judge.findings import Claim, problem
from judge.fleet import NONE_STAYED, READ_AGAIN, each_of, of_proxies
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.certificates import NOW

CLAIM = Claim("ID-01", "certificates", "2 sidecars", ("ev-pods",))
A, B = make.pod("a"), make.pod("b")
WAITS: dict[str, Any] = {"ready": False, "started": False, "state": "waiting"}


def judged(*found: ProxyIdentity | Unread, pods: tuple[Pod, ...] = (A, B), problems: tuple[Problem, ...] = ()) -> Finding:
    fleet = make.fleet(*found)
    return of_proxies(CLAIM, pods, fleet, problems, held=each_of(fleet.proxies, lambda p: f"serves {p.pod.name}"))


def test_open_points_and_what_was_left_out_are_in_the_finding() -> None:
    open_point, left = Problem(A.ref, "its settings are damaged"), Remark(B.ref, "it is declared")
    fleet = make.fleet(make.proxy(A))
    finding = of_proxies(CLAIM, (A, B), fleet, (), unclear=[open_point], settle="read it by hand", left_out=[left])
    unknown(finding, "ID-01", "its settings are damaged")
    assert finding.settle == "read it by hand"
    assert finding.left_out == (left,)


def created(age: timedelta, **proxy: Any) -> Pod:
    """A pod of that age whose proxy has not started."""
    return make.pod("b", proxy=make.istio_proxy(**(WAITS | proxy)), created_at=f"{NOW - age:%Y-%m-%dT%H:%M:%SZ}")


def test_a_finding_stands_on_the_pods_their_proxies_and_the_claim() -> None:
    finding = judged(make.proxy(A), make.proxy(B))
    holds(finding, "ID-01")
    assert finding.evidence == ("ev-pod-a", "ev-pod-b", "ev-proxy-a", "ev-proxy-b", "ev-pods")
    assert finding.seen == "Pod test-app/a: serves a; Pod test-app/b: serves b"


def test_what_is_wrong_with_one_proxy_leaves_the_others_confirmed() -> None:
    bad = make.proxy(A)
    finding = judged(
        bad,
        make.proxy(B),
        problems=(
            problem(
                bad,
                "its certificate comes from the node's socket, which its Istio agent found too late (mode race)",
                "pod-started-before-tbot",
            ),
        ),
    )
    violated(finding, "ID-01", causes=("pod-started-before-tbot",))
    assert (
        finding.seen
        == "Pod test-app/a: its certificate comes from the node's socket, which its Istio agent found too late (mode race)"
    )
    assert finding.held == (Remark(make.proxy(B).ref, "serves b"),)


def test_a_proxy_that_could_not_be_read_is_unclear_with_what_settles_it() -> None:
    finding = judged(make.proxy(A), make.unread(B))
    unknown(finding, "ID-01", evidence=("ev-pod-b",))
    assert finding.seen == "Pod test-app/b: the suite could not read it: forbidden"
    assert finding.settle == "grant the right"
    assert [str(each.subject) for each in finding.held] == ["Pod test-app/a"]


def test_a_violation_is_told_before_what_could_not_be_read() -> None:
    finding = judged(
        make.proxy(A),
        make.unread(B),
        problems=(
            problem(make.proxy(A), "no SDS server has supplied both its certificate and its trust bundle (mode silent)"),
        ),
    )
    violated(finding, "ID-01", causes=())
    assert (
        finding.seen == "Pod test-app/a: no SDS server has supplied both its certificate and its trust bundle (mode silent);"
        " Pod test-app/b: the suite could not read it: forbidden"
    )


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [({"reason": "CrashLoopBackOff"}, " (CrashLoopBackOff)"), ({}, "")],
    ids=["with a reason", "without"],
)
def test_a_proxy_that_is_down_holds_no_identity(proxy: dict[str, Any], reason: str) -> None:
    down = created(timedelta(hours=1), **proxy)
    finding = judged(make.proxy(A), make.unread(down), pods=(A, down))
    violated(finding, "ID-01", evidence=("ev-pod-b",), causes=())
    assert finding.seen == f"Pod test-app/b: it holds no identity: its istio-proxy is not up{reason}"
    assert finding.problems[0].evidence == ("ev-pod-b",)


def test_a_proxy_that_waits_for_its_image_holds_no_identity_for_that_reason() -> None:
    down = created(timedelta(hours=1), reason="ImagePullBackOff")
    violated(judged(make.unread(down), pods=(down,)), "ID-01", "(ImagePullBackOff)", causes=("proxy-image-unavailable",))


def test_a_pod_without_any_proxy_holds_no_identity() -> None:
    plain = make.pod("b", injected=False)
    violated(judged(make.unread(plain), pods=(plain,)), "ID-01", "it holds no identity: its istio-proxy is not up")


@pytest.mark.parametrize("up", [{"ready": True}, {"started": True}])
def test_a_proxy_that_is_ready_or_started_is_up(up: dict[str, bool]) -> None:
    pod = created(timedelta(hours=1), **up)
    unknown(judged(make.unread(pod), pods=(pod,)), "ID-01", "the suite could not read it")


def test_a_young_pod_whose_proxy_is_not_up_is_starting_even_if_it_has_restarted() -> None:
    second = timedelta(seconds=1)
    young, old = created(STARTING - second), created(STARTING)
    unknown(judged(make.unread(young), pods=(young,)), "ID-01", "the suite could not read it")
    violated(judged(make.unread(old), pods=(old,)), "ID-01", "it holds no identity")
    restarted = created(STARTING - second, restarts=1)
    unknown(judged(make.unread(restarted), pods=(restarted,)), "ID-01", "the suite could not read it")


def test_what_the_second_look_at_a_pod_showed_decides() -> None:
    """The list may be older than the attempt: there the proxy was still up."""
    listed, now = make.pod("b"), replace(created(timedelta(hours=1), reason="CrashLoopBackOff"), evidence=("ev-now",))
    finding = judged(make.proxy(A), replace(make.unread(listed), now=now), pods=(A, listed))
    violated(finding, "ID-01", "its istio-proxy is not up (CrashLoopBackOff)", evidence=("ev-now",), causes=())


def test_a_sidecar_behind_an_init_container_of_the_application_is_no_violation_however_old_the_pod_is() -> None:
    migration = make.container("migrate", is_init=True, ready=False, started=False)
    old = created(timedelta(hours=1), is_init=False, reason="PodInitializing")
    held = replace(old, spec=replace(old.spec, containers=(migration, *old.spec.containers)))
    finding = judged(make.proxy(A), replace(make.unread(held), now=held), pods=(A, held))
    unknown(
        finding, "ID-01", "Pod test-app/b: the suite could not read it: its init container migrate keeps istio-proxy from"
    )
    assert finding.unclear[0].evidence == ("ev-pod-b",)


def test_a_pod_that_went_away_is_left_out_by_name_and_the_others_count() -> None:
    fleet = make.fleet(make.proxy(A), make.left_out(of=B))
    finding = of_proxies(CLAIM, (A,), fleet, (), confirmed="all is well")
    holds(finding, "ID-01", "ev-gone-b")
    assert finding.left_out == (Remark(B.ref, make.GONE),)
    bad = of_proxies(CLAIM, (A,), fleet, [problem(make.proxy(A), "it is wrong")])
    violated(bad, "ID-01", causes=())
    assert bad.left_out == finding.left_out


def test_where_every_pod_went_away_nothing_is_proved() -> None:
    finding = of_proxies(CLAIM, (), make.fleet(make.left_out(of=B)), (), confirmed="all is well")
    unknown(finding, "ID-01", NONE_STAYED)
    assert finding.settle == READ_AGAIN
    assert finding.left_out == (Remark(B.ref, make.GONE),)
    assert finding.unclear[0].evidence == ("ev-gone-b",)


def test_a_proxy_of_a_pod_that_the_api_server_does_not_list_is_unclear() -> None:
    unknown(
        judged(make.proxy(A), make.unread(created(timedelta(hours=1))), pods=(A,)),
        "ID-01",
        "Pod test-app/b: the suite could not",
    )


def test_only_what_could_not_be_read_needs_settling() -> None:
    down = created(timedelta(hours=1))
    finding = of_proxies(CLAIM, (down,), make.fleet(make.unread(down)), ())
    assert finding.settle == ""


def test_pods_that_went_away_hide_neither_a_proxy_that_is_down_nor_one_that_could_not_be_read() -> None:
    gone, down = make.left_out(), created(timedelta(hours=1))
    wrong = of_proxies(CLAIM, (down,), make.fleet(make.unread(down), gone), ())
    violated(wrong, "ID-01", "it holds no identity", causes=())
    assert wrong.unclear == ()
    unclear = of_proxies(CLAIM, (A, B), make.fleet(make.unread(A), make.unread(B), gone), ())
    assert unclear.seen == "Pod test-app/a, Pod test-app/b: the suite could not read it: forbidden"
    assert unclear.settle == "grant the right"


def test_numbers_and_the_guides_answer_are_kept() -> None:
    claim = Claim("ID-01", "certificates", "2 sidecars", ("ev-pods",), "the guide is content")
    measure = Measure("age", 5, "s", at_most=10)
    fleet = make.fleet(make.proxy(A))
    finding = of_proxies(claim, (A,), fleet, (), confirmed="all is well", measures=(measure,))
    holds(finding, "ID-01", "ev-pods")
    assert (finding.seen, finding.guide_says) == ("all is well", "the guide is content")
    assert finding.measures == (measure,)
    late = of_proxies(claim, (A,), fleet, (), measures=(Measure("age", 15, "s", at_most=10),))
    violated(late, "ID-01", "age: 15 s (at most 10 s)")


def test_an_empty_fleet_is_confirmed_by_what_was_listed() -> None:
    holds(of_proxies(CLAIM, (), make.fleet(), (), confirmed="no sidecar"), "ID-01", "ev-pods")


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ({"last_exit_code": 137, "last_reason": "OOMKilled"}, "(CrashLoopBackOff; it ended with code 137, OOMKilled)"),
        ({"last_exit_code": 1}, "(CrashLoopBackOff; it ended with code 1, for no reason that is given)"),
        ({}, "(CrashLoopBackOff)"),
    ],
)
def test_how_a_proxy_that_is_down_ended_the_last_time_is_told(ended: dict[str, Any], said: str) -> None:
    down = created(timedelta(hours=1), reason="CrashLoopBackOff", restarts=4, **ended)
    finding = judged(make.unread(down), pods=(down,))
    assert finding.seen == f"Pod test-app/b: it holds no identity: its istio-proxy is not up {said}"
