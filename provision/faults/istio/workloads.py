"""Faults of the test application that any workload may have, and of a workload beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

from facts.istio.mesh import image_tag
from facts.kubernetes.objects import Pod
from facts.kubernetes.pod_spec import EXCLUDED, TEMPLATES
from facts.proxies.presence import Stage, start_of
from observe.wait import NotYet, Pace, eventually
from provision.faults.changes import patched, pod_template
from provision.faults.fault import WITH_SPIRE, Scene
from provision.names import APP

PORT = 8080
"""Port of the test application's container."""

NOWHERE = "registry.invalid/istio"
"""Repository that no name server knows."""

ENFORCED = "pod-security.kubernetes.io/enforce"
"""Label of a namespace: the Pod Security level of its pods."""

PROXY_IMAGE = "sidecar.istio.io/proxyImage"
"""Annotation of a pod: the image of its proxy."""


def changed(scene: Scene, template: dict[str, Any]) -> AbstractContextManager[None]:
    """Change the pod template of the test application, and restore its manifest afterwards."""

    def restore() -> None:
        installation = scene.installation
        installation.objects.apply_all(installation.variant.documents("test-app-deployment.yaml", installation.variables))
        scene.await_app()

    # The patch takes these back because an apply removes only what an earlier apply has set.
    annotations = {EXCLUDED: None, PROXY_IMAGE: None}
    undo = {"template": {"metadata": {"annotations": annotations}, **pod_template(nodeSelector=None)["template"]}}
    return patched(scene, "Deployment", APP, APP, spec={"template": template}, undo=undo, then=restore)


@contextmanager
def asked_for_by_the_namespace(scene: Scene) -> Iterator[None]:
    """Let the annotation that asks for the template spire stand on the namespace of the test application."""

    def put(value: str | None) -> None:
        annotated = {"metadata": {"annotations": {TEMPLATES: value}}}
        scene.installation.objects.patch("v1", "Namespace", APP, annotated)

    try:
        put(WITH_SPIRE)
        yield
    finally:
        put(None)


@contextmanager
def image_of_nowhere(scene: Scene) -> Iterator[None]:
    """Name a proxy image that no registry has, until a new pod has waited for it for longer than a start takes."""
    with scene.looking() as cluster:
        (tag, *_) = (image_tag(pod.proxy.image) for pod in cluster.pods(APP, f"app={APP}") if pod.proxy is not None)

        def look() -> None:
            now = datetime.now(UTC)
            down = [p for p in cluster.pods(APP, f"app={APP}") if p.is_injected and start_of(p, now).stage is Stage.DOWN]
            if not any(cause_of(p) for p in down):
                raise NotYet(f"{len(down)} pods that do not start, none of which waits for its image")

        def cause_of(pod: Pod) -> bool:
            return any(c.reason.startswith(("ErrImage", "ImagePull")) for c in pod.containers)

        with changed(scene, {"metadata": {"annotations": {PROXY_IMAGE: f"{NOWHERE}/proxyv2:{tag}"}}}):
            eventually("a new pod waits for the image of its proxy", look, scene.rollout)
            yield


@contextmanager
def refused_by_pod_security(scene: Scene) -> Iterator[None]:
    """Let Pod Security enforce the level baseline, which has no hostPath, until a pod cannot be replaced."""
    objects = scene.installation.objects
    former = objects.must_get("v1", "Namespace", APP)["metadata"]["labels"].get(ENFORCED)

    def put(level: str | None) -> None:
        objects.patch("v1", "Namespace", APP, {"metadata": {"labels": {ENFORCED: level}}})

    def look() -> None:
        conditions = objects.must_get("apps/v1", "Deployment", APP, namespace=APP)["status"].get("conditions", ())
        if not any(c["type"] == "ReplicaFailure" and c["status"] == "True" for c in conditions):
            raise NotYet(f"its conditions are {[c['type'] for c in conditions]}")

    try:
        put("baseline")
        (pod, *_others) = objects.all_of("v1", "Pod", namespace=APP, label_selector=f"app={APP}")
        objects.delete("v1", "Pod", pod["metadata"]["name"], namespace=APP)
        eventually("the Deployment cannot create a pod", look, Pace(scene.patience.pod_ready))
        yield
    finally:
        put(former)
        # The controller's next attempt may be minutes away; a new ReplicaSet makes its first one at once.
        scene.restart_app()


def await_unscheduled(scene: Scene) -> None:
    """Wait until a pod of the test application finds no node.

    Raises:
        CouldNotTell: All are scheduled.
    """

    def look() -> None:
        pods = scene.installation.objects.all_of("v1", "Pod", namespace=APP, label_selector=f"app={APP}")
        conditions = [c for pod in pods for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"]
        if all(c["status"] == "True" for c in conditions):
            raise NotYet(f"all of {len(pods)} pods are scheduled")

    eventually("a pod of the test application finds no node", look, Pace(scene.patience.pod_ready))
