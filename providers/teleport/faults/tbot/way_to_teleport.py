"""Faults of the way from tbot to Teleport. They show when a tbot has to join again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from providers.teleport.faults.tbot.daemon_set import await_cut_off, await_exit, dialled, pods_on
from providers.teleport.faults.tbot.pod_template import CUT_OFF
from providers.teleport.installing.teleport import PROXY_PORT
from provision.faults import reach
from provision.faults.changes import Document, edited
from provision.faults.fault import Fault, Scene
from provision.faults.surroundings.firewall import rejected
from provision.names import TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE

NO_NAME = "teleport.invalid:443"
"""A name that has no address anywhere."""


@contextmanager
def has_to_join_again(scene: Scene, node: str, fault: AbstractContextManager[object]) -> Iterator[None]:
    """Inject a fault, and replace tbot's pod on a node, until the proxies there are cut off and the new tbot gave up."""
    try:
        with fault:
            for pod in pods_on(scene, node):
                scene.installation.objects.delete("v1", "Pod", pod["metadata"]["name"], namespace=TBOT_NAMESPACE)
            await_cut_off(scene, node)
            await_exit(scene)
            yield
    finally:
        for pod in pods_on(scene, node):  # its next attempt may be minutes away
            scene.installation.objects.delete("v1", "Pod", pod["metadata"]["name"], namespace=TBOT_NAMESPACE)
        scene.await_tbot()


def _cut_off(scene: Scene) -> AbstractContextManager[None]:
    node = scene.nodes()[0]
    rule = rejected(scene, node, "FORWARD", PROXY_PORT, destination=dialled(scene))
    return has_to_join_again(scene, node, rule)


def _without_a_name(scene: Scene) -> AbstractContextManager[None]:
    def change(file: Document) -> Document:
        return {**file, "proxy_server": NO_NAME}

    misnamed = edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, change)
    return has_to_join_again(scene, scene.nodes()[0], misnamed)


_way_fault = partial(
    Fault,
    breaks=frozenset({"INST-13", "INST-14", "CHK-5"}) | CUT_OFF,
    reach=reach.TBOT | reach.INJECTED_PODS,
    by_doctor_alone=True,
)

FAULTS = (
    _way_fault(
        name="teleport-cut-off",
        description="A firewall rule on one node keeps its pods from Teleport, and tbot there had to join again.",
        cause="teleport-unreachable",
        touches="iptables of one node; tbot's pod there",
        undo="The suite deletes the rule, replaces tbot's pod, and waits until every Envoy has its streams again.",
        inject=_cut_off,
    ),
    _way_fault(
        name="teleport-of-no-name",
        description="tbot's configuration has a name for Teleport that no name server knows, and one tbot had to join"
        " again.",
        cause="teleport-name-unknown",
        touches=f"ConfigMap {TBOT_NAMESPACE}/{TBOT_CONFIG}; tbot's pod on one node",
        undo="The suite restores the entry exactly, replaces tbot's pod, and waits until every Envoy has its streams again.",
        inject=_without_a_name,
    ),
)
