"""Attestation: from the peer of the socket to the pod, and what is said when that fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Timer
from typing import Any

import pytest

from tests.contract import resources, sds_client
from tests.contract.agent import Agent, configuration
from tests.contract.conftest import Create, MakeAgent
from tests.contract.driver import Platform, Teleport, free_port, wait_for_line
from tests.contract.node import Node, Pod, ServiceAccountKeys
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


@pytest.fixture(scope="module")
def variants(
    platform: Platform,
    shared_teleport: Teleport,
    node: Node,
    keys: ServiceAccountKeys,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Agent]]:
    """One tbot with many services, each of which attests in another way; a service by its name, as an agent."""
    shared_teleport.restore()
    directory = tmp_path_factory.mktemp("variants")
    wrong = directory / "wrong-token"
    wrong.write_text("expired")
    changes: dict[str, dict[str, Any]] = {
        "wrong token": {"token_path": str(wrong)},
        "port closed": {"secure_port": free_port()},
        "no token file": {"token_path": "/nonexistent/token"},
        "no CA file": {"skip_verify": False, "ca_path": "/nonexistent/ca.crt"},
        "anonymous": {"anonymous": True},
    }
    config = configuration(shared_teleport, node, directory)
    (usual,) = config["services"]
    config["services"] = []
    for index, (name, change) in enumerate(changes.items()):
        service = json.loads(json.dumps({**usual, "name": name, "listen": f"unix://{directory}/{index}"}))
        service["attestors"]["kubernetes"]["kubelet"].update(change)
        config["services"].append(service)
    off = {key: value for key, value in usual.items() if key != "attestors"}
    config["services"].append({**off, "name": "off", "listen": f"unix://{directory}/off"})
    agent = Agent(platform, shared_teleport, node, directory, keys.token(), config)
    agent.start(last=f"{directory}/off")

    def variant(name: str) -> Agent:
        (service,) = [service for service in config["services"] if service["name"] == name]
        return replace(agent, config={**config, "services": [service]})

    yield variant
    agent.stop()


@pytest.mark.parametrize(
    ("variant", "layers"),
    [
        # What lost rights look like: the kubelet's refusal is read as if it were the list.
        ("wrong token", ["finding pod by ID", "listing all pods", "decoding response", "invalid character 'F'"]),
        ("anonymous", ["finding pod by ID", "listing all pods", "decoding response", "invalid character 'F'"]),
        ("port closed", ["finding pod by ID", "listing all pods", "performing request"]),
        ("no token file", ["listing all pods", "creating HTTP client", "reading token file"]),
        ("no CA file", ["listing all pods", "creating HTTP client", "reading CA file"]),
    ],
)
def test_the_kubelet_does_not_answer(variants: Callable[[str], Agent], pod: Pod, variant: str, layers: list[str]) -> None:
    agent = variants(variant)

    unset(agent)

    warnings = [line for line in agent.log.splitlines() if FAILED in line]
    assert all(layer in warnings[-1] for layer in layers), warnings[-1]


def test_attestation_off(variants: Callable[[str], Agent], pod: Pod) -> None:
    agent = variants("off")
    before = agent.log.count(FAILED)
    unset(agent)
    assert agent.log.count(FAILED) == before


def test_without_the_nodes_name_the_local_host_is_dialled(make_agent: MakeAgent, pod: Pod) -> None:
    assert identity(make_agent().start(TELEPORT_NODE_NAME="")) == ["spiffe://teleport.example.com/ns/shop/sa/checkout"]


def test_without_an_attestor_a_fixed_identity_goes_to_every_caller(
    make_agent: MakeAgent, me: int, node: Node, create: Create, teleport: Teleport
) -> None:
    create(resources.identity("batch-jobs", "/batch/jobs"))
    try:
        agent = make_agent(attestors=None, selector={"name": "batch-jobs"}).start()
        node.enter(me, "/")
        assert identity(agent) == ["spiffe://teleport.example.com/batch/jobs"]
    finally:
        teleport.must("rm", "workload_identity/batch-jobs")
