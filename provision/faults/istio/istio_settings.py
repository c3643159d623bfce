"""Faults in Istio's configuration: the mesh's settings, the injector's templates, and filters that somebody left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from observe.proxies.envoy import read_proxy
from observe.wait import NotYet
from provision.disruption.supply import uses_the_socket
from provision.faults import reach
from provision.faults.config_maps import edited, edited_text
from provision.faults.fault import Fault, Scene
from provision.faults.istio.guides_values import await_normalization
from provision.installing.variant import Variant

NAMESPACE = "istio-system"
INJECTOR = "istio-sidecar-injector"

VOLUMES_ONLY_TEMPLATE = """\
spec:
  volumes:
  - name: workload-socket
    hostPath:
      path: /run/spire/sockets
      type: Directory
"""
"""Istio's own mount of the volume is left as it is, and that is writable."""

EMPTY_TEMPLATE = "spec: {}\n"
"""The template is there and adds nothing: Istio's own volume, an emptyDir, stays."""

LEFT_OVER_FILTER: Mapping[str, Any] = {
    "apiVersion": "networking.istio.io/v1alpha3",
    "kind": "EnvoyFilter",
    "metadata": {"name": "normalization-of-old", "namespace": "test-app"},
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
"""Sets in every inbound listener of the namespace what the mesh configuration once said."""


SOCKETS = "/run/spire/sockets"
ISTIOS_OWN_VOLUME = re.compile(r"- emptyDir:(?: \{\})?(\n\s+name: workload-socket\n)")
"""Of Istio's template for sidecars."""

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
"""As Istio has it: where Envoy asks for secrets."""

WORKLOADS_PORT = "8080"
"""On which the workloads of a run serve."""

LETS_EVERYBODY_IN: Mapping[str, Any] = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {"name": "everybody", "namespace": NAMESPACE},
    "spec": {"action": "ALLOW", "rules": [{}]},
}
"""In Istio's own namespace it counts for the whole mesh: what any ALLOW policy lets in is let in."""


@contextmanager
def _trust_domain(scene: Scene) -> Iterator[None]:
    with edited(scene, NAMESPACE, "istio", "mesh", lambda mesh: {**mesh, "trustDomain": "cluster.local"}):
        yield


def _with_template(text: str | None) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The injector's configuration with another text as template `spire`, or without it."""

    def change(config: dict[str, Any]) -> dict[str, Any]:
        others = {name: template for name, template in config["templates"].items() if name != "spire"}
        return {**config, "templates": others if text is None else {**others, "spire": text}}

    return change


@contextmanager
def _refused(scene: Scene, text: str | None) -> Iterator[None]:
    """With a template with which no injected pod is accepted any more."""
    with edited(scene, NAMESPACE, INJECTOR, "config", _with_template(text)):
        scene.await_injection(refused=True)
        yield
    scene.await_injection(refused=False)


@contextmanager
def _guides_template(scene: Scene) -> Iterator[None]:
    """It adds to `containers`, where a native sidecar is not."""
    (config,) = Variant(as_guide=True).documents("istio-config.yaml", scene.installation.variables)
    with _refused(scene, config["spec"]["values"]["sidecarInjectorWebhook"]["templates"]["spire"]):
        yield


@contextmanager
def injected_with(scene: Scene, text: str, source: str) -> Iterator[None]:
    """A template with which pods are accepted and have another volume; what runs has its own until it is restarted."""
    try:
        with edited(scene, NAMESPACE, INJECTOR, "config", _with_template(text)):
            scene.await_socket_volume(source)
            yield
    finally:
        scene.await_socket_volume("hostPath", read_only=True)


def _applied(text: str, source: str) -> Callable[[Scene], AbstractContextManager[None]]:
    """Such a template, and the test application restarted with it."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        try:
            with injected_with(scene, text, source):
                scene.restart_app()
                yield
        finally:
            scene.restart_app()

    return inject


def _socket_in_istios_own(config: dict[str, Any]) -> dict[str, Any]:
    """The injector's configuration with the node's directory in Istio's own template, where an emptyDir was."""
    templates = config["templates"]
    text = ISTIOS_OWN_VOLUME.sub(rf"- hostPath: {{path: {SOCKETS}, type: Directory}}\1", templates["sidecar"])
    return {**config, "templates": {**templates, "sidecar": text}}


