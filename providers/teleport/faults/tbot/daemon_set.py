"""Faults of tbot: its pods, its release, and what it issues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from facts.kubernetes.pod_spec import PROXY
from facts.proxies import envoy
from facts.svid import Certificate, is_signed_by
from observe.proxies.envoy import read_admin, read_proxy
from observe.wait import NotYet, eventually
from providers.teleport.disruption.ca import enter_phase
from provision.disruption.machines import processes_of
from provision.disruption.outages import NOWHERE
from provision.disruption.supply import uses_the_socket
from provision.faults.changes import edited, patched, pod_template
from provision.faults.fault import Scene
from provision.names import APP, TBOT, TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE

SECOND_IDENTITY = "istio-workloads-of-before"
FIXED_IDENTITY = "batch-jobs"
LOOKED_FOR_SOCKET = "CA Endpoint"
"""Istio's agent logs this when it finds no socket at its start and turns to istiod."""

SOCKETS = "sockets"
"""Volume of tbot with the directory of its socket."""

TAINT = {"key": "conformance.teleport-istio/reserved", "value": "batch", "effect": "NoSchedule"}


@contextmanager
def not_tolerated(scene: Scene) -> Iterator[None]:
    """Give a node a taint that tbot does not tolerate, and take tbot's pod there away."""
    objects, node = scene.installation.objects, scene.nodes()[0]
    former = objects.must_get("v1", "Node", node)["spec"].get("taints", [])

    def put(taints: list[dict[str, str]]) -> None:
        objects.patch("v1", "Node", node, {"spec": {"taints": taints}})  # the API server replaces this list as a whole

    put([*former, TAINT])
    try:
        for pod in pods_on(scene, node):
            objects.delete("v1", "Pod", pod["metadata"]["name"], namespace=TBOT_NAMESPACE)
        await_cut_off(scene, node)
        yield
    finally:
        put(former)
        scene.await_tbot()


@contextmanager
def _stopped(scene: Scene, node: str) -> Iterator[None]:
    """Stop all processes of tbot on a node; on exit let them continue."""
    (pod,) = pods_on(scene, node)
    (container,) = (c["containerID"] for c in pod["status"]["containerStatuses"] if c["name"] == TBOT)
    processes = processes_of(scene.on_node, node, container)
    scene.on_node(node, "kill", "-STOP", *processes)
    try:
        yield
    finally:
        scene.on_node(node, "kill", "-CONT", *processes)
        scene.await_tbot()


@contextmanager
def frozen(scene: Scene) -> Iterator[None]:
    """Stop tbot on one node, until it is no longer Ready."""
    node = scene.nodes()[0]
    with _stopped(scene, node):
        _await_frozen(scene, node)
        yield


@contextmanager
def stale_bundle(scene: Scene) -> Iterator[None]:
    """Freeze one node's tbot while Teleport begins a CA rotation; roll the rotation back afterwards."""
    node, tctl = scene.nodes()[0], scene.installation.authority.tctl
    try:
        with _stopped(scene, node):
            enter_phase(tctl, scene.recorder, "init")
            try:
                _await_authorities(scene, 2, but_on=node)
                _await_frozen(scene, node)
                yield
            finally:
                enter_phase(tctl, scene.recorder, "rollback")
                enter_phase(tctl, scene.recorder, "standby")
    finally:
        _await_authorities(scene, 1)


@contextmanager
def stale_bundle_in_use(scene: Scene) -> Iterator[None]:
    """Freeze one node's tbot while Teleport rotates its CA until the new one signs; roll the rotation back afterwards."""
    node, tctl = scene.nodes()[0], scene.installation.authority.tctl
    try:
        with _stopped(scene, node):
            old = _trusted(scene, but_on=node)
            enter_phase(tctl, scene.recorder, "init")
            try:
                _await_authorities(scene, 2, but_on=node)
                new = [a for a in _trusted(scene, but_on=node) if a not in old]
                enter_phase(tctl, scene.recorder, "update_clients")
                _reissue(scene, new, but_on=node)
                _await_frozen(scene, node)
                yield
            finally:
                enter_phase(tctl, scene.recorder, "rollback")
                _reissue(scene, old, but_on=node)  # before the new authority goes: no certificate may need it
                enter_phase(tctl, scene.recorder, "standby")
    finally:
        _await_authorities(scene, 1)


