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
from provision.faults.changes import manifest
from provision.faults.fault import Scene
from provision.faults.istio.istio_settings import volumes_only
from provision.faults.surroundings.nodes import with_mode
from provision.names import APP, GATEWAY_LABEL, ISTIO_NAMESPACE

FIRST = "first-comer"
"""Name of the pod whose agent finds no socket and makes one."""


@contextmanager
def takeover(scene: Scene) -> Iterator[None]:
    """Keep tbot away from one node while a pod makes the socket its own there, and another one gets its identity."""
    objects, patience, node = scene.installation.objects, scene.rollout, _node(scene)
    first = manifest("first-comer", NODE=node, WORKLOAD_IMAGE=scene.installation.sources.workload_image)
    sockets = scene.installation.variables["SOCKET_DIRECTORY"]
    try:
        with volumes_only(scene), with_mode(scene, sockets, "0777", node):
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
