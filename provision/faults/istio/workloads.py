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
from provision.faults import reach
from provision.faults.changes import applied, manifest, patched, pod_template
from provision.faults.fault import WITH_SPIRE, Fault, Scene
from provision.names import APP

PORT = 8080
"""Port of the test application's container."""

NOWHERE = "registry.invalid/istio"
"""Repository that no name server knows."""

ENFORCED = "pod-security.kubernetes.io/enforce"
"""Label of a namespace: the Pod Security level of its pods."""

PROXY_IMAGE = "sidecar.istio.io/proxyImage"
"""Annotation of a pod: the image of its proxy."""

GUIDES_NODE = "k8s-worker-1"
"""Node that the guide's test application asks for, in the cluster of the guide's author."""


def _changed(scene: Scene, template: dict[str, Any]) -> AbstractContextManager[None]:
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
def _without_template(scene: Scene) -> Iterator[None]:
    with _changed(scene, {"metadata": {"annotations": {TEMPLATES: None}}}):
        scene.await_app()
        yield


@contextmanager
def _template_on_the_namespace(scene: Scene) -> Iterator[None]:
    def put(value: str | None) -> None:
        annotated = {"metadata": {"annotations": {TEMPLATES: value}}}
        scene.installation.objects.patch("v1", "Namespace", APP, annotated)

    try:
        put(WITH_SPIRE)
        with _without_template(scene):
            yield
    finally:
        put(None)


@contextmanager
def _image_of_nowhere(scene: Scene) -> Iterator[None]:
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

        with _changed(scene, {"metadata": {"annotations": {PROXY_IMAGE: f"{NOWHERE}/proxyv2:{tag}"}}}):
            eventually("a new pod waits for the image of its proxy", look, scene.rollout)
            yield


@contextmanager
def _refused_by_pod_security(scene: Scene) -> Iterator[None]:
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
        further_causes=frozenset({"mixed-authorities"}),
        touches="Deployment test-app/test-app",
        undo="The suite applies the manifest again and waits for the rollout.",
        breaks=frozenset({"INST-15", "CHK-7", "CHK-8", "CHK-9"}) | reach.CERTIFIED_BY_ISTIOD | reach.REFUSED,
        reach=reach.INJECTED_PODS | {"ID-02", "ID-05", "ID-12", "MTL-01", "MTL-02"},
        inject=_without_template,
        short=True,
    ),
    Fault(
        name="template-on-the-namespace",
        description="The annotation that asks for the template spire stands on the namespace and not on the pods: 2/2, with"
        " identities from istiod.",
        cause="annotation-on-namespace",
        further_causes=frozenset({"template-not-requested", "mixed-authorities"}),
        touches="Namespace test-app; Deployment test-app/test-app",
        undo="The suite removes the annotation, applies the manifest again and waits for the rollout.",
        breaks=frozenset({"INST-15", "CHK-7", "CHK-8", "CHK-9"}) | reach.CERTIFIED_BY_ISTIOD | reach.REFUSED,
        reach=reach.INJECTED_PODS | {"ID-02", "ID-05", "ID-12", "MTL-01", "MTL-02"},
        inject=_template_on_the_namespace,
    ),
    Fault(
        name="proxy-image-of-nowhere",
        description="The test application names an image of Istio's proxy that no registry has: its new pods do not start.",
        cause="proxy-image-unavailable",
        touches="Deployment test-app/test-app",
        undo="The suite removes the annotation, applies the manifest again and waits for the rollout.",
        breaks=frozenset({"INST-15", "CHK-6", "CHK-7", "CHK-8", "CHK-9"})
        | {"ID-01", "ID-02", "ID-03", "ID-04", "ID-05", "ID-06", "ID-07", "ID-11"},
        reach=reach.TBOT,
        inject=_image_of_nowhere,
    ),
    Fault(
        name="pods-refused-by-pod-security",
        description="Pod Security enforces the level baseline in the test application's namespace: the API server refuses"
        " the hostPath of each new pod, and the Deployment lacks one.",
        cause="pod-refused-by-policy",
        touches="Namespace test-app; Deployment test-app/test-app",
        undo="The suite restores the label and restarts the test application.",
        breaks=frozenset({"INST-07", "INST-15", "CHK-1", "CHK-7"}),
        reach=reach.ISTIO | reach.INJECTED_PODS | {"ID-01", "ID-11"},
        inject=_refused_by_pod_security,
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
