"""Why a proxy does not start: from the status of its pod, beside the tbot of its node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from facts.finding import OpenPoint, Problem
from facts.istio.control_planes import UnreadPlane
from facts.kubernetes.objects import Condition, Pod
from facts.kubernetes.pod_spec import Container, Volume
from facts.kubernetes.workloads import Deployment, PodTemplate
from facts.proxies.sds_mode import SdsMode
from judge.diagnosis.starting import held_up, refused, without_directory, without_istiod
from providers.teleport.facts.tbot import OtherTbot
from tests.unit.judge import builders as make
from tests.unit.judge.certificates import NOW
from tests.unit.judge.diagnosis.told import named

NONE_THERE = make.tbots(make.tbot(make.tbot_pod(node="node-2")))
BEGUN, NOT_BEGUN = (Condition("PodReadyToStartContainers", status) for status in ("True", "False"))
WAITING: dict[str, Any] = {"state": "waiting", "ready": False, "started": False}


def waiting(*conditions: Condition, name: str = "", socket: Any = make.NODES_SOCKET, **proxy: Any) -> Pod:
    """A pod whose proxy waits, and whose application has not started."""
    env = {"WORKLOAD_IDENTITY_SOCKET_FILE": name} if name else {}
    made = make.pod(proxy=make.istio_proxy(env=env, **(WAITING | proxy)), socket=socket, phase="Pending", ready=False)
    app = make.container("app", **WAITING)
    containers = (*(c for c in made.containers if c.name != "app"), app)
    return replace(made, spec=replace(made.spec, containers=containers), conditions=conditions)


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_the_proxys_image_cannot_be_pulled(reason: str) -> None:
    found = held_up([waiting(BEGUN, reason=reason)], make.tbots(), NOW)
    assert named(found) == [("Pod test-app/app", "proxy-image-unavailable")]
    assert reason in found[0].said


def test_the_image_of_an_application_is_no_business_of_the_mesh() -> None:
    pod = make.pod(ready=False, phase="Pending")
    app = make.container("app", **WAITING, reason="ImagePullBackOff")
    containers = (*(c for c in pod.containers if c.name != "app"), app)
    assert held_up([replace(pod, spec=replace(pod.spec, containers=containers))], NONE_THERE, NOW) == []


def test_the_image_of_istios_own_init_container_counts() -> None:
    pod = waiting(BEGUN)
    init = make.container("istio-init", **WAITING, is_init=True, reason="ErrImagePull")
    pod = replace(pod, spec=replace(pod.spec, containers=(init, *pod.containers)))
    assert named(held_up([pod], make.tbots(), NOW)) == [("Pod test-app/app", "proxy-image-unavailable")]


def test_a_directory_that_must_exist_and_that_no_tbot_has_made() -> None:
    found = held_up([waiting(NOT_BEGUN, reason="PodInitializing")], NONE_THERE, NOW)
    assert named(found) == [("Pod test-app/app", "socket-directory-absent")]
    assert "it requires the directory /run/spire/sockets, and node node-1 has no Ready tbot" in found[0].said


@pytest.mark.parametrize(
    ("pod", "tbots"),
    [
        (waiting(NOT_BEGUN), make.tbots()),
        (waiting(BEGUN), NONE_THERE),
        (waiting(NOT_BEGUN, socket=replace(make.NODES_SOCKET, type="DirectoryOrCreate")), NONE_THERE),
        (waiting(NOT_BEGUN, socket=make.EMPTY_DIR), NONE_THERE),
        (waiting(NOT_BEGUN, socket=None), NONE_THERE),
        (make.pod(), NONE_THERE),
        (make.pod(injected=False, ready=False), NONE_THERE),
    ],
)
def test_pods_that_the_directory_does_not_hold_up(pod: Pod, tbots: Any) -> None:
    assert held_up([pod], tbots, NOW) == []


def test_a_pod_without_a_sidecar_that_waits_for_the_directory_is_no_proxys() -> None:
    pod = waiting(NOT_BEGUN)
    app = tuple(each for each in pod.containers if each.name == "app")
    assert held_up([replace(pod, spec=replace(pod.spec, containers=app))], NONE_THERE, NOW) == []


@pytest.mark.parametrize("state", ["running", "terminated"])
def test_a_container_that_has_run_shows_that_the_volumes_were_mounted(state: str) -> None:
    """Before Kubernetes 1.29 no condition says so."""
    pod = waiting()
    init = make.container("istio-init", is_init=True, state=state, exit_code=0 if state == "terminated" else None)
    begun = replace(pod, spec=replace(pod.spec, containers=(init, *pod.containers)))
    assert held_up([begun], NONE_THERE, NOW) == []
    assert named(held_up([pod], NONE_THERE, NOW)) == [("Pod test-app/app", "socket-directory-absent")]


def test_a_sidecar_that_may_not_fall_back_waits_for_tbot() -> None:
    crashing = waiting(BEGUN, name="agent.sock", reason="CrashLoopBackOff", restarts=4)
    assert named(held_up([crashing], NONE_THERE, NOW)) == [("Pod test-app/app", "fail-closed-without-tbot")]
    unready = make.tbots(make.tbot(make.tbot_pod(ready=False)))
    assert named(held_up([crashing], unready, NOW)) == [("Pod test-app/app", "fail-closed-without-tbot")]
    before_that_condition = replace(crashing, conditions=())
    assert named(held_up([before_that_condition], NONE_THERE, NOW)) == [("Pod test-app/app", "fail-closed-without-tbot")]


def test_nothing_is_held_up_for_good_by_a_tbot_that_is_about_to_come() -> None:
    crashing = waiting(BEGUN, name="agent.sock", reason="CrashLoopBackOff", restarts=4)
    runs = make.tbot_container(ready=False, state="running", started_at=f"{NOW - timedelta(seconds=3):%Y-%m-%dT%H:%M:%SZ}")
    unready = make.tbot_pod(ready=False)
    starting = make.tbot(replace(unready, spec=replace(unready.spec, containers=(runs,))))
    replaced = replace(make.tbot(), pods={}, leaving=frozenset({make.NODE}))
    for tbot in (starting, replaced):
        assert held_up([crashing, waiting(NOT_BEGUN)], make.tbots(tbot), NOW) == []
    elsewhere = make.tbots(replace(replaced, leaving=frozenset({"node-9"})))
    assert len(held_up([crashing, waiting(NOT_BEGUN)], elsewhere, NOW)) == 2


def test_a_ready_tbot_that_serves_other_pods_of_the_node_is_none_for_a_pod() -> None:
    tbots = make.tbots(make.pool("a", make.SOCKETS, "node-1", "node-2"), make.pool("b", make.OTHER_SOCKETS, "node-2"))
    crashing = waiting(BEGUN, name="agent.sock", socket=make.OTHER_NODES_SOCKET, reason="CrashLoopBackOff", restarts=4)
    found = held_up([crashing], tbots, NOW)
    assert named(found) == [("Pod test-app/app", "fail-closed-without-tbot")]
    assert found[0].said.endswith("and node node-1 has no Ready tbot for it")
    of_a = waiting(BEGUN, name="agent.sock", reason="CrashLoopBackOff", restarts=4)
    on_node_2 = replace(crashing, spec=replace(crashing.spec, node="node-2"))
    assert held_up([of_a, on_node_2], tbots, NOW) == []


def test_a_tbot_that_could_not_be_read_may_be_the_one_that_a_pod_waits_for() -> None:
    other = OtherTbot(make.tbot().daemon_set.ref, "it is in a Secret", unread=True, directories=frozenset({make.SOCKETS}))
    crashing = waiting(BEGUN, name="agent.sock", reason="CrashLoopBackOff", restarts=4)
    for left_out, names in (([], 2), ([replace(other, unread=False)], 2), ([other], 0)):
        tbots = make.tbots(make.tbot(make.tbot_pod(node="node-2")), left_out=left_out)
        assert len(held_up([crashing, waiting(NOT_BEGUN)], tbots, NOW)) == names
    # It is not, where one that was read has the directory on the node.
    unready = make.tbots(make.tbot(make.tbot_pod(ready=False)), left_out=[other])
    assert len(held_up([crashing], unready, NOW)) == 1
    assert len(held_up([waiting(BEGUN, reason="ErrImagePull")], make.tbots(left_out=[other]), NOW)) == 1


def test_a_sidecar_that_crashes_beside_a_ready_tbot_or_may_fall_back_has_another_reason() -> None:
    assert held_up([waiting(BEGUN, name="agent.sock", restarts=4)], make.tbots(), NOW) == []
    assert held_up([waiting(BEGUN, name="socket", restarts=4)], NONE_THERE, NOW) == []
    assert held_up([waiting(BEGUN, restarts=4)], NONE_THERE, NOW) == []


def test_an_init_container_of_the_application_is_no_business_of_the_mesh() -> None:
    pod = waiting(BEGUN, name="agent.sock")
    migration = make.container("migrate", is_init=True, ready=False, started=False)
    pod = replace(pod, spec=replace(pod.spec, containers=(migration, *pod.containers)))
    assert held_up([pod], NONE_THERE, NOW) == []


HOST_PATH = 'pods "shop-1" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes'
SHOP = make.namespace("shop")


def refusing(
    message: str = HOST_PATH,
    status: str = "True",
    kind: str = "ReplicaFailure",
    namespace: str = "shop",
    containers: Sequence[Container] = (make.container("app"),),
    **template: Any,
) -> Deployment:
    conditions = (Condition("Available", "False"), Condition(kind, status, "FailedCreate", message))
    spec = make.pod_spec(*containers, node="", **template.pop("spec", {}))
    made = replace(PodTemplate({}, {}, spec), **template)
    return make.deployment("shop", namespace=namespace, conditions=conditions, template=made)


def test_deployments_whose_pods_the_api_server_refuses() -> None:
    found = refused([refusing()], [SHOP], make.planes())
    assert named(found) == [("Deployment shop/shop", "pod-refused-by-policy")]


def test_deployments_that_are_not_refused_or_outside_of_the_install() -> None:
    assert refused([refusing()], [make.namespace()], make.planes()) == []
    assert refused([refusing(status="False"), refusing(kind="Progressing")], [SHOP], make.planes()) == []


@pytest.mark.parametrize(
    ("namespace", "template"),
    [
        ({}, {"labels": {"sidecar.istio.io/inject": "false"}}),
        ({}, {"annotations": {"sidecar.istio.io/inject": "false"}}),
        ({}, {"spec": {"host_network": True}}),
        ({"labels": {}}, {}),
        ({"labels": {"istio-injection": "disabled"}}, {"labels": {"sidecar.istio.io/inject": "true"}}),
        ({"labels": {"istio.io/rev": "of-nobody"}}, {}),
    ],
    ids=["label", "annotation", "host network", "no injection", "disabled", "no such revision"],
)
def test_a_refused_deployment_that_gets_no_proxy_is_no_business_of_the_mesh(
    namespace: dict[str, Any], template: dict[str, Any]
) -> None:
    assert refused([refusing(**template)], [make.namespace("shop", **namespace)], make.planes()) == []


def test_a_deployment_that_asks_for_its_proxy_or_brings_it_is_of_the_mesh() -> None:
    outside = make.namespace("shop", labels={})
    asking, manual = refusing(labels={"sidecar.istio.io/inject": "true"}), refusing(containers=[make.istio_proxy()])
    for deployment in (asking, manual):
        assert named(refused([deployment], [outside], make.planes())) == [("Deployment shop/shop", "pod-refused-by-policy")]


def test_a_quota_is_told_as_what_it_is() -> None:
    (found,) = refused([refusing('pods "shop-1" is forbidden: exceeded quota: small')], [SHOP], make.planes())
    assert found.cause == ""
    assert found.said.startswith("the API server refuses its pods for a ResourceQuota, which counts Istio's proxy as well: ")


def test_a_proxy_without_a_configuration_whose_agent_does_not_reach_istiod() -> None:
    starting = replace(waiting(BEGUN), uid="uid-app")
    proxy = make.proxy(starting, sds_mode=SdsMode.UNASKED, istiod_failures=7)
    found = without_istiod([proxy], [starting])
    assert named(found) == [("Pod test-app/app", "istiod-unreachable")]
    assert "failed 7 times to connect to istiod" in found[0].said
    assert found[0].evidence == ("ev-proxy-app", "ev-pod-app")


def test_proxies_that_istiod_is_not_missing_to() -> None:
    starting = waiting(BEGUN)
    for changes in (
        {"istiod_failures": 7},
        {"sds_mode": SdsMode.UNASKED},
        {"sds_mode": SdsMode.SILENT, "istiod_failures": 7},
    ):
        assert without_istiod([make.proxy(starting, **changes)], [starting]) == []
    started = make.pod()
    assert without_istiod([make.proxy(started, sds_mode=SdsMode.UNASKED, istiod_failures=7)], [started]) == []


def volumes(kind: str, path: str = make.SOCKETS) -> tuple[Volume, ...]:
    return (make.tbot_volumes()[0], Volume("sockets", "hostPath", path=path, type=kind))


def tbot_that_waits(*conditions: Condition, kind: str = "Directory", path: str = make.SOCKETS, **changes: Any) -> Pod:
    """A pod of tbot whose container has not started."""
    made = make.tbot_pod(ready=False, phase="Pending", conditions=conditions, **changes)
    runs = replace(make.tbot_container(), state="waiting", reason="ContainerCreating")
    return replace(made, spec=replace(made.spec, containers=(runs,), volumes=volumes(kind, path)))


def test_a_tbot_that_waits_for_a_directory_that_it_does_not_make() -> None:
    tbots = make.tbots(make.tbot(tbot_that_waits(NOT_BEGUN), volumes=volumes("Directory")))
    found = problems(without_directory([waiting(NOT_BEGUN)], tbots, NOW))
    assert named(found) == [("Pod teleport-system/tbot-1", "socket-directory-not-recreated")]
    assert "of type Directory, requires /run/spire/sockets to exist on node node-1" in found[0].said
    assert named(held_up([waiting(NOT_BEGUN)], tbots, NOW)) == [("Pod test-app/app", "socket-directory-absent")]


@pytest.mark.parametrize(
    "pod",
    [
        tbot_that_waits(BEGUN),
        tbot_that_waits(NOT_BEGUN, kind="DirectoryOrCreate"),
        tbot_that_waits(NOT_BEGUN, path="/var/lib/else"),
        tbot_that_waits(NOT_BEGUN, terminating=True),
        tbot_that_waits(NOT_BEGUN, created_at=f"{NOW - timedelta(seconds=59):%Y-%m-%dT%H:%M:%SZ}"),
        make.tbot_pod(),
    ],
)
def test_a_tbot_that_the_directory_does_not_hold_up(pod: Pod) -> None:
    assert without_directory([], make.tbots(make.tbot(pod, volumes=volumes("Directory"))), NOW) == []


def problems(found: Sequence[Problem | OpenPoint]) -> list[Problem]:
    return [each for each in found if isinstance(each, Problem)]


def left_open(found: Sequence[Problem | OpenPoint]) -> list[OpenPoint]:
    return [each for each in found if isinstance(each, OpenPoint)]


def of_tbot(*pods: Pod, others: Sequence[Pod] = ()) -> list[tuple[str, str]]:
    return named(problems(beside(*pods, others=others)))


def beside(*pods: Pod, others: Sequence[Pod] = ()) -> list[Problem | OpenPoint]:
    return without_directory([*pods, *others], make.tbots(make.tbot(*pods, volumes=volumes("Directory"))), NOW)


NOT_MADE = ("Pod teleport-system/tbot-1", "socket-directory-not-recreated")


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_a_tbot_whose_container_cannot_be_made_has_its_volumes(reason: str) -> None:
    """Before Kubernetes 1.29 no condition says so."""
    pod = tbot_that_waits()
    failing = replace(pod, spec=replace(pod.spec, containers=(replace(pod.containers[0], reason=reason),)))
    assert (of_tbot(pod), of_tbot(failing)) == ([NOT_MADE], [])


def test_a_node_on_which_another_pod_does_not_start_either_lacks_more_than_the_directory() -> None:
    """Its network, for one."""
    tbot, elsewhere = tbot_that_waits(NOT_BEGUN), waiting(NOT_BEGUN, socket=None)
    assert of_tbot(tbot, others=[waiting(NOT_BEGUN, socket=None)]) == []
    assert of_tbot(tbot, others=[waiting(NOT_BEGUN), waiting(NOT_BEGUN, socket=None)]) == []
    elsewhere = replace(elsewhere, spec=replace(elsewhere.spec, node="node-2"))
    begun, young = (
        waiting(BEGUN, socket=None),
        replace(waiting(NOT_BEGUN, socket=None), created_at=f"{NOW:%Y-%m-%dT%H:%M:%SZ}"),
    )
    assert of_tbot(tbot, others=[elsewhere, begun, young]) == [NOT_MADE]


def test_a_tbot_that_requires_two_directories_may_wait_for_the_other_one() -> None:
    pod = tbot_that_waits(NOT_BEGUN)
    other = Volume("else", "hostPath", path="/var/lib/else", type="Directory")
    both = replace(pod, spec=replace(pod.spec, volumes=(*pod.spec.volumes, other)))
    assert of_tbot(both) == []
    assert of_tbot(both, others=[waiting(NOT_BEGUN)]) == [NOT_MADE]
    at_else = waiting(NOT_BEGUN, socket=replace(make.NODES_SOCKET, path="/var/lib/else"))
    assert of_tbot(both, others=[at_else]) == []


def test_a_refused_deployment_that_its_control_plane_does_not_inject_is_no_business_of_the_mesh() -> None:
    only_asked = make.planes(make.mesh(injector=make.injector(policy="disabled")))
    assert refused([refusing()], [SHOP], only_asked) == []
    asking = refusing(labels={"sidecar.istio.io/inject": "true"})
    assert named(refused([asking], [SHOP], only_asked)) == [("Deployment shop/shop", "pod-refused-by-policy")]


@pytest.mark.parametrize("socket", [replace(make.NODES_SOCKET, type="DirectoryOrCreate"), make.EMPTY_DIR, None])
def test_a_sidecar_that_has_not_begun_does_not_wait_for_the_socket_yet(socket: Any) -> None:
    assert held_up([waiting(NOT_BEGUN, name="agent.sock", socket=socket)], NONE_THERE, NOW) == []


def test_a_control_plane_that_could_not_be_read_may_inject_what_asks_for_it() -> None:
    unread = UnreadPlane("istio-system", "new", make.unread().why)
    planes = replace(make.planes(), unread=(unread,))
    of_new, of_another = (make.namespace("shop", labels={"istio.io/rev": name}) for name in ("new", "another"))
    assert named(refused([refusing()], [of_new], planes)) == [("Deployment shop/shop", "pod-refused-by-policy")]
    assert refused([refusing()], [of_another], planes) == []
    assert refused([refusing()], [make.namespace("shop", labels={})], planes) == []


def test_a_pod_that_no_node_has_yet_is_held_up_by_no_nodes_tbot() -> None:
    for pod in (waiting(NOT_BEGUN), waiting(BEGUN, name="agent.sock")):
        assert held_up([replace(pod, spec=replace(pod.spec, node=""))], NONE_THERE, NOW) == []


def made(pod: Pod, ago: timedelta) -> Pod:
    return replace(pod, created_at=f"{NOW - ago:%Y-%m-%dT%H:%M:%SZ}")


LATER = made(waiting(BEGUN), timedelta(seconds=100))


def test_a_directory_that_a_pod_which_was_made_later_has_mounted_is_there() -> None:
    tbot = made(tbot_that_waits(NOT_BEGUN), timedelta(seconds=300))
    (left,) = left_open(beside(tbot, others=[LATER]))
    assert of_tbot(tbot, others=[LATER, made(waiting(NOT_BEGUN), timedelta(seconds=90))]) == []
    assert (left.about.subject, left.about.cause) == (tbot.ref, "")
    assert left.about.said.endswith(
        "Pod test-app/app, which was made later, has mounted /run/spire/sockets there, so that it waits for something else"
    )
    assert left.about.evidence == ("ev-pod-tbot-1", "ev-pod-app")
    assert "kubectl -n NAMESPACE describe pod POD" in left.settle
    app = made(waiting(NOT_BEGUN), timedelta(seconds=300))
    assert held_up([app, LATER], NONE_THERE, NOW) == []


@pytest.mark.parametrize(
    "other",
    [
        made(waiting(BEGUN), timedelta(seconds=400)),
        made(waiting(NOT_BEGUN), timedelta(seconds=100)),
        replace(LATER, spec=replace(LATER.spec, node="node-2")),
        made(waiting(BEGUN, socket=replace(make.NODES_SOCKET, path="/var/lib/else")), timedelta(seconds=100)),
        made(waiting(BEGUN, socket=replace(make.NODES_SOCKET, type="DirectoryOrCreate")), timedelta(seconds=100)),
        replace(LATER, created_at=""),
    ],
    ids=["made before", "waits as well", "elsewhere", "another directory", "makes it", "without a time"],
)
def test_what_other_pods_do_not_show_of_a_directory(other: Pod) -> None:
    tbot = made(tbot_that_waits(NOT_BEGUN), timedelta(seconds=300))
    assert of_tbot(tbot, others=[other]) == [NOT_MADE]
    app = made(replace(waiting(NOT_BEGUN), uid="uid-waiting"), timedelta(seconds=300))
    assert ("Pod test-app/app", "socket-directory-absent") in named(held_up([app, other], NONE_THERE, NOW))


def test_a_pod_without_a_time_waits_for_a_directory_as_any_other() -> None:
    tbot, app = replace(tbot_that_waits(NOT_BEGUN), created_at=""), replace(waiting(NOT_BEGUN), created_at="")
    assert of_tbot(tbot, others=[LATER]) == [NOT_MADE]
    assert named(held_up([app, LATER], NONE_THERE, NOW)) == [("Pod test-app/app", "socket-directory-absent")]


@pytest.mark.parametrize(
    ("volume", "is_open"),
    [
        (Volume("ca", "secret"), True),
        (Volume("ca", "configMap", config_map="ca"), True),
        (Volume("state", "persistentVolumeClaim"), True),
        (Volume("state", "csi", driver="a"), True),
        (Volume("all", "projected"), True),
        (Volume("state", "hostPath", path="/var/lib/a", type="File"), True),
        (Volume("config", "configMap", config_map=make.tbot().config_map), False),
        (Volume("state", "emptyDir"), False),
        (Volume("labels", "downwardAPI"), False),
        (Volume("state", "hostPath", path="/var/lib/a"), False),
        (Volume("state", "hostPath", path="/var/lib/a", type="DirectoryOrCreate"), False),
        (make.tbot_volumes()[0], False),
    ],
    ids=str,
)
def test_a_tbot_with_another_volume_that_may_be_missing_is_open_unless_the_mesh_misses_the_directory(
    volume: Volume, *, is_open: bool
) -> None:
    pod = tbot_that_waits(NOT_BEGUN)
    pod = replace(pod, spec=replace(pod.spec, volumes=(*pod.spec.volumes, volume)))
    assert of_tbot(pod) == ([] if is_open else [NOT_MADE])
    assert of_tbot(pod, others=[waiting(NOT_BEGUN)]) == [NOT_MADE]
    assert [f"volume {volume.name} ({volume.source})" in each.about.said for each in left_open(beside(pod))] == (
        [True] if is_open else []
    )
