"""Faults of istiod itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from observe.wait import NotYet, eventually
from provision.faults import reach
from provision.faults.fault import Fault, Scene

NAMESPACE, ISTIOD = "istio-system", "istiod"


@contextmanager
def _image_typo(scene: Scene) -> Iterator[None]:
    objects = scene.installation.objects
    sound = _istiod(scene)["spec"]["template"]["spec"]["containers"][0]["image"]

    def put(image: str) -> None:
        template = {"spec": {"containers": [{"name": "discovery", "image": image}]}}
        objects.patch("apps/v1", "Deployment", ISTIOD, {"spec": {"template": template}}, namespace=NAMESPACE)

    def look() -> None:
        pods = objects.all_of("v1", "Pod", namespace=NAMESPACE, label_selector="app=istiod")
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
        objects.await_ready("Deployment", ISTIOD, scene.pace(scene.patience.rollout), namespace=NAMESPACE)


@contextmanager
def _at_zero(scene: Scene) -> Iterator[None]:
    objects, wanted = scene.installation.objects, _istiod(scene)["spec"]["replicas"]

    def scale(replicas: int) -> None:
        objects.patch("apps/v1", "Deployment", ISTIOD, {"spec": {"replicas": replicas}}, namespace=NAMESPACE)

    scale(0)
    try:
        scene.await_injection(refused=True)
        yield
    finally:
        scale(wanted)
        objects.await_ready("Deployment", ISTIOD, scene.pace(scene.patience.rollout), namespace=NAMESPACE)
        scene.await_injection(refused=False)


def _istiod(scene: Scene) -> dict[str, Any]:
    found = scene.installation.objects.get("apps/v1", "Deployment", ISTIOD, namespace=NAMESPACE)
    if found is None:
        raise LookupError(f"no Deployment {NAMESPACE}/{ISTIOD}")
    return found


IMAGE_TYPO = Fault(
    name="istiod-image-typo",
    description="istiod was upgraded to a tag that does not exist; the old replica goes on and is 1/1.",
    touches="Deployment istio-system/istiod",
    undo="The image is put back, and the rollout awaited.",
    breaks=frozenset({"INST-05", "CHK-1"}),
    reach=reach.ISTIO | {"INST-16"},
    inject=_image_typo,
)

AT_ZERO = Fault(
    name="istiod-at-zero",
    description="istiod was scaled to 0: nothing is injected any more, and what runs goes on.",
    touches="Deployment istio-system/istiod",
    undo="It is scaled back, and an injected pod is accepted again.",
    breaks=frozenset({"INST-05", "INST-07", "CHK-1"}),
    reach=reach.ISTIO | reach.WORKLOADS,
    inject=_at_zero,
)
