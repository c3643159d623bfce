"""What faults change of the pod template of tbot's DaemonSet, where they have to read the cluster first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from providers.teleport.faults.tbot.daemon_set import await_cut_off, pods_of_tbot
from provision.faults.changes import patched, pod_template
from provision.faults.fault import Scene
from provision.names import TBOT, TBOT_NAMESPACE

HOSTNAME = "kubernetes.io/hostname"


def with_token(scene: Scene, **changed: object) -> AbstractContextManager[None]:
    """Change the projected token that tbot joins with."""
    volumes = pods_of_tbot(scene)["volumes"]
    (sound,) = (v["projected"]["sources"][0]["serviceAccountToken"] for v in volumes if v["name"] == "join-token")
    broken, former = (
        pod_template(volumes=[{"name": "join-token", "projected": {"sources": [{"serviceAccountToken": token}]}}])
        for token in ({**sound, **changed}, sound)
    )
    return patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=broken, undo=former, then=scene.await_tbot)


@contextmanager
def first_left_out(scene: Scene, then: Callable[[], object] | None = None) -> Iterator[None]:
    """Let tbot select all nodes but the first one; `then` waits until it is back there, in place of `Scene.await_tbot`."""
    node, *others = scene.nodes()
    broken, sound = pod_template(nodeSelector={HOSTNAME: others[0]}), pod_template(nodeSelector=None)
    with patched(scene, "DaemonSet", TBOT, TBOT_NAMESPACE, spec=broken, undo=sound, then=then or scene.await_tbot):
        await_cut_off(scene, node)
        scene.await_rollout("DaemonSet", TBOT, TBOT_NAMESPACE)
        yield