@contextmanager
def _istios_own_template(scene: Scene) -> Iterator[None]:
    with edited(scene, NAMESPACE, INJECTOR, "config", _socket_in_istios_own):
        scene.await_injected("has the node's directory by Istio's own template", _look_for("hostPath"), templates="sidecar")
        yield
    scene.await_injected("has a directory of its own by Istio's own template", _look_for("emptyDir"), templates="sidecar")


def _look_for(source: str) -> Callable[[dict[str, Any]], None]:
    def look(spec: dict[str, Any]) -> None:
        keys = {key for volume in spec["volumes"] if volume["name"] == "workload-socket" for key in volume}
        if source not in keys:
            raise NotYet(f"its workload-socket has {sorted(keys)}")

    return look


def _past_the_proxy(text: str) -> str:
    """The injector's values with the port of the run's workloads left out of what a sidecar intercepts."""
    values = json.loads(text)
    values["global"]["proxy"]["excludeInboundPorts"] = WORKLOADS_PORT
    return json.dumps(values, indent=2)


@contextmanager
def _port_left_out(scene: Scene) -> Iterator[None]:
    def is_left_out(spec: dict[str, Any]) -> bool:
        return any(WORKLOADS_PORT in str(c.get("args")) for c in spec["initContainers"] if c["name"] == "istio-init")

    def look(*, wanted: bool) -> Callable[[dict[str, Any]], None]:
        def look(spec: dict[str, Any]) -> None:
            if is_left_out(spec) is not wanted:
                raise NotYet(f"the arguments of istio-init {'do not ' * wanted}name the port")

        return look

    with edited_text(scene, NAMESPACE, INJECTOR, "values", _past_the_proxy):
        scene.await_injected(f"leaves out port {WORKLOADS_PORT}", look(wanted=True))
        yield
    scene.await_injected(f"intercepts port {WORKLOADS_PORT}", look(wanted=False))


@contextmanager
def _everybody_let_in(scene: Scene) -> Iterator[None]:
    objects, metadata = scene.installation.objects, LETS_EVERYBODY_IN["metadata"]
    objects.apply(LETS_EVERYBODY_IN)
    try:
        yield
    finally:
        kind = (LETS_EVERYBODY_IN["apiVersion"], LETS_EVERYBODY_IN["kind"])
        objects.delete(*kind, metadata["name"], namespace=metadata["namespace"])


@contextmanager
def _istiod_trusted(scene: Scene) -> Iterator[None]:
    """A filter for the whole mesh with which servers take certificates of istiod beside those of Teleport."""
    objects = scene.installation.objects
    root = (objects.get("v1", "ConfigMap", "istio-ca-root-cert", namespace=NAMESPACE) or {})["data"]["root-cert.pem"]
    with scene.looking() as cluster:
        (pod, *_) = (p for p in cluster.pods("test-app", "app=test-app") if uses_the_socket(p))
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
    metadata = {"name": "istiod-trusted-as-well", "namespace": NAMESPACE}
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
        objects.delete("networking.istio.io/v1alpha3", "EnvoyFilter", metadata["name"], namespace=NAMESPACE)


@contextmanager
def _left_over_filter(scene: Scene) -> Iterator[None]:
    objects, name = scene.installation.objects, LEFT_OVER_FILTER["metadata"]["name"]
    objects.apply(LEFT_OVER_FILTER)
    try:
        await_normalization(scene, in_force=True)
        yield
    finally:
        objects.delete(LEFT_OVER_FILTER["apiVersion"], LEFT_OVER_FILTER["kind"], name, namespace="test-app")
        await_normalization(scene, in_force=False)


TRUST_DOMAIN = Fault(
    name="trust-domain-cluster-local",
    description="Istio was left with its default trust domain cluster.local.",
    touches="ConfigMap istio-system/istio",
    undo="The entry is put back to the letter.",
    breaks=frozenset({"INST-06", "CHK-1"}) | reach.TRAFFIC,
    reach=reach.ISTIO | {"TRF-03", "ID-02"},
    inject=_trust_domain,
)

