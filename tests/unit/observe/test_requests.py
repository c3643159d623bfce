"""Requests are counted where they are made, by whom they ask."""

from __future__ import annotations

import pytest

from facts.errors import CouldNotTell
from facts.evidence import ObjectRef
from facts.kubernetes.objects import Pod
from facts.recorder import KeptInMemory
from observe.command import CommandResult
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_proxy
from observe.requests import Requests
from providers.teleport.observe.session import TeleportSession
from tests.unit.judge.certificates import NOW
from tests.unit.observe.api_server import ApiServer


def test_a_request_to_the_api_server_counts_also_where_its_answer_goes_to_another_recorder(
    cluster: Cluster, healthy: ApiServer
) -> None:
    cluster.nodes()
    cluster.recording_to(KeptInMemory()).nodes()
    assert cluster.requests.made() == {"API server": 2}


def test_a_proxy_costs_one_stream_and_its_questions(cluster: Cluster, pods: tuple[Pod, ...]) -> None:
    before = cluster.requests.made()
    read_proxy(cluster, pods[0])
    after = cluster.requests.made()
    assert after["API server"] == before["API server"] + 1
    assert after["Envoy and its agent"] == 6


def test_an_exec_is_one_request(cluster: Cluster, server: ApiServer) -> None:
    server.frames = [(3, b'{"status": "Success"}')]
    cluster.execute(ObjectRef("Pod", "a", "shop"), "app", ["true"])
    assert cluster.requests.made() == {"API server": 1}


def test_teleports_requests_are_counted_with_the_others() -> None:
    requests = Requests()

    def tctl(_words: object, _stdin: str) -> CommandResult:
        return CommandResult(("tctl",), 1, "", "no", NOW)

    session = TeleportSession("127.0.0.1:1", recorder=KeptInMemory(), timeout=1, tctl=tctl, requests=requests)
    session.status()
    for _ in range(2):
        with pytest.raises(CouldNotTell, match=r"127\.0\.0\.1"):
            session.ping()
    assert requests.made() == {"Teleport's proxy": 2, "tctl": 1}
