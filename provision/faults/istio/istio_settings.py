"""Faults in Istio's configuration: mesh settings, injection templates, policies and filters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from observe.proxies.envoy import read_proxy
from observe.wait import NotYet
from provision.disruption.supply import uses_the_socket
from provision.faults import reach
from provision.faults.config_maps import edited, edited_text
from provision.faults.fault import Fault, Scene, register
from provision.faults.istio.guides_values import await_normalization
from provision.installing.variant import Variant
from provision.names import APP, HTTP, ISTIO_NAMESPACE, WORKLOAD_SOCKET
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
"""It leaves Istio's own mount of the volume as it is, which is writable."""

EMPTY_TEMPLATE = "spec: {}\n"
"""The template exists and adds nothing, so that Istio's own volume, an emptyDir, stays."""

LEFT_OVER_FILTER: Mapping[str, Any] = {
    "apiVersion": "networking.istio.io/v1alpha3",
    "kind": "EnvoyFilter",
    "metadata": {"name": "normalization-of-old", "namespace": APP},
    "spec": {
        "configPatches": [
            {
                "applyTo": "NETWORK_FILTER",
                "match": {
                    "context": "SIDECAR_INBOUND",
                    "listener": {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}},
                },
                "patch": {
                    "operation": "MERGE",
                    "value": {
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.network."
                            "http_connection_manager.v3.HttpConnectionManager",
                            "normalize_path": True,
                            "merge_slashes": True,
                        }
                    },
                },
            }
        ]
    },
}
"""Sets in every inbound listener of the namespace what the mesh configuration had before."""

ISTIOS_OWN_VOLUME = re.compile(r"- emptyDir:(?: \{\})?(\n\s+name: workload-socket\n)")
"""The volume in Istio's template for sidecars."""

FROM_THE_SOCKET: Mapping[str, Any] = {
    "resource_api_version": "V3",
    "initial_fetch_timeout": "0s",
    "api_config_source": {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}],
    },
}
"""Where Envoy asks for secrets, as Istio configures it."""

LETS_EVERY_CALLER_IN: Mapping[str, Any] = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {"name": "every-caller", "namespace": ISTIO_NAMESPACE},
    "spec": {"action": "ALLOW", "rules": [{}]},
}
"""In Istio's own namespace it holds for the whole mesh: what any ALLOW policy lets in is let in."""


@contextmanager
def _trust_domain(scene: Scene) -> Iterator[None]:
    with edited(scene, ISTIO_NAMESPACE, "istio", "mesh", lambda mesh: {**mesh, "trustDomain": "cluster.local"}):
        yield


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
        scene.await_injection(refused=True)
        yield
    scene.await_injection(refused=False)


@contextmanager
def _guides_template(scene: Scene) -> Iterator[None]:
    """Use the guide's template, which patches `containers`; a native sidecar is in `initContainers`."""
    (config,) = Variant(as_guide=True).documents("istio-config.yaml", scene.installation.variables)
    with _refused(scene, config["spec"]["values"]["sidecarInjectorWebhook"]["templates"]["spire"]):
        yield


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


