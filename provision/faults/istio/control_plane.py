"""Faults of istiod itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from observe.wait import NotYet, eventually
from provision.faults.changes import patched, pod_template
from provision.faults.fault import Scene
from provision.names import ISTIO_NAMESPACE, ISTIOD

DEPLOYMENT = ("Deployment", ISTIOD, ISTIO_NAMESPACE)


@contextmanager
def image_typo(scene: Scene) -> Iterator[None]:
    """Upgrade istiod to a tag that does not exist, until a new pod of it waits for its image."""
    istiod = scene.installation.objects.must_get("apps/v1", "Deployment", ISTIOD, namespace=ISTIO_NAMESPACE)
    sound = istiod["spec"]["template"]["spec"]["containers"][0]["image"]

    def with_image(image: str) -> dict[str, Any]:
        return pod_template(containers=[{"name": "discovery", "image": image}])

    def look() -> None:
        pods = scene.installation.objects.all_of("v1", "Pod", namespace=ISTIO_NAMESPACE, label_selector=f"app={ISTIOD}")
        waiting = [
            container["state"].get("waiting", {}).get("reason", "")
            for pod in pods
            for container in pod["status"].get("containerStatuses", ())
        ]
        if not any(reason.startswith(("ErrImage", "ImagePull")) for reason in waiting):
            raise NotYet(f"the containers of {len(pods)} pods wait for {[reason for reason in waiting if reason]}")

    whole = partial(scene.await_rollout, *DEPLOYMENT)
    with patched(scene, *DEPLOYMENT, spec=with_image(f"{sound}-x"), undo=with_image(sound), then=whole):
        eventually("a new istiod waits for its image", look, scene.rollout)
        yield
