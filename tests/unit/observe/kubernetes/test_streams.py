"""Exec and port-forward: answers, refusals, and connections that drop."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.recorder import KeptInMemory
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.streams import ERROR, STDERR, STDOUT, ForwardedPort
from tests.unit.observe.api_server import ApiServer, Canned

POD = ObjectRef("Pod", "p", "n")
SUCCESS = json.dumps({"status": "Success"}).encode()


def _failure(reason: str, message: str) -> bytes:
    return json.dumps(
        {"status": "Failure", "message": "why", "details": {"causes": [{"reason": reason, "message": message}]}}
    ).encode()


def got(port: ForwardedPort, path: str) -> tuple[int, str]:
    port.ask(path)
    return port.answer(path)


def test_exec_keeps_the_two_outputs_and_the_exit_code_apart(
    cluster: Cluster, server: ApiServer, recorder: KeptInMemory
) -> None:
    server.frames = [(STDOUT, b"one "), (STDERR, b"oops"), (STDOUT, b"two"), (ERROR, _failure("ExitCode", "3"))]
    done = cluster.exec_in("n", "p", "main", ["ls", "-la", "a b"])
    assert (done.stdout, done.stderr, done.exit_code) == ("one two", "oops", 3)
    kept = recorder.evidence[done.evidence[0]]
    assert kept.question == "kubectl exec -n n p -c main -- ls -la 'a b'"
    assert kept.exit_code == 3
    assert "oops" in kept.body
    assert "command=ls&command=-la&command=a+b" in server.asked[-1][1]


def test_exec_that_succeeds(cluster: Cluster, server: ApiServer) -> None:
    server.frames = [(STDOUT, b"x"), (ERROR, SUCCESS)]
    assert cluster.exec_in("n", "p", "main", ["true"]).exit_code == 0


@pytest.mark.parametrize("frames", [[(STDOUT, b"half")], [(STDOUT, b"half"), None], [], [None]])
def test_a_dropped_connection_is_no_exit_code(
    cluster: Cluster, server: ApiServer, frames: list[tuple[int, bytes] | None]
) -> None:
    server.frames = frames
    with pytest.raises(CouldNotTell) as caught:
        cluster.exec_in("n", "p", "main", ["true"])
    assert "ended before the program" in caught.value.seen


def test_a_program_that_is_not_there(cluster: Cluster, server: ApiServer) -> None:
    server.frames = [(ERROR, json.dumps({"status": "Failure", "message": "executable file not found"}).encode())]
    with pytest.raises(CouldNotTell) as caught:
        cluster.exec_in("n", "p", "main", ["nonsense"])
    assert "executable file not found" in caught.value.seen
    assert "main of Pod n/p: nonsense" in caught.value.where


def test_a_refused_stream_says_why(cluster: Cluster, server: ApiServer) -> None:
    server.answers["WS /api/v1/namespaces/n/pods/p/exec"] = Canned({"message": "cannot create resource pods/exec"}, 403)
    with pytest.raises(CouldNotTell) as caught:
        cluster.exec_in("n", "p", "main", ["true"])
    assert caught.value.seen == "HTTP 403: cannot create resource pods/exec"


def test_a_forwarded_port_answers_many_requests_over_one_connection(cluster: Cluster, server: ApiServer) -> None:
    server.http = {"/a": Canned("x" * 5000), "/b": Canned({"b": 1}), "/c": Canned("", 503)}
    with cluster.port_forward(POD, 15000) as (port,):
        assert got(port, "/a") == (200, "x" * 5000)
        assert got(port, "/b") == (200, '{"b": 1}')
        assert got(port, "/c") == (503, "")
        assert got(port, "/none")[0] == 404
    assert [a[0] for a in server.asked] == ["WS", *["FORWARDED"] * 4]


def test_two_ports_over_one_connection_do_not_mix(cluster: Cluster, server: ApiServer) -> None:
    server.http = {f"/{n}": Canned(f"{n}" * 3000) for n in range(6)}
    with cluster.port_forward(POD, 15000, 15020) as (admin, tbot):
        admin.ask("/0")
        tbot.ask("/3")
        assert tbot.answer("/3") == (200, "3" * 3000)
        assert admin.answer("/0") == (200, "0" * 3000)
        assert [got(admin, path)[1] for path in ("/1", "/2")] == ["1" * 3000, "2" * 3000]
        assert got(tbot, "/4")[1] == "4" * 3000
        assert got(admin, "/5")[1] == "5" * 3000
    assert [a[1] for a in server.asked if a[0] == "WS"] == [
        "/api/v1/namespaces/n/pods/p/portforward?ports=15000&ports=15020"
    ]


def test_of_two_ports_the_one_without_a_listener_does_not_silence_the_other(cluster: Cluster, server: ApiServer) -> None:
    server.http, server.refused = {"/a": Canned("here")}, frozenset({15020})
    with cluster.port_forward(POD, 15000, 15020) as (admin, tbot):
        with pytest.raises(CouldNotTell) as caught:
            got(tbot, "/a")
        assert "connection refused" in caught.value.seen
        assert "port 15020 of Pod n/p" in caught.value.where
        assert got(admin, "/a") == (200, "here")


def test_a_port_without_a_listener(cluster: Cluster, server: ApiServer) -> None:
    server.http = None
    with cluster.port_forward(POD, 9) as (port,), pytest.raises(CouldNotTell) as caught:
        got(port, "/")
    assert "connection refused" in caught.value.seen
    assert "port 9 of Pod n/p" in caught.value.where


def test_a_port_that_never_answers_costs_one_deadline(cluster: Cluster, server: ApiServer) -> None:
    server.http = {"/": Canned("", hang=True)}
    began = time.monotonic()
    with cluster.port_forward(POD, 15000) as (port,), pytest.raises(CouldNotTell):
        got(port, "/")
    assert time.monotonic() - began < 1.9


def test_forwards_and_execs_at_once_do_not_mix(cluster: Cluster, server: ApiServer) -> None:
    server.http = {f"/{n}": Canned(f"answer {n}") for n in range(24)}
    server.frames = [(STDOUT, b"exec"), (ERROR, SUCCESS)]

    def one(number: int) -> str:
        if number % 3 == 0:
            return cluster.exec_in("n", "p", "main", ["x"]).stdout
        with cluster.port_forward(POD, 15000) as (port,):
            return got(port, f"/{number}")[1]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(24)))
    assert found == ["exec" if n % 3 == 0 else f"answer {n}" for n in range(24)]
