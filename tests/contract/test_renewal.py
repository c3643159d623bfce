"""Renewal inside a stream: what tells a release that renews from one that only seems to."""

from __future__ import annotations

import queue
import re

import pytest
from spiffe import WorkloadApiClient

from tests.contract.agent import Agent
from tests.contract.conftest import MakeAgent
from tests.contract.driver import AFFECTED, FIXED, Teleport, wait_for_line
from tests.contract.node import Pod
from tests.contract.sds_client import Refused, SdsStream

SHORT = {"credential_ttl": "60s", "renewal_interval": "1s"}


def issued(agent: Agent) -> int:
    return agent.log.count("Issued Workload Identity Credential")


def test_a_fixed_release_renews(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent(release=FIXED, **SHORT).start()
    with SdsStream(agent.socket, "default") as stream:
        first, second, third = (stream.answer() for _ in range(3))

    certificates = [answer.certificates["default"] for answer in (first, second, third)]
    assert len({certificate.leaf.serial_number for certificate in certificates}) == 3
    assert len({certificate.key_pem for certificate in certificates}) == 3
    ends = [certificate.leaf.not_valid_after_utc for certificate in certificates]
    assert ends == sorted(set(ends))
    assert len({first.version, second.version, third.version}) == 3
    assert issued(agent) == 3
    assert "DEBUG [TBOT:SVC:] Renewing SVIDs for StreamSecrets stream" in agent.log


def test_an_affected_release_pushes_the_old_svid_under_a_fresh_version(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent(release=AFFECTED, **SHORT).start()
    with SdsStream(agent.socket, "default") as stream:
        first, second, third = (stream.answer() for _ in range(3))

    certificates = {answer.certificates["default"].chain_pem for answer in (first, second, third)}
    assert len(certificates) == 1
    assert len({first.version, second.version, third.version}) == 3
    assert len({first.nonce, second.nonce, third.nonce}) == 3
    assert issued(agent) == 1


def test_a_new_stream_of_an_affected_release_has_a_new_svid(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent(release=AFFECTED).start()
    serials = set()
    for _ in range(2):
        with SdsStream(agent.socket, "default") as stream:
            serials.add(stream.answer().certificates["default"].leaf.serial_number)
    assert len(serials) == 2


def test_the_workload_api_renews_in_either_release(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent(release=AFFECTED, **SHORT).start()
    serials: queue.SimpleQueue[int] = queue.SimpleQueue()
    with WorkloadApiClient(agent.socket) as client:
        subscription = client.stream_x509_contexts(
            lambda context: serials.put(context.default_svid.leaf.serial_number), lambda _error: None
        )
        first, second = serials.get(timeout=10), serials.get(timeout=10)
        subscription.cancel()
    assert first != second
    assert "Renewal interval reached, renewing SVIDs" in agent.log


def test_tbot_renews_its_own_identity(make_agent: MakeAgent) -> None:
    agent = make_agent()
    agent.config.update(credential_ttl="60s", renewal_interval="1s")
    agent.start()
    wait_for_line(agent.running_or_fail(), "Fetched new bot identity")


def test_tbot_outlives_its_cluster(make_agent: MakeAgent, own_teleport: Teleport, pod: Pod) -> None:
    agent = make_agent(teleport=own_teleport, **SHORT).start()
    with SdsStream(agent.socket, "default") as stream:
        stream.answer()
        own_teleport.stop()
        with pytest.raises(Refused) as refused:
            stream.answer()
    assert refused.value.code == "UNKNOWN"
    log = wait_for_line(agent.running_or_fail(), "Cache failed, will attempt to re-initialize after back off")
    assert re.search(r"ERROR \[TBOT:SPIF\] Cache failed", log)

    own_teleport.start()
    with SdsStream(agent.socket, "default", "ROOTCA") as stream:
        answer = stream.answer()
    assert answer.names == {"default", "ROOTCA"}
    agent.running_or_fail()
