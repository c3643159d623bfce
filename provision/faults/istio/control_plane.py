"""Faults of istiod itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from observe.wait import NotYet, eventually
from provision.faults import reach
from provision.faults.changes import patched, pod_template
from provision.faults.fault import Fault, Scene
from provision.names import ISTIO_NAMESPACE, ISTIOD

DEPLOYMENT = ("Deployment", ISTIOD, ISTIO_NAMESPACE)


@contextmanager
def _image_typo(scene: Scene) -> Iterator[None]:
    sound = _spec(scene)["template"]["spec"]["containers"][0]["image"]

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


@contextmanager
def _at_zero(scene: Scene) -> Iterator[None]:
    def whole() -> None:
        scene.await_rollout(*DEPLOYMENT)
        scene.await_injected()

    former = {"replicas": _spec(scene)["replicas"]}
    with patched(scene, *DEPLOYMENT, spec={"replicas": 0}, undo=former, then=whole):
        scene.await_refusal()
        yield


def _spec(scene: Scene) -> dict[str, Any]:
    istiod = scene.installation.objects.must_get("apps/v1", "Deployment", ISTIOD, namespace=ISTIO_NAMESPACE)
    spec: dict[str, Any] = istiod["spec"]
    return spec


FAULTS = (
    Fault(
        name="istiod-image-typo",
        description="The operator upgraded istiod to a tag that does not exist; the old replica keeps running and is 1/1.",
        cause="istiod-image-unavailable",
        touches="Deployment istio-system/istiod",
        undo="The suite restores the image and waits for the rollout.",
        breaks=frozenset({"INST-05", "CHK-1"}),
        reach=reach.ISTIO | {"INST-16"},
        inject=_image_typo,
    ),
    Fault(
        name="istiod-at-zero",
        description="The operator scaled istiod to 0: no new pod is injected, and running pods keep running.",
        cause="istiod-scaled-to-zero",
        further_causes=frozenset({"injector-unreachable"}),
        touches="Deployment istio-system/istiod",
        undo="The suite scales it back and waits until the API server accepts an injected pod again.",
        breaks=frozenset({"INST-05", "INST-07", "CHK-1"}),
        reach=reach.ISTIO | reach.INJECTED_PODS,
        inject=_at_zero,
    ),
)
