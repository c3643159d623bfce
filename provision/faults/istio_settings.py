"""Faults in Istio's configuration: the mesh's settings, the injector's templates, and filters that somebody left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from facts.proxy import Normalization
from observe.envoy import read_normalizations
from observe.wait import NotYet, eventually
from provision.faults import reach
from provision.faults.config_maps import edited
from provision.faults.fault import Fault, Scene

NAMESPACE = "istio-system"
INJECTOR = "istio-sidecar-injector"

GUIDES_TEMPLATE = """\
spec:
  containers:
  - name: istio-proxy
    volumeMounts:
    - name: workload-socket
      mountPath: /run/secrets/workload-spiffe-uds
      readOnly: true
    env:
    - name: CA_ADDR
      value: unix:///run/secrets/workload-spiffe-uds/socket
    - name: PILOT_CERT_PROVIDER
      value: workloadapi
  volumes:
  - name: workload-socket
    hostPath:
      path: /run/spire/sockets
      type: Directory
"""
"""The injection template of the guide: it adds to `containers`, where a native sidecar is not."""

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


def _refused(text: str | None) -> Callable[[Scene], AbstractContextManager[None]]:
    """A template with which no injected pod is accepted any more."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        with edited(scene, NAMESPACE, INJECTOR, "config", _with_template(text)):
            scene.await_injection(refused=True)
            yield
        scene.await_injection(refused=False)

    return inject


def _applied(text: str, source: str) -> Callable[[Scene], AbstractContextManager[None]]:
    """A template with which pods are accepted and have another volume, and the test application restarted with it."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        try:
            with edited(scene, NAMESPACE, INJECTOR, "config", _with_template(text)):
                scene.await_socket_volume(source)
                scene.restart_app()
                yield
        finally:
            scene.await_socket_volume("hostPath", read_only=True)
            scene.restart_app()

    return inject


@contextmanager
def _left_over_filter(scene: Scene) -> Iterator[None]:
    objects, name = scene.installation.objects, LEFT_OVER_FILTER["metadata"]["name"]
    objects.apply(LEFT_OVER_FILTER)
    try:
        _await_normalization(scene, in_force=True)
        yield
    finally:
        objects.delete(LEFT_OVER_FILTER["apiVersion"], LEFT_OVER_FILTER["kind"], name, namespace="test-app")
        _await_normalization(scene, in_force=False)


def _await_normalization(scene: Scene, *, in_force: bool) -> None:
    with scene.looking() as cluster:

        def look() -> None:
            proxies = read_normalizations(cluster, cluster.pods("test-app", "app=test-app"))
            settings = [s.normalize_path for p in proxies if isinstance(p, Normalization) for s in p.settings]
            if not settings or any(each is not in_force for each in settings):
                raise NotYet(f"normalize_path is {settings}")

        what = f"normalize_path is {in_force} in every inbound listener of the test application"
        eventually(what, look, scene.pace(scene.patience.rollout))


TRUST_DOMAIN = Fault(
    name="trust-domain-cluster-local",
    description="Istio was left with its default trust domain cluster.local.",
    touches="ConfigMap istio-system/istio",
    undo="The entry is put back to the letter.",
    breaks=frozenset({"INST-06", "CHK-1"}),
    reach=reach.ISTIO,
    inject=_trust_domain,
)

TEMPLATE = Fault(
    name="guides-template-on-native-sidecars",
    description="The guide's injection template is used on a cluster with native sidecars.",
    touches="ConfigMap istio-system/istio-sidecar-injector",
    undo="The entry is put back to the letter, and an injected pod is accepted again.",
    breaks=frozenset({"INST-07", "CHK-1"}),
    reach=reach.ISTIO,
    inject=_refused(GUIDES_TEMPLATE),
)

TEMPLATE_MISSING = Fault(
    name="injection-template-missing",
    description="Istio was installed without the injection template spire.",
    touches="ConfigMap istio-system/istio-sidecar-injector",
    undo="The entry is put back to the letter, and an injected pod is accepted again.",
    breaks=frozenset({"INST-07", "CHK-1"}),
    reach=reach.ISTIO,
    inject=_refused(None),
)

TEMPLATE_WITHOUT_SOCKET = Fault(
    name="template-without-hostpath",
    description="The injection template no longer has the node's directory as a volume; the test application was restarted.",
    touches="ConfigMap istio-system/istio-sidecar-injector; Deployment test-app/test-app",
    undo="The entry is put back to the letter, and the test application restarted.",
    breaks=frozenset({"INST-07", "INST-15", "CHK-7", "CHK-8", "CHK-9", "ID-01", "ID-03", "ID-06", "ID-07", "ID-11"}),
    reach=reach.ISTIO | reach.WORKLOADS,
    inject=_applied(EMPTY_TEMPLATE, "emptyDir"),
)

VOLUMES_ONLY = Fault(
    name="volumes-only-template",
    description="The injection template names the volume and leaves Istio's mount of it, which is writable.",
    touches="ConfigMap istio-system/istio-sidecar-injector; Deployment test-app/test-app",
    undo="The entry is put back to the letter, and the test application restarted.",
    breaks=frozenset({"ID-12"}),
    reach=reach.ISTIO | reach.WORKLOADS,
    inject=_applied(VOLUMES_ONLY_TEMPLATE, "hostPath"),
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
