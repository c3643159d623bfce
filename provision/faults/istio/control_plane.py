"""Faults of istiod itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from observe.wait import NotYet, eventually
from provision.faults import reach
from provision.faults.fault import Fault, Scene, register
from provision.names import ISTIO_NAMESPACE, ISTIOD


@contextmanager
def _image_typo(scene: Scene) -> Iterator[None]:
    objects = scene.installation.objects
    sound = _istiod(scene)["spec"]["template"]["spec"]["containers"][0]["image"]

    def put(image: str) -> None:
        template = {"spec": {"containers": [{"name": "discovery", "image": image}]}}
        objects.patch("apps/v1", "Deployment", ISTIOD, {"spec": {"template": template}}, namespace=ISTIO_NAMESPACE)

    def look() -> None:
        pods = objects.all_of("v1", "Pod", namespace=ISTIO_NAMESPACE, label_selector=f"app={ISTIOD}")
        waiting = [
            container["state"].get("waiting", {}).get("reason", "")
            for pod in pods
            for container in pod["status"].get("containerStatuses", ())
        ]
        if not any(reason.startswith(("ErrImage", "ImagePull")) for reason in waiting):
            raise NotYet(f"the containers of {len(pods)} pods wait for {[reason for reason in waiting if reason]}")

    put(f"{sound}-x")
    try:
        eventually("a new istiod waits for its image", look, scene.pace(scene.patience.rollout))
        yield
    finally:
        put(sound)
        objects.await_ready("Deployment", ISTIOD, scene.pace(scene.patience.rollout), namespace=ISTIO_NAMESPACE)


@contextmanager
def _at_zero(scene: Scene) -> Iterator[None]:
    objects, wanted = scene.installation.objects, _istiod(scene)["spec"]["replicas"]

    def scale(replicas: int) -> None:
        objects.patch("apps/v1", "Deployment", ISTIOD, {"spec": {"replicas": replicas}}, namespace=ISTIO_NAMESPACE)

    scale(0)
    try:
        scene.await_injection(refused=True)
        yield
    finally:
        scale(wanted)
        objects.await_ready("Deployment", ISTIOD, scene.pace(scene.patience.rollout), namespace=ISTIO_NAMESPACE)
        scene.await_injection(refused=False)


def _istiod(scene: Scene) -> dict[str, Any]:
    found = scene.installation.objects.get("apps/v1", "Deployment", ISTIOD, namespace=ISTIO_NAMESPACE)
    if found is None:
        raise LookupError(f"no Deployment {ISTIO_NAMESPACE}/{ISTIOD}")
    return found


register(
    Fault(
        name="istiod-image-typo",
        description="The operator upgraded istiod to a tag that does not exist; the old replica keeps running and is 1/1.",
        cause="istiod-image-unavailable",
        touches="Deployment istio-system/istiod",
        undo="The suite puts the image back and waits for the rollout.",
        breaks=frozenset({"INST-05", "CHK-1"}),
        reach=reach.ISTIO | {"INST-16"},
        inject=_image_typo,
    )
)

register(
    Fault(
        name="istiod-at-zero",
        description="The operator scaled istiod to 0: no new pod is injected, and running pods keep running.",
        cause="istiod-scaled-to-zero",
        touches="Deployment istio-system/istiod",
        undo="The suite scales it back and waits until the API server accepts an injected pod again.",
        breaks=frozenset({"INST-05", "INST-07", "CHK-1"}),
        reach=reach.ISTIO | reach.INJECTED_PODS,
        inject=_at_zero,
    )
)
