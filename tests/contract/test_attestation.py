"""Attestation: from the peer of the socket to the pod, and what is said when that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Timer

import pytest

from tests.contract import sds_client
from tests.contract.agent import Agent
from tests.contract.conftest import MakeAgent
from tests.contract.driver import free_port, wait_for_line
from tests.contract.node import Node, Pod
from tests.contract.sds_client import Refused

FAILED = "Failed to perform Kubernetes workload attestation"
UNSET = "workload.kubernetes is unset"


@pytest.fixture
def me(node: Node) -> Iterator[int]:
    """This process, in no pod so far."""
    yield os.getpid()
    node.enter(os.getpid(), "/")


def identity(agent: Agent) -> list[str]:
    return sds_client.ask_once(agent.socket, "default").certificates["default"].spiffe_ids


def unset(agent: Agent) -> Refused:
    """The refusal that a process of no pod gets."""
    with pytest.raises(Refused) as info:
        identity(agent)
    assert UNSET in info.value.details
    return info.value


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("/kubepods/burstable/pod{uid}/{id}", "cgroup"),
        ("/kubepods/burstable/pod{uid}/{id}", "cgroup2"),
        ("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable-pod{uid_}.slice/cri-containerd-{id}.scope",
         "cgroup2"),
        ("/../../kubelet-kubepods-besteffort-pod{uid_}.slice/cri-containerd-{id}.scope", "cgroup2"),
        ("/kubepods.slice/kubepods-pod{uid_}.slice/crio-{id}.scope", "cgroup2"),
    ],
    ids=["cgroupfs v1", "cgroupfs v2", "systemd", "relative", "crio"],
)  # fmt: skip
def test_the_pod_is_found_by_its_cgroup(tbot: Agent, node: Node, pod: Pod, form: str, kind: str) -> None:
    root = form.format(uid=pod.uid, uid_=pod.uid.replace("-", "_"), id=pod.containers["app"])
    node.enter(os.getpid(), root, kind=kind)
    assert identity(tbot) == ["spiffe://teleport.example.com/ns/shop/sa/checkout"]


def test_two_pods_get_two_identities(tbot: Agent, node: Node, pod: Pod) -> None:
    assert identity(tbot) == ["spiffe://teleport.example.com/ns/shop/sa/checkout"]
    other = node.run(Pod("billing", "ledger"))
    node.enter(os.getpid(), other.cgroup())
    assert identity(tbot) == ["spiffe://teleport.example.com/ns/billing/sa/ledger"]


def test_a_native_sidecar_is_a_workload(tbot: Agent, node: Node, pod: Pod) -> None:
    node.enter(os.getpid(), pod.cgroup("istio-proxy"))
    assert identity(tbot) == ["spiffe://teleport.example.com/ns/shop/sa/checkout"]


def test_an_init_container_is_none(tbot: Agent, node: Node, pod: Pod) -> None:
    node.enter(os.getpid(), pod.cgroup("setup"))

    answer = unset(tbot)

    for layer in ("workload identity failed evaluation", "templating spec.spiffe.id", "evaluating expression: "):
        assert layer in answer.details
    assert tbot.running is not None
    assert FAILED in wait_for_line(tbot.running, 'container \\"setup\\" is not a native sidecar')


def test_a_process_outside_of_any_pod(tbot: Agent, node: Node, me: int) -> None:
    node.enter(me, "/user.slice")
    unset(tbot)
    assert tbot.running is not None
    log = wait_for_line(tbot.running, "parsing cgroup mount (root: /user.slice)")
    assert "determining pod and container ID" in log
    assert "expected 2 matches searching for container ID but found 0" in log


def test_a_pod_that_the_kubelet_does_not_know(tbot: Agent, node: Node, me: int) -> None:
    stranger = Pod("shop", "stranger")
    node.enter(me, stranger.cgroup())
    unset(tbot)
    assert tbot.running is not None
    assert "finding pod by ID" in wait_for_line(tbot.running, f'pod \\"{stranger.uid}\\" not found')


def test_a_container_that_the_kubelet_lists_late(tbot: Agent, node: Node, me: int) -> None:
    pod = Pod("shop", "late")
    node.run(Pod("shop", "late", uid=pod.uid, containers=dict.fromkeys(pod.containers, "")))
    node.enter(me, pod.cgroup())
    timer = Timer(0.5, node.run, [pod])
    timer.start()
    try:
        assert identity(tbot) == ["spiffe://teleport.example.com/ns/shop/sa/late"]
    finally:
        timer.join()


def test_a_process_that_is_not_in_procfs(tbot: Agent, node: Node, me: int) -> None:
    (node.procfs / str(me) / "status").unlink(missing_ok=True)
    with pytest.raises(Refused):
        identity(tbot)
    assert tbot.running is not None
    wait_for_line(tbot.running, "ERROR [TBOT:SVC:] Workload attestation failed")


def test_lost_rights_at_the_kubelet_look_like_broken_json(make_agent: MakeAgent, node: Node, pod: Pod) -> None:
    agent = make_agent()
    wrong = agent.directory / "wrong-token"
    wrong.write_text("expired")
    agent.config["services"][0]["attestors"]["kubernetes"]["kubelet"]["token_path"] = str(wrong)
    agent.start()

    unset(agent)

    assert agent.running is not None
    log = wait_for_line(agent.running, FAILED)
    for layer in ("finding pod by ID", "listing all pods", "decoding response", "invalid character 'F'"):
        assert layer in log


@pytest.mark.parametrize(
    ("kubelet", "said"),
    [
        (lambda: {"secure_port": free_port()}, ["listing all pods", "performing request"]),
        (lambda: {"token_path": "/nonexistent/token"}, ["creating HTTP client", "reading token file"]),
        (
            lambda: {"skip_verify": False, "ca_path": "/nonexistent/ca.crt"},
            ["creating HTTP client", "reading CA file"],
        ),
    ],
    ids=["port closed", "no token file", "no CA file"],
)
def test_the_kubelet_cannot_be_asked(make_agent: MakeAgent, pod: Pod, kubelet: object, said: list[str]) -> None:
    agent = make_agent()
    assert callable(kubelet)
    agent.config["services"][0]["attestors"]["kubernetes"]["kubelet"].update(kubelet())
    agent.start()

    unset(agent)

    assert agent.running is not None
    log = wait_for_line(agent.running, FAILED)
    for layer in said:
        assert layer in log


def test_without_the_nodes_name_the_local_host_is_dialled(make_agent: MakeAgent, node: Node, pod: Pod) -> None:
    assert identity(make_agent().start(TELEPORT_NODE_NAME="")) == ["spiffe://teleport.example.com/ns/shop/sa/checkout"]


def test_attestation_off(make_agent: MakeAgent, pod: Pod) -> None:
    agent = make_agent(attestors=None).start()
    unset(agent)
    assert FAILED not in agent.log