def _trusted(scene: Scene, *, but_on: str) -> list[Certificate]:
    """Return the authorities that a proxy on another node trusts."""
    with scene.looking() as cluster:
        pod = next(p for p in cluster.pods() if uses_the_socket(p) and p.node != but_on)
        return [a for held in read_proxy(cluster, pod).root_authorities.values() for a in held]


def _reissue(scene: Scene, signers: Sequence[Certificate], *, but_on: str) -> None:
    """Restart tbot on all nodes but one, so that it issues anew, and wait until these authorities have signed there."""
    for pod in _pods(scene):
        if pod["spec"].get("nodeName") != but_on:
            scene.installation.objects.delete("v1", "Pod", pod["metadata"]["name"], namespace=TBOT_NAMESPACE)
    with scene.looking() as cluster:

        def look() -> None:
            for pod in cluster.pods():
                if uses_the_socket(pod) and pod.node != but_on:
                    leaf = read_proxy(cluster, pod).leaf
                    if leaf is None or not is_signed_by(leaf, signers):
                        raise NotYet(f"{pod.ref} has a certificate of another authority")

        eventually(f"every proxy that is not on {but_on} has a certificate of the authority that signs", look, scene.rollout)


def _await_authorities(scene: Scene, number: int, *, but_on: str = "") -> None:
    """Wait until every proxy that uses the socket trusts a number of authorities.

    Args:
        number: Number of authorities.
        but_on: Node whose proxies do not count.
    """
    with scene.looking() as cluster:

        def look() -> None:
            for pod in cluster.pods():
                if uses_the_socket(pod) and pod.node != but_on:
                    held = read_proxy(cluster, pod).root_authorities
                    if any(len(authorities) != number for authorities in held.values()):
                        raise NotYet(f"{pod.ref} trusts {[len(a) for a in held.values()]}")

        where = f"every proxy that is not on {but_on}" if but_on else "every proxy"
        eventually(f"{where} trusts {number} authorities", look, scene.rollout)


@contextmanager
def away(scene: Scene) -> Iterator[None]:
    """Keep tbot off every node; on exit let it come back, without waiting for it."""
    back = pod_template(nodeSelector=dict.fromkeys(NOWHERE))
    spec = pod_template(nodeSelector=NOWHERE)
    with patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=spec, undo=back, then=lambda: None):
        eventually("no tbot is left", lambda: _look_for_none(scene), scene.rollout)
        yield


@contextmanager
def late(scene: Scene) -> Iterator[None]:
    """Restart the test application while tbot is away, and let tbot come back."""
    try:
        with away(scene):
            scene.installation.objects.restart("Deployment", APP, namespace=APP)
            eventually("a sidecar has found no socket", lambda: _look_for_fallback(scene), scene.rollout)
        scene.await_tbot()
        scene.await_app()
        yield
    finally:
        scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
        scene.restart_app()


def _look_for_none(scene: Scene) -> None:
    if pods := _pods(scene):
        raise NotYet(f"{len(pods)} pods")


def _look_for_fallback(scene: Scene) -> None:
    with scene.looking() as cluster:
        waiting = [p for p in cluster.pods(APP, f"app={APP}") if not p.ready and p.proxy is not None]
        for pod in waiting:
            if pod.proxy is not None and pod.proxy.state == "running":
                log = str(cluster.logs(pod.namespace, pod.name, PROXY).document)
                if LOOKED_FOR_SOCKET in log:
                    return
    raise NotYet(f"{len(waiting)} new pods, none of whose agents has looked for its socket")


@contextmanager
def second_identity(scene: Scene) -> Iterator[None]:
    """Let tbot select by labels that a second identity, which has no rules, has as well."""
    (sound,) = scene.installation.variant.documents("teleport-workload-identity.yaml", {})
    second = {**sound, "metadata": {**sound["metadata"], "name": SECOND_IDENTITY}}
    labels = {key: [value] for key, value in sound["metadata"]["labels"].items()}
    teleport = scene.teleport

    def by_labels(config: dict[str, Any]) -> dict[str, Any]:
        (service,) = config["services"]
        return {**config, "services": [{**service, "selector": {"labels": labels}}]}

    try:
        with edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, by_labels):
            teleport.create(second)
            scene.restart_tbot()
            yield
    finally:
        teleport.remove()
        scene.restart_tbot()


