"""Istio from its Helm charts: istiod in a namespace of another name, the gateway in one of its own.

Facts: Istio's documentation of Helm (charts base, istiod and gateway, ``global.istioNamespace``), and the charts themselves.
The chart of the gateway has no overlay: the injector fills its pods in, by the templates that an annotation names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import yaml
from rich.console import Console

from facts.errors import ProvisioningFailed
from facts.kubernetes.pod_spec import TEMPLATES
from lab import charts, store
from lab.charts import Charts
from lab.errors import LabError
from lab.progress import Display
from lab.versions import load
from observe.command import must_run
from provision.faults import Scene
from provision.faults.changes import Document, applied, patched
from provision.installing import istio
from provision.names import GATEWAY, ISTIO_NAMESPACE

ROOT, INGRESS = "mesh-system", "mesh-ingress"
"""Namespaces of istiod and of the gateway."""
NATIVE_SIDECAR = "sidecar.istio.io/nativeSidecar"
"""Annotation of a pod: whether templates are to take its proxy for an init container."""


@dataclass(frozen=True, slots=True)
class Release:
    """A chart as it is installed.

    Attributes:
        name: Of the release.
        chart: Name of the chart.
        namespace: Where it goes.
        values: Its values.
    """

    name: str
    chart: str
    namespace: str
    values: Document


@contextmanager
def laid_out(scene: Scene) -> Iterator[None]:
    """Put an Istio of Helm's in the place of istioctl's."""
    of_istio = _charts()
    releases = (
        Release("istio-base", "base", ROOT, {"global": {"istioNamespace": ROOT}}),
        Release("istiod", "istiod", ROOT, _of_istiod(scene)),
        Release(GATEWAY, "gateway", INGRESS, _of_gateway()),
    )
    with ExitStack() as stack:
        stack.callback(_install_with_istioctl, scene)
        _uninstall_istioctls(scene)
        for namespace in (ROOT, INGRESS):
            stack.callback(_delete_namespace, scene, namespace)
        for release in releases:
            stack.enter_context(_installed(scene, of_istio, release))
        stack.enter_context(applied(scene, *_policies(scene, ROOT)))
        scene.restart_app()
        yield


@contextmanager
def gateway_by_its_own_template(scene: Scene) -> Iterator[None]:
    """Let the gateway ask for the chart's own template alone, as the chart does where no value says otherwise."""

    def asks_for(templates: str) -> Document:
        return {"template": {"metadata": {"annotations": {TEMPLATES: templates}}}}

    def settle() -> None:
        scene.await_rollout("Deployment", GATEWAY, INGRESS)

    with patched(
        scene, "Deployment", GATEWAY, INGRESS, spec=asks_for("gateway"), undo=asks_for("gateway,spire"), then=settle
    ):
        settle()
        yield


def _charts() -> Charts:
    """Helm and the charts, built if they are not.

    Raises:
        ProvisioningFailed: They cannot be built.
    """
    try:
        with Display(Console()) as display:
            return charts.prepared(load(), store.Store(store.cache_directory()), display, print)
    except LabError as error:
        raise ProvisioningFailed(
            expected="Helm, and the charts of the Istio that the lab compiles",
            seen=str(error),
            where="python -m lab charts",
            remedy="build them by hand, and read the log that the error names: python -m lab charts",
        ) from error


