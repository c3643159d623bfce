"""Readings of the rules of the diagnosis, and the probes that INST-14 makes where a socket answers nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from types import SimpleNamespace
from typing import Any, cast

import pytest

from checks import diagnosis, identity
from facts.errors import CouldNotTell, NotGiven
from facts.evidence import ObjectRef
from facts.finding import OpenPoint, Problem
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.pod_spec import Volume
from facts.proxies.sds_mode import SdsMode, SecretState
from judge.findings import Claim
from observe.install import Install
from providers.teleport.facts.joining import Joining
from providers.teleport.facts.resources import JoinToken
from providers.teleport.facts.tbot import Tbot
from providers.teleport.facts.tbot_log import LastAttempt, Obstacle
from tests.unit.judge import builders as make

REFUSAL = Condition("ReplicaFailure", "True", "FailedCreate", 'violates PodSecurity "baseline:latest": hostPath volumes')


def refusing(namespace: str) -> Any:
    return make.deployment("shop", namespace=namespace, conditions=(REFUSAL,))


def test_refused_pods_are_looked_for_where_they_are_injected() -> None:
    namespaces = (make.namespace("to-be", labels={"istio-injection": "enabled"}), make.namespace("other", labels={}))
    cluster = SimpleNamespace(
        deployments=lambda: tuple(map(refusing, ("there", "to-be", "other"))), namespaces_of_install=lambda: namespaces
    )
    install = cast("Install", SimpleNamespace(cluster=cluster, istio=SimpleNamespace(planes=make.planes)))
    assert [each.subject.namespace for each in diagnosis.refused_pods(install)] == ["to-be"]


def reporting(
    tbot: SimpleNamespace, *, silent: Sequence[str] = (), fleet: Any = make.fleet, pods: Sequence[Pod] = ()
) -> Install:
    """An install with that tbot and those proxies, on nodes that report but for some."""
    cluster = SimpleNamespace(silent_nodes=lambda: frozenset(silent), living_pods=tuple)
    proxies, teleport = SimpleNamespace(fleet=fleet, pods=lambda: tuple(pods)), SimpleNamespace(ping=make.ping)
    return cast("Install", SimpleNamespace(tbot=tbot, cluster=cluster, proxies=proxies, teleport=teleport))


class Dialling:
    """Notes what is dialled."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def of_teleport(self, *asked: Any) -> tuple[Any, ...]:
        self.asked.append(asked)
        return ()


@pytest.mark.parametrize(
    ("config", "address"),
    [
        ({"proxy_server": "t.test:443"}, "t.test:443"),
        ({"proxy_server": "", "auth_server": "a.test:3025"}, "a.test:3025"),
        ({"proxy_server": "t.test"}, ""),
        ({"proxy_server": ""}, ""),
    ],
)
def test_each_tbot_is_dialled_for_at_its_own_address(config: dict[str, str], address: str) -> None:
    tbot, probes = make.tbot(config=make.tbot_config(**config)), Dialling()
    install = reporting(SimpleNamespace(all=lambda: make.tbots(tbot)))
    left = diagnosis.unreached(install, cast("Any", probes))
    assert [isinstance(each, OpenPoint) for each in left] == ([] if address else [True])
    assert probes.asked == ([(["node-1"], address, ("teleport-system", "tbot"))] if address else [])


