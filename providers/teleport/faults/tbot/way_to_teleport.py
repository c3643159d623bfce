"""Faults of the way from tbot to Teleport. They show when a tbot has to join again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from providers.teleport.faults.tbot.daemon_set import await_cut_off, await_exit, dialled, pods_on
from providers.teleport.installing.teleport import PROXY_PORT
from provision.faults.fault import Scene
from provision.faults.surroundings.firewall import rejected
from provision.names import TBOT_NAMESPACE


@contextmanager
def has_to_join_again(scene: Scene, fault: Callable[[], AbstractContextManager[object]], node: str = "") -> Iterator[None]:
    """Inject a fault, and replace tbot's pod on a node, until the proxies there are cut off and the new tbot gave up.

    Args:
        fault: Makes what puts the fault into force, and takes it back.
        node: The node; empty for the first one.
    """
    node = node or scene.nodes()[0]
    change = fault()
    try:
        with change:
            for pod in pods_on(scene, node):
                scene.installation.objects.delete("v1", "Pod", pod["metadata"]["name"], namespace=TBOT_NAMESPACE)
            await_cut_off(scene, node)
            await_exit(scene)
            yield
    finally:
        for pod in pods_on(scene, node):  # its next attempt may be minutes away
            scene.installation.objects.delete("v1", "Pod", pod["metadata"]["name"], namespace=TBOT_NAMESPACE)
        scene.await_tbot()


def cut_off(scene: Scene) -> AbstractContextManager[None]:
    """Keep the pods of one node from Teleport, where tbot has to join again."""
    node = scene.nodes()[0]
    rule = rejected(scene, node, "FORWARD", PROXY_PORT, destination=dialled(scene))
    return has_to_join_again(scene, lambda: rule, node)
