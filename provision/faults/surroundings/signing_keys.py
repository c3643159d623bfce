"""The fault of the keys with which the API server signs service-account tokens: a change of them has begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from facts.errors import ConformanceError
from facts.kubernetes.jwks import parse_jwks
from observe.wait import NotYet, eventually, not_yet
from provision.faults.fault import Scene

API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"
"""Manifest from which the kubelet of a kubeadm node runs the API server; it restarts the API server when this changes."""
NEXT_KEY = "/etc/kubernetes/pki/sa-next.pub"
CONTROLLERS, LEASES = ("kube-controller-manager", "kube-scheduler"), "coordination.k8s.io/v1"


@contextmanager
def next_key(scene: Scene) -> Iterator[None]:
    """Let the API server accept and publish a second key, as before a change of the one that it signs with."""
    *_workers, control_plane = scene.nodes()
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    scene.on_node(control_plane, "sh", "-ec", 'printf %s "$1" > "$2"', "sh", pem, NEXT_KEY)
    try:
        _edit(scene, control_plane, f"/--service-account-key-file=/{{p;s,=.*,={NEXT_KEY},}}")
        _await_keys(scene, 2)
        yield
    finally:
        _edit(scene, control_plane, f"\\,={NEXT_KEY},d")
        _await_keys(scene, 1)
        scene.on_node(control_plane, "rm", "-f", NEXT_KEY)
        _await_controllers(scene)


def _edit(scene: Scene, node: str, script: str) -> None:
    # Not in the same directory: the kubelet takes every file there for a pod.
    command = 'sed "$1" "$2" > /tmp/kube-apiserver.yaml && cat /tmp/kube-apiserver.yaml > "$2"'
    scene.on_node(node, "sh", "-ec", command, "sh", script, API_SERVER)


def _await_keys(scene: Scene, number: int) -> None:
    def look() -> None:
        with not_yet(ConformanceError):
            published = parse_jwks(scene.installation.objects.raw("/openid/v1/jwks")).key_ids
        if len(published) != number:
            raise NotYet(f"it publishes {len(published)}")

    eventually(f"the API server publishes {number} keys", look, scene.rollout)


def _await_controllers(scene: Scene) -> None:
    """Wait until pods are scheduled again: a controller exits when it cannot renew its Lease, and comes back later."""

    def renewals() -> dict[str, str]:
        objects = scene.installation.objects
        leases = {name: objects.must_get(LEASES, "Lease", name, namespace="kube-system") for name in CONTROLLERS}
        return {name: str(lease["spec"]["renewTime"]) for name, lease in leases.items()}

    former = renewals()

    def look() -> None:
        with not_yet(ConformanceError):
            now = renewals()
        if same := [name for name in CONTROLLERS if now[name] == former[name]]:
            raise NotYet(f"{' and '.join(same)} have not renewed their Leases since")

    eventually("the controllers of the control plane work again", look, scene.rollout)