@contextmanager
def second_socket(scene: Scene) -> Iterator[None]:
    """Let tbot listen on a second socket beside the first, attest no caller there, and issue one identity to all of them."""
    (sound,) = scene.installation.variant.documents("teleport-workload-identity.yaml", {})
    fixed = {**sound, "metadata": {**sound["metadata"], "name": FIXED_IDENTITY}, "spec": {"spiffe": {"id": "/batch/jobs"}}}
    teleport = scene.teleport

    def with_a_second(config: dict[str, Any]) -> dict[str, Any]:
        (first,) = config["services"]
        directory = str(first["listen"]).rpartition("/")[0]
        second = {"type": first["type"], "listen": f"{directory}/batch", "selector": {"name": FIXED_IDENTITY}}
        return {**config, "services": [second, first]}

    try:
        with edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, with_a_second):
            teleport.create(fixed)
            scene.restart_tbot()
            yield
    finally:
        teleport.remove()
        scene.restart_tbot()


def _pods(scene: Scene) -> list[dict[str, Any]]:
    return scene.installation.objects.all_of("v1", "Pod", namespace=TBOT_NAMESPACE, label_selector=f"app={TBOT}")


def pods_on(scene: Scene, node: str) -> list[dict[str, Any]]:
    """Return the pods of tbot on a node that are not terminating."""
    there = (p for p in _pods(scene) if p["spec"].get("nodeName") == node)
    return [p for p in there if "deletionTimestamp" not in p["metadata"]]


def _await_frozen(scene: Scene, node: str) -> None:
    def look() -> None:
        (pod,) = pods_on(scene, node)
        if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"]):
            raise NotYet("its readiness probe has not failed often enough")

    eventually(f"tbot on {node} is no longer Ready", look, scene.rollout)


def await_cut_off(scene: Scene, node: str = "", *, every: bool = False) -> None:
    """Wait until the Envoys of a node, of any node, or of every node have lost all their streams.

    Args:
        node: The node; empty for any.
        every: Wait for every node.

    Raises:
        CouldNotTell: That took too long.
    """
    with scene.looking() as cluster:

        def look() -> None:
            streams: dict[str, list[int]] = {}
            for pod in cluster.pods(APP, f"app={APP}"):
                answer = read_admin(cluster, pod, [envoy.SDS_HOSTS])[envoy.SDS_HOSTS]
                streams.setdefault(pod.node, []).append(envoy.parse_streams(answer.document).rq_active)
            off = [where for where, active in streams.items() if not any(active)]
            if not off or (node and node not in off) or (every and len(off) < len(streams)):
                raise NotYet(f"streams by node: {streams}")

        which = node or ("every node" if every else "some node")
        eventually(f"no Envoy on {which} has any of its {envoy.STREAMS} streams", look, scene.rollout)


def await_exit(scene: Scene) -> None:
    """Wait until a tbot that is not Ready has exited: before that it may still be about to join.

    Raises:
        CouldNotTell: That took too long.
    """
    with scene.looking() as cluster:

        def look() -> None:
            waiting = [pod for pod in cluster.pods(TBOT_NAMESPACE) if not (pod.ready or pod.terminating)]
            if not any(container.has_exited for pod in waiting for container in pod.containers):
                raise NotYet(f"not Ready, and without an exit: {[str(pod.ref) for pod in waiting]}")

        eventually("a tbot that cannot join has exited", look, scene.rollout)


def tbot(scene: Scene) -> dict[str, Any]:
    """Return the specification of tbot's DaemonSet."""
    found = scene.installation.objects.must_get("apps/v1", "DaemonSet", TBOT, namespace=TBOT_NAMESPACE)
    spec: dict[str, Any] = found["spec"]
    return spec


def pods_of_tbot(scene: Scene) -> dict[str, Any]:
    """Return the specification of tbot's pods in its DaemonSet."""
    spec: dict[str, Any] = tbot(scene)["template"]["spec"]
    return spec


def dialled(scene: Scene) -> str:
    """Return the address at which tbot reaches Teleport, whose name is in no DNS."""
    (alias,) = pods_of_tbot(scene)["hostAliases"]
    return str(alias["ip"])


DAEMON_SET = f"DaemonSet {TBOT_NAMESPACE}/{TBOT}"
