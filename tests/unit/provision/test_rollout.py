"""When a rollout is complete, and what it says while it is not."""

from __future__ import annotations

from typing import Any

import pytest

from provision.rollout import cannot_become_ready, daemonset_lacks, deployment_lacks, node_lacks, pods_say


def of(generation: int, spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {"generation": generation}, "spec": spec, "status": status}


COMPLETE = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("change", "lack"),
    [
        ({}, ""),
        ({"observedGeneration": 1}, "its controller has not seen the change yet"),
        ({"updatedReplicas": 1}, "1 of 2 replicas are up to date"),
        ({"replicas": 3}, "1 old replicas are still there"),
        ({"availableReplicas": 1}, "1 of 2 replicas are available"),
    ],
)
def test_deployment(change: dict[str, int], lack: str) -> None:
    assert deployment_lacks(of(2, {"replicas": 2}, **{**COMPLETE, **change})) == lack


def test_a_deployment_without_any_status_is_not_complete() -> None:
    assert deployment_lacks(of(1, {})) != ""


ON_TWO = {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}


@pytest.mark.parametrize(
    ("change", "lack"),
    [
        ({}, ""),
        ({"observedGeneration": 1}, "its controller has not seen the change yet"),
        ({"desiredNumberScheduled": 0}, "no node takes its pods"),
        ({"updatedNumberScheduled": 1}, "1 of 2 pods are up to date"),
        ({"numberAvailable": 0}, "0 of 2 pods are available"),
    ],
)
def test_daemonset(change: dict[str, int], lack: str) -> None:
    assert daemonset_lacks(of(2, {}, **{**ON_TWO, **change})) == lack


def test_a_daemonset_is_not_complete_while_nodes_are_missing_from_its_status() -> None:
    on_one = of(2, {}, **{**ON_TWO, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1})
    assert daemonset_lacks(on_one) == ""
    assert daemonset_lacks(on_one, nodes=2) == "1 of 2 nodes take its pods"
    assert daemonset_lacks(of(2, {}, **ON_TWO), nodes=2) == ""


def test_node() -> None:
    ready = {"type": "Ready", "status": "True"}
    not_ready = {"type": "Ready", "status": "False", "message": "cni plugin not initialized"}
    assert node_lacks({"status": {"conditions": [ready]}}) == ""
    assert node_lacks({"status": {"conditions": [not_ready]}}) == "cni plugin not initialized"
    assert node_lacks({}) == "its kubelet has not reported yet"


def test_a_node_that_is_ready_takes_pods_only_without_the_taint_of_its_beginning() -> None:
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    begun = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    meant = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    assert node_lacks({"spec": {"taints": [meant, begun]}, "status": status}) == (
        "the taint node.kubernetes.io/not-ready is still there"
    )
    assert node_lacks({"spec": {"taints": [meant]}, "status": status}) == ""


def test_pods_say_why_they_wait_but_not_that_they_are_only_starting() -> None:
    def pod(name: str, waiting: dict[str, str], **more: Any) -> dict[str, Any]:
        return {
            "metadata": {"name": name},
            "status": {"containerStatuses": [{"name": "c", "state": {"waiting": waiting}}], **more},
        }

    unscheduled = [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}]
    said = pods_say(
        [
            pod("a", {"reason": "ContainerCreating"}),
            pod("b", {"reason": "ErrImagePull", "message": "no such image"}),
            pod("d", {}, conditions=unscheduled),
        ]
    )
    assert said == "b/c: ErrImagePull no such image; d: 0/2 nodes are available"


REFUSED = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "pods t is invalid"}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}
AGAIN = {"name": "tbot", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}


@pytest.mark.parametrize(
    ("conditions", "status", "why"),
    [
        ([REFUSED], {}, "pods t is invalid"),
        ([], {"conditions": [UNSCHEDULABLE]}, "p: 0/2 nodes are available"),
        ([], {"containerStatuses": [AGAIN]}, "p/tbot exits again and again, with exit code 1"),
        ([], {"initContainerStatuses": [AGAIN]}, "p/tbot exits again and again, with exit code 1"),
    ],
)
def test_what_shows_that_waiting_is_in_vain(conditions: list[Any], status: dict[str, Any], why: str) -> None:
    pod = {"metadata": {"name": "p"}, "status": status}
    assert cannot_become_ready(of(1, {}, conditions=conditions), [pod]) == why


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([{**REFUSED, "status": "False"}], {}),
        ([{"type": "Available", "status": "False"}], {"conditions": [{"type": "PodScheduled", "status": "True"}]}),
        # Once is no pattern, and a registry may answer the next time.
        ([], {"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 1}}}]}),
        ([], {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}),
        ([], {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulerError"}]}),
    ],
)
def test_what_may_still_come(conditions: list[Any], status: dict[str, Any]) -> None:
    pod = {"metadata": {"name": "p"}, "status": status}
    assert cannot_become_ready(of(1, {}, conditions=conditions), [pod]) == ""
