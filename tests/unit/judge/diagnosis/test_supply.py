"""What proxies get from tbot: a stream that is dead, and a caller whom the rules refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import OpenPoint, Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.probes import Refused, SocketDirectoryProbe
from facts.proxies.sds_mode import SdsMode
from judge.diagnosis.supply import CLOSED, Clues, cut_off, refused_by_rules, unheard_of, unsettled
from providers.teleport.facts.resources import AllowRule, BotInstance, RuleCondition, WorkloadIdentity
from providers.teleport.facts.tbot import Tbot, Tbots
from providers.teleport.facts.tbot_log import LastAttempt, Obstacle
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW
from tests.unit.judge.diagnosis.told import named

POD = make.pod()
DEAD = make.streams(cx_active=0, rq_active=0, cx_connect_fail=66)


def since(minutes: float, **changes: Any) -> Tbots:
    """A tbot that has run for so long."""
    started = f"{NOW - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
    of_tbot = make.tbot_pod(**changes)
    containers = tuple(replace(each, started_at=started) for each in of_tbot.containers)
    return make.tbots(make.tbot(replace(of_tbot, spec=replace(of_tbot.spec, containers=containers))))


CUT, CUT_OFF = make.proxy(POD, streams=DEAD), "socket-directory-recreated"
OF_TBOT = make.tbot_pod().uid
JOINED = {OF_TBOT: make.last_attempt()}


def clues(*looked: SocketDirectoryProbe | Refused, attempts: Mapping[str, LastAttempt] = JOINED) -> Clues:
    """What probe pods saw, beside the log of a tbot that has joined."""
    return Clues(attempts, looked)


def named_ones(found: Sequence[Problem | OpenPoint]) -> list[Problem]:
    return [each for each in found if isinstance(each, Problem)]


@pytest.mark.parametrize("attempts", [JOINED, {}])
def test_a_proxy_that_is_cut_off_where_another_one_of_the_node_is_connected_holds_a_directory_that_is_gone(
    attempts: Mapping[str, LastAttempt],
) -> None:
    other = make.pod("b")
    found = named_ones(cut_off([CUT, make.proxy(other)], [POD, other], since(5), clues(attempts=attempts)))
    assert named(found) == [("Pod test-app/app", CUT_OFF)]
    assert found[0].said.endswith("its mount is of a directory that is gone")


@pytest.mark.parametrize("beside", [make.pod("b", node="node-2"), make.pod("b", socket=make.OTHER_NODES_SOCKET)])
def test_a_proxy_that_is_cut_off_where_nothing_decides_has_a_class_of_causes(beside: Pod) -> None:
    found = named_ones(cut_off([CUT, make.proxy(beside)], [POD, beside], since(5), clues()))
    assert named(found) == [("Pod test-app/app", cause) for cause in (CUT_OFF, *CLOSED)]
    assert "directory that is gone" not in found[0].said
    assert len({each.said for each in found}) == 1


@pytest.mark.parametrize(
    ("mode", "entry", "listener", "cause"),
    [
        (0o755, 0o777, "answers", CUT_OFF),
        (0o755, 0o777, "", CUT_OFF),
        (0o755, 0o600, "", "socket-closed"),
        (0o700, 0o777, "", "socket-directory-closed"),
        (0o755, 0o777, "nobody", "socket-stale"),
        (0o755, 0o777, "silent", "tbot-not-answering"),
    ],
)
def test_a_probe_pod_tells_a_directory_that_is_gone_from_what_else_cuts_off(
    mode: int, entry: int, listener: str, cause: str
) -> None:
    directory = make.seen_file(mode=mode)
    socket = make.seen_file("socket", entry, is_socket=True, listener=listener)
    looked = make.socket_directory_probe(directory=directory, entries=None if mode == 0o700 else (socket,))
    assert named(named_ones(cut_off([CUT], [POD], since(5), clues(looked)))) == [("Pod test-app/app", cause)]
    assert len(cut_off([CUT], [POD], since(5), clues(make.refused(), replace(looked, node="node-2")))) == 1 + len(CLOSED)


WAITS = make.last_attempt(joined=False, opened=False)
UNKNOWN = make.last_attempt(joined=False, opened=None)
REFUSED = make.last_attempt(Obstacle.NO_CONNECTION, "dial tcp 10.1.2.3:443: connect: connection refused")


@pytest.mark.parametrize(
    ("attempts", "words"),
    [
        ({OF_TBOT: WAITS}, "its log shows no join since its start"),
        ({OF_TBOT: REFUSED}, "its log shows no join since its start (dial tcp 10.1.2.3:443: connect: connection refused)"),
        ({OF_TBOT: UNKNOWN}, "the end of its log shows neither its start nor an answer of Teleport nor a caller"),
        ({}, "its log was not read"),
    ],
)
@pytest.mark.parametrize(
    "looked",
    [
        (),
        (make.refused(),),
        (make.socket_directory_probe(entries=None),),
        (make.socket_directory_probe(),),
        (make.socket_directory_probe(entries=(make.seen_file("socket", 0o600, is_socket=True),)),),
        (make.socket_directory_probe(entries=(make.seen_file("socket", 0o777, is_socket=True, listener="nobody"),)),),
    ],
    ids=["not looked", "refused", "not listed", "nobody asked", "left behind, closed", "left behind"],
)
def test_a_tbot_that_need_not_have_joined_is_left_open_once_and_no_proxy_beside_it_has_a_cause(
    looked: tuple[SocketDirectoryProbe | Refused, ...], attempts: Mapping[str, LastAttempt], words: str
) -> None:
    other = make.pod("b")
    found = cut_off([CUT, make.proxy(other, streams=DEAD)], [POD, other], since(5), clues(*looked, attempts=attempts))
    (left,) = found
    assert isinstance(left, OpenPoint)
    assert (str(left.about.subject), left.about.cause) == ("Pod teleport-system/tbot-1", "")
    assert left.about.said.endswith(words)
    assert "kubectl -n NAMESPACE logs POD" in left.settle


LATE = {OF_TBOT: make.last_attempt(opened_at=NOW - timedelta(seconds=20), start=True)}


@pytest.mark.parametrize(
    "looked",
    [
        (),
        (make.socket_directory_probe(entries=(make.seen_file("socket", 0o600, is_socket=True),)),),
        (make.socket_directory_probe(entries=(make.seen_file("socket", 0o777, is_socket=True, listener="answers"),)),),
    ],
    ids=["not looked", "closed", "answers"],
)
@pytest.mark.parametrize("beside", [[], [make.proxy(make.pod("b"))]], ids=["alone", "beside one that is connected"])
def test_a_tbot_that_joined_too_late_for_a_proxy_to_have_tried_again_is_left_open(looked: Any, beside: Any) -> None:
    pods = [POD, make.pod("b")]
    (left,) = cut_off([CUT, *beside], pods, since(5), clues(*looked, attempts=LATE))
    assert isinstance(left, OpenPoint)
    assert f"open at {NOW - timedelta(seconds=20):%F %T} UTC, too late to explain what was read; ask" in left.about.said
    in_time = {OF_TBOT: replace(LATE[OF_TBOT], opened_at=NOW - timedelta(seconds=61))}
    assert named_ones(cut_off([CUT, *beside], pods, since(5), clues(*looked, attempts=in_time)))


def test_a_log_that_does_not_go_back_to_the_start_leaves_a_proxy_that_is_connected_its_word() -> None:
    pods, busy = [POD, make.pod("b")], {OF_TBOT: replace(LATE[OF_TBOT], start=False)}
    found = cut_off([CUT, make.proxy(pods[1])], pods, since(5), clues(attempts=busy))
    assert named(named_ones(found)) == [("Pod test-app/app", CUT_OFF)]
    assert named_ones(cut_off([CUT], pods, since(5), clues(attempts=busy))) == []


@pytest.mark.parametrize("attempts", [JOINED, {OF_TBOT: WAITS}, {}])
@pytest.mark.parametrize("entries", [(), (make.seen_file("socket"),), (make.seen_file("other", is_socket=True),)])
def test_a_directory_without_the_socket_is_none_that_was_made_again(entries: Any, attempts: Any) -> None:
    (left,) = cut_off([CUT], [POD], since(5), clues(make.socket_directory_probe(entries=entries), attempts=attempts))
    assert isinstance(left, OpenPoint)
    assert "a probe pod sees no socket called socket in /run/spire/sockets" in left.about.said
    assert left.about.evidence[:1] == ("ev-directory-node-1",)


@pytest.mark.parametrize(
    ("looked", "cause"),
    [
        (make.socket_directory_probe(directory=make.seen_file(mode=0o700), entries=None), "socket-directory-closed"),
        (
            make.socket_directory_probe(entries=(make.seen_file("socket", 0o777, is_socket=True, listener="answers"),)),
            CUT_OFF,
        ),
    ],
)
def test_what_a_probe_pod_shows_by_itself_takes_no_log(looked: SocketDirectoryProbe, cause: str) -> None:
    found = cut_off([CUT], [POD], since(5), clues(looked, attempts={}))
    assert named(named_ones(found)) == [("Pod test-app/app", cause)]


def test_each_directory_of_a_node_is_judged_by_its_own_probe() -> None:
    def pool(name: str, directory: str) -> Tbot:
        made = make.pool(name, directory, make.NODE)
        return replace(made, pods=since(5).first.pods)

    tbots = make.tbots(pool("tbot-a", make.SOCKETS), pool("tbot-b", make.OTHER_SOCKETS))
    pods = [make.pod("a"), make.pod("b", socket=make.OTHER_NODES_SOCKET)]
    closed = make.socket_directory_probe(entries=(make.seen_file("socket", 0o600, is_socket=True),))
    answers = make.seen_file("socket", 0o777, is_socket=True, listener="answers")
    fine = make.socket_directory_probe(path=make.OTHER_SOCKETS, entries=(answers,))
    for looked in ([closed, fine], [fine, closed]):
        found = cut_off([make.proxy(pod, streams=DEAD) for pod in pods], pods, tbots, clues(*looked))
        assert named(named_ones(found)) == [("Pod test-app/a", "socket-closed"), ("Pod test-app/b", CUT_OFF)]


def test_only_dead_streams_beside_which_no_proxy_is_connected_take_a_closer_look() -> None:
    other = make.pod("b")
    assert unsettled([CUT, make.proxy(other)], [POD, other], since(5)) == []
    (dead,) = unsettled([CUT, make.proxy(other)], [POD, replace(other, uid="gone")], since(5))
    assert (dead.supplier.uid, dead.pod) == (OF_TBOT, POD)


def of(*conditions: RuleCondition, expression: str = "") -> WorkloadIdentity:
    return make.identity(rules=(AllowRule(expression, conditions),))


def where(attribute: str, **operator: Any) -> RuleCondition:
    blank: dict[str, Any] = {"equal": "", "unequal": "", "among": (), "not_among": ()}
    return RuleCondition(f"workload.kubernetes.{attribute}", **(blank | operator))


WAITING = make.proxy(POD, sds_mode=SdsMode.SILENT, chain=())
ELSEWHERE, HERE = where("namespace", equal="payments"), where("namespace", equal="test-app")


@pytest.mark.parametrize(
    "identities",
    [
        [of(ELSEWHERE)],
        [of(where("namespace", unequal="test-app"))],
        [of(where("service_account", among=("a", "b")))],
        [of(where("service_account", not_among=("test-app",)))],
        [of(HERE, where("service_account", equal="other"))],
        [of(ELSEWHERE), of(where("namespace", equal="billing"))],
        [of(ELSEWHERE), make.absent("workload_identity/b")],
    ],
)
def test_rules_that_refuse_the_service_account(identities: list[Any]) -> None:
    found = refused_by_rules([WAITING], identities)
    assert named(found) == [("Pod test-app/app", "identity-rules-refuse")]
    assert "refuse the service account test-app of test-app" in found[0].said


@pytest.mark.parametrize(
    "identities",
    [
        [],
        [make.absent("workload_identity/istio-workloads")],
        [make.identity()],
        [of(HERE)],
        [of(where("namespace", among=("test-app", "b")), where("service_account", unequal="b"))],
        [of(expression='workload.kubernetes.namespace == "payments"')],
        [of(where("pod_name", equal="another"))],
        [of(ELSEWHERE), of(HERE)],
        [make.identity(rules=(AllowRule("", (ELSEWHERE,)), AllowRule("", (HERE,))))],
    ],
)
def test_rules_that_let_it_in_or_may(identities: list[Any]) -> None:
    assert refused_by_rules([WAITING], identities) == []


@pytest.mark.parametrize(
    "proxy", [make.proxy(POD), replace(WAITING, streams=DEAD), replace(WAITING, sds_mode=SdsMode.UNASKED)]
)
def test_proxies_that_wait_for_nothing_or_for_tbot(proxy: Any) -> None:
    assert refused_by_rules([proxy], [of(ELSEWHERE)]) == []


def beat(hours: float, version: str = "18.6.4", hostname: str = "tbot-1") -> BotInstance:
    return make.bot_instance(hostname, version, last_heartbeat=NOW - timedelta(hours=hours))


@pytest.mark.parametrize(
    ("version", "causes"),
    [("18.6.4", ["teleport-unreachable"]), ("18.0.9", ["teleport-unreachable", "tbot-never-recovers"])],
)
def test_a_tbot_of_which_teleport_hears_nothing(version: str, causes: list[str]) -> None:
    found = unheard_of(since(600), [beat(9, version), beat(8, version)], NOW)
    assert named(found) == [("Pod teleport-system/tbot-1", cause) for cause in causes]
    assert found[0].said.endswith(f"since {NOW - timedelta(hours=8):%F %T} UTC")
    assert len({each.said for each in found}) == 1


@pytest.mark.parametrize(
    "tbots",
    [since(600, ready=False), since(600, terminating=True), since(60), make.tbots(make.tbot())],
    ids=["frozen", "ending", "restarted since", "not running"],
)
def test_a_tbot_that_does_not_run_or_has_not_for_long_is_silent_for_another_reason(tbots: Tbots) -> None:
    assert unheard_of(tbots, [beat(9)], NOW) == []


def test_tbots_that_teleport_hears_of_or_may() -> None:
    without = make.bot_instance("tbot-1", last_heartbeat=None)
    for instances in ([], [beat(1)], [beat(9), beat(0.5)], [beat(9, hostname="tbot-0")], [without]):
        assert unheard_of(since(600), instances, NOW) == []


def test_a_proxy_that_tbots_start_does_not_concern_is_cut_off_by_nothing_though_no_other_one_is_connected() -> None:
    looked = make.socket_directory_probe()
    assert cut_off([CUT], [POD], since(600), clues(looked)) == []
    assert cut_off([CUT], [POD], since(600), clues()) == []


def test_a_tbot_of_which_nothing_is_known_hides_none_that_is_silent() -> None:
    """The first one has sent nothing yet, the second has not run for long, the third is heard of, the last one is silent."""
    started = f"{NOW - timedelta(hours=10):%Y-%m-%dT%H:%M:%SZ}"
    pods = []
    for number in range(1, 5):
        pod = make.tbot_pod(f"tbot-{number}", node=f"node-{number}")
        at = f"{NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}" if number == 2 else started
        containers = tuple(replace(each, started_at=at) for each in pod.spec.containers)
        pods.append(replace(pod, spec=replace(pod.spec, containers=containers)))
    instances = [beat(9, hostname="tbot-2"), beat(0.1, hostname="tbot-3"), beat(9, hostname="tbot-4")]
    found = unheard_of(make.tbots(make.tbot(*pods)), instances, NOW)
    assert named(found) == [("Pod teleport-system/tbot-4", "teleport-unreachable")]


@pytest.mark.parametrize(("minutes", "is_silent"), [(64, False), (65, False), (65.1, True)])
def test_two_heartbeats_are_waited_for_before_a_tbot_is_silent(minutes: float, *, is_silent: bool) -> None:
    assert bool(unheard_of(since(600), [beat(minutes / 60)], NOW)) is is_silent
    assert bool(unheard_of(since(minutes), [beat(9)], NOW)) is is_silent


def test_a_silent_tbot_whose_release_is_not_known_may_be_one_that_does_not_join_again() -> None:
    found = unheard_of(since(600), [replace(beat(9), version=None)], NOW)
    assert [each.cause for each in found] == ["teleport-unreachable", "tbot-never-recovers"]