TEMPLATE = Fault(
    name="guides-template-on-native-sidecars",
    description="The guide's injection template is used on a cluster with native sidecars.",
    touches="ConfigMap istio-system/istio-sidecar-injector",
    undo="The entry is put back to the letter, and an injected pod is accepted again.",
    breaks=frozenset({"INST-07", "CHK-1"}),
    reach=reach.ISTIO,
    inject=_guides_template,
)

TEMPLATE_MISSING = Fault(
    name="injection-template-missing",
    description="Istio was installed without the injection template spire.",
    touches="ConfigMap istio-system/istio-sidecar-injector",
    undo="The entry is put back to the letter, and an injected pod is accepted again.",
    breaks=frozenset({"INST-07", "CHK-1"}),
    reach=reach.ISTIO,
    inject=lambda scene: _refused(scene, None),
)

TEMPLATE_WITHOUT_SOCKET = Fault(
    name="template-without-hostpath",
    description="The injection template no longer has the node's directory as a volume; the test application was restarted.",
    touches="ConfigMap istio-system/istio-sidecar-injector; Deployment test-app/test-app",
    undo="The entry is put back to the letter, and the test application restarted.",
    breaks=frozenset({"INST-07", "INST-15", "CHK-7", "CHK-8", "CHK-9"}) | reach.CERTIFIED_BY_ISTIOD | reach.TRAFFIC,
    reach=reach.ISTIO | reach.WORKLOADS,
    inject=_applied(EMPTY_TEMPLATE, "emptyDir"),
)

VOLUMES_ONLY = Fault(
    name="volumes-only-template",
    description="The injection template names the volume and leaves Istio's mount of it, which is writable.",
    touches="ConfigMap istio-system/istio-sidecar-injector; Deployment test-app/test-app",
    undo="The entry is put back to the letter, and the test application restarted.",
    breaks=frozenset({"ID-12"}),
    reach=reach.ISTIO | reach.WORKLOADS | {"ID-01", "ID-08"},
    inject=_applied(VOLUMES_ONLY_TEMPLATE, "hostPath"),
)

ISTIOS_OWN_TEMPLATE = Fault(
    name="socket-in-istios-own-template",
    description="The node's directory was put into Istio's own template for sidecars, so that every pod has it.",
    touches="ConfigMap istio-system/istio-sidecar-injector",
    undo="The entry is put back to the letter, and a pod is injected with it again.",
    breaks=frozenset({"NEG-04"}),
    reach=reach.ISTIO,
    inject=_istios_own_template,
)

PORT_LEFT_OUT = Fault(
    name="port-past-the-proxy",
    description="The mesh's sidecars do not intercept port 8080: requests reach the application past its proxy.",
    touches="ConfigMap istio-system/istio-sidecar-injector",
    undo="The values are put back to the letter, and a pod is injected with them again.",
    breaks=reach.TRAFFIC | {"TRF-03"},
    reach=reach.ISTIO,
    inject=_port_left_out,
)

ISTIOD_TRUSTED = Fault(
    name="istiod-trusted-as-well",
    description="An EnvoyFilter for the whole mesh lets servers take certificates of istiod beside those of Teleport.",
    touches="EnvoyFilter istio-system/istiod-trusted-as-well",
    undo="It is deleted.",
    breaks=frozenset({"NEG-05"}),
    reach=frozenset({"TRF-01", "TRF-03"}),
    inject=_istiod_trusted,
)

EVERYBODY_LET_IN = Fault(
    name="policy-for-everybody",
    description="A policy in Istio's own namespace lets everybody in, whatever other policies say.",
    touches="AuthorizationPolicy istio-system/everybody",
    undo="It is deleted.",
    breaks=frozenset({"TRF-02", "TRF-04"}),
    reach=frozenset({"TRF-01", "TRF-03"}),
    inject=_everybody_let_in,
)

NORMALIZATION = Fault(
    name="normalization-left-over",
    description="An EnvoyFilter from earlier times still sets another path normalization than the mesh configuration.",
    touches="EnvoyFilter test-app/normalization-of-old",
    undo="It is deleted, and every proxy has the setting of the mesh again.",
    breaks=frozenset({"INST-08"}),
    reach=reach.ISTIO | reach.WORKLOADS,
    inject=_left_over_filter,
)
