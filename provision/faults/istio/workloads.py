"""Faults of the test application that any workload may have, and of a workload beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from facts.kubernetes.pod_spec import EXCLUDED, TEMPLATES
from observe.wait import NotYet, Pace, eventually
from provision.faults import reach
from provision.faults.changes import applied, manifest, patched, pod_template
from provision.faults.fault import Fault, Scene
from provision.names import APP

PORT = 8080
"""Port of the test application's container."""

GUIDES_NODE = "k8s-worker-1"
"""Node that the guide's test application asks for, in the cluster of the guide's author."""


def _changed(scene: Scene, template: dict[str, Any]) -> AbstractContextManager[None]:
    """Change the pod template of the test application, and restore its manifest afterwards."""

    def restore() -> None:
        installation = scene.installation
        installation.objects.apply_all(installation.variant.documents("test-app-deployment.yaml", installation.variables))
        scene.await_app()

    # The patch takes these back because an apply removes only what an earlier apply has set.
    undo = {"template": {"metadata": {"annotations": {EXCLUDED: None}}, **pod_template(nodeSelector=None)["template"]}}
    return patched(scene, "Deployment", APP, APP, spec={"template": template}, undo=undo, then=restore)


@contextmanager
def _without_template(scene: Scene) -> Iterator[None]:
    with _changed(scene, {"metadata": {"annotations": {TEMPLATES: None}}}):
        scene.await_app()
        yield


@contextmanager
def _on_the_guides_node(scene: Scene) -> Iterator[None]:
    def look() -> None:
        pods = scene.installation.objects.all_of("v1", "Pod", namespace=APP, label_selector=f"app={APP}")
        conditions = [c for pod in pods for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"]
        if all(c["status"] == "True" for c in conditions):
            raise NotYet(f"all of {len(pods)} pods are scheduled")

    with _changed(scene, {"spec": {"nodeSelector": {"kubernetes.io/hostname": GUIDES_NODE}}}):
        eventually("a pod of the test application finds no node", look, Pace(scene.patience.pod_ready))
        yield


def _with_the_nodes_run(scene: Scene) -> AbstractContextManager[None]:
    image = scene.installation.sources.workload_image
    return applied(scene, *manifest("root-with-the-nodes-run", WORKLOAD_IMAGE=image))


@contextmanager
def _past_the_proxy(scene: Scene) -> Iterator[None]:
    with _changed(scene, {"metadata": {"annotations": {EXCLUDED: str(PORT)}}}):
        scene.await_app()
        yield


FAULTS = (
    Fault(
        name="pod-without-spire-template",
        description="The test application's pods do not ask for the template spire: 2/2, with identities from istiod.",
        cause="template-not-requested",
        touches="Deployment test-app/test-app",
        undo="The suite applies the manifest again and waits for the rollout.",
        breaks=frozenset({"INST-15", "CHK-7", "CHK-8", "CHK-9"}) | reach.CERTIFIED_BY_ISTIOD | reach.REFUSED,
        reach=reach.INJECTED_PODS | {"ID-02", "ID-05", "ID-12", "MTL-01", "MTL-02"},
        inject=_without_template,
        short=True,
    ),
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
    ),
    Fault(
        name="root-with-the-nodes-run",
        description="A pod without a sidecar mounts /run of its node writable and runs as root. The socket directory is"
        " below it, with the right mode, which root ignores.",
        cause="socket-directory-mounted",
        touches="Pod test-app/root-with-the-nodes-run",
        undo="The suite deletes the pod.",
        breaks=frozenset({"ID-08"}),
        reach=reach.INJECTED_PODS | {"ID-11", "ID-12"},
        inject=_with_the_nodes_run,
    ),
    Fault(
        name="port-past-the-proxy-of-one-workload",
        description="An annotation keeps the one port of the test application away from its sidecar.",
        cause="port-bypasses-proxy",
        touches="Deployment test-app/test-app",
        undo="The suite removes the annotation, applies the manifest again and waits for the rollout.",
        breaks=frozenset({"MTL-01", "MTL-02"}),
        reach=reach.INJECTED_PODS | reach.MUTUAL_TLS,
        inject=_past_the_proxy,
    ),
)
