"""Faults of the ingress gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from provision.disruption.supply import VOLUME
from provision.faults.fault import Fault, Scene

NAMESPACE, GATEWAY = "istio-system", "istio-ingressgateway"
MOUNT = "/var/run/secrets/workload-spiffe-uds"


@contextmanager
def _without_overlay(scene: Scene) -> Iterator[None]:
    objects, sockets = scene.installation.objects, scene.installation.variables["SOCKET_DIRECTORY"]

    def put(volume: dict[str, Any], *, read_only: bool | None) -> None:
        mount = {"name": VOLUME, "mountPath": MOUNT, "readOnly": read_only}
        spec = {"volumes": [{"name": VOLUME, **volume}], "containers": [{"name": "istio-proxy", "volumeMounts": [mount]}]}
        change = {"spec": {"template": {"spec": spec}}}
        objects.patch("apps/v1", "Deployment", GATEWAY, change, namespace=NAMESPACE)
        objects.await_ready("Deployment", GATEWAY, scene.pace(scene.patience.rollout), namespace=NAMESPACE)

    try:
        put({"emptyDir": {}, "hostPath": None}, read_only=None)
        yield
    finally:
        put({"emptyDir": None, "hostPath": {"path": sockets, "type": "Directory"}}, read_only=True)


WITHOUT_OVERLAY = Fault(
    name="gateway-without-overlay",
    description="The ingress gateway has no socket of the node, as in the guide: Ready, with a certificate of istiod.",
    touches="Deployment istio-system/istio-ingressgateway",
    undo="The node's directory is put back, and the rollout awaited.",
    breaks=frozenset({"ID-11", "TRF-05"}),
    reach=frozenset({"INST-05", "ID-01", "ID-03"}),
    inject=_without_overlay,
)
