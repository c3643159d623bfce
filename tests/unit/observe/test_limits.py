"""Whoever answers without end, or too slowly, costs one limit or one deadline, and no part of the answer is used."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.kubernetes.objects import Pod
from facts.proxies import envoy
from facts.recorder import KeptInMemory
from observe.command import run
from observe.kubernetes.cluster import Cluster
from observe.limits import TooLarge
from observe.proxies.survey import read_fleet
from settings import Sizes, Timeouts
from tests.data import document
from tests.unit.observe.api_server import CONTEXT, ApiServer, Canned
from tests.unit.observe.captured import ENCODED

POD = ObjectRef("Pod", "p", "n")
SIZES = Sizes(api=200_000, objects=300_000, log=50_000, pod=200_000)
SLOW = Canned("x", endless=True, pause=0.2)
FLOOD = Canned("x" * 10_000, endless=True)
FEW = 32 * 2**20


def got(cluster: Cluster, path: str, *ports: int) -> tuple[int, str]:
    """The answer of the first port of the pod."""
    with cluster.port_forward(POD, *ports) as (port, *_others):
        port.ask(path)
        return port.answer(path)


@pytest.fixture
def small(server: ApiServer, recorder: KeptInMemory, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that is read with small limits."""
    opened = Cluster(server.kubeconfig(tmp_path), CONTEXT, recorder, Timeouts(api=1, admin=1, command=1), SIZES)
    yield opened
    opened.close()


def must_be_too_large(error: CouldNotTell, setting: str, where: str) -> None:
    """All four parts: the limit, that there is more, who answered, and the setting."""
    assert isinstance(error, TooLarge)
    assert error.expected == f"an answer of at most {getattr(SIZES, setting):,} bytes"
    assert "used no part of it" in error.seen
    assert where in error.where
    assert f"`{setting}` in conformance.toml, [sizes]" in error.remedy


# A pod.


