"""Nodes on which one of several causes is so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.evidence import ObjectRef
from facts.finding import OpenPoint, Problem
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.pod_spec import SOCKET_FILE
from facts.proxies.identity import ProxyIdentity
from facts.proxies.sds_mode import SdsMode, SecretState
from judge.diagnosis.undecided import NO_ANSWER, SOCKET_USELESS, SUFFICIENT, beside_exits, decided, exiting, waiting
from judge.explain.cause import CAUSES
from judge.explain.diagnosis import diagnosed
from judge.explain.realms import EVERYWHERE, Realms
from judge.explain.results import CheckResult, Outcome
from judge.findings import Claim
from providers.teleport.facts.tbot import OtherTbot, Tbots
from providers.teleport.judge.tbot import configuration_is_sound
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW

READY = make.tbots()
OF_TBOT = make.tbot_pod().uid
JOINED = {OF_TBOT: make.last_attempt()}
SILENT: dict[str, Any] = {"sds_mode": SdsMode.SILENT, "secret_state": SecretState.WARMING, "chain": ()}


WAITS: dict[str, Any] = {"state": "waiting", "reason": "CrashLoopBackOff"}
GIVES_UP: dict[str, Any] = {"last_exit_code": 255, "last_reason": "Error"}


def crashing(name: str = "app", *, socket: str = "", ends: Mapping[str, Any] = GIVES_UP, **changes: Any) -> Pod:
    """A pod whose istio-proxy exits again and again."""
    env = {SOCKET_FILE: socket} if socket else {}
    proxy = make.istio_proxy(restarts=4, ready=False, started=False, env=env, **{**WAITS, **ends})
    made = make.pod(name, proxy=proxy, ready=False, **changes)
    return replace(made, created_at=f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")


def causes(found: Sequence[Problem | OpenPoint]) -> list[str]:
    return [each.cause for each in problems(found)]


def problems(found: Sequence[Problem | OpenPoint]) -> list[Problem]:
    return [each for each in found if isinstance(each, Problem)]


def test_agents_that_exit_beside_a_ready_tbot_are_one_problem_of_the_node_for_each_cause_that_may_be_so() -> None:
    found = problems(exiting([crashing("a"), crashing("b"), make.pod("fine")], [], READY, NOW, JOINED))
    assert causes(found) == [*SOCKET_USELESS]
    assert {str(each.subject) for each in found} == {"Node node-1"}
    assert {each.said for each in found} == {
        "Istio's agents exit at their start although a tbot there is Ready: Pod test-app/a, Pod test-app/b"
    }


@pytest.mark.parametrize(
    "attempts",
    [{}, *({OF_TBOT: make.last_attempt(joined=False, opened=opened)} for opened in (False, None))],
    ids=["unread", "not joined", "unknown"],
)
def test_agents_that_exit_beside_a_tbot_that_need_not_have_opened_its_socket_have_no_cause(attempts: Any) -> None:
    found = exiting([crashing("a", socket="tbot"), crashing("b", socket="tbot")], [], READY, NOW, attempts)
    (left,) = found
    assert isinstance(left, OpenPoint)
    assert (str(left.about.subject), left.about.cause) == ("Pod teleport-system/tbot-1", "")
    assert "Istio's agents there exit at their start" in left.about.said
    assert [(tbot, pod.uid) for tbot, pod in beside_exits([crashing()], [], READY, NOW)] == [(READY.first, OF_TBOT)]


@pytest.mark.parametrize(("ended", "is_named"), [(10, True), (20, False), (120, False)])
def test_only_an_exit_after_tbot_joined_shows_a_socket_that_an_agent_cannot_use(ended: int, *, is_named: bool) -> None:
    attempts = {OF_TBOT: make.last_attempt(opened_at=NOW - timedelta(seconds=20))}
    pod = crashing(ends=GIVES_UP | {"last_ended": f"{NOW - timedelta(seconds=ended):%Y-%m-%dT%H:%M:%SZ}"})
    found = exiting([pod], [], READY, NOW, attempts)
    assert [*map(type, found)] == ([Problem] * len(SOCKET_USELESS) if is_named else [OpenPoint])


@pytest.mark.parametrize(
    ("ends", "is_named"),
    [
        (GIVES_UP, True),
        (GIVES_UP | {"state": "terminated", "reason": "Error", "exit_code": 255}, True),
        (GIVES_UP | {"state": "terminated", "reason": "OOMKilled", "exit_code": 137}, False),
        (GIVES_UP | {"state": "running", "reason": ""}, False),
        ({"last_exit_code": 137, "last_reason": "OOMKilled"}, False),
        ({"last_exit_code": 255, "last_reason": "OOMKilled"}, False),
        ({"last_exit_code": 128, "last_reason": "StartError"}, False),
        ({"last_exit_code": 127, "last_reason": "ContainerCannotRun"}, False),
        ({"last_exit_code": 139, "last_reason": "Error"}, False),
        ({"last_exit_code": 137, "last_reason": "Error"}, False),
        ({"last_exit_code": 1, "last_reason": "Error"}, False),
        ({"last_exit_code": 255, "last_reason": "Unknown"}, False),
        ({"last_exit_code": 0, "last_reason": "Completed"}, False),
        ({"last_exit_code": None, "last_reason": ""}, False),
    ],
    ids=str,
)
def test_only_an_agent_that_gives_up_shows_a_socket_that_it_cannot_use(ends: dict[str, Any], *, is_named: bool) -> None:
    assert bool(exiting([crashing(ends=ends)], [], READY, NOW, JOINED)) is is_named
    assert bool(beside_exits([crashing(ends=ends)], [], READY, NOW)) is is_named


def connected(since: timedelta, *, active: int = 1, **of: Any) -> tuple[Pod, ProxyIdentity]:
    """A proxy beside the crashing pod, which was made an hour ago, with its pod."""
    pod = make.pod("beside", **of)
    return pod, make.proxy(pod, uptime=since.total_seconds(), streams=make.streams(cx_active=active))


@pytest.mark.parametrize(
    ("beside", "is_named"),
    [
        (connected(timedelta(minutes=30)), False),
        (connected(timedelta(minutes=90)), True),
        (connected(timedelta(minutes=30), active=0), True),
        (connected(timedelta(minutes=30), node="node-2"), True),
        (connected(timedelta(minutes=30), socket=make.OTHER_NODES_SOCKET), True),
    ],
    ids=["since", "before", "not connected", "another node", "another socket"],
)
def test_a_proxy_that_has_started_since_and_is_connected_shows_that_the_socket_can_be_used(
    beside: tuple[Pod, ProxyIdentity], *, is_named: bool
) -> None:
    pod, proxy = beside
    former, long_connected = connected(timedelta(minutes=90))
    for proxies in ([proxy, long_connected], [long_connected, proxy]):
        pods = [crashing("a"), replace(pod, uid="uid-other"), replace(former, uid=long_connected.pod.uid)]
        known = [replace(each, pod=replace(each.pod, uid="uid-other")) if each is proxy else each for each in proxies]
        assert bool(exiting(pods, known, READY, NOW, JOINED)) is is_named


def test_a_pod_without_a_time_keeps_no_other_one_from_being_judged() -> None:
    pod, proxy = connected(timedelta(minutes=30))
    pods = [replace(crashing("a"), created_at=""), replace(pod, uid="uid-other")]
    found = exiting(pods, [replace(proxy, pod=replace(proxy.pod, uid="uid-other"))], READY, NOW, JOINED)
    assert causes(found) == [*SOCKET_USELESS]


def test_where_a_sidecar_may_not_fall_back_the_directory_may_be_closed_as_well() -> None:
    found = exiting([crashing("a", socket="tbot")], [], READY, NOW, JOINED)
    assert causes(found) == [*SOCKET_USELESS, "socket-directory-closed"]


def test_what_else_explains_that_an_agent_exits_is_left_to_others() -> None:
    unready = make.tbots(replace(make.tbot(), pods={make.NODE: make.tbot_pod(ready=False)}))
    no_socket = crashing(socket="tbot")
    no_socket = replace(no_socket, spec=replace(no_socket.spec, volumes=(make.EMPTY_DIR,)))
    no_image = crashing()
    image = replace(no_image.spec.containers[0], reason="ImagePullBackOff")
    no_image = replace(no_image, spec=replace(no_image.spec, containers=(image, *no_image.spec.containers[1:])))
    assert exiting([crashing()], [], unready, NOW, JOINED) == []
    assert exiting([crashing()], [], make.tbots(replace(make.tbot(), pods={})), NOW, JOINED) == []
    assert exiting([no_socket, no_image, make.pod("plain", injected=False)], [], READY, NOW, JOINED) == []


def test_a_ready_tbot_that_serves_other_pods_of_the_node_decides_nothing() -> None:
    a, b = make.pool("a", make.SOCKETS, "node-1", "node-2"), make.pool("b", make.OTHER_SOCKETS, "node-2")
    there, elsewhere = (crashing(f"on-{node}", node=node, socket="tbot") for node in ("node-1", "node-2"))
    of_b = [replace(p, spec=replace(p.spec, volumes=(make.OTHER_NODES_SOCKET,))) for p in (there, elsewhere)]
    joined = {pod.uid: make.last_attempt() for tbot in (a, b) for pod in tbot.pods.values()}

    def nodes(pods: Sequence[Pod], tbots: Tbots) -> set[str]:
        return {str(each.subject) for each in problems(exiting(pods, [], tbots, NOW, joined))}

    assert nodes(of_b, make.tbots(a, b)) == {"Node node-2"}
    assert nodes([there], make.tbots(a, b)) == {"Node node-1"}
    known = {pod.uid: pod for pod in of_b}
    found = waiting([make.proxy(pod, **SILENT) for pod in of_b], known, make.tbots(a, b))
    assert {str(each.subject) for each in found} == {"Node node-2"}
    unread = OtherTbot(b.daemon_set.ref, "it is in a Secret", unread=True)
    with_unread = make.tbots(a, left_out=[unread])
    assert exiting(of_b, [], with_unread, NOW, joined) == []
    assert waiting([make.proxy(pod, **SILENT) for pod in of_b], known, with_unread) == []
    assert nodes([there], with_unread) == {"Node node-1"}


GAVE_UP: dict[str, Any] = {"reason": "Error", "exit_code": 255}


@pytest.mark.parametrize(
    ("ended", "started", "ready", "tried"),
    [
        (300, 20, 10, False),
        (15, 20, 10, False),
        (5, 20, 10, True),
        (10, 20, 10, True),
        (300, 7200, 10, False),
        (300, 7200, 7190, True),
        (300, 20, None, False),
        (300, None, 10, False),
        (300, None, None, True),
        (None, 20, 10, True),
    ],
)
def test_an_agent_that_has_not_tried_since_its_tbot_became_ready_shows_nothing(
    ended: int | None, started: int | None, ready: int | None, tried: bool
) -> None:
    def at(seconds: int | None) -> str:
        return "" if seconds is None else f"{NOW - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"

    pod, own = crashing(), make.tbot_pod(conditions=(Condition("Ready", "True", since=at(ready)),))
    own = replace(own, spec=replace(own.spec, containers=(make.tbot_container(started_at=at(started)),)))
    ways: list[dict[str, Any]] = [{"last_ended": at(ended)}, {"state": "terminated", "ended_at": at(ended), **GAVE_UP}]
    for ends in ways:
        proxy, *others = pod.spec.containers
        exits = replace(pod, spec=replace(pod.spec, containers=(replace(proxy, **ends), *others)))
        assert bool(exiting([exits], [], make.tbots(make.tbot(own)), NOW, {own.uid: make.last_attempt()})) is tried


def test_connected_proxies_without_a_certificate_beside_a_ready_tbot() -> None:
    pods = [make.pod(name) for name in "abcde"]
    proxies = [make.proxy(pod, **SILENT) for pod in pods]
    found = waiting(proxies, {pod.uid: pod for pod in pods}, READY)
    assert causes(found) == [*NO_ANSWER]
    assert found[0].said.endswith("get no certificate: Pod test-app/a, Pod test-app/b, Pod test-app/c and 2 more")


def test_a_proxy_that_is_not_connected_or_has_its_certificate_does_not_wait() -> None:
    pod = make.pod()
    known = {pod.uid: pod}
    for proxy in (
        make.proxy(pod),
        make.proxy(pod, **SILENT, streams=make.streams(cx_active=0)),
        make.proxy(pod, **SILENT, has_files_cluster=False),
    ):
        assert waiting([proxy], known, READY) == []
    assert waiting([make.proxy(pod, **SILENT)], {}, READY) == []
    unready = make.tbots(replace(make.tbot(), pods={make.NODE: make.tbot_pod(ready=False)}))
    assert waiting([make.proxy(pod, **SILENT)], known, unready) == []


def test_what_a_judgment_of_tbot_names_leaves_nothing_to_decide() -> None:
    without_host_pid = make.joining(make.tbot(host_pid=False))
    named = configuration_is_sound(without_host_pid, make.ping().cluster_name, [make.pod()], ("ev-pods",))
    assert named.causes == ("tbot-host-pid-missing",)
    realms = Realms(tbots=READY)
    assert not decided([named], realms).isdisjoint(realms.with_(ObjectRef("Node", make.NODE)))
    fine = configuration_is_sound(make.joining(), make.ping().cluster_name, [make.pod()], ("ev-pods",))
    assert not decided([fine], realms)


def test_every_cause_is_known_and_each_member_of_a_class_says_what_would_settle_it() -> None:
    members = {*SOCKET_USELESS, *NO_ANSWER, "socket-directory-closed"}
    assert members | SUFFICIENT <= {*CAUSES}
    assert [cause for cause in members if not CAUSES[cause].settled_by] == []


def test_the_class_is_one_entry_of_the_diagnosis_which_a_probe_pod_settles() -> None:
    found = problems(exiting([crashing("a")], [], READY, NOW, JOINED))
    check = CheckResult("sockets", "t", "", Outcome.PROBLEM, "s", tuple(found))
    (made,) = diagnosed([check], {}).classes
    assert set(made.ids) == {*SOCKET_USELESS}
    assert "--allow namespaced" in made.settled_by
    probed = replace(found[1], said="the probe pod may not connect")
    settled = diagnosed([check, replace(check, problems=(probed,))], {})
    assert ([each.cause.id for each in settled.causes], settled.classes) == (["socket-closed"], ())


def test_each_cause_that_may_be_the_one_is_a_member_of_the_class() -> None:
    assert {"tbot-not-answering", "socket-closed"} <= {*causes(exiting([crashing()], [], READY, NOW, JOINED))}
    pod = make.pod()
    found = waiting([make.proxy(pod, **SILENT)], {pod.uid: pod}, READY)
    assert {*causes(found)} == {
        "bot-without-role",
        "identity-rules-refuse",
        "kubelet-unreachable",
        "role-matches-nothing",
        "tbot-not-answering",
    }


@pytest.mark.parametrize(
    "cause",
    [
        *("attestor-misspelt", "tbot-host-pid-missing", "tbot-node-name-missing"),
        *("bot-missing", "bot-scoped", "bot-without-role", "role-missing", "role-matches-nothing"),
        *("identity-missing", "identity-scoped", "tbot-scope-differs", "tbot-selects-nothing", "tbot-config-refused"),
    ],
)
def test_a_cause_that_leaves_every_proxy_without_a_certificate_decides(cause: str) -> None:
    claim = Claim("INST-09", "a sound install", "tbot", ("ev-tbot",))
    bot = ObjectRef("Teleport", "bot/tbot")
    one = Realms(tbots=READY)
    assert EVERYWHERE in decided([claim.judged(), claim.judged([Problem(bot, "it is not", cause)])], one)
    assert not decided([claim.judged([Problem(bot, "it is not", "join-token-expires")])], one)


def test_what_is_wrong_with_the_bot_of_one_tbot_decides_nothing_of_what_another_serves() -> None:
    left, right = make.pool("left", "/run/left", "left-node"), make.pool("right", "/run/right", "right-node")
    other = replace(right, config=replace(right.config, token="another-token"))
    claim = Claim("INST-10", "a sound install", "tbot", ("ev-tbot",))
    bot, token = ObjectRef("Teleport", "bot/left"), ObjectRef("Teleport", "token/another-token")
    unlike = Realms(tbots=make.tbots(left, other))
    assert decided([claim.judged([Problem(bot, "it has no role", "bot-without-role")])], unlike) == {str(bot)}
    of_token = decided([claim.judged([Problem(token, "its bot is not there", "bot-missing")])], unlike)
    assert not of_token.isdisjoint(unlike.with_(ObjectRef("Node", "right-node")))
    assert of_token.isdisjoint(unlike.with_(ObjectRef("Node", "left-node")))
    alike = Realms(tbots=make.tbots(left, right))
    assert EVERYWHERE in decided([claim.judged([Problem(bot, "it has no role", "bot-without-role")])], alike)


def test_a_pod_without_a_proxy_that_does_not_start_is_no_business_of_the_mesh() -> None:
    plain = make.pod("plain", injected=False, ready=False)
    assert (
        exiting([replace(plain, created_at=f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")], [], READY, NOW, JOINED) == []
    )


def test_istios_own_socket_keeps_no_sidecar_from_falling_back() -> None:
    assert "socket-directory-closed" not in causes(exiting([crashing(socket="socket")], [], READY, NOW, JOINED))


def test_an_agent_that_runs_again_is_starting_or_waits_for_others_does_not_exit() -> None:
    crashed = crashing()
    (proxy,) = [each for each in crashed.spec.containers if each.name == "istio-proxy"]
    others = tuple(each for each in crashed.spec.containers if each is not proxy)
    runs = replace(crashed, spec=replace(crashed.spec, containers=(replace(proxy, state="running"), *others)))
    migration = make.container("migrate", is_init=True, ready=False, started=False)
    held = replace(crashed, spec=replace(crashed.spec, containers=(migration, proxy, *others)))
    young = replace(crashed, created_at=f"{NOW - timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}")
    for pod in (runs, held, young):
        assert exiting([pod], [], READY, NOW, JOINED) == []


def test_one_sidecar_that_may_not_fall_back_is_enough_for_a_directory_that_is_closed() -> None:
    for pods in ([crashing("a", socket="tbot"), crashing("b")], [crashing("b"), crashing("a", socket="tbot")]):
        assert "socket-directory-closed" in causes(exiting(pods, [], READY, NOW, JOINED))