def test_one_log_that_cannot_be_read_hides_no_other() -> None:
    def last_attempt(_tbot: Tbot, pod: Any) -> LastAttempt:
        if pod.node == "node-2":
            raise CouldNotTell(expected="a log", seen="no answer", where="node-2", remedy="see why its kubelet is silent")
        obstacle = Obstacle.CERTIFICATE if pod.node == "node-1" else None
        return LastAttempt(obstacle, "x509: unknown authority", joined=False, evidence=("ev-log",))

    pods = [make.tbot_pod(f"tbot-{at}", node=f"node-{at}", ready=False) for at in (1, 2, 3)]
    runs = replace(make.tbot_container(), state="running")
    tbots = make.tbots(make.tbot(*(replace(pod, spec=replace(pod.spec, containers=(runs,))) for pod in pods)))
    facet = SimpleNamespace(all=lambda: tbots, last_attempt=last_attempt)
    found = [*diagnosis.kept_from_teleport(reporting(facet))]
    assert [each.cause for each in found if not isinstance(each, OpenPoint)] == ["teleport-certificate-untrusted"]
    (left,) = (each for each in found if isinstance(each, OpenPoint))
    assert (left.about.subject, left.settle) == (pods[1].ref, "see why its kubelet is silent")
    of_node_2 = reporting(facet, silent=["node-2"])
    assert [each.cause for each in diagnosis.kept_from_teleport(of_node_2) if isinstance(each, Problem)] == [
        "teleport-certificate-untrusted"
    ]
    assert not any(isinstance(each, OpenPoint) for each in diagnosis.kept_from_teleport(of_node_2))


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        (make.token(), ""),
        (make.token(allow=("default:tbot",)), "token-other-service-account"),
        (None, "token-other-service-account"),
    ],
)
def test_a_join_token_that_is_right_by_now_is_blamed_no_longer(token: JoinToken | None, cause: str) -> None:
    """Without an admin session, None, only tbot's log can tell."""
    pod = make.tbot_pod(ready=False)
    runs = replace(make.tbot_container(), state="waiting", restarts=1)
    tbot = make.tbot(replace(pod, spec=replace(pod.spec, containers=(runs,))))

    def joinings() -> tuple[Joining, ...]:
        if token is None:
            raise NotGiven(expected="an admin session", seen="none", where="the settings", remedy="give --tctl")
        return (Joining(tbot, token, make.bot()),)

    refused = LastAttempt(Obstacle.ACCOUNT, "it did not match any allow rules", joined=False, evidence=("ev-log",))
    facet = SimpleNamespace(all=lambda: make.tbots(tbot), last_attempt=lambda _tbot, _pod: refused)
    teleport = SimpleNamespace(ping=make.ping, joinings_by_kubernetes=joinings, role_of=lambda _bot: make.ROLE)
    cluster = SimpleNamespace(silent_nodes=frozenset, jwks=make.jwks)
    proxies = SimpleNamespace(fleet=make.fleet, pods=tuple)
    parts = SimpleNamespace(tbot=facet, cluster=cluster, proxies=proxies, teleport=teleport)
    (found,) = diagnosis.kept_from_teleport(cast("Install", parts))
    if isinstance(found, OpenPoint):
        assert (cause, found.about.subject, found.about.evidence[0]) == ("", pod.ref, "ev-log")
        assert found.about.said.endswith("it did not match any allow rules; the join token is right by now")
        assert "delete pod" in found.settle
    else:
        assert (found.subject, found.cause) == (pod.ref, cause)


def test_no_question_is_asked_of_a_tbot_on_a_node_that_is_not_ready() -> None:
    probes, pods = Dialling(), [make.tbot_pod(f"tbot-{at}", node=f"node-{at}") for at in (1, 2)]
    facet = SimpleNamespace(all=lambda: make.tbots(make.tbot(*pods)))
    assert diagnosis.unreached(reporting(facet, silent=["node-2"]), cast("Any", probes)) == []
    assert [nodes for nodes, *_ in probes.asked] == [["node-1"]]
    volume = Volume("sockets", "hostPath", path=make.SOCKETS, type="Directory")
    runs = replace(make.tbot_container(), state="waiting", reason="ContainerCreating")
    waits = replace(pods[0], ready=False, spec=replace(pods[0].spec, containers=(runs,), volumes=(volume,)))
    facet = SimpleNamespace(all=lambda: make.tbots(make.tbot(waits, volumes=(make.tbot_volumes()[0], volume))))
    assert len(diagnosis.without_directory(reporting(facet))) == 1
    assert diagnosis.without_directory(reporting(facet, silent=["node-1"])) == []


