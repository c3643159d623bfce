"""The SPIFFE Workload API on the same socket, as the ``spiffe`` package and plain gRPC see it."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from spiffe import TrustDomain, WorkloadApiClient
from spiffe.workloadapi.errors import FetchJwtSvidError, FetchX509SvidError

from tests.contract.agent import Agent
from tests.contract.conftest import MakeAgent
from tests.contract.driver import ROOT, Platform, Processes, free_port
from tests.contract.node import Node, Pod

ID = "spiffe://teleport.example.com/ns/shop/sa/checkout"


def test_svid_and_bundle(tbot: Agent, pod: Pod) -> None:
    with WorkloadApiClient(tbot.socket) as client:
        context = client.fetch_x509_context()
        bundles = client.fetch_x509_bundles()

    svid = context.default_svid
    assert str(svid.spiffe_id) == ID
    assert len(svid.cert_chain) == 1
    bundle = bundles.get_bundle_for_trust_domain(TrustDomain("teleport.example.com"))
    assert bundle is not None
    (authority,) = bundle.x509_authorities
    svid.leaf.verify_directly_issued_by(authority)


def test_a_process_outside_of_any_pod(tbot: Agent, node: Node) -> None:
    node.enter(os.getpid(), "/")
    with WorkloadApiClient(tbot.socket) as client, pytest.raises(FetchX509SvidError) as info:
        client.fetch_x509_svid()
    assert "workload.kubernetes is unset" in str(info.value)


@pytest.mark.parametrize("method", ["FetchX509SVID", "FetchX509Bundles"])
def test_the_security_header_is_required(tbot: Agent, pod: Pod, method: str) -> None:
    with grpc.insecure_channel(tbot.socket) as channel:
        call = channel.unary_stream(f"/SpiffeWorkloadAPI/{method}")(b"")
        with pytest.raises(grpc.RpcError) as info:
            next(call)
    assert info.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "security header missing from request" in info.value.details()


def test_jwt_svids_are_said_to_be_no_part_of_the_stand_in(tbot: Agent, pod: Pod) -> None:
    with WorkloadApiClient(tbot.socket) as client, pytest.raises(FetchJwtSvidError) as info:
        client.fetch_jwt_svid({"audience"})
    assert "stand-in" in str(info.value)


def test_spiffe_inspect_prints_what_its_own_process_gets(tbot: Agent, node: Node, pod: Pod, platform: Platform) -> None:
    if not isinstance(platform, Processes):
        pytest.skip("the process of a container cannot be put into a pod before it asks")
    node.enter("inspector", pod.cgroup())
    script = (
        f"cp -a {node.procfs}/inspector {node.procfs}/$$ && "
        f"exec {sys.executable} -m lab.standin.tbot spiffe-inspect --path={tbot.socket}"
    )
    result = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert ID in result.stdout
    assert "expiry: " in result.stdout


def test_the_socket_is_open_to_all_and_comes_and_goes_with_tbot(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent()
    path = Path(agent.socket.removeprefix("unix://"))

    agent.start()
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    agent.running_or_fail().kill()
    assert path.is_socket(), "a killed tbot leaves its socket behind"

    agent.start()
    with WorkloadApiClient(agent.socket) as client:
        assert str(client.fetch_x509_svid().spiffe_id) == ID
    agent.stop()
    assert not path.exists()


def test_the_directory_of_the_socket_must_exist(make_agent: MakeAgent) -> None:
    agent = make_agent(listen="unix:///nonexistent/directory/socket")
    assert "/nonexistent/directory/socket" in agent.refused()


def test_services_that_give_nothing(make_agent: MakeAgent, pod: Pod) -> None:
    """One tbot with two services: one whose labels select nothing, and one on a TCP port, where nobody is attested."""
    agent = make_agent(selector={"labels": {"tier": ["none-has-this"]}})
    by_name = {**agent.config["services"][0], "selector": {"name": "istio-workloads"}}
    agent.config["services"].append({**by_name, "listen": f"tcp://127.0.0.1:{free_port()}"})
    agent.start(last="addr:tcp://")

    with WorkloadApiClient(agent.socket) as client, pytest.raises(FetchX509SvidError) as refused:
        client.fetch_x509_svid()
    assert "workload did not pass attestation for any SVIDs" in str(refused.value)

    assert re.search(r"WARN .*Workload API endpoint listening on a TCP port\.", agent.log)
    address = agent.config["services"][1]["listen"].removeprefix("tcp://")
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_stream("/SpiffeWorkloadAPI/FetchX509SVID")(b"", metadata=[("workload.spiffe.io", "true")])
        with pytest.raises(grpc.RpcError) as info:
            next(call)
    assert "workload.kubernetes is unset" in info.value.details()
