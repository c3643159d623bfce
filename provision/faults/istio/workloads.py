"""Faults of the test application, as anybody's workload may have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from observe.wait import NotYet, eventually
from provision.faults import reach
from provision.faults.fault import Fault, Scene

GUIDES_NODE = "k8s-worker-1"
"""The node that the guide's test application asks for; it is one of its author's cluster."""


@contextmanager
def _changed(scene: Scene, template: dict[str, Any]) -> Iterator[None]:
    """The test application with a change of its pod template, and afterwards as its manifest has it."""
    objects = scene.installation.objects
    objects.patch("apps/v1", "Deployment", "test-app", {"spec": {"template": template}}, namespace="test-app")
    try:
        yield
    finally:
        # An apply takes away only what an earlier one has put there.
        undo = {"spec": {"template": {"spec": {"nodeSelector": None}}}}
        objects.patch("apps/v1", "Deployment", "test-app", undo, namespace="test-app")
        installation = scene.installation
        objects.apply_all(installation.variant.documents("test-app-deployment.yaml", installation.variables))
        scene.await_app()


@contextmanager
def _without_template(scene: Scene) -> Iterator[None]:
    with _changed(scene, {"metadata": {"annotations": {"inject.istio.io/templates": None}}}):
        scene.await_app()
        yield


@contextmanager
def _on_the_guides_node(scene: Scene) -> Iterator[None]:
    objects = scene.installation.objects

    def look() -> None:
        pods = objects.all_of("v1", "Pod", namespace="test-app", label_selector="app=test-app")
        conditions = [c for pod in pods for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"]
        if all(c["status"] == "True" for c in conditions):
            raise NotYet(f"all of {len(pods)} pods are scheduled")

    with _changed(scene, {"spec": {"nodeSelector": {"kubernetes.io/hostname": GUIDES_NODE}}}):
        eventually("a pod of the test application finds no node", look, scene.pace(scene.patience.pod_ready))
        yield


WITHOUT_TEMPLATE = Fault(
    name="pod-without-spire-template",
    description="The test application's pods do not ask for the spire template: 2/2, with identities from istiod.",
    touches="Deployment test-app/test-app",
    undo="The manifest is applied again, and the rollout awaited.",
    breaks=frozenset({"INST-15", "CHK-7", "CHK-8", "CHK-9"}) | reach.CERTIFIED_BY_ISTIOD,
    reach=reach.WORKLOADS | {"ID-02", "ID-05", "ID-12"},
    inject=_without_template,
)

GUIDES_NODE_SELECTOR = Fault(
    name="node-selector-of-the-guide",
    description="The test application asks for the node k8s-worker-1, as in the guide; this cluster has none of that name.",
    touches="Deployment test-app/test-app",
    undo="The selector is taken away, the manifest applied again, and the rollout awaited.",
    breaks=frozenset({"INST-15", "CHK-7", "CHK-8", "CHK-9"}),
    reach=reach.WORKLOADS,
    inject=_on_the_guides_node,
)
