"""INST-15: the test application's pods."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import told
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.pod_spec import Volume, VolumeMount
from facts.kubernetes.workloads import Deployment
from judge.explain.cause import CAUSES
from judge.install.application import (
    cause_of_no_socket,
    pods_run_with_a_proxy,
    pods_use_the_nodes_socket,
    proxies_are_stable,
    socket_volume_problems,
    some_node_is_selected,
)
from tests.unit.judge import builders as make
from tests.unit.judge.assertions import holds, unknown, violated
from tests.unit.judge.builders import DIRECTORIES, OF_POOLS, OTHER_NODES_SOCKET, OTHER_SOCKETS, SOCKET_MOUNT, SOCKETS
from tests.unit.judge.certificates import NOW

WHERE = "pods with app=test-app in test-app"
EVIDENCE = ("ev-pods",)
APP = make.deployment("test-app", namespace="test-app")


def test_a_pod_on_a_node_that_is_not_ready_is_named_and_not_missing() -> None:
    wants, silent = make.deployment("test-app", desired=2), make.pod("silent", node="down")
    finding = pods_run_with_a_proxy([make.pod()], wants, NOW, WHERE, EVIDENCE, silent=[silent])
    holds(finding, "INST-15", "ev-pods")
    assert told(finding.left_out) == "Pod test-app/silent: its node down is not Ready"
    wants = make.deployment("test-app", desired=3)
    violated(pods_run_with_a_proxy([make.pod()], wants, NOW, WHERE, EVIDENCE, silent=[silent]), "INST-15", "it wants 3 pods")


def test_pods_on_silent_nodes_alone_are_open_points() -> None:
    silent, wants = [make.pod("app", node="node-9")], make.deployment("test-app", desired=1)
    for finding in (
        pods_run_with_a_proxy([], wants, NOW, WHERE, EVIDENCE, silent=silent),
        pods_run_with_a_proxy([], make.absent("deployment/test-app"), NOW, WHERE, EVIDENCE, silent=silent),
        pods_use_the_nodes_socket([], DIRECTORIES, WHERE, EVIDENCE, silent=silent),
        proxies_are_stable([], NOW, WHERE, EVIDENCE, silent=silent),
    ):
        unknown(finding, "INST-15", "Pod test-app/app: its node node-9 is not Ready, so nothing of it is judged")
        assert finding.settle.startswith("see why those nodes are not Ready")
        assert finding.left_out == ()
    fewer = pods_run_with_a_proxy([], replace(wants, desired=2), NOW, WHERE, EVIDENCE, silent=silent)
    violated(fewer, "INST-15", "it wants 2 pods and has 1", causes=())
    for finding in (
        pods_use_the_nodes_socket([make.pod()], DIRECTORIES, WHERE, EVIDENCE, silent=silent),
        proxies_are_stable([make.pod()], NOW, WHERE, EVIDENCE, silent=silent),
    ):
        holds(finding, "INST-15")


def test_pods_run_with_a_proxy_in_either_list_of_containers() -> None:
    pods = [make.pod("native"), make.pod("classic", proxy=make.istio_proxy(is_init=False, restart_policy=""))]
    finding = pods_run_with_a_proxy(pods, APP, NOW, WHERE, EVIDENCE)
    holds(finding, "INST-15", "ev-pods")
    assert finding.seen == "2 of 2 pods are Ready, with istio-proxy"


@pytest.mark.parametrize(("ready", "started"), [(True, False), (False, True)])
def test_a_proxy_of_a_ready_pod_is_up_when_it_is_ready_or_started(ready: bool, started: bool) -> None:
    pods = [make.pod(proxy=make.istio_proxy(ready=ready, started=started))]
    holds(pods_run_with_a_proxy(pods, APP, NOW, WHERE, EVIDENCE), "INST-15")


def test_the_api_servers_refusal_says_why_pods_are_missing() -> None:
    message = 'pods "test-app-1" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes'
    condition = Condition("ReplicaFailure", "True", "FailedCreate", message)
    refused = make.deployment("test-app", namespace="test-app", desired=2, conditions=(condition,))
    for pods in ([], [make.pod()]):
        finding = pods_run_with_a_proxy(pods, refused, NOW, WHERE, EVIDENCE)
        violated(finding, "INST-15", f"the API server refuses its pods: {message}", causes=("pod-refused-by-policy",))
    complete = replace(refused, desired=1)
    holds(pods_run_with_a_proxy([make.pod()], complete, NOW, WHERE, EVIDENCE), "INST-15")
    over = replace(refused, conditions=(replace(condition, status="False"),))
    violated(pods_run_with_a_proxy([], over, NOW, WHERE, EVIDENCE), "INST-15", "it has no pod", causes=())


@pytest.mark.parametrize(("name", "causes"), [("istio-proxy", ("proxy-image-unavailable",)), ("app", ())])
def test_an_image_that_cannot_be_pulled(name: str, causes: tuple[str, ...]) -> None:
    pod = make.pod(ready=False, phase="Pending")
    waiting: dict[str, Any] = {"state": "waiting", "reason": "ImagePullBackOff", "ready": False, "started": False}
    containers = [replace(c, **waiting) if c.name == name else c for c in pod.containers]
    finding = pods_run_with_a_proxy(
        [replace(pod, spec=replace(pod.spec, containers=tuple(containers)))], APP, NOW, WHERE, ()
    )
    violated(finding, "INST-15", f"{name}: ImagePullBackOff", causes=causes)


def test_without_a_pod_nothing_is_proven() -> None:
    words = (
        "Deployment test-app/test-app: it has no pod; the events of its ReplicaSet show whether the injected pod is invalid"
    )
    violated(pods_run_with_a_proxy([], APP, NOW, WHERE, EVIDENCE), "INST-15", words, evidence=EVIDENCE, causes=())
    for finding in (
        pods_use_the_nodes_socket([], DIRECTORIES, WHERE, EVIDENCE),
        proxies_are_stable([], NOW, WHERE, EVIDENCE),
    ):
        violated(finding, "INST-15", evidence=EVIDENCE, causes=())
        assert finding.seen == "there is no pod"


def test_fewer_pods_than_the_deployment_wants_is_a_violation() -> None:
    wants = make.deployment("test-app", namespace="test-app", desired=3)
    finding = pods_run_with_a_proxy([make.pod("one"), make.pod("two")], wants, NOW, WHERE, EVIDENCE)
    words = "Deployment test-app/test-app: it wants 3 pods and has 2; the events of its ReplicaSet give the reason"
    violated(finding, "INST-15", words, evidence=("ev-pods", "ev-test-app"), causes=())


def test_where_no_deployment_says_how_many_one_pod_is_enough() -> None:
    other_kind = make.absent("deployment/test-app")
    holds(pods_run_with_a_proxy([make.pod()], other_kind, NOW, WHERE, EVIDENCE), "INST-15", "ev-absent-deployment")


def test_a_ready_pod_without_a_sidecar_is_a_violation() -> None:
    plain = make.pod("plain", injected=False, socket=None)
    finding = pods_run_with_a_proxy([make.pod(), plain], APP, NOW, WHERE, EVIDENCE)
    words = "Pod test-app/plain: it has no istio-proxy"
    violated(finding, "INST-15", f"{words}, either in containers or in initContainers", evidence=EVIDENCE, causes=())
    assert proxies_are_stable([make.pod(), plain], NOW, WHERE, EVIDENCE).seen == words


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
            "it is Pending and not Ready (istio-proxy: CrashLoopBackOff back-off)",
        ),
        (
            make.pod(phase="Failed", ready=False, message="The node was low on resource"),
            "it is Failed and not Ready (The node was low on resource)",
        ),
        (make.pod(ready=False), "it is Running and not Ready (no reason given)"),
        (make.pod(proxy=make.istio_proxy(ready=False, started=False)), "it is Running and not Ready (no reason given)"),
    ],
    ids=["proxy waits", "evicted", "no reason", "proxy not started"],
)
def test_a_pod_that_is_not_ready_is_named_with_its_reason(stuck: Pod, words: str) -> None:
    finding = pods_run_with_a_proxy([make.pod("good"), stuck], APP, NOW, WHERE, EVIDENCE)
    violated(finding, "INST-15", evidence=EVIDENCE, causes=())
    assert finding.seen == f"Pod test-app/app: {words}"


@pytest.mark.parametrize(
    "socket",
    [
        make.NODES_SOCKET,
        Volume("workload-socket", "hostPath", path=f"{SOCKETS}/"),
        Volume("workload-socket", "csi", driver="csi.spiffe.io", read_only=True),
        Volume("workload-socket", "csi", driver="csi.example", read_only=True),
    ],
    ids=["hostPath", "hostPath with a slash", "csi", "csi by another name"],
)
def test_the_nodes_socket_by_directory_or_by_the_spiffe_driver(socket: Volume) -> None:
    holds(pods_use_the_nodes_socket([make.pod(socket=socket)], DIRECTORIES, WHERE, EVIDENCE), "INST-15", "ev-pods")


@pytest.mark.parametrize(
    ("socket", "words", "causes"),
    [
        (None, "it has no volume workload-socket", ("template-not-requested",)),
        (
            make.EMPTY_DIR,
            "it has an emptyDir as workload-socket: Istio silently falls back to its own CA",
            ("template-not-requested",),
        ),
        (
            Volume("workload-socket", "hostPath", path="/run/spire"),
            f"it mounts /run/spire of the node, and tbot's socket is in {SOCKETS}",
            ("socket-path-differs",),
        ),
        (
            Volume("workload-socket", "hostPath", path=f"{SOCKETS}/socket"),
            f"it mounts {SOCKETS}/socket of the node, and tbot's socket is in {SOCKETS}",
            ("socket-path-differs",),
        ),
    ],
    ids=["none", "emptyDir", "another directory", "the socket file"],
)
def test_any_other_volume_is_a_violation(socket: Volume | None, words: str, causes: tuple[str, ...]) -> None:
    pods = [make.pod("good"), make.pod("bad", socket=socket)]
    finding = pods_use_the_nodes_socket(pods, DIRECTORIES, WHERE, EVIDENCE)
    violated(finding, "INST-15", evidence=EVIDENCE, causes=causes)
    assert finding.seen == f"Pod test-app/bad: {words}"


TEMPLATES = "inject.istio.io/templates"
A_GATEWAY = make.istio_proxy(is_init=False, args=make.ROUTER)


@pytest.mark.parametrize("socket", [make.EMPTY_DIR, None], ids=["emptyDir", "no volume"])
@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, "template-not-requested"),
        ({"annotations": {TEMPLATES: ""}}, "template-not-requested"),
        ({"annotations": {TEMPLATES: "sidecar"}}, "template-not-requested"),
        ({"annotations": {TEMPLATES: "sidecar, grpc-agent"}}, "template-not-requested"),
        ({"annotations": {TEMPLATES: "sidecar,spire"}}, "template-without-node-socket"),
        ({"annotations": {TEMPLATES: "sidecar, bespoke"}}, "template-without-node-socket"),
        ({"proxy": A_GATEWAY}, "gateway-without-socket"),
        ({"proxy": A_GATEWAY, "annotations": {TEMPLATES: "gateway,spire"}}, "gateway-without-socket"),
    ],
)
def test_without_the_nodes_directory_the_annotation_tells_the_cause(
    changes: dict[str, Any], cause: str, socket: Volume | None
) -> None:
    finding = pods_use_the_nodes_socket([make.pod(socket=socket, **changes)], DIRECTORIES, WHERE, EVIDENCE)
    violated(finding, "INST-15", causes=(cause,))


@pytest.mark.parametrize("name", ["agentgateway", "agentgateway-waypoint", "gateway", "kube-gateway", "waypoint"])
def test_none_of_istios_own_templates_is_a_request_for_the_socket(name: str) -> None:
    (problem,) = socket_volume_problems(make.pod(socket=make.EMPTY_DIR, annotations={TEMPLATES: name}), DIRECTORIES)
    assert problem.cause == "template-not-requested"


def test_a_directory_of_the_node_lacks_no_template_whatever_the_annotation_says() -> None:
    assert cause_of_no_socket(make.pod(annotations={TEMPLATES: "sidecar"})) == ""
    assert cause_of_no_socket(make.pod(proxy=A_GATEWAY)) == ""
    assert cause_of_no_socket(make.pod(socket=Volume("workload-socket", "csi", driver="csi.spiffe.io"))) == ""


@pytest.mark.parametrize(
    ("mounts", "words"),
    [
        ((), "mounts nothing at"),
        ((VolumeMount("workload-socket", "/elsewhere"),), "mounts nothing at"),
        ((VolumeMount("other", SOCKET_MOUNT),), "mounts other"),
        ((VolumeMount("workload-socket", SOCKET_MOUNT, sub_path="old"),), "mounts workload-socket, sub-path old"),
    ],
    ids=["no mount", "elsewhere", "another volume there", "a part of it"],
)
def test_the_right_volume_is_no_use_where_the_proxy_does_not_look(mounts: tuple[VolumeMount, ...], words: str) -> None:
    elsewhere = make.pod(proxy=make.istio_proxy(mounts=mounts))
    (problem,) = socket_volume_problems(elsewhere, DIRECTORIES)
    assert f"at {SOCKET_MOUNT}, not the whole of workload-socket" in problem.said
    assert words in problem.said
    assert problem.cause == ""


def test_each_pod_must_mount_a_directory_of_its_own_node() -> None:
    here = make.pod("here"), make.pod("there", node="node-2", socket=OTHER_NODES_SOCKET)
    holds(pods_use_the_nodes_socket(here, OF_POOLS, WHERE, EVIDENCE), "INST-15")
    there = pods_use_the_nodes_socket(here[1:], OF_POOLS, WHERE, EVIDENCE)
    assert there.seen == f"1 of 1 pods mount {OTHER_SOCKETS}"
    swapped = make.pod("there", node="node-2"), make.pod("here", socket=OTHER_NODES_SOCKET)
    finding = pods_use_the_nodes_socket(swapped, OF_POOLS, WHERE, EVIDENCE)
    # A tbot listens in either directory, so that neither has to change: INST-13 names the node that lacks it.
    violated(finding, "INST-15", causes=())
    lacking = "; the tbot that listens there has no pod on the node"
    assert [problem.said for problem in finding.problems] == [
        f"it mounts {SOCKETS} of the node, and tbot's socket is in {OTHER_SOCKETS}{lacking}",
        f"it mounts {OTHER_SOCKETS} of the node, and tbot's socket is in {SOCKETS}{lacking}",
    ]
    nowhere = make.pod("nowhere", socket=replace(OTHER_NODES_SOCKET, path="/run/elsewhere"))
    violated(pods_use_the_nodes_socket([nowhere], OF_POOLS, WHERE, EVIDENCE), "INST-15", causes=("socket-path-differs",))
    unread = replace(OF_POOLS, unread=frozenset({OTHER_SOCKETS}))
    finding = pods_use_the_nodes_socket(swapped[1:], unread, WHERE, EVIDENCE)
    violated(finding, "INST-15", "perhaps a tbot that the suite could not read listens there", causes=())


def test_the_guides_second_mount_of_the_same_volume_does_no_harm() -> None:
    mounts = (
        VolumeMount("workload-socket", "/run/secrets/workload-spiffe-uds"),
        VolumeMount("workload-socket", SOCKET_MOUNT),
    )
    assert socket_volume_problems(make.pod(proxy=make.istio_proxy(mounts=mounts)), DIRECTORIES) == []


def test_a_restart_that_was_long_ago_leaves_a_count_and_no_doubt() -> None:
    ended = (NOW - timedelta(minutes=11)).isoformat().replace("+00:00", "Z")
    rebooted = make.pod(proxy=make.istio_proxy(restarts=1, last_reason="Unknown", last_ended=ended))
    finding = proxies_are_stable([rebooted], NOW, WHERE, EVIDENCE)
    holds(finding, "INST-15", "ev-pods")
    assert finding.seen == "1 restarts, all of them earlier or while the pod was starting"
    soon = (NOW - timedelta(minutes=9)).isoformat().replace("+00:00", "Z")
    crashing = make.pod(proxy=make.istio_proxy(restarts=1, last_reason="Error", last_ended=soon))
    again = proxies_are_stable([crashing], NOW, WHERE, EVIDENCE)
    violated(again, "INST-15", causes=())
    assert again.seen == "Pod test-app/app: its istio-proxy restarted 1 times, last: Error, 540 s ago"


def test_restarts_while_many_pods_started_at_once_are_noted() -> None:
    def at(minutes: float) -> str:
        return f"{NOW - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"

    def restarted(name: str, minutes: float) -> Pod:
        made = make.pod(name, proxy=make.istio_proxy(restarts=3, last_reason="OOMKilled", last_ended=at(minutes)))
        return replace(made, conditions=(Condition("Initialized", "True", since=at(5)),))

    crowd = [restarted(f"pod-{number}", 5.5) for number in range(80)]
    finding = proxies_are_stable(crowd, NOW, WHERE, EVIDENCE)
    holds(finding, "INST-15", "ev-pods")
    assert finding.seen == "240 restarts, all of them earlier or while the pod was starting"
    assert len(finding.notes) == 80
    said = "its istio-proxy restarted 3 times, last: OOMKilled, 330 s ago, while the pod was starting"
    assert finding.notes[0].said == said
    later = proxies_are_stable([*crowd, restarted("bad", 3)], NOW, WHERE, EVIDENCE)
    violated(later, "INST-15", "Pod test-app/bad: its istio-proxy restarted 3 times", causes=())
    assert len(later.notes) == 80


def test_a_pod_that_an_init_container_of_its_own_holds_up_is_open() -> None:
    waits = make.istio_proxy(is_init=False, ready=False, started=False, state="waiting", reason="PodInitializing")
    made = make.pod("held", proxy=waits, ready=False, phase="Pending")
    migration = make.container("migrate", is_init=True, ready=False, started=False)
    held = replace(made, spec=replace(made.spec, containers=(migration, *made.spec.containers)))
    finding = pods_run_with_a_proxy([held], APP, NOW, WHERE, EVIDENCE)
    unknown(finding, "INST-15", "it is Pending: its init container migrate keeps istio-proxy from starting")
    assert finding.settle == "look at the log of that init container, and run again"
    stuck = make.pod("stuck", proxy=waits, ready=False, phase="Pending")
    violated(pods_run_with_a_proxy([held, stuck], APP, NOW, WHERE, EVIDENCE), "INST-15", "is Pending", causes=())


def test_no_proxy_has_restarted() -> None:
    holds(proxies_are_stable([make.pod()], NOW, WHERE, EVIDENCE), "INST-15", "ev-pods")


def test_a_restart_of_the_proxy_is_a_violation_and_one_of_the_application_is_not() -> None:
    restarted = make.pod("bad", proxy=make.istio_proxy(restarts=3, last_reason="Error"))
    finding = proxies_are_stable([make.pod(), restarted], NOW, WHERE, EVIDENCE)
    violated(finding, "INST-15", evidence=EVIDENCE, causes=())
    assert finding.seen == "Pod test-app/bad: its istio-proxy restarted 3 times, last: Error"
    forgotten = make.pod(proxy=make.istio_proxy(restarts=1))
    violated(proxies_are_stable([forgotten], NOW, WHERE, EVIDENCE), "INST-15", "1 times, last: no reason kept")


# The node selector, told from the Deployment: it shows even where no pod could be created.


def selecting(**labels: str) -> Deployment:
    return replace(APP, template=replace(APP.template, spec=replace(APP.template.spec, node_selector=labels)))


NODES = [make.node("node-1", zone="a", disk="ssd"), make.node("node-2", zone="b")]
NO_NODE = "node-selector-fits-no-node"


def test_a_selector_that_fits_no_node_shows_without_any_pod() -> None:
    finding = some_node_is_selected([], selecting(zone="c"), NODES, WHERE, EVIDENCE)
    words = "Deployment test-app/test-app: it wants a node with zone=c; none of the nodes has that: node-1, node-2"
    violated(finding, "INST-15", words, evidence=("ev-pods", "ev-test-app", "ev-node-1"), causes=(NO_NODE,))
    assert [p.said for p in finding.showing(NO_NODE)] == [
        "it wants a node with zone=c; none of the nodes has that: node-1, node-2"
    ]
    (step,) = CAUSES[NO_NODE].remedy
    assert "Take the nodeSelector out of the pod template, or let it name a label that a node" in step


def test_one_node_must_have_all_labels_of_the_selector() -> None:
    scattered = some_node_is_selected([], selecting(zone="b", disk="ssd"), NODES, WHERE, EVIDENCE)
    violated(scattered, "INST-15", "wants a node with disk=ssd, zone=b", causes=(NO_NODE,))
    finding = some_node_is_selected([], selecting(zone="a", disk="ssd"), NODES, WHERE, EVIDENCE)
    holds(finding, "INST-15", "ev-test-app", "ev-node-1")
    assert finding.showing(NO_NODE) == ()


def test_a_value_of_another_node_label_fits_no_node() -> None:
    violated(some_node_is_selected([], selecting(zone="ssd"), NODES, WHERE, EVIDENCE), "INST-15", "zone=ssd")


def test_without_a_selector_any_node_fits() -> None:
    finding = some_node_is_selected([make.pod()], selecting(), NODES, WHERE, EVIDENCE)
    holds(finding, "INST-15", "ev-test-app")
    assert finding.seen == "there is no node selector"


def test_the_selectors_of_the_pods_count_where_there_is_no_deployment() -> None:
    pod = make.pod()
    bound = replace(pod, spec=replace(pod.spec, node_selector={"zone": "c"}))
    absent = make.absent("deployment/test-app")
    finding = some_node_is_selected([pod, bound], absent, NODES, WHERE, EVIDENCE)
    violated(finding, "INST-15", causes=(NO_NODE,))
    assert finding.seen == "it wants a node with zone=c; none of the nodes has that: node-1, node-2"
    holds(some_node_is_selected([pod], absent, NODES, WHERE, EVIDENCE), "INST-15", "ev-absent-deployment")


def test_a_pending_pod_alone_does_not_show_that_its_selector_fits_no_node() -> None:
    pending = make.pod(phase="Pending", ready=False)
    violated(pods_run_with_a_proxy([pending], APP, NOW, WHERE, EVIDENCE), "INST-15", "is Pending", causes=())
