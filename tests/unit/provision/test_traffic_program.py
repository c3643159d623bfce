"""The program of the traffic, manifests/traffic/traffic.py: both ends on loopback, its ledger through the parser."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from facts.traffic.ledger import Ledger, Outcome, parse_ledger
from facts.traffic.load import Clock, Load, parse_load
from provision.pods.clients_and_servers import TRAFFIC


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    http, tcp = _free_port(), _free_port()
    environment = {"POD": "beta", "NAMESPACE": "run", "SERVICE_ACCOUNT": "beta", "NODE": "node-1"}
    command = [sys.executable, str(TRAFFIC / "traffic.py"), "serve", "--http", str(http), "--tcp", str(tcp)]
    server = subprocess.Popen(command, env=environment)
    try:
        _await_port(http)
        _await_port(tcp)
        yield http, tcp
    finally:
        server.terminate()
        server.wait()


def call(*words: str) -> Ledger:
    environment = {"POD": "alpha", "NAMESPACE": "run", "SERVICE_ACCOUNT": "alpha", "NODE": "node-2"}
    command = [sys.executable, str(TRAFFIC / "traffic.py"), "call", *words]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True, timeout=20)
    return parse_ledger(json.loads(done.stdout))


def test_each_request_has_a_connection_of_its_own_and_arrives_once(ports: tuple[int, int]) -> None:
    http, tcp = ports
    ledger = call(f"http://127.0.0.1:{http}/", f"tcp://127.0.0.1:{tcp}", "--count", "3")
    assert [r.outcome for r in ledger.requests] == [Outcome.ANSWERED] * 6
    assert len({(r.url, r.connection) for r in ledger.requests}) == 6, "the system may give one port to two destinations"
    assert {w.arrivals for w in ledger.words} == {1}
    assert (ledger.client.pod, ledger.words[0].server.pod) == ("alpha", "beta")


@pytest.mark.parametrize("scheme", ["http", "tcp"])
def test_the_server_answers_over_both_families(ports: tuple[int, int], scheme: str) -> None:
    port = ports[scheme == "tcp"]
    ledger = call(f"{scheme}://[::1]:{port}/", f"{scheme}://127.0.0.1:{port}/")
    assert [r.outcome for r in ledger.requests] == [Outcome.ANSWERED] * 2
    assert [r.connection.rpartition(":")[0] for r in ledger.requests] == ["[::1]", "127.0.0.1"]


def test_a_host_of_six_stands_in_brackets() -> None:
    with closing(socket.create_server(("::1", 0), family=socket.AF_INET6)) as listens:
        port, asked = listens.getsockname()[1], bytearray()

        def take() -> None:
            connection, _ = listens.accept()
            asked.extend(connection.recv(4096))
            connection.close()

        thread = threading.Thread(target=take)
        thread.start()
        call(f"http://[::1]:{port}/")
        thread.join()
    assert f"Host: [::1]:{port}\r\n".encode() in asked


@pytest.mark.parametrize("path", ["/", "//a//b", "/open/../closed", "/open/..%2Fclosed", "/a%2e%2e?b=c%20d"])
def test_a_path_is_sent_and_repeated_as_it_stands(ports: tuple[int, int], path: str) -> None:
    (word,) = call(f"http://127.0.0.1:{ports[0]}{path}").words
    assert word.target == path


def test_no_listener_and_no_answer_are_two_outcomes() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        ledger = call(f"http://127.0.0.1:{_free_port()}/", f"http://127.0.0.1:{port}/", "--timeout", "0.3")
    assert [r.outcome for r in ledger.requests] == [Outcome.REFUSED, Outcome.TIMEOUT]


@pytest.mark.parametrize("scheme", ["http", "tcp"])
@pytest.mark.parametrize(("linger", "outcome"), [(True, Outcome.RESET), (False, Outcome.CLOSED)])
def test_a_reset_is_no_close(scheme: str, linger: bool, outcome: Outcome) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as rude:

        def hang_up() -> None:
            connection, _ = rude.accept()
            if linger:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            else:
                connection.recv(4096)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        ledger = call(f"{scheme}://127.0.0.1:{rude.getsockname()[1]}")
        thread.join()
    assert [r.outcome for r in ledger.requests] == [outcome]


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
        return port


def _await_port(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            threading.Event().wait(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on port {port}")


def run_load(url: str, *words: str, seconds: float) -> Load:
    environment = os.environ | {"POD": "alpha", "NAMESPACE": "run", "SERVICE_ACCOUNT": "alpha", "NODE": "node-2"}
    command = [sys.executable, str(TRAFFIC / "load.py")]
    asked = datetime.now(UTC)
    begun = subprocess.run([*command, "begin", url, *words], env=environment, capture_output=True, check=True, timeout=20)
    said = json.loads(begun.stdout)
    clock = Clock.read("Pod run/alpha", datetime.fromisoformat(said["now"]), asked, datetime.now(UTC))
    time.sleep(seconds)
    done = subprocess.run([*command, "end", said["load"]], env=environment, capture_output=True, check=True, timeout=20)
    return parse_load(json.loads(done.stdout), clock)


def test_a_load_keeps_its_rate_and_every_request_is_accounted_for(ports: tuple[int, int]) -> None:
    load = run_load(f"http://127.0.0.1:{ports[0]}/", "--rate", "50", seconds=2.0)

    assert load.sent == load.connections >= 30
    assert load.failed == ()
    assert all(r.word is not None and r.word.server.pod == "beta" and r.word.arrivals == 1 for r in load.ledger.requests)
    assert abs(load.clock.ahead) < 1
    assert load.began < load.ended


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_a_kept_connection_is_one(ports: tuple[int, int], address: str) -> None:
    load = run_load(f"tcp://{address}:{ports[1]}", "--rate", "50", "--keep", seconds=2.0)

    assert load.sent > load.connections == 1
    assert load.failed == ()


@pytest.mark.parametrize("keep", [(), ("--keep",)], ids=["fresh", "kept"])
def test_a_load_without_answers_fails_with_reasons(keep: tuple[str, ...]) -> None:
    load = run_load(f"tcp://127.0.0.1:{_free_port()}", "--rate", "20", *keep, seconds=0.4)

    assert len(load.failed) == load.sent > 0
    assert {r.outcome for r in load.failed} == {Outcome.REFUSED}
