"""INST-15: the test application's pods."""

from __future__ import annotations

from datetime import timedelta

import pytest

from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import Volume, VolumeMount
from judge.install.application import (
    pods_run_with_a_proxy,
    pods_use_the_nodes_socket,
    proxies_are_stable,
    socket_volume_problems,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, violated
from tests.unit.judge.builders import SOCKET_MOUNT, SOCKETS
from tests.unit.judge.certificates import NOW

WHERE = "pods with app=test-app in test-app"
EVIDENCE = ("ev-pods",)
APP = make.deployment("test-app", namespace="test-app")


def test_pods_run_with_a_proxy_in_either_list_of_containers() -> None:
    pods = [make.pod("native"), make.pod("classic", proxy=make.istio_proxy(is_init=False, restart_policy=""))]
    finding = pods_run_with_a_proxy(pods, APP, WHERE, EVIDENCE)
    holds(finding, "INST-15", "ev-pods")
    assert finding.seen == "2 of 2 Ready, with istio-proxy"


@pytest.mark.parametrize(("ready", "started"), [(True, False), (False, True)])
def test_a_proxy_of_a_ready_pod_is_up_when_it_is_ready_or_started(ready: bool, started: bool) -> None:
    pods = [make.pod(proxy=make.istio_proxy(ready=ready, started=started))]
    holds(pods_run_with_a_proxy(pods, APP, WHERE, EVIDENCE), "INST-15")


def test_without_a_pod_nothing_is_proven() -> None:
    violated(pods_run_with_a_proxy([], APP, WHERE, EVIDENCE), "INST-15", "no pod", "ReplicaSet's events", evidence=EVIDENCE)
    violated(pods_use_the_nodes_socket([], SOCKETS, WHERE, EVIDENCE), "INST-15", "no pod", evidence=EVIDENCE)
    violated(proxies_are_stable([], NOW, WHERE, EVIDENCE), "INST-15", "no pod", evidence=EVIDENCE)


def test_fewer_pods_than_the_deployment_wants_is_a_violation() -> None:
    wants = make.deployment("test-app", namespace="test-app", desired=3)
    finding = pods_run_with_a_proxy([make.pod("one"), make.pod("two")], wants, WHERE, EVIDENCE)
    words = "Deployment test-app/test-app: wants 3 pods and has 2"
    violated(finding, "INST-15", words, evidence=("ev-pods", "ev-test-app"))


def test_where_no_deployment_says_how_many_one_pod_is_enough() -> None:
    other_kind = make.absent("deployment/test-app")
    holds(pods_run_with_a_proxy([make.pod()], other_kind, WHERE, EVIDENCE), "INST-15", "ev-absent-deployment")


def test_a_ready_pod_without_a_sidecar_is_a_violation() -> None:
    plain = make.pod("plain", injected=False, socket=None)
    finding = pods_run_with_a_proxy([make.pod(), plain], APP, WHERE, EVIDENCE)
    violated(finding, "INST-15", "Pod test-app/plain: has no istio-proxy", evidence=EVIDENCE)
    violated(proxies_are_stable([plain], NOW, WHERE, EVIDENCE), "INST-15", "Pod test-app/plain: has no istio-proxy")


@pytest.mark.parametrize(
    ("stuck", "words"),
    [
        (
            make.pod(
                phase="Pending",
                ready=False,
                proxy=make.istio_proxy(
                    ready=False, started=False, state="waiting", reason="CrashLoopBackOff", message="back-off"
                ),
            ),
            "is Pending and not Ready (istio-proxy: CrashLoopBackOff back-off)",
        ),
        (make.pod(phase="Failed", ready=False, message="The node was low on resource"), "The node was low on resource"),
        (make.pod(ready=False), "is Running and not Ready (no reason given)"),
        (make.pod(proxy=make.istio_proxy(ready=False, started=False)), "not Ready"),
    ],
    ids=["proxy waits", "evicted", "no reason", "proxy not started"],
)
def test_a_pod_that_is_not_ready_is_named_with_its_reason(stuck: Pod, words: str) -> None:
    violated(pods_run_with_a_proxy([make.pod("good"), stuck], APP, WHERE, EVIDENCE), "INST-15", "Pod test-app/app", words)


@pytest.mark.parametrize(
    "socket",
    [
        make.NODES_SOCKET,
        Volume("workload-socket", "hostPath", path=f"{SOCKETS}/"),
        Volume("workload-socket", "csi", driver="csi.spiffe.io", read_only=True),
    ],
    ids=["hostPath", "hostPath with a slash", "csi"],
)
def test_the_nodes_socket_by_directory_or_by_the_spiffe_driver(socket: Volume) -> None:
    holds(pods_use_the_nodes_socket([make.pod(socket=socket)], SOCKETS, WHERE, EVIDENCE), "INST-15", "ev-pods")


@pytest.mark.parametrize(
    ("socket", "words"),
    [
        (None, "has no volume workload-socket"),
        (make.EMPTY_DIR, "emptyDir as workload-socket: Istio falls back to its own CA"),
        (Volume("workload-socket", "hostPath", path="/run/spire"), "mounts /run/spire of the node, tbot's socket is in"),
        (Volume("workload-socket", "hostPath", path=f"{SOCKETS}/socket"), f"mounts {SOCKETS}/socket of the node"),
        (Volume("workload-socket", "csi", driver="csi.example"), "from the CSI driver csi.example"),
    ],
    ids=["none", "emptyDir", "another directory", "the socket file", "another driver"],
)
def test_any_other_volume_is_a_violation(socket: Volume | None, words: str) -> None:
    pods = [make.pod("good"), make.pod("bad", socket=socket)]
    violated(
        pods_use_the_nodes_socket(pods, SOCKETS, WHERE, EVIDENCE), "INST-15", "Pod test-app/bad", words, evidence=EVIDENCE
    )


@pytest.mark.parametrize(
    ("mounts", "words"),
    [
        ((), "but none"),
        ((VolumeMount("workload-socket", "/elsewhere"),), "but none"),
        ((VolumeMount("other", SOCKET_MOUNT),), "but other"),
        ((VolumeMount("workload-socket", SOCKET_MOUNT, sub_path="old"),), "but workload-socket, sub-path old"),
    ],
    ids=["no mount", "elsewhere", "another volume there", "a part of it"],
)
def test_the_right_volume_is_no_use_where_the_proxy_does_not_look(mounts: tuple[VolumeMount, ...], words: str) -> None:
    elsewhere = make.pod(proxy=make.istio_proxy(mounts=mounts))
    (problem,) = socket_volume_problems(elsewhere, SOCKETS)
    assert f"does not mount workload-socket at {SOCKET_MOUNT}" in problem.said
    assert problem.said.endswith(words)
    assert problem.cause == ""


def test_the_guides_second_mount_of_the_same_volume_does_no_harm() -> None:
    mounts = (
        VolumeMount("workload-socket", "/run/secrets/workload-spiffe-uds"),
        VolumeMount("workload-socket", SOCKET_MOUNT),
    )
    assert socket_volume_problems(make.pod(proxy=make.istio_proxy(mounts=mounts)), SOCKETS) == []


def test_a_restart_that_was_long_ago_leaves_a_count_and_no_doubt() -> None:
    ended = (NOW - timedelta(minutes=11)).isoformat().replace("+00:00", "Z")
    rebooted = make.pod(proxy=make.istio_proxy(restarts=1, last_reason="Unknown", last_ended=ended))
    finding = proxies_are_stable([rebooted], NOW, WHERE, EVIDENCE)
    holds(finding, "INST-15", "ev-pods")
    assert finding.seen == "1 restarts, all of them earlier"
    soon = (NOW - timedelta(minutes=9)).isoformat().replace("+00:00", "Z")
    crashing = make.pod(proxy=make.istio_proxy(restarts=1, last_reason="Error", last_ended=soon))
    violated(proxies_are_stable([crashing], NOW, WHERE, EVIDENCE), "INST-15", "1 times, last: Error, 540 s ago")


def test_no_proxy_has_restarted() -> None:
    holds(proxies_are_stable([make.pod()], NOW, WHERE, EVIDENCE), "INST-15", "ev-pods")


def test_a_restart_of_the_proxy_is_a_violation_and_one_of_the_application_is_not() -> None:
    restarted = make.pod("bad", proxy=make.istio_proxy(restarts=3, last_reason="Error"))
    finding = proxies_are_stable([make.pod(), restarted], NOW, WHERE, EVIDENCE)
    violated(finding, "INST-15", "Pod test-app/bad: its istio-proxy restarted 3 times, last: Error", evidence=EVIDENCE)
    assert "test-app/app" not in finding.seen
    forgotten = make.pod(proxy=make.istio_proxy(restarts=1))
    violated(proxies_are_stable([forgotten], NOW, WHERE, EVIDENCE), "INST-15", "1 times, last: no reason kept")
