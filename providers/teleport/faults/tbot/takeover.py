"""The fault that looks healthy: a pod with the identity and the key of another service account.

It takes three mistakes, each harmless alone: a socket directory that every user may write to, a writable mount of it, and a
tbot that is missing for a moment while pods start.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from facts.kubernetes.objects import Pod
from facts.proxies.sds_mode import SdsMode
from observe.kubernetes.cluster import Cluster
from observe.proxies.envoy import read_proxy
from observe.wait import NotYet, eventually
from providers.teleport.faults.tbot import daemon_set
from provision.faults import reach
from provision.faults.changes import manifest
from provision.faults.fault import Fault, Scene
from provision.faults.istio.istio_settings import VOLUMES_ONLY_TEMPLATE, injected_with
from provision.faults.surroundings.nodes import directory_for_all
from provision.names import APP, GATEWAY_LABEL, ISTIO_NAMESPACE

FIRST = "first-comer"
"""Name of the pod whose agent finds no socket and makes one."""


@contextmanager
def _takeover(scene: Scene) -> Iterator[None]:
    objects, patience, node = scene.installation.objects, scene.rollout, _node(scene)
    first = manifest("first-comer", NODE=node, WORKLOAD_IMAGE=scene.installation.sources.workload_image)
    try:
        with injected_with(scene, VOLUMES_ONLY_TEMPLATE, "hostPath"), directory_for_all(scene, node):
            with daemon_set.away(scene), scene.looking() as cluster:
                objects.apply_all(first)
                eventually(f"{FIRST} is Ready", lambda: _look_for_first(cluster), patience)
                (former,) = _pods_of_app(cluster, node)
                objects.delete("v1", "Pod", former.name, namespace=APP)
                eventually("its successor is taken over", lambda: _look_for_taken(cluster, node, former), patience)
            scene.await_tbot()
            yield
    finally:
        for document in reversed(first):
            objects.delete("v1", document["kind"], FIRST, namespace=APP)
        scene.restart_app()


def _node(scene: Scene) -> str:
    """Return a node where the test application runs and the gateway does not, which would be taken over as well."""
    with scene.looking() as cluster:
        gateways = {pod.node for pod in cluster.pods(ISTIO_NAMESPACE, GATEWAY_LABEL)}
        return next(n for n in scene.nodes() if n not in gateways and _pods_of_app(cluster, n))


def _pods_of_app(cluster: Cluster, node: str) -> list[Pod]:
    return [p for p in cluster.pods(APP, f"app={APP}") if p.node == node and not p.terminating]


def _look_for_first(cluster: Cluster) -> None:
    pods = [pod for pod in cluster.pods(APP) if pod.name == FIRST]
    if not pods or not pods[0].ready:
        raise NotYet(f"{FIRST} is {pods[0].phase if pods else 'not there'}")


def _look_for_taken(cluster: Cluster, node: str, gone: Pod) -> None:
    pods = [pod for pod in _pods_of_app(cluster, node) if pod.uid != gone.uid]
    if not pods or not pods[0].ready:
        raise NotYet("it is not Ready" if pods else f"there is none on {node}")
    mode = read_proxy(cluster, pods[0]).sds_mode
    if mode is not SdsMode.TAKEOVER:
        raise NotYet(mode.told)


FAULTS = (
    Fault(
        name="takeover",
        description="On one node the socket directory has mode 0777 and mounts of it are writable. While tbot was away,"
        " a pod made the node's socket its own; the next one, of another service account, is 2/2 with the identity and"
        " the key of the first, and logs all that the guide calls healthy.",
        cause="socket-taken-over",
        further_causes=frozenset({"socket-directory-writable", "mount-writable"}),
        touches="ConfigMap istio-system/istio-sidecar-injector; the socket directory of one node;"
        " DaemonSet teleport-system/tbot; Deployment test-app/test-app; ServiceAccount and Pod test-app/first-comer",
        undo="The suite deletes the first pod, restores mode and template exactly, and restarts the test application.",
        breaks=frozenset({"CHK-6", "CHK-7", "CHK-9", "ID-02", "ID-08", "ID-12"}) | reach.CERTIFIED_BY_ISTIOD | reach.REFUSED,
        reach=reach.TBOT | reach.INJECTED_PODS | {"ID-05", "INST-07"},
        inject=_takeover,
    ),
)