def test_an_envoy_that_streams_without_end(small: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    server.http = {"/config_dump": FLOOD}
    with pytest.raises(TooLarge) as caught:
        got(small, "/config_dump", 15000)
    must_be_too_large(caught.value, "pod", "port 15000 of Pod n/p: GET /config_dump")
    assert server.sent < FEW, "the sockets hold some besides what was read"
    assert recorder.evidence == {}


def test_a_proxy_that_streams_without_end_is_unread_and_is_not_asked_again_by_exec(
    small: Cluster, pods: tuple[Pod, ...], healthy: ApiServer
) -> None:
    assert healthy.http is not None
    healthy.http[ENCODED[envoy.BOOTSTRAP]] = FLOOD
    (unread,) = read_fleet(small, pods[:1]).unread
    must_be_too_large(unread.why, "pod", f"{pods[0].name}: GET {envoy.BOOTSTRAP}")
    assert not [path for method, path, _ in healthy.asked if method == "WS" and "/exec" in path]


def test_a_port_that_sends_unasked(small: Cluster, server: ApiServer) -> None:
    server.http, server.flood = {}, 15020
    with pytest.raises(TooLarge) as caught:
        got(small, "/", 15000, 15020)
    must_be_too_large(caught.value, "pod", "port 15000, 15020 of Pod n/p")


def test_an_envoy_that_answers_too_slowly(small: Cluster, server: ApiServer) -> None:
    server.http = {"/": SLOW}
    began = time.monotonic()
    with pytest.raises(CouldNotTell) as caught:
        got(small, "/", 15000)
    assert time.monotonic() - began < 2
    assert caught.value.expected == "an answer within 1 s"
    assert "port 15000 of Pod n/p: GET /" in caught.value.where


def test_a_program_that_writes_without_end(small: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    server.endless = FLOOD
    with pytest.raises(TooLarge) as caught:
        small.exec_in("n", "p", "main", ["yes"])
    must_be_too_large(caught.value, "pod", "exec in container main of Pod n/p: yes")
    assert recorder.evidence == {}


def test_a_log_that_is_longer_than_its_limit(small: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    path = "/api/v1/namespaces/n/pods/p/log"
    server.answer(f"GET {path}", "x" * SIZES.log)
    assert small.logs("n", "p", "main").document == "x" * SIZES.log
    server.answer(f"GET {path}", "x" * (SIZES.log + 1))
    recorder.evidence.clear()
    with pytest.raises(TooLarge) as caught:
        small.logs("n", "p", "main")
    must_be_too_large(caught.value, "log", path)
    assert recorder.evidence == {}


# The API server.


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_of_the_api_server_that_is_too_large(small: Cluster, server: ApiServer, status: int) -> None:
    server.answer("GET /version", {"message": "x" * SIZES.api}, status)
    with pytest.raises(TooLarge) as caught:
        small.version()
    must_be_too_large(caught.value, "api", f"GET http://127.0.0.1:{server.port}/version (context test)")
    server.answer("GET /version", document("cluster/version.json"))
    assert small.version(), "the connection that was given up is not used again"


def test_an_api_server_that_answers_without_end(small: Cluster, server: ApiServer) -> None:
    server.answers["GET /version"] = FLOOD
    with pytest.raises(TooLarge):
        small.version()
    assert server.sent < FEW


def test_an_api_server_that_answers_too_slowly(small: Cluster, server: ApiServer) -> None:
    server.answers["GET /version"] = SLOW
    began = time.monotonic()
    with pytest.raises(CouldNotTell) as caught:
        small.version()
    assert time.monotonic() - began < 2
    assert caught.value.expected == "an answer of the API server within 1 s"
    assert "did not end in time" in caught.value.seen


def _page(*names: str, following: str = "", padding: int = 0) -> dict[str, Any]:
    items = [{"metadata": {"name": name, "annotations": {"a": "x" * padding}}} for name in names]
    return {"metadata": {"continue": following} if following else {}, "items": items}


def test_a_list_is_read_page_by_page(small: Cluster, server: ApiServer, recorder: KeptInMemory) -> None:
    server.answer("GET /api/v1/namespaces?limit=500", _page("a", "b", following="next="))
    server.answer("GET /api/v1/namespaces?limit=500&continue=next%3D", _page("c"))
    found = small.namespaces()
    assert [n.name for n in found] == ["a", "b", "c"]
    assert [k.question for k in recorder.evidence.values()] == [
        "GET /api/v1/namespaces?limit=500",
        "GET /api/v1/namespaces?limit=500&continue=next%3D",
    ]
    first, second = recorder.evidence
    assert [n.evidence for n in found] == [(first,), (first,), (second,)]


def test_a_list_whose_rest_is_gone_is_no_list(small: Cluster, server: ApiServer) -> None:
    server.answer("GET /api/v1/namespaces?limit=500", _page("a", following="old"))
    server.answer("GET /api/v1/namespaces?limit=500&continue=old", {"message": "the continue parameter is too old"}, 410)
    with pytest.raises(CouldNotTell) as caught:
        small.namespaces()
    assert caught.value.seen == "HTTP 410: the continue parameter is too old"
    assert caught.value.expected == "the rest of the list"


def test_a_list_without_end(small: Cluster, server: ApiServer) -> None:
    server.answer("GET /api/v1/namespaces", _page("a", following="always", padding=100_000))
    with pytest.raises(TooLarge) as caught:
        small.namespaces()
    must_be_too_large(caught.value, "objects", "GET /api/v1/namespaces (context test)")


# A command.


def test_a_command_that_writes_without_end() -> None:
    began = time.monotonic()
    with pytest.raises(TooLarge) as caught:
        run([sys.executable, "-c", "while True: print('x' * 10_000)"], timeout=20, limit=100_000)
    assert time.monotonic() - began < 10
    assert caught.value.expected == "an answer of at most 100,000 bytes"
    assert "while True" in caught.value.where
    assert "`command`" in caught.value.remedy


def test_the_limit_is_of_both_streams_and_reached_is_not_passed() -> None:
    program = "import sys; sys.stdout.write('x' * 50); sys.stderr.write('y' * 50)"
    done = run([sys.executable, "-c", program], timeout=20, limit=100)
    assert (done.stdout, done.stderr) == ("x" * 50, "y" * 50)
    with pytest.raises(TooLarge):
        run([sys.executable, "-c", program], timeout=20, limit=99)


def test_output_is_text_with_plain_line_breaks() -> None:
    program = r"import sys; sys.stdout.buffer.write(b'a\r\nb\rc\xff')"
    assert run([sys.executable, "-c", program], timeout=20).stdout == "a\nb\nc\N{REPLACEMENT CHARACTER}"


def test_a_command_whose_child_holds_its_output_open_costs_one_deadline() -> None:
    began = time.monotonic()
    with pytest.raises(CouldNotTell) as caught:
        run(["sh", "-c", "sleep 4 & echo done"], timeout=1)
    assert time.monotonic() - began < 3.5
    assert caught.value.expected == "an answer within 1 s"


def test_the_output_of_a_command_that_was_given_up_is_never_that_of_a_later_one() -> None:
    with pytest.raises(CouldNotTell):
        run(["sh", "-c", "(sleep 1; echo late) & echo early"], timeout=0.2)
    until = time.monotonic() + 2
    while time.monotonic() < until:
        assert run(["echo", "mine"], timeout=20).stdout == "mine\n"