def installed(tbot: Tbot, last: LastAttempt | None = None, **teleport: Any) -> Install:
    tbots = make.tbots(tbot)
    facet = SimpleNamespace(
        all=lambda: tbots,
        last_attempt=lambda _tbot, _pod: last or make.last_attempt(),
        socket_directories=lambda: tbots.directories,
        sockets_on=lambda _node: ("/run/spire/sockets/socket",),
    )
    hosted = {"node-1": [make.pod()], "node-2": [make.pod("b", node="node-2")]}
    proxies = SimpleNamespace(pods_by_node=lambda: hosted, pods=lambda: tuple(chain.from_iterable(hosted.values())))
    cluster = SimpleNamespace(silent_nodes=frozenset)
    found = SimpleNamespace(tbot=facet, proxies=proxies, cluster=cluster, teleport=SimpleNamespace(**teleport))
    return cast("Install", found)


class Looking:
    """Notes which directories are looked at, and on which nodes."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], str]] = []

    def of_socket_directories(self, nodes: Any, directory: str) -> tuple[Any, ...]:
        self.asked.append((list(nodes), directory))
        return tuple(make.socket_directory_probe(node) for node in nodes)


SOCKET = ("node-2", "/run/spire/sockets/socket")
UNANSWERED = make.sds_probe("node-2", leaf=None, reason="no answer", socket=SOCKET[1])


def test_only_directories_of_sockets_that_answer_nothing_are_looked_at() -> None:
    probes, issuing = Looking(), make.issuing(make.identity())
    install = installed(make.tbot(make.tbot_pod(), make.tbot_pod("tbot-2", node="node-2")), issuing=lambda: (issuing,))
    found = identity.beside(install, cast("Any", probes), [make.sds_probe(), UNANSWERED])
    assert probes.asked == [(["node-2"], "/run/spire/sockets")]
    assert found.identities == {SOCKET: (make.identity(),)}
    assert found.unjoined == frozenset()


@pytest.mark.parametrize(
    ("last", "unjoined"),
    [
        (make.last_attempt(joined=False, opened=False), {SOCKET}),
        (make.last_attempt(joined=False, opened=None), set()),
        (make.last_attempt(), set()),
    ],
)
def test_a_socket_that_answers_nothing_is_asked_whether_its_tbot_has_joined(last: LastAttempt, unjoined: Any) -> None:
    install = installed(make.tbot(make.tbot_pod(), make.tbot_pod("tbot-2", node="node-2")), last, issuing=tuple)
    assert identity.beside(install, cast("Any", Looking()), [make.sds_probe(), UNANSWERED]).unjoined == unjoined
    nowhere = installed(make.tbot(make.tbot_pod()), last, issuing=tuple)
    assert identity.beside(nowhere, cast("Any", Looking()), [UNANSWERED]).unjoined == frozenset()


def beside_dead_streams(last_attempt: Any) -> Install:
    """Two nodes on which tbot has started since: on the first one proxy of two is connected, on the second none.

    Args:
        last_attempt: Answers what the log of a pod of tbot says.
    """
    since = f"{datetime.now(UTC) - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    of_tbot = [make.tbot_pod(), make.tbot_pod("tbot-2", node="node-2")]
    runs = tuple(replace(each, started_at=since) for each in of_tbot[0].containers)
    tbots = make.tbots(make.tbot(*(replace(each, spec=replace(each.spec, containers=runs)) for each in of_tbot)))
    pods = (make.pod(), make.pod("b", node="node-2"), make.pod("c"))
    dead = make.streams(cx_active=0, rq_active=0, cx_connect_fail=66)
    identities = make.fleet(
        *(make.proxy(pod, streams=dead, read_at=datetime.now(UTC)) for pod in pods[:2]), make.proxy(pods[2])
    )
    proxies = SimpleNamespace(
        fleet=lambda: identities,
        pods=lambda: pods,
        sidecar_fleet=lambda: identities,
        sidecar_pods=lambda: pods,
        surveyed_pods=lambda: pods,
    )
    facet = SimpleNamespace(all=lambda: tbots, last_attempt=last_attempt)
    cluster = SimpleNamespace(pods_evidence=lambda: ("ev-pods",), silent_nodes=frozenset)
    teleport = SimpleNamespace(ping=make.ping)
    return cast("Install", SimpleNamespace(proxies=proxies, tbot=facet, cluster=cluster, teleport=teleport))


def told(found: Iterable[Problem | OpenPoint]) -> list[tuple[str, str]]:
    """Subject and cause of each; an open point has the cause ``?``."""
    return [
        (str(each.about.subject), "?") if isinstance(each, OpenPoint) else (str(each.subject), each.cause) for each in found
    ]


def test_a_directory_is_looked_at_only_on_nodes_where_nothing_else_decides() -> None:
    install = beside_dead_streams(lambda _tbot, _pod: make.last_attempt())
    probes = Looking()
    assert len(diagnosis.cut_off(install)) == 5
    assert len(diagnosis.cut_off(install, cast("Any", probes))) == 2
    assert probes.asked == [(["node-2"], "/run/spire/sockets")]


def test_each_tbot_beside_dead_streams_is_asked_for_its_log_and_only_one_that_they_alone_point_to_for_its_obstacle() -> None:
    asked: list[str] = []

    def waits(_tbot: Tbot, pod: Pod) -> LastAttempt:
        asked.append(pod.name)
        return make.last_attempt(Obstacle.NO_CONNECTION, "dial tcp 10.1.2.3:443: i/o timeout")

    install = beside_dead_streams(waits)
    assert told(diagnosis.cut_off(install)) == [
        ("Pod test-app/app", "socket-directory-recreated"),
        ("Pod teleport-system/tbot-2", "?"),
    ]
    assert {*asked} == {"tbot-1", "tbot-2"}
    asked.clear()
    assert told(diagnosis.kept_from_teleport(install)) == [("Pod teleport-system/tbot-2", "teleport-unreachable")]
    assert {*asked} == {"tbot-2"}


def test_what_a_tbot_that_has_joined_met_later_does_not_keep_its_socket_closed() -> None:
    later = make.last_attempt(Obstacle.NO_CONNECTION, "dial tcp 10.1.2.3:443: i/o timeout", opened=True)
    install = beside_dead_streams(lambda _tbot, _pod: later)
    assert told(diagnosis.kept_from_teleport(install)) == []
    assert len(diagnosis.cut_off(install)) == 5


def test_a_log_that_cannot_be_read_leaves_open_whether_a_socket_is() -> None:
    def denied(_tbot: Tbot, _pod: Pod) -> LastAttempt:
        raise CouldNotTell(expected="a log", seen="no answer", where="node-2", remedy="see why its kubelet is silent")

    install = beside_dead_streams(denied)
    assert told(diagnosis.cut_off(install))[1:] == [("Pod teleport-system/tbot-2", "?")]
    assert told(diagnosis.kept_from_teleport(install)) == []
    assert told(blamed(install)) == [("Pod test-app/app", "socket-directory-recreated")]


def blamed(install: Install) -> list[Problem]:
    """The problems of the requirement on the socket that have a cause."""
    return [each for each in identity.secrets_come_from_the_socket(install).problems if each.cause]


def test_proxies_that_cannot_be_read_hide_no_log_of_tbot() -> None:
    def unreadable() -> Any:
        raise CouldNotTell(expected="proxies", seen="none", where="the mesh", remedy="grant the right")

    obstacle = make.last_attempt(Obstacle.CERTIFICATE, "x509: unknown authority")
    tbots = make.tbots(make.tbot(make.tbot_pod(ready=False)))
    pod = tbots.first.pods["node-1"]
    running = replace(pod, spec=replace(pod.spec, containers=(replace(make.tbot_container(), state="running"),)))
    tbots = make.tbots(make.tbot(running))
    facet = SimpleNamespace(all=lambda: tbots, last_attempt=lambda _tbot, _pod: obstacle)
    found = diagnosis.kept_from_teleport(reporting(facet, fleet=unreadable))
    assert told(found) == [("Pod teleport-system/tbot-1", "teleport-certificate-untrusted")]


@pytest.mark.parametrize(
    ("last", "pods"),
    [
        (make.last_attempt(), ["app", "b"]),
        (make.last_attempt(joined=False, opened=False), ["app"]),
        (make.last_attempt(joined=False, opened=None), ["app"]),
        (make.last_attempt(opened_at=datetime.now(UTC), start=True), []),
    ],
)
def test_the_requirement_names_a_lost_directory_beside_a_proxy_that_is_connected_or_a_tbot_that_has_joined_in_time(
    last: LastAttempt, pods: list[str]
) -> None:
    install = beside_dead_streams(lambda _tbot, _pod: last)
    assert told(blamed(install)) == [(f"Pod test-app/{pod}", "socket-directory-recreated") for pod in pods]


def test_agents_that_exit_beside_a_tbot_that_has_not_joined_show_nothing_of_its_socket() -> None:
    proxy = make.istio_proxy(
        state="waiting", reason="CrashLoopBackOff", last_reason="Error", last_exit_code=255, restarts=4, ready=False,
        started=False,
    )  # fmt: skip
    pod = replace(make.pod(proxy=proxy, ready=False), created_at="2026-03-01T10:00:00Z")
    tbots = make.tbots()

    def found(last: LastAttempt) -> list[tuple[str, str]]:
        facet = SimpleNamespace(all=lambda: tbots, last_attempt=lambda _tbot, _pod: last)
        install = reporting(facet, pods=[pod])
        return told([*diagnosis.agents_that_exit(install), *diagnosis.kept_from_teleport(install)])

    refused = make.last_attempt(Obstacle.CERTIFICATE, "x509: unknown authority")
    tbots_pod = "Pod teleport-system/tbot-1"
    assert found(refused) == [(tbots_pod, "?"), (tbots_pod, "teleport-certificate-untrusted")]
    assert {subject for subject, _cause in found(make.last_attempt())} == {"Node node-1"}


@pytest.mark.parametrize(("config_map", "left"), [("config-a", set()), ("config-b", {"Node node-1"})])
def test_of_two_tbots_on_a_node_the_one_with_a_known_defect_leaves_nothing_to_decide(
    monkeypatch: pytest.MonkeyPatch, config_map: str, left: set[str]
) -> None:
    a, b = make.pool("a", make.SOCKETS, "node-1"), make.pool("b", make.OTHER_SOCKETS, "node-1")
    tbots = make.tbots(replace(a, config_map="config-a"), replace(b, config_map="config-b"))
    of_a, of_b = make.pod("of-a", uid="uid-a"), make.pod("of-b", uid="uid-b", socket=make.OTHER_NODES_SOCKET)
    waits = make.proxy(of_a, sds_mode=SdsMode.SILENT, secret_state=SecretState.WARMING, chain=())
    found = make.fleet(waits, make.proxy(of_b))
    install = reporting(SimpleNamespace(all=lambda: tbots), fleet=lambda: found, pods=[of_a, of_b])
    claim = Claim("INST-13", "a sound configuration", "tbot", ("ev",))
    misspelt = Problem(ObjectRef("ConfigMap", config_map, "teleport-system"), "attestor", "attestor-misspelt")
    monkeypatch.setattr(diagnosis, "_of_tbot_and_its_bot", lambda _install: [claim.judged([misspelt])])
    assert {str(each.subject) for each in diagnosis.proxies_that_wait(install)} == left


def test_where_every_socket_answers_nothing_more_is_made() -> None:
    probes = Looking()
    assert not identity.beside(installed(make.tbot()), cast("Any", probes), [make.sds_probe(), make.refused()]).directories
    assert probes.asked == []


def test_identities_that_cannot_be_asked_for_leave_the_rest_as_it_is() -> None:
    def denied() -> Any:
        raise CouldNotTell(expected="an answer", seen="none", where="tctl", remedy="log in")

    tbot = make.tbot(make.tbot_pod(), make.tbot_pod("tbot-2", node="node-2"))
    found = identity.beside(installed(tbot, issuing=denied), cast("Any", Looking()), [UNANSWERED])
    assert len(found.directories) == 1
    assert found.identities == {}


def test_a_tbot_that_cannot_be_read_keeps_no_proxy_from_being_judged() -> None:
    def missing() -> Any:
        raise CouldNotTell(expected="a DaemonSet", seen="none", where="teleport-system", remedy="install tbot")

    assert identity.tbots_if_known(cast("Install", SimpleNamespace(tbot=SimpleNamespace(all=missing)))) is None
    known = make.tbots(replace(make.tbot(), evidence=("ev",)))
    assert identity.tbots_if_known(cast("Install", SimpleNamespace(tbot=SimpleNamespace(all=lambda: known)))) is known
