"""Faults in what runs: the test application and tbot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provision.faults.fault import Fault, Scene
from provision.render import MANIFESTS, documents


@contextmanager
def _without_template(scene: Scene) -> Iterator[None]:
    objects = scene.installation.objects
    template = {"metadata": {"annotations": {"inject.istio.io/templates": None}}}
    objects.patch("apps/v1", "Deployment", "test-app", {"spec": {"template": template}}, namespace="test-app")
    try:
        scene.await_app()
        yield
    finally:
        objects.apply_all(documents(MANIFESTS / "test-app-deployment.yaml", scene.installation.variables))
        scene.await_app()


@contextmanager
def _affected_tbot(scene: Scene) -> Iterator[None]:
    sources = scene.installation.sources

    def put(image: str) -> None:
        template = {"spec": {"containers": [{"name": "tbot", "image": image}]}}
        change = {"spec": {"template": template}}
        scene.installation.objects.patch("apps/v1", "DaemonSet", "tbot", change, namespace="teleport-system")

    put(sources.tbot_affected_image)
    try:
        scene.await_agent()
        yield
    finally:
        put(sources.tbot_image)
        scene.await_agent()


WITHOUT_TEMPLATE = Fault(
    name="pod-without-spire-template",
    description="The test application's pods do not ask for the spire template: 2/2, with identities from istiod.",
    breaks=frozenset({"INST-15", "CHK-7", "CHK-8", "CHK-9"}),
    touches="Deployment test-app/test-app",
    inject=_without_template,
)

AFFECTED_TBOT = Fault(
    name="affected-tbot",
    description="tbot is a release that pushes certificates without renewing them.",
    breaks=frozenset({"INST-16"}),
    touches="DaemonSet teleport-system/tbot",
    inject=_affected_tbot,
)
