"""Faults of the test application, as any workload may have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from facts.kubernetes.workloads import TEMPLATES
from observe.wait import NotYet, eventually
from provision.faults import reach
from provision.faults.fault import Fault, Scene, register
from provision.names import APP

GUIDES_NODE = "k8s-worker-1"
"""The node that the guide's test application asks for, a node of its author's cluster."""


@contextmanager
def _changed(scene: Scene, template: dict[str, Any]) -> Iterator[None]:
    """Change the pod template of the test application, and restore its manifest afterwards."""
    objects = scene.installation.objects
    objects.patch("apps/v1", "Deployment", APP, {"spec": {"template": template}}, namespace=APP)
    try:
        yield
    finally:
        # An apply removes only what an earlier apply has set.
        undo = {"spec": {"template": {"spec": {"nodeSelector": None}}}}
        objects.patch("apps/v1", "Deployment", APP, undo, namespace=APP)
        installation = scene.installation
        objects.apply_all(installation.variant.documents("test-app-deployment.yaml", installation.variables))
        scene.await_app()


@contextmanager
def _without_template(scene: Scene) -> Iterator[None]:
    with _changed(scene, {"metadata": {"annotations": {TEMPLATES: None}}}):
        scene.await_app()
        yield


@contextmanager
def _on_the_guides_node(scene: Scene) -> Iterator[None]:
    objects = scene.installation.objects

    def look() -> None:
        pods = objects.all_of("v1", "Pod", namespace=APP, label_selector=f"app={APP}")
        conditions = [c for pod in pods for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"]
        if all(c["status"] == "True" for c in conditions):
            raise NotYet(f"all of {len(pods)} pods are scheduled")

    with _changed(scene, {"spec": {"nodeSelector": {"kubernetes.io/hostname": GUIDES_NODE}}}):
        eventually("a pod of the test application finds no node", look, scene.pace(scene.patience.pod_ready))
        yield


register(
    Fault(
        name="pod-without-spire-template",
        description="The test application's pods do not ask for the template spire: 2/2, with identities from istiod.",
        cause="template-not-requested",
        touches="Deployment test-app/test-app",
        undo="The suite applies the manifest again and waits for the rollout.",
        breaks=frozenset({"INST-15", "CHK-7", "CHK-8", "CHK-9"}) | reach.CERTIFIED_BY_ISTIOD,
        reach=reach.INJECTED_PODS | {"ID-02", "ID-05", "ID-12"},
        inject=_without_template,
        short=True,
    )
)

register(
    Fault(
        name="node-selector-of-the-guide",
        description="The test application asks for the node k8s-worker-1, as in the guide; this cluster has no node of"
        " that name.",
        cause="node-selector-fits-no-node",
        touches="Deployment test-app/test-app",
        undo="The suite removes the selector, applies the manifest again and waits for the rollout.",
        breaks=frozenset({"INST-15", "CHK-7", "CHK-8", "CHK-9"}),
        reach=reach.INJECTED_PODS,
        inject=_on_the_guides_node,
    )
)
