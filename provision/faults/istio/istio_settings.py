"""Faults in Istio's configuration: mesh settings, injection templates, policies and filters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from observe.proxies.envoy import read_proxy
from observe.wait import NotYet
from provision.disruption.supply import uses_the_socket
from provision.faults import reach
from provision.faults.changes import applied, edited, edited_text, manifest
from provision.faults.fault import Fault, Scene
from provision.faults.istio.guides_values import await_normalization
from provision.installing.variant import Variant
from provision.names import APP, HTTP, ISTIO_NAMESPACE
from provision.render import render

INJECTOR = "istio-sidecar-injector"

VOLUMES_ONLY_TEMPLATE = """\
spec:
  volumes:
  - name: workload-socket
    hostPath:
      path: ${SOCKET_DIRECTORY}
      type: Directory
"""
"""Leaves Istio's own mount of the volume as it is, which is writable."""

EMPTY_TEMPLATE = "spec: {}\n"
"""Adds nothing, so that Istio's own volume, an emptyDir, stays."""


def _trust_domain(scene: Scene) -> AbstractContextManager[None]:
    return edited(scene, ISTIO_NAMESPACE, "istio", "mesh", lambda mesh: {**mesh, "trustDomain": "cluster.local"})


def _with_template(text: str | None) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a change of the injector's configuration: another text as template `spire`, or none."""

    def change(config: dict[str, Any]) -> dict[str, Any]:
        others = {name: template for name, template in config["templates"].items() if name != "spire"}
        return {**config, "templates": others if text is None else {**others, "spire": text}}

    return change


@contextmanager
def _refused(scene: Scene, text: str | None) -> Iterator[None]:
    """Use a template with which the API server refuses every injected pod; None removes the template."""
    with edited(scene, ISTIO_NAMESPACE, INJECTOR, "config", _with_template(text)):
        scene.await_refusal()
        yield
    scene.await_injected()


def _guides_template(scene: Scene) -> AbstractContextManager[None]:
    """Use the guide's template, which patches `containers`; a native sidecar is in `initContainers`."""
    (config,) = Variant(as_guide=True).documents("istio-config.yaml", scene.installation.variables)
    return _refused(scene, config["spec"]["values"]["sidecarInjectorWebhook"]["templates"]["spire"])


@contextmanager
def injected_with(scene: Scene, text: str, source: str) -> Iterator[None]:
    """Use a template that gives new pods another volume; running pods keep theirs until they restart."""
    template = render(text, scene.installation.variables, where="the fault's template")
    try:
        with edited(scene, ISTIO_NAMESPACE, INJECTOR, "config", _with_template(template)):
            scene.await_socket_volume(source)
            yield
    finally:
        scene.await_socket_volume("hostPath", read_only=True)


@contextmanager
def _applied(scene: Scene, text: str, source: str) -> Iterator[None]:
    """Use a template that gives new pods another volume, and restart the test application with it."""
    try:
        with injected_with(scene, text, source):
            scene.restart_app()
            yield
    finally:
        scene.restart_app()


def _past_the_proxy(text: str) -> str:
    """Exclude the test pods' HTTP port from what sidecars intercept, in the injector's values."""
    values = json.loads(text)
    values["global"]["proxy"]["excludeInboundPorts"] = str(HTTP)
    return json.dumps(values, indent=2)


@contextmanager
def _port_left_out(scene: Scene) -> Iterator[None]:
    def look(spec: dict[str, Any], *, excluded: bool) -> None:
        arguments = [str(c.get("args")) for c in spec["initContainers"] if c["name"] == "istio-init"]
        if any(str(HTTP) in each for each in arguments) is not excluded:
            raise NotYet(f"the arguments of istio-init {'do not ' * excluded}name the port")

    with edited_text(scene, ISTIO_NAMESPACE, INJECTOR, "values", _past_the_proxy):
        scene.await_injected(f"leaves out port {HTTP}", partial(look, excluded=True))
        yield
    scene.await_injected(f"intercepts port {HTTP}", partial(look, excluded=False))


def _every_caller_let_in(scene: Scene) -> AbstractContextManager[None]:
    return applied(scene, *manifest("policy-for-every-caller"))


@contextmanager
def _istiod_trusted(scene: Scene) -> Iterator[None]:
    """Apply a filter to the whole mesh with which servers accept certificates of istiod beside those of Teleport."""
    objects = scene.installation.objects
    root = objects.must_get("v1", "ConfigMap", "istio-ca-root-cert", namespace=ISTIO_NAMESPACE)["data"]["root-cert.pem"]
    with scene.looking() as cluster:
        (pod, *_) = (p for p in cluster.pods(APP, f"app={APP}") if uses_the_socket(p))
        authorities = [a for held in read_proxy(cluster, pod).root_authorities.values() for a in held]
    (trusting,) = manifest("istiod-trusted-as-well", TRUST_DOMAIN=scene.installation.variables["TRUST_DOMAIN"])
    socket = trusting["spec"]["configPatches"][0]["patch"]["value"]["transport_socket"]
    trusted = "".join([root, *(a.pem for a in authorities)])
    socket["typed_config"]["common_tls_context"]["validation_context"]["trusted_ca"]["inline_string"] = trusted
    with applied(scene, trusting):
        yield