def _of_istiod(scene: Scene) -> Document:
    """Values of the chart istiod: those of the lab's own installation, as the chart names them.

    Raises:
        ProvisioningFailed: Istio is not the lab's, so the charts are another Istio's.
    """
    sources = scene.installation.sources
    if sources.istio_overlay is None:
        raise ProvisioningFailed(
            expected="the Istio that the lab compiles, which the charts belong to",
            seen=f"an Istio from {sources.origin}",
            where="the sources of the installation",
            remedy="take the lab's: CONFORMANCE_SOURCE=bundle",
        )
    overlay = yaml.safe_load(sources.istio_overlay.read_text(encoding="utf-8"))["spec"]
    (document,) = scene.installation.variant.documents(istio.CONFIG, scene.installation.variables)
    spec, values = document["spec"], overlay["values"]
    return {
        **values["pilot"],
        "resources": overlay["components"]["pilot"]["k8s"]["resources"],
        "telemetry": values["telemetry"],
        "global": {**values["global"], "istioNamespace": ROOT, "hub": sources.istio_hub, "tag": sources.istio_tag},
        "meshConfig": spec["meshConfig"],
        "sidecarInjectorWebhook": spec["values"]["sidecarInjectorWebhook"],
    }


def _of_gateway() -> Document:
    """Values of the chart gateway: its pods ask for the template spire, with the proxy as their only container."""
    return {
        "podAnnotations": {TEMPLATES: "gateway,spire", NATIVE_SIDECAR: "false"},
        # The chart's image is `auto` until the injector fills it in, and the API server takes that for one to pull always.
        "imagePullPolicy": "IfNotPresent",
        "service": {"type": "NodePort"},
        "autoscaling": {"enabled": False},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
    }


def _policies(scene: Scene, root: str) -> Iterator[Document]:
    """Policies of the lab for the whole mesh, whose root namespace is this one."""
    for file in scene.installation.variant.mesh_files:
        for document in scene.installation.variant.documents(file, scene.installation.variables):
            yield {**document, "metadata": {**document["metadata"], "namespace": root}}


def _cluster_of(scene: Scene, option: str) -> tuple[str, ...]:
    """Options that name the cluster, for a command that calls the context so."""
    return ("--kubeconfig", str(scene.installation.kubeconfig), option, scene.installation.context)


@contextmanager
def _installed(scene: Scene, of_istio: Charts, release: Release) -> Iterator[None]:
    """Install a chart and wait until it is ready; uninstall it afterwards."""
    seconds = scene.patience.istio_install
    helm = str(of_istio.helm)
    there = (*_cluster_of(scene, "--kube-context"), "--namespace", release.namespace, "--timeout", f"{seconds:.0f}s")
    run = partial(must_run, timeout=seconds + 15, remedy=f"kubectl get pods,events -n {release.namespace}")
    with ExitStack() as stack:
        stack.callback(run, [helm, "uninstall", release.name, "--ignore-not-found", *there])
        run(
            [
                *(helm, "install", release.name, str(of_istio.directory / release.chart), *there),
                # The definitions outlive their chart, and then belong to a release that is not there any more.
                *("--create-namespace", "--take-ownership", "--wait", "--values", "-"),
            ],
            stdin=json.dumps(release.values),
        )
        yield


def _delete_namespace(scene: Scene, namespace: str) -> None:
    objects = scene.installation.objects
    objects.delete("v1", "Namespace", namespace)
    objects.await_departures(scene.rollout)


def _uninstall_istioctls(scene: Scene) -> None:
    """Remove istioctl's Istio with its namespace and its definitions, and so the mesh's policies."""
    istioctl = scene.installation.sources.istioctl
    must_run(
        [istioctl, "uninstall", "--purge", "-y", *_cluster_of(scene, "--context")], timeout=scene.patience.istio_install
    )
    _delete_namespace(scene, ISTIO_NAMESPACE)


def _install_with_istioctl(scene: Scene) -> None:
    """Install Istio as the suite did, with the mesh's policies, and let the application come under it."""
    installation = scene.installation
    istio.install(
        installation.sources, installation.variant.documents(istio.CONFIG, installation.variables), scene.recorder,
        installation.directory, kubeconfig=installation.kubeconfig, context=installation.context,
        timeout=scene.patience.istio_install, stop=lambda: False,
    )  # fmt: skip
    installation.objects.apply_all(_policies(scene, ISTIO_NAMESPACE))
    scene.restart_app()
