"""A pod of a living cluster: still the one that was listed or not, and how far its proxy has started."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from facts.document import SKEW, Absent
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.pod_spec import Container
from facts.proxies.presence import (
    HELD_AT_MOST,
    LEAVES_WITHIN,
    STARTING,
    Stage,
    initialized,
    is_coming_up,
    is_held_of_late,
    is_in_its_first_start,
    is_in_its_first_time,
    last_end,
    overstays,
    ready_since,
    restarted_while_starting,
    start_of,
    why_gone,
)
from tests.unit.judge import builders as make

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATE: dict[str, Any] = {"ready": False, "started": False}
SECOND = timedelta(seconds=1)


def ago(age: timedelta) -> str:
    return f"{NOW - age:%Y-%m-%dT%H:%M:%SZ}"


HOUR = timedelta(hours=1)


def proxy(**changes: Any) -> Container:
    """A proxy that has not started."""
    return make.istio_proxy(**(LATE | {"state": "waiting", "reason": "PodInitializing"} | changes))


def pod(*before: Container, age: timedelta = HOUR, of: Container | None = None, **changes: Any) -> Pod:
    """A pod whose proxy, a classic sidecar, comes after those init containers."""
    made = make.pod("b", proxy=of or proxy(is_init=False, restart_policy=""), ready=False, created_at=ago(age))
    return replace(made, **({"spec": replace(made.spec, containers=(*before, *made.spec.containers))} | changes))


def init(name: str = "migrate", **changes: Any) -> Container:
    """An init container that runs."""
    return make.container(name, **(LATE | {"is_init": True, "state": "running"} | changes))


def ended(name: str = "first", age: timedelta = HOUR, **changes: Any) -> Container:
    done: dict[str, Any] = {"state": "terminated", "reason": "Completed", "exit_code": 0, "ended_at": ago(age)}
    return init(name, **(done | changes))


# Gone or still there.


def test_the_same_pod_is_still_there_whatever_has_changed_in_it() -> None:
    assert why_gone(make.pod(), make.pod(ready=False, phase="Pending")) == ""


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (make.absent("app"), "it was deleted"),
        (make.pod(uid="another"), "another pod took its name"),
        (make.pod(terminating=True), "it began to terminate"),
        (make.pod(phase="Failed"), r"it ended while the suite read the fleet \(Failed\)"),
    ],
    ids=["deleted", "replaced", "terminating", "ended"],
)
def test_a_pod_is_gone_for_one_of_these_reasons(now: Pod | Absent, why: str) -> None:
    assert re.match(why, why_gone(make.pod(), now))


# How far a proxy has started.


@pytest.mark.parametrize("up", [{"ready": True}, {"started": True}])
def test_a_proxy_that_is_ready_or_started_is_up_whatever_its_init_containers_say(up: dict[str, bool]) -> None:
    assert start_of(pod(init(), of=proxy(**up)), NOW).stage is Stage.UP


def test_without_a_proxy_there_is_none_to_start() -> None:
    assert start_of(make.pod(injected=False), NOW).stage is Stage.DOWN


@pytest.mark.parametrize(
    ("before", "stage"),
    [
        ((init(),), Stage.HELD),
        ((ended(), init()), Stage.HELD),
        ((ended(), init(state="waiting", reason="PodInitializing")), Stage.HELD),
        ((init(state="waiting", reason="ImagePullBackOff"),), Stage.HELD_FOR_GOOD),
        ((init(state="waiting", reason="CrashLoopBackOff", restarts=4),), Stage.HELD_FOR_GOOD),
        ((init(restarts=1),), Stage.HELD_FOR_GOOD),
        ((init(state="terminated", reason="Error", exit_code=1),), Stage.HELD_FOR_GOOD),
        ((init("istio-init"),), Stage.DOWN),
        ((init("istio-validation", state="waiting", reason="CrashLoopBackOff", restarts=4),), Stage.DOWN),
        ((init(state="waiting", reason="PodInitializing"),), Stage.DOWN),
        ((init(state="waiting", reason="ContainerCreating"),), Stage.DOWN),
        ((init(state=""),), Stage.DOWN),
        ((ended(),), Stage.DOWN),
        ((init("dns", restart_policy="Always", started=True),), Stage.DOWN),
        ((init("dns", restart_policy="Always"),), Stage.HELD),
        ((), Stage.DOWN),
    ],
)
def test_in_an_old_pod_the_init_containers_decide(before: tuple[Container, ...], stage: Stage) -> None:
    assert start_of(pod(*before), NOW).stage is stage


def test_the_container_that_holds_a_proxy_up_is_named() -> None:
    assert start_of(pod(ended(), init()), NOW).said == "its init container migrate keeps istio-proxy from starting"
    failing = start_of(pod(init(state="waiting", reason="CrashLoopBackOff", restarts=4)), NOW)
    assert failing.said == "its init container migrate keeps istio-proxy from starting (CrashLoopBackOff)"
    assert start_of(pod(init(restarts=1)), NOW).said.endswith(" (restarted)")
    istios = start_of(pod(init("istio-validation", state="waiting", reason="CrashLoopBackOff")), NOW)
    assert istios.said == "CrashLoopBackOff"
    assert start_of(pod(of=proxy(reason="ErrImagePull")), NOW).said == "ErrImagePull"


def test_once_the_sandbox_stands_a_container_that_has_not_begun_is_what_keeps_the_proxy_waiting() -> None:
    waits = init(state="waiting", reason="PodInitializing")
    conditions = (Condition("PodReadyToStartContainers", "True"),)
    assert start_of(pod(waits, conditions=conditions), NOW).stage is Stage.HELD
    not_yet = (Condition("PodReadyToStartContainers", "False"),)
    assert start_of(pod(waits, conditions=not_yet), NOW).stage is Stage.DOWN


def test_a_native_sidecar_waits_only_for_what_stands_before_it() -> None:
    made = make.pod("b", proxy=proxy(), ready=False, created_at=ago(HOUR))
    behind = replace(made, spec=replace(made.spec, containers=(proxy(), init(), *made.spec.containers[1:])))
    assert start_of(behind, NOW).stage is Stage.DOWN
    before = replace(made, spec=replace(made.spec, containers=(init(), *made.spec.containers)))
    assert start_of(before, NOW).stage is Stage.HELD


def test_a_proxy_has_its_time_from_the_moment_at_which_it_could_start() -> None:
    for age, stage in ((STARTING - SECOND, Stage.STARTING), (STARTING, Stage.DOWN)):
        assert start_of(pod(age=age), NOW).stage is stage
        assert start_of(pod(ended(age=age)), NOW).stage is stage
        running = proxy(is_init=False, state="running", reason="", started_at=ago(age))
        assert start_of(pod(of=running), NOW).stage is stage
        again = replace(running, restarts=1, started_at=ago(SECOND))
        assert start_of(pod(of=again, age=age), NOW).stage is stage


def test_a_proxy_that_is_up_has_the_same_time_for_what_it_still_lacks() -> None:
    for age, has_time in ((STARTING - SECOND, True), (STARTING, False)):
        up = proxy(is_init=False, state="running", reason="", started=True, ready=True, started_at=ago(age))
        assert is_in_its_first_time(pod(of=up), NOW) is has_time
        again = replace(up, restarts=1, started_at=ago(SECOND))
        assert is_in_its_first_time(pod(of=again, age=age), NOW) is has_time
    assert not is_in_its_first_time(make.pod(injected=False, created_at=ago(SECOND)), NOW)


def test_a_start_in_the_future_excuses_nothing() -> None:
    for age, is_young in ((-SKEW, True), (-SKEW - SECOND, False)):
        stage = Stage.STARTING if is_young else Stage.DOWN
        running = proxy(is_init=False, state="running", reason="", started_at=ago(age))
        assert start_of(pod(of=running), NOW).stage is stage
        assert start_of(pod(ended(age=age)), NOW).stage is stage
        assert is_in_its_first_time(pod(of=running), NOW) is is_young
        assert is_coming_up(pod(of=proxy(started=True), age=age), NOW) is is_young


@pytest.mark.parametrize("stage", Stage)
def test_only_what_starts_or_waits_may_pass_by_itself(stage: Stage) -> None:
    assert stage.may_pass is (stage in {Stage.STARTING, Stage.HELD})


def test_a_container_starts_for_the_first_time_until_it_has_had_its_time_or_its_pod_was_ready() -> None:
    def first(age: timedelta, *lost: Condition, started: str = "") -> bool:
        container = make.container("tbot", started_at=started or ago(age))
        return is_in_its_first_start(replace(make.pod(ready=False), conditions=lost), container, NOW)

    never, before = Condition("Ready", "False", since=ago(3 * SECOND)), Condition("Ready", "False", since="")
    assert first(SECOND)
    assert first(SECOND, never)
    assert first(3 * SECOND, never)
    assert first(SECOND, before)
    assert first(5 * SECOND, replace(never, type="ContainersReady"))
    assert not first(5 * SECOND, never)
    assert first(STARTING - SECOND)
    assert not first(STARTING)
    assert not first(SECOND, started="yesterday")
    assert not first(-HOUR)


def test_the_last_end_of_a_container_is_that_of_its_present_state_or_the_one_before() -> None:
    minute, now = ago(timedelta(minutes=1)), ago(SECOND)
    for text in ("", "yesterday"):
        assert last_end(make.container("a", last_ended=text)) is None
        assert last_end(make.container("a", last_ended=now, ended_at=text)) == NOW - SECOND
    assert last_end(make.container("a", last_ended=minute, ended_at=now)) == NOW - SECOND
    assert last_end(make.container("a", ended_at=minute)) == NOW - timedelta(minutes=1)


def test_a_pod_is_ready_since_its_condition_says_so_and_not_before_its_container_started() -> None:
    def since(ready: str, started: str, kind: str = "Ready") -> Any:
        pod = replace(make.pod(), conditions=(Condition(kind, "True", since=ready),))
        return ready_since(pod, make.container("tbot", started_at=started))

    assert since(ago(SECOND), ago(HOUR)) == NOW - SECOND
    assert since(ago(HOUR), ago(SECOND)) == NOW - SECOND
    assert since(ago(SECOND), ago(HOUR), "PodScheduled") == NOW - HOUR
    assert since("", ago(HOUR)) == since("yesterday", ago(HOUR)) == NOW - HOUR
    assert since(ago(HOUR), "") == NOW - HOUR
    assert since("", "") is None


# Restarts.


def restarted(after: timedelta, *, at: timedelta = HOUR, **changes: Any) -> Pod:
    """A Ready pod, initialized so long ago, whose proxy last ended so long after that."""
    since = NOW - at
    last = f"{since + after:%Y-%m-%dT%H:%M:%SZ}"
    made = make.pod(proxy=make.istio_proxy(**({"restarts": 2, "last_ended": last} | changes)))
    return replace(made, conditions=(Condition("Initialized", "True", since=f"{since:%Y-%m-%dT%H:%M:%SZ}"),))


def test_a_restart_belongs_to_the_start_until_a_minute_after_the_pod_was_initialized() -> None:
    assert restarted_while_starting(restarted(-timedelta(minutes=3)))
    assert restarted_while_starting(restarted(STARTING - SECOND))
    assert not restarted_while_starting(restarted(STARTING))
    assert not restarted_while_starting(restarted(SECOND, restarts=0))
    assert not restarted_while_starting(restarted(SECOND, last_ended=""))
    assert not restarted_while_starting(make.pod(injected=False))


def test_a_pod_that_is_not_initialized_counts_from_its_creation() -> None:
    made = replace(make.pod(created_at=ago(HOUR)), conditions=(Condition("Initialized", "False", since=ago(SECOND)),))
    assert initialized(made) == NOW - HOUR
    assert initialized(replace(made, conditions=(Condition("Initialized", "True", since=ago(SECOND)),))) == NOW - SECOND


def test_a_time_that_is_missing_or_damaged_excuses_nothing() -> None:
    for text in ("", "yesterday"):
        nowhen = replace(pod(age=SECOND), created_at=text)
        assert start_of(nowhen, NOW).stage is Stage.DOWN
        assert not is_coming_up(nowhen, NOW)
        assert start_of(pod(of=proxy(started_at="yesterday"), age=SECOND), NOW).stage is Stage.DOWN
        assert not restarted_while_starting(restarted(SECOND, last_ended=text))
    assert start_of(pod(ended(age=SECOND), created_at=""), NOW).stage is Stage.STARTING
    assert start_of(pod(init(), created_at=""), NOW).stage is Stage.HELD


def test_what_waiting_may_change() -> None:
    assert is_coming_up(pod(age=SECOND), NOW)
    assert is_coming_up(pod(init(), age=HOUR), NOW)
    assert is_coming_up(pod(of=proxy(started=True), age=SECOND), NOW)
    assert not is_coming_up(pod(of=proxy(started=True), age=HOUR), NOW)
    assert not is_coming_up(pod(age=HOUR), NOW)
    assert not is_coming_up(pod(init(state="waiting", reason="ErrImagePull"), age=SECOND), NOW)
    assert not is_coming_up(replace(pod(age=SECOND), ready=True), NOW)
    assert not is_coming_up(make.pod(injected=False, ready=False), NOW)
    unplaced = pod(age=SECOND)
    assert not is_coming_up(replace(unplaced, spec=replace(unplaced.spec, node="")), NOW)
    assert is_coming_up(restarted(SECOND, at=timedelta(seconds=30)), NOW)
    assert not is_coming_up(restarted(SECOND, at=STARTING), NOW)


@pytest.mark.parametrize(
    ("age", "is_late"), [(HELD_AT_MOST - SECOND, True), (HELD_AT_MOST, False), (timedelta(days=3), False)]
)
def test_an_init_container_that_runs_for_long_is_not_waited_for(age: timedelta, is_late: bool) -> None:
    day = timedelta(days=9)
    assert is_held_of_late(pod(init(started_at=ago(age)), age=day), NOW) is is_late
    behind = (ended("istio-init", age=age), init(state="waiting", reason="PodInitializing"))
    assert is_held_of_late(pod(*behind, age=day), NOW) is is_late
    assert is_held_of_late(pod(init(started_at=""), age=age), NOW) is is_late
    assert not is_held_of_late(pod(init(started_at="yesterday"), created_at=""), NOW)
    assert not is_held_of_late(pod(init(started_at=ago(age), restarts=1), age=age), NOW)
    assert not is_held_of_late(pod(ended(age=age), age=age), NOW)


def test_a_deleted_pod_overstays_some_minutes_after_its_grace_period() -> None:
    assert not overstays(make.pod(), NOW)
    for age, does in ((LEAVES_WITHIN, True), (LEAVES_WITHIN - SECOND, False), (-HOUR, False)):
        deleted = make.pod(terminating=True, due=ago(age))
        assert overstays(deleted, NOW) is does
        assert not overstays(replace(deleted, phase="Succeeded"), NOW)
    assert overstays(make.pod(terminating=True, due="soon"), NOW)  # a damaged time excuses nothing
