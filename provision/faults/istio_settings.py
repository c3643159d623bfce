"""Faults in Istio's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from observe.wait import NotYet, eventually
from provision.faults.fault import Fault, Scene

NAMESPACE = "istio-system"

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


@contextmanager
def _edited(scene: Scene, config_map: str, key: str, change: dict[str, Any]) -> Iterator[None]:
    """One of Istio's ConfigMaps with one YAML entry changed, as by ``kubectl edit``; put back to the letter afterwards."""
    objects = scene.installation.objects
    found = objects.get("v1", "ConfigMap", config_map, namespace=NAMESPACE)
    if found is None:
        raise LookupError(f"no ConfigMap {NAMESPACE}/{config_map}")
    former = found["data"][key]

    def put(text: str) -> None:
        objects.patch("v1", "ConfigMap", config_map, {"data": {key: text}}, namespace=NAMESPACE)

    put(yaml.safe_dump(_merged(yaml.safe_load(former), change)))
    try:
        yield
    finally:
        put(former)


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return {
        **base,
        **{
            k: _merged(base[k], v) if isinstance(v, dict) and isinstance(base.get(k), dict) else v for k, v in change.items()
        },
    }


@contextmanager
def _trust_domain(scene: Scene) -> Iterator[None]:
    with _edited(scene, "istio", "mesh", {"trustDomain": "cluster.local"}):
        yield


@contextmanager
def _guides_template(scene: Scene) -> Iterator[None]:
    with _edited(scene, "istio-sidecar-injector", "config", {"templates": {"spire": GUIDES_TEMPLATE}}):
        _await_injection(scene, broken=True)
        yield
    _await_injection(scene, broken=False)


def _await_injection(scene: Scene, *, broken: bool) -> None:
    """Waits until istiod injects with the template that is in the ConfigMap now."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "injected",
            "namespace": "test-app",
            "annotations": {"inject.istio.io/templates": "sidecar,spire"},
        },
        "spec": {"containers": [{"name": "app", "image": scene.installation.sources.workload_image}]},
    }

    def look() -> None:
        refusal = scene.installation.objects.refusal(pod)
        if bool(refusal) is not broken:
            raise NotYet(refusal or "an injected pod is accepted")

    what = "an injected pod is refused" if broken else "an injected pod is accepted"
    eventually(what, look, scene.pace(scene.patience.pod_ready))


TRUST_DOMAIN = Fault(
    name="trust-domain-cluster-local",
    description="Istio was left with its default trust domain cluster.local.",
    breaks=frozenset({"INST-06", "CHK-1"}),
    touches="ConfigMap istio-system/istio",
    inject=_trust_domain,
)

TEMPLATE = Fault(
    name="guides-template-on-native-sidecars",
    description="The guide's injection template is used on a cluster with native sidecars.",
    breaks=frozenset({"INST-07", "CHK-1"}),
    touches="ConfigMap istio-system/istio-sidecar-injector",
    inject=_guides_template,
)
