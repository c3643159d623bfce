"""The way from tbot to Teleport, and the program of the probe that dials it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.finding import OpenPoint, Problem
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Container
from facts.kubernetes.probes import Refused, TeleportProbe, parse_teleport_probe
from judge.explain.classes import told_apart
from providers.teleport.facts.tbot_log import LastAttempt, Obstacle, Validity
from providers.teleport.judge.reaching import dialled_directly, kept_away, not_serving, refused_for_its_token, unreached
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW, TRUST_DOMAIN
from tests.unit.judge.diagnosis.told import named

PROGRAM = Path(__file__).parents[5] / "manifests" / "probes" / "teleport_probe.py"
ADDRESS = "teleport.test:443"


UNREADY = make.tbot(make.tbot_pod(ready=False))


def probe(stage: str, error: str = "", *addresses: str) -> TeleportProbe:
    text = json.dumps({"stage": stage, "addresses": addresses, "error": error})
    return parse_teleport_probe(text, "node-1", ("ev-probe",), address=ADDRESS)


@pytest.mark.parametrize(
    ("found", "cause", "words"),
    [
        (
            probe("name", "gaierror: [Errno -2] Name or service not known"),
            "teleport-name-unknown",
            "the name in teleport.test:443 has no address there",
        ),
        (
            probe("connect", "ConnectionRefusedError: [Errno 111] Connection refused", "10.1.2.3"),
            "teleport-unreachable",
            "a connection to teleport.test:443 (10.1.2.3) is refused: nothing listens there, or a firewall or NetworkPolicy",
        ),
        (
            probe("connect", "TimeoutError: timed out", "10.1.2.3"),
            "teleport-unreachable",
            "no connection to teleport.test:443 (10.1.2.3) comes about (TimeoutError: timed out)",
        ),
        (
            probe("tls", "SSLError: [SSL: WRONG_VERSION_NUMBER]", "10.1.2.3"),
            "teleport-unreachable",
            "does not speak TLS",
        ),
    ],
)
def test_how_far_a_connection_comes(found: TeleportProbe, cause: str, words: str) -> None:
    (problem,) = unreached([found], UNREADY)
    assert isinstance(problem, Problem)
    assert named([problem]) == [("Node node-1", cause)]
    assert words in problem.said
    (left,) = unreached([found], make.tbot())
    assert isinstance(left, OpenPoint)
    assert (left.about.cause, "sees no NetworkPolicy of tbot's namespace" in left.settle) == ("", True)
    assert left.about.said.endswith("Pod teleport-system/tbot-1 there is Ready, so this need not be its own way")


def test_a_node_that_reaches_teleport() -> None:
    assert unreached([probe("answered", "", "10.1.2.3")], UNREADY) == []


@pytest.mark.parametrize("refused", [make.refused(), make.kept_out()])
def test_a_probe_that_did_not_run_leaves_its_node_open(refused: Refused) -> None:
    (left,) = unreached([refused], UNREADY)
    assert isinstance(left, OpenPoint)
    assert (str(left.about.subject), refused.reason in left.about.said) == ("Node node-1", True)


@pytest.mark.parametrize(
    ("env", "config", "words"),
    [
        ({}, {}, ""),
        ({"HTTPS_PROXY": "http://proxy:3128"}, {}, "HTTPS_PROXY leads it through a proxy"),
        ({"all_proxy": "socks5://proxy:1080"}, {}, "all_proxy leads it through a proxy"),
        ({}, {"proxy_server": "teleport.test"}, "has no port: teleport.test"),
        ({}, {"proxy_server": ""}, "has no port: it is empty"),
        ({}, {"proxy_server": "", "auth_server": "teleport.test:3025"}, ""),
    ],
)
def test_a_tbot_that_does_not_dial_as_a_probe_does(env: dict[str, str], config: dict[str, str], words: str) -> None:
    tbot = make.tbot(runs=make.tbot_container(env=env), config=make.tbot_config(**config))
    said = dialled_directly(tbot)
    assert words in said if words else said == ""


@pytest.mark.parametrize("text", ["", "{}", "Traceback", '{"stage": "name", "addresses": "x", "error": ""}'])
def test_what_the_program_does_not_print(text: str) -> None:
    with pytest.raises(CouldNotTell, match="node-1"):
        parse_teleport_probe(text, "node-1", address=ADDRESS)


def dialled(host: str, port: int) -> TeleportProbe:
    answer = subprocess.run([sys.executable, "-I", PROGRAM, host, str(port)], capture_output=True, check=True, text=True)
    return parse_teleport_probe(answer.stdout, "here", address=f"{host}:{port}")


def test_the_program_and_a_name_without_an_address() -> None:
    assert dialled("teleport.invalid", 443).stage == "name"


def test_the_program_and_a_port_where_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found = dialled("127.0.0.1", unused.getsockname()[1])
    assert (found.stage, found.addresses) == ("connect", ("127.0.0.1",))
    assert "ConnectionRefusedError" in found.error


def test_the_program_and_a_server_that_ends_each_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = subprocess.Popen(
            [sys.executable, "-I", PROGRAM, "127.0.0.1", str(server.getsockname()[1])], stdout=subprocess.PIPE, text=True
        )
        server.accept()[0].close()
        printed, _nothing = program.communicate(timeout=20)
    assert parse_teleport_probe(printed, "here", address="").stage == "tls"


@pytest.mark.parametrize(
    ("obstacle", "cause"),
    [
        (Obstacle.NO_ADDRESS, "teleport-name-unknown"),
        (Obstacle.NO_CONNECTION, "teleport-unreachable"),
        (Obstacle.CERTIFICATE, "teleport-certificate-untrusted"),
        (Obstacle.NO_KEYS, "jwks-placeholder"),
        (Obstacle.ACCOUNT, "token-other-service-account"),
        (Obstacle.NO_JOIN_TOKEN, "token-missing"),
        (Obstacle.METHOD, "token-method-wrong"),
    ],
)
def test_tbots_own_words_name_what_keeps_it_from_teleport(obstacle: Obstacle, cause: str) -> None:
    pod = make.tbot_pod(ready=False)
    (found,) = kept_away(
        pod, LastAttempt(obstacle, "x509: signed by unknown authority", joined=False, evidence=("ev-log",)), NOW
    )
    assert isinstance(found, Problem)
    assert named([found]) == [("Pod teleport-system/tbot-1", cause)]
    assert found.said.endswith(": x509: signed by unknown authority")
    assert found.evidence == ("ev-log", *pod.evidence)


def test_a_signature_that_teleport_refuses_leaves_the_keys_of_the_token_as_a_class_until_the_token_is_read() -> None:
    pod = make.tbot_pod(ready=False)
    log = LastAttempt(Obstacle.KEYS, "validating jwt signature", joined=False, evidence=("ev-log",))
    found = [each for each in kept_away(pod, log, NOW) if isinstance(each, Problem)]
    keys = ("jwks-of-other-keys", "jwks-placeholder", "jwks-rotated-since")
    single, classes = told_apart(found)
    assert (single, [*classes]) == ({}, [keys])
    token = ObjectRef("Teleport", "token/istio-tbot-k8s-join")
    single, classes = told_apart([*found, Problem(token, "its JWKS is the placeholder", "jwks-placeholder")])
    assert ([*single], classes) == (["jwks-placeholder"], {})


def test_a_look_up_that_no_name_server_answers_names_no_cause() -> None:
    last = LastAttempt(Obstacle.NO_NAME_SERVER, "dial tcp: lookup t.test: i/o timeout", joined=False, evidence=("ev-log",))
    (found,) = kept_away(make.tbot_pod(ready=False), last, NOW)
    assert isinstance(found, Problem)
    assert (found.cause, found.said.endswith(f"{last.obstacle}: {last.said}")) == ("", True)


@pytest.mark.parametrize("joined", [True, False])
def test_a_log_without_such_words_names_nothing(joined: bool) -> None:
    assert kept_away(make.tbot_pod(ready=False), LastAttempt(None, "", joined, ("ev-log",)), NOW) == []


REFUSED = LastAttempt(Obstacle.TOKEN, "reviewing kubernetes token with static_jwks", joined=False, evidence=("ev-log",))


def test_a_tbot_is_refused_for_its_token_where_teleport_says_so() -> None:
    tbot, pod = make.tbot(volumes=make.tbot_volumes(audience="elsewhere")), ran(state="waiting", restarts=1)
    found = refused_for_its_token(tbot, pod, REFUSED, TRUST_DOMAIN)
    cause = "token-audience-wrong"
    assert named(found) == [("DaemonSet teleport-system/tbot", cause), ("Pod teleport-system/tbot-1", cause)]
    assert [each.evidence[0] for each in found] == ["ev-log"] * 2
    single, classes = told_apart([*found, replace(found[0], said="it lives too long", cause="token-lifetime-too-long")])
    assert ({*single}, classes) == ({cause, "token-lifetime-too-long"}, {})
    assert kept_away(pod, REFUSED, NOW) == []


@pytest.mark.parametrize("obstacle", [None, *(each for each in Obstacle if each is not Obstacle.TOKEN)])
@pytest.mark.parametrize("joined", [True, False])
def test_what_else_ends_a_tbot_blames_no_token(obstacle: Obstacle | None, *, joined: bool) -> None:
    last = LastAttempt(obstacle, "words", joined=joined, evidence=("ev-log",))
    for tokens in (make.tbot_volumes(audience="elsewhere"), make.tbot_volumes()[1:]):
        tbot, pod = make.tbot(volumes=tokens), ran(state="waiting", restarts=4, last_exit_code=1)
        assert refused_for_its_token(tbot, pod, last, TRUST_DOMAIN) == []


@pytest.mark.parametrize(
    ("obstacle", "step"), [(Obstacle.PROXY, "HTTPS_PROXY"), (Obstacle.ELSEWHERE, "see whose address that is")]
)
def test_a_connection_that_need_not_be_to_teleport_is_left_open_with_its_words(obstacle: Obstacle, step: str) -> None:
    pod = make.tbot_pod(ready=False)
    last = LastAttempt(obstacle, "dial tcp 10.1.1.1:4317: refused", joined=False, evidence=("ev-log",))
    (left,) = kept_away(pod, last, NOW)
    assert isinstance(left, OpenPoint)
    assert (left.about.subject, left.about.cause, left.about.evidence[0]) == (pod.ref, "", "ev-log")
    assert left.about.said.endswith(": dial tcp 10.1.1.1:4317: refused")
    assert step in left.settle


@pytest.mark.parametrize(
    ("state", "is_named"),
    [
        ({"state": "running"}, False),
        ({"state": "terminated"}, True),
        ({"state": "running", "restarts": 1}, True),
        ({"state": "running", "last_exit_code": 0}, True),
        ({"state": "running", "restarts": 1, "last_exit_code": 1, "ready": True}, False),
    ],
)
def test_a_tbot_that_may_be_about_to_join_is_not_refused(state: dict[str, Any], *, is_named: bool) -> None:
    tbot = make.tbot(volumes=make.tbot_volumes(audience="elsewhere"))
    found = refused_for_its_token(tbot, ran(**state), REFUSED, TRUST_DOMAIN)
    assert bool(found) is is_named


OF_LATE = "2026-03-01T11:51:00Z"


def ran(*, ready: bool = False, terminating: bool = False, **state: object) -> Pod:
    made = make.tbot_pod(ready=ready, terminating=terminating)
    runs: Container = replace(make.tbot_container(), **state)  # type: ignore[arg-type]
    return replace(made, spec=replace(made.spec, containers=(runs,)))


@pytest.mark.parametrize(
    ("pod", "is_asked"),
    [
        (ran(state="running"), True),
        (ran(state="terminated"), True),
        (ran(state="waiting", restarts=3), True),
        (ran(state="waiting"), False),
        (ran(state="running", terminating=True), False),
        (ran(state="running", ready=True), False),
        (ran(state="running", ready=True, restarts=1, last_exit_code=1, last_ended=OF_LATE), True),
        (ran(state="running", ready=True, restarts=1, last_exit_code=1, last_ended="2026-03-01T11:49:00Z"), False),
        (ran(state="running", ready=True, restarts=1, last_exit_code=1), False),
        (ran(state="running", ready=True, restarts=1, last_exit_code=1, last_ended=OF_LATE, readiness_probe=True), False),
        (ran(state="running", ready=True, restarts=1, last_exit_code=0, last_ended=OF_LATE), False),
        (replace(ran(state="running"), spec=replace(make.tbot_pod().spec, containers=())), False),
    ],
)
def test_the_log_of_a_tbot_that_has_run_and_does_not_serve_is_asked_for(pod: Pod, *, is_asked: bool) -> None:
    assert [each.name for each in not_serving(make.tbot(pod), NOW)] == (["tbot-1"] if is_asked else [])


@pytest.mark.parametrize(
    ("validity", "cause"),
    [
        (None, "teleport-certificate-untrusted"),
        (Validity(NOW - timedelta(days=1), is_over=True), "teleport-certificate-untrusted"),
        (Validity(NOW + timedelta(days=1), is_over=True), "node-clock-off"),
        (Validity(NOW + timedelta(days=1), is_over=False), "teleport-certificate-untrusted"),
        (Validity(NOW - timedelta(minutes=9), is_over=False), "teleport-certificate-untrusted"),
        (Validity(NOW - timedelta(days=1), is_over=False), "node-clock-off"),
    ],
)
def test_a_certificate_that_is_valid_by_our_clock_shows_a_wrong_one_on_the_node(validity: Validity, cause: str) -> None:
    last = LastAttempt(Obstacle.CERTIFICATE, "x509: expired or not yet valid", False, ("ev-log",), validity)
    (found,) = kept_away(make.tbot_pod(ready=False), last, NOW)
    assert isinstance(found, Problem)
    subject = "Node node-1" if cause == "node-clock-off" else "Pod teleport-system/tbot-1"
    assert named([found]) == [(subject, cause)]
    assert ("by the clock of this machine" in found.said) == (cause == "node-clock-off")


def test_a_tbot_that_is_ending_does_not_show_that_its_way_is_open() -> None:
    found = unreached([probe("tls", "SSLError", "10.1.2.3")], make.tbot(make.tbot_pod(terminating=True)))
    assert [isinstance(each, Problem) for each in found] == [True]
    elsewhere = unreached([probe("tls", "SSLError", "10.1.2.3")], make.tbot(make.tbot_pod(node="node-2")))
    assert [isinstance(each, Problem) for each in elsewhere] == [True]
