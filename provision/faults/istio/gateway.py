"""Faults of the ingress gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from facts.kubernetes.pod_spec import PROXY
from provision.faults.fault import Fault, Scene, register
from provision.names import GATEWAY, ISTIO_NAMESPACE, SOCKET_MOUNT, WORKLOAD_SOCKET


@contextmanager
def _without_overlay(scene: Scene) -> Iterator[None]:
    objects, sockets = scene.installation.objects, scene.installation.variables["SOCKET_DIRECTORY"]

    def put(volume: dict[str, Any], *, read_only: bool | None) -> None:
        mount = {"name": WORKLOAD_SOCKET, "mountPath": SOCKET_MOUNT, "readOnly": read_only}
        spec = {"volumes": [{"name": WORKLOAD_SOCKET, **volume}], "containers": [{"name": PROXY, "volumeMounts": [mount]}]}
        change = {"spec": {"template": {"spec": spec}}}
        objects.patch("apps/v1", "Deployment", GATEWAY, change, namespace=ISTIO_NAMESPACE)
        objects.await_ready("Deployment", GATEWAY, scene.pace(scene.patience.rollout), namespace=ISTIO_NAMESPACE)

    try:
        put({"emptyDir": {}, "hostPath": None}, read_only=None)
        yield
    finally:
        put({"emptyDir": None, "hostPath": {"path": sockets, "type": "Directory"}}, read_only=True)


register(
    Fault(
        name="gateway-without-overlay",
        description="The ingress gateway does not mount the node's socket, as in the guide: Ready, with a certificate of"
        " istiod.",
        cause="gateway-without-socket",
        touches="Deployment istio-system/istio-ingressgateway",
        undo="The suite puts the node's directory back and waits for the rollout.",
        breaks=frozenset({"ID-11", "TRF-05"}),
        reach=frozenset({"INST-05", "ID-01", "ID-03"}),
        inject=_without_overlay,
    )
)