@contextmanager
def _left_over_filter(scene: Scene) -> Iterator[None]:
    try:
        with applied(scene, *manifest("normalization-left-over")):
            await_normalization(scene, in_force=True)
            yield
    finally:
        await_normalization(scene, in_force=False)


VOLUMES_ONLY = Fault(
    name="volumes-only-template",
    description="The injection template replaces the volume and keeps Istio's mount of it, which is writable.",
    cause="mount-writable",
    touches="ConfigMap istio-system/istio-sidecar-injector; Deployment test-app/test-app",
    undo="The suite restores the entry exactly and restarts the test application.",
    breaks=frozenset({"ID-12"}),
    reach=reach.ISTIO | reach.INJECTED_PODS | {"ID-01", "ID-08"},
    inject=partial(_applied, text=VOLUMES_ONLY_TEMPLATE, source="hostPath"),
)

FAULTS = (
    Fault(
        name="trust-domain-cluster-local",
        description="The operator left Istio with its default trust domain cluster.local.",
        cause="trust-domain-differs",
        touches="ConfigMap istio-system/istio",
        undo="The suite restores the entry exactly.",
        breaks=frozenset({"INST-06", "CHK-1", "MTL-01"}) | reach.REFUSED | reach.TRAFFIC,
        reach=reach.ISTIO | {"TRF-03", "ID-02", "MTL-03"},
        inject=_trust_domain,
        short=True,
    ),
    Fault(
        name="guides-template-on-native-sidecars",
        description="The operator used the guide's injection template on a cluster with native sidecars.",
        cause="template-builds-invalid-pod",
        touches="ConfigMap istio-system/istio-sidecar-injector",
        undo="The suite restores the entry exactly and waits until the API server accepts an injected pod again.",
        breaks=frozenset({"INST-07", "CHK-1"}),
        reach=reach.ISTIO,
        inject=_guides_template,
        short=True,
    ),
    Fault(
        name="injection-template-missing",
        description="The operator installed Istio without the injection template spire.",
        cause="template-missing",
        touches="ConfigMap istio-system/istio-sidecar-injector",
        undo="The suite restores the entry exactly and waits until the API server accepts an injected pod again.",
        breaks=frozenset({"INST-07", "CHK-1"}),
        reach=reach.ISTIO,
        inject=lambda scene: _refused(scene, None),
    ),
    Fault(
        name="template-without-hostpath",
        description="The operator removed the node's directory from the injection template and restarted the test"
        " application.",
        cause="template-without-node-socket",
        touches="ConfigMap istio-system/istio-sidecar-injector; Deployment test-app/test-app",
        undo="The suite restores the entry exactly and restarts the test application.",
        breaks=frozenset({"INST-07", "INST-15", "CHK-7", "CHK-8", "CHK-9"})
        | reach.CERTIFIED_BY_ISTIOD
        | reach.REFUSED
        | reach.TRAFFIC,
        reach=reach.ISTIO | reach.INJECTED_PODS,
        inject=partial(_applied, text=EMPTY_TEMPLATE, source="emptyDir"),
    ),
    VOLUMES_ONLY,
    Fault(
        name="port-past-the-proxy",
        description=f"The mesh's sidecars do not intercept port {HTTP}: requests reach the application past its proxy.",
        cause="port-bypasses-proxy",
        touches="ConfigMap istio-system/istio-sidecar-injector",
        undo="The suite restores the values exactly and waits until a new pod has them.",
        breaks=reach.TRAFFIC | {"TRF-03"},
        reach=reach.ISTIO,
        inject=_port_left_out,
    ),
    Fault(
        name="istiod-trusted-as-well",
        description="An EnvoyFilter for the whole mesh lets servers accept certificates of istiod beside those of Teleport.",
        cause="foreign-authority-trusted",
        touches="EnvoyFilter istio-system/istiod-trusted-as-well",
        undo="The suite deletes it.",
        breaks=frozenset({"NEG-05", "MTL-01"}),
        reach=frozenset({"TRF-01", "TRF-03"}) | reach.MUTUAL_TLS,
        inject=_istiod_trusted,
    ),
    Fault(
        name="policy-for-every-caller",
        description="A policy in Istio's own namespace lets every caller in, whatever other policies say.",
        cause="policy-too-wide",
        touches="AuthorizationPolicy istio-system/every-caller",
        undo="The suite deletes it.",
        breaks=frozenset({"TRF-02", "TRF-04"}),
        reach=frozenset({"TRF-01", "TRF-03"}),
        inject=_every_caller_let_in,
    ),
    Fault(
        name="normalization-left-over",
        description="An old EnvoyFilter still sets another path normalization than the mesh configuration.",
        cause="proxy-older-than-mesh-config",
        touches="EnvoyFilter test-app/normalization-of-old",
        undo="The suite deletes it and waits until every proxy has the setting of the mesh again.",
        breaks=frozenset({"INST-08"}),
        reach=reach.ISTIO | reach.INJECTED_PODS,
        inject=_left_over_filter,
    ),
)
