"""Faults of the ingress gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from facts.kubernetes.pod_spec import PROXY, SOCKET_MOUNT, SOCKET_VOLUME
from provision.faults import reach
from provision.faults.changes import patched, pod_template
from provision.faults.fault import Fault, Scene
from provision.names import GATEWAY, ISTIO_NAMESPACE


@contextmanager
def _without_overlay(scene: Scene) -> Iterator[None]:
    sockets = {"path": scene.installation.variables["SOCKET_DIRECTORY"], "type": "Directory"}

    def with_volume(volume: dict[str, Any], *, read_only: bool | None) -> dict[str, Any]:
        mount = {"name": SOCKET_VOLUME, "mountPath": SOCKET_MOUNT, "readOnly": read_only}
        containers = [{"name": PROXY, "volumeMounts": [mount]}]
        return pod_template(volumes=[{"name": SOCKET_VOLUME, **volume}], containers=containers)

    settle = partial(scene.await_rollout, "Deployment", GATEWAY, ISTIO_NAMESPACE)
    broken = with_volume({"emptyDir": {}, "hostPath": None}, read_only=None)
    sound = with_volume({"emptyDir": None, "hostPath": sockets}, read_only=True)
    with patched(scene, "Deployment", GATEWAY, ISTIO_NAMESPACE, spec=broken, undo=sound, then=settle):
        settle()
        yield


FAULTS = (
    Fault(
        name="gateway-without-overlay",
        description="The ingress gateway does not mount the node's socket, as in the guide: Ready, with a certificate of"
        " istiod.",
        cause="gateway-without-socket",
        touches="Deployment istio-system/istio-ingressgateway",
        undo="The suite restores the node's directory and waits for the rollout.",
        breaks=frozenset({"ID-11", "TRF-05"}) | reach.REFUSED,
        reach=frozenset({"INST-05", "ID-01", "ID-03", "MTL-01"}),
        inject=_without_overlay,
    ),
)