def _applied(text: str, source: str) -> Callable[[Scene], AbstractContextManager[None]]:
    """Use such a template, and restart the test application with it."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        try:
            with injected_with(scene, text, source):
                scene.restart_app()
                yield
        finally:
            scene.restart_app()

    return inject


def _socket_in_istios_own(config: dict[str, Any], directory: str) -> dict[str, Any]:
    """Put the node's directory into Istio's own template, in place of an emptyDir."""
    templates = config["templates"]
    text = ISTIOS_OWN_VOLUME.sub(rf"- hostPath: {{path: {directory}, type: Directory}}\1", templates["sidecar"])
    return {**config, "templates": {**templates, "sidecar": text}}


@contextmanager
def _istios_own_template(scene: Scene) -> Iterator[None]:
    directory = scene.installation.variables["SOCKET_DIRECTORY"]
    change = partial(_socket_in_istios_own, directory=directory)
    with edited(scene, ISTIO_NAMESPACE, INJECTOR, "config", change):
        scene.await_injected("has the node's directory by Istio's own template", _look_for("hostPath"), templates="sidecar")
        yield
    scene.await_injected("has a directory of its own by Istio's own template", _look_for("emptyDir"), templates="sidecar")


def _look_for(source: str) -> Callable[[dict[str, Any]], None]:
    def look(spec: dict[str, Any]) -> None:
        keys = {key for volume in spec["volumes"] if volume["name"] == WORKLOAD_SOCKET for key in volume}
        if source not in keys:
            raise NotYet(f"its {WORKLOAD_SOCKET} has {sorted(keys)}")

    return look


def _past_the_proxy(text: str) -> str:
    """Exclude the test pods' HTTP port from what sidecars intercept, in the injector's values."""
    values = json.loads(text)
    values["global"]["proxy"]["excludeInboundPorts"] = str(HTTP)
    return json.dumps(values, indent=2)


@contextmanager
def _port_left_out(scene: Scene) -> Iterator[None]:
    def is_left_out(spec: dict[str, Any]) -> bool:
        return any(str(HTTP) in str(c.get("args")) for c in spec["initContainers"] if c["name"] == "istio-init")

    def look(*, wanted: bool) -> Callable[[dict[str, Any]], None]:
        def look(spec: dict[str, Any]) -> None:
            if is_left_out(spec) is not wanted:
                raise NotYet(f"the arguments of istio-init {'do not ' * wanted}name the port")

        return look

    with edited_text(scene, ISTIO_NAMESPACE, INJECTOR, "values", _past_the_proxy):
        scene.await_injected(f"leaves out port {HTTP}", look(wanted=True))
        yield
    scene.await_injected(f"intercepts port {HTTP}", look(wanted=False))


@contextmanager
def _every_caller_let_in(scene: Scene) -> Iterator[None]:
    objects, metadata = scene.installation.objects, LETS_EVERY_CALLER_IN["metadata"]
    objects.apply(LETS_EVERY_CALLER_IN)
    try:
        yield
    finally:
        kind = (LETS_EVERY_CALLER_IN["apiVersion"], LETS_EVERY_CALLER_IN["kind"])
        objects.delete(*kind, metadata["name"], namespace=metadata["namespace"])


@contextmanager
def _istiod_trusted(scene: Scene) -> Iterator[None]:
    """Apply a filter to the whole mesh with which servers accept certificates of istiod beside those of Teleport."""
    objects = scene.installation.objects
    root = (objects.get("v1", "ConfigMap", "istio-ca-root-cert", namespace=ISTIO_NAMESPACE) or {})["data"]["root-cert.pem"]
    with scene.looking() as cluster:
        (pod, *_) = (p for p in cluster.pods(APP, f"app={APP}") if uses_the_socket(p))
        authorities = [a for held in read_proxy(cluster, pod).root_authorities.values() for a in held]
    trusted = "".join([root, *(a.pem for a in authorities)])
    # Istio puts this in place of its own transport socket as a whole, so it says again where the certificate comes from.
    typed = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": FROM_THE_SOCKET}],
            "validation_context": {"trusted_ca": {"inline_string": trusted}},
        },
    }
    value = {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": typed}}
    match = {"context": "SIDECAR_INBOUND", "listener": {"filterChain": {"transportProtocol": "tls"}}}
    patch = {"applyTo": "FILTER_CHAIN", "match": match}
    metadata = {"name": "istiod-trusted-as-well", "namespace": ISTIO_NAMESPACE}
    objects.apply(
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": metadata,
            "spec": {"configPatches": [{**patch, "patch": {"operation": "MERGE", "value": value}}]},
        }
    )
    try:
        yield
    finally:
        objects.delete("networking.istio.io/v1alpha3", "EnvoyFilter", metadata["name"], namespace=ISTIO_NAMESPACE)


@contextmanager
def _left_over_filter(scene: Scene) -> Iterator[None]:
    objects, name = scene.installation.objects, LEFT_OVER_FILTER["metadata"]["name"]
    objects.apply(LEFT_OVER_FILTER)
    try:
        await_normalization(scene, in_force=True)
        yield
    finally:
        objects.delete(LEFT_OVER_FILTER["apiVersion"], LEFT_OVER_FILTER["kind"], name, namespace=APP)
        await_normalization(scene, in_force=False)


register(
    Fault(
        name="trust-domain-cluster-local",
        description="The operator left Istio with its default trust domain cluster.local.",
        cause="trust-domain-differs",
        touches="ConfigMap istio-system/istio",
        undo="The suite puts the entry back to the letter.",
        breaks=frozenset({"INST-06", "CHK-1"}) | reach.TRAFFIC,
        reach=reach.ISTIO | {"TRF-03", "ID-02"},
        inject=_trust_domain,
        short=True,
    )
)

register(
    Fault(
        name="guides-template-on-native-sidecars",
        description="The operator used the guide's injection template on a cluster with native sidecars.",
        cause="template-builds-invalid-pod",
        touches="ConfigMap istio-system/istio-sidecar-injector",
        undo="The suite puts the entry back to the letter and waits until the API server accepts an injected pod again.",
        breaks=frozenset({"INST-07", "CHK-1"}),
        reach=reach.ISTIO,
        inject=_guides_template,
        short=True,
    )
)

register(
    Fault(
        name="injection-template-missing",
        description="The operator installed Istio without the injection template spire.",
        cause="template-missing",
        touches="ConfigMap istio-system/istio-sidecar-injector",
        undo="The suite puts the entry back to the letter and waits until the API server accepts an injected pod again.",
        breaks=frozenset({"INST-07", "CHK-1"}),
        reach=reach.ISTIO,
        inject=lambda scene: _refused(scene, None),
    )
)

register(
    Fault(
        name="template-without-hostpath",
        description="The operator removed the node's directory from the injection template and restarted the test"
        " application.",
        cause="template-without-node-socket",
        touches="ConfigMap istio-system/istio-sidecar-injector; Deployment test-app/test-app",
        undo="The suite puts the entry back to the letter and restarts the test application.",
        breaks=frozenset({"INST-07", "INST-15", "CHK-7", "CHK-8", "CHK-9"}) | reach.CERTIFIED_BY_ISTIOD | reach.TRAFFIC,
        reach=reach.ISTIO | reach.INJECTED_PODS,
        inject=_applied(EMPTY_TEMPLATE, "emptyDir"),
    )
)

VOLUMES_ONLY = register(
    Fault(
        name="volumes-only-template",
        description="The injection template replaces the volume and keeps Istio's mount of it, which is writable.",
        cause="mount-writable",
        touches="ConfigMap istio-system/istio-sidecar-injector; Deployment test-app/test-app",
        undo="The suite puts the entry back to the letter and restarts the test application.",
        breaks=frozenset({"ID-12"}),
        reach=reach.ISTIO | reach.INJECTED_PODS | {"ID-01", "ID-08"},
        inject=_applied(VOLUMES_ONLY_TEMPLATE, "hostPath"),
    )
)

register(
    Fault(
        name="socket-in-istios-own-template",
        description="The operator put the node's directory into Istio's own template for sidecars, so that every pod"
        " mounts it.",
        cause="socket-in-istios-template",
        touches="ConfigMap istio-system/istio-sidecar-injector",
        undo="The suite puts the entry back to the letter and waits until a new pod has it.",
        breaks=frozenset({"NEG-04"}),
        reach=reach.ISTIO,
        inject=_istios_own_template,
    )
)

register(
    Fault(
        name="port-past-the-proxy",
        description=f"The mesh's sidecars do not intercept port {HTTP}: requests reach the application past its proxy.",
        cause="port-bypasses-proxy",
        touches="ConfigMap istio-system/istio-sidecar-injector",
        undo="The suite puts the values back to the letter and waits until a new pod has them.",
        breaks=reach.TRAFFIC | {"TRF-03"},
        reach=reach.ISTIO,
        inject=_port_left_out,
    )
)

register(
    Fault(
        name="istiod-trusted-as-well",
        description="An EnvoyFilter for the whole mesh lets servers accept certificates of istiod beside those of Teleport.",
        cause="foreign-authority-trusted",
        touches="EnvoyFilter istio-system/istiod-trusted-as-well",
        undo="The suite deletes it.",
        breaks=frozenset({"NEG-05"}),
        reach=frozenset({"TRF-01", "TRF-03"}),
        inject=_istiod_trusted,
    )
)

register(
    Fault(
        name="policy-for-every-caller",
        description="A policy in Istio's own namespace lets every caller in, whatever other policies say.",
        cause="policy-too-wide",
        touches="AuthorizationPolicy istio-system/every-caller",
        undo="The suite deletes it.",
        breaks=frozenset({"TRF-02", "TRF-04"}),
        reach=frozenset({"TRF-01", "TRF-03"}),
        inject=_every_caller_let_in,
    )
)

register(
    Fault(
        name="normalization-left-over",
        description="An old EnvoyFilter still sets another path normalization than the mesh configuration.",
        cause="proxy-older-than-mesh-config",
        touches="EnvoyFilter test-app/normalization-of-old",
        undo="The suite deletes it and waits until every proxy has the setting of the mesh again.",
        breaks=frozenset({"INST-08"}),
        reach=reach.ISTIO | reach.INJECTED_PODS,
        inject=_left_over_filter,
    )
)
