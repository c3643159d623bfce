"""Faults of tbot: its configuration, its pods and its release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from facts import envoy
from facts.errors import CouldNotTell
from observe.envoy import read_admin
from observe.wait import NotYet, Pace, eventually
from provision.faults import reach
from provision.faults.config_maps import edited_text
from provision.faults.fault import STREAMS, Fault, Scene

NAMESPACE, TBOT = "teleport-system", "tbot"
TAINT = {"key": "conformance.teleport-istio/reserved", "value": "batch", "effect": "NoSchedule"}


@contextmanager
def _misspelt(scene: Scene) -> Iterator[None]:
    with edited_text(scene, NAMESPACE, "tbot-config", "tbot.yaml", lambda text: text.replace("attestors:", "attestor:")):
        yield


@contextmanager
def _affected_tbot(scene: Scene) -> Iterator[None]:
    sources = scene.installation.sources

    def put(image: str) -> None:
        _patch(scene, {"containers": [{"name": TBOT, "image": image}]})

    put(sources.tbot_affected_image)
    try:
        scene.await_agent()
        yield
    finally:
        put(sources.tbot_image)
        scene.await_agent()


@contextmanager
def _audience_of_the_proxy(scene: Scene) -> Iterator[None]:
    objects = scene.installation.objects
    found = objects.get("apps/v1", "DaemonSet", TBOT, namespace=NAMESPACE) or {}
    volumes = found.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", [])
    (sound,) = (v["projected"]["sources"][0]["serviceAccountToken"] for v in volumes if v["name"] == "join-token")

    def put(token: dict[str, Any]) -> None:
        _patch(scene, {"volumes": [{"name": "join-token", "projected": {"sources": [{"serviceAccountToken": token}]}}]})

    put({**sound, "audience": scene.installation.variables["PROXY_SERVER"]})
    try:
        _await_cut_off(scene)
        yield
    finally:
        put(sound)
        scene.await_agent()


@contextmanager
def _not_tolerated(scene: Scene) -> Iterator[None]:
    objects, node = scene.installation.objects, scene.nodes()[0]
    objects.patch("v1", "Node", node, {"spec": {"taints": [TAINT]}})
    try:
        for pod in _pods_on(scene, node):
            objects.delete("v1", "Pod", pod["metadata"]["name"], namespace=NAMESPACE)
        _await_cut_off(scene, node)
        yield
    finally:
        objects.patch("v1", "Node", node, {"spec": {"taints": [{"$patch": "delete", "key": TAINT["key"]}]}})
        scene.await_agent()


@contextmanager
def _frozen(scene: Scene) -> Iterator[None]:
    node = scene.nodes()[0]
    processes = _processes(scene, node)
    scene.on_node(node, "kill", "-STOP", *processes)
    try:
        eventually(f"tbot on {node} is no longer Ready", lambda: _look_for_frozen(scene, node), _patient(scene))
        yield
    finally:
        scene.on_node(node, "kill", "-CONT", *processes)
        scene.await_agent()


def _processes(scene: Scene, node: str) -> list[str]:
    """Process ids on the node of everything in tbot's container there."""
    (pod,) = _pods_on(scene, node)
    (container,) = (c["containerID"].rpartition("/")[2] for c in pod["status"]["containerStatuses"] if c["name"] == TBOT)
    # A process may end between the listing and the reading of /proc; grep's exit code would speak of that.
    found = scene.on_node(node, "sh", "-c", f"grep -ls {container} /proc/[0-9]*/cgroup; true").split()
    if not found:
        raise CouldNotTell(
            expected="a process of tbot on the node",
            seen=f"none whose cgroup names the container {container}",
            where=f"node {node}",
            remedy="see whether tbot runs there: kubectl get pods -n teleport-system -o wide",
        )
    return [path.split("/")[2] for path in found]


def _pods_on(scene: Scene, node: str) -> list[dict[str, Any]]:
    pods = scene.installation.objects.all_of("v1", "Pod", namespace=NAMESPACE, label_selector="app=tbot")
    return [p for p in pods if p["spec"].get("nodeName") == node and "deletionTimestamp" not in p["metadata"]]


def _look_for_frozen(scene: Scene, node: str) -> None:
    (pod,) = _pods_on(scene, node)
    if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"]):
        raise NotYet("its readiness probe has not failed often enough")


def _await_cut_off(scene: Scene, node: str = "") -> None:
    """Waits until the Envoys of a node, or of any node, have lost all their streams."""
    with scene.looking() as cluster:

        def look() -> None:
            streams: dict[str, list[int]] = {}
            for pod in cluster.pods("test-app", "app=test-app"):
                answer = read_admin(cluster, pod, [envoy.SDS_HOSTS])[envoy.SDS_HOSTS]
                streams.setdefault(pod.node, []).append(envoy.parse_streams(answer.document).rq_active)
            off = [where for where, active in streams.items() if not any(active)]
            if not off or (node and node not in off):
                raise NotYet(f"streams by node: {streams}")

        eventually(f"no Envoy on {node or 'some node'} has any of its {STREAMS} streams", look, _patient(scene))


def _patch(scene: Scene, spec: dict[str, Any]) -> None:
    change = {"spec": {"template": {"spec": spec}}}
    scene.installation.objects.patch("apps/v1", "DaemonSet", TBOT, change, namespace=NAMESPACE)


def _patient(scene: Scene) -> Pace:
    return scene.pace(scene.patience.rollout)


MISSPELT = Fault(
    name="attestor-misspelt",
    description="tbot's configuration says attestor instead of attestors; tbot would ignore it, once it is restarted.",
    touches="ConfigMap teleport-system/tbot-config",
    undo="The entry is put back to the letter.",
    breaks=frozenset({"INST-13"}),
    reach=reach.AGENT,
    inject=_misspelt,
)

AFFECTED_TBOT = Fault(
    name="affected-tbot",
    description="tbot is a release that pushes certificates without renewing them.",
    touches="DaemonSet teleport-system/tbot",
    undo="The image is put back; every Envoy has its streams again.",
    breaks=frozenset({"INST-16"}),
    reach=reach.AGENT,
    inject=_affected_tbot,
)

AUDIENCE_OF_THE_PROXY = Fault(
    name="audience-of-the-proxy",
    description="tbot's token is for the address of Teleport's proxy, not for the cluster's name: the first tbot that is"
    " replaced cannot join.",
    touches="DaemonSet teleport-system/tbot",
    undo="The volume is put back; every Envoy has its streams again.",
    breaks=frozenset({"INST-13", "INST-14", "CHK-5", "CHK-8"}),
    reach=reach.AGENT | reach.WORKLOADS,
    inject=_audience_of_the_proxy,
)

NOT_TOLERATED = Fault(
    name="taint-that-tbot-does-not-tolerate",
    description="A node with workloads got a taint that tbot does not tolerate, and tbot left it.",
    touches="Node; DaemonSet teleport-system/tbot",
    undo="The taint is taken away; every Envoy has its streams again.",
    breaks=frozenset({"INST-13", "INST-14", "CHK-5", "CHK-8"}),
    reach=reach.AGENT | reach.WORKLOADS,
    inject=_not_tolerated,
)

FROZEN = Fault(
    name="tbot-frozen",
    description="tbot on one node is stopped with SIGSTOP: its socket takes connections and answers nobody.",
    touches="the process of tbot on one node",
    undo="SIGCONT; tbot is Ready again.",
    breaks=frozenset({"INST-13", "INST-14", "CHK-5"}),
    reach=reach.AGENT | reach.WORKLOADS,
    inject=_frozen,
)
