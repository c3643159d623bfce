"""The way from tbot to Teleport, and the program of the probe that dials it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from facts.errors import CouldNotTell
from facts.finding import OpenPoint, Problem
from facts.kubernetes.probes import Refused, TeleportProbe, parse_teleport_probe
from judge.diagnosis.reaching import dialled_directly, unreached
from tests.unit.judge import builders as make
from tests.unit.judge.diagnosis.told import named

PROGRAM = Path(__file__).parents[4] / "manifests" / "probes" / "teleport_probe.py"
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


def test_a_tbot_that_is_ending_does_not_show_that_its_way_is_open() -> None:
    found = unreached([probe("tls", "SSLError", "10.1.2.3")], make.tbot(make.tbot_pod(terminating=True)))
    assert [isinstance(each, Problem) for each in found] == [True]
    elsewhere = unreached([probe("tls", "SSLError", "10.1.2.3")], make.tbot(make.tbot_pod(node="node-2")))
    assert [isinstance(each, Problem) for each in elsewhere] == [True]
