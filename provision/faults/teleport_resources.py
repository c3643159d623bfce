"""Faults in Teleport's resources."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import rsa

from provision.faults.fault import Fault, Scene
from provision.render import MANIFESTS, documents
from provision.resources import Resources


@contextmanager
def _without_sa(scene: Scene) -> Iterator[None]:
    installation = scene.installation
    (sound,) = documents(MANIFESTS / "teleport-workload-identity.yaml", {})
    template = sound["spec"]["spiffe"]["id"].replace("/sa/", "/")
    broken = {**sound, "spec": {**sound["spec"], "spiffe": {**sound["spec"]["spiffe"], "id": template}}}

    teleport = Resources(installation.authority, installation.run_id, scene.recorder, replace=True)
    teleport.create(broken)
    try:
        yield
    finally:
        teleport.create(sound)


@contextmanager
def _foreign_jwks(scene: Scene) -> Iterator[None]:
    installation = scene.installation
    teleport = Resources(installation.authority, installation.run_id, scene.recorder, replace=True)
    teleport.create_token(jwks_of_another_cluster(), installation.directory)
    try:
        yield
    finally:
        teleport.create_token(installation.objects.raw("/openid/v1/jwks"), installation.directory)


def jwks_of_another_cluster() -> str:
    """A key set as an API server publishes it, with a key that no API server has."""
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers()

    def number(value: int) -> str:
        return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()

    key = {
        "use": "sig",
        "kty": "RSA",
        "kid": number(numbers.n)[:43],
        "alg": "RS256",
        "n": number(numbers.n),
        "e": number(numbers.e),
    }
    return json.dumps({"keys": [key]})


WITHOUT_SA = Fault(
    name="identity-without-sa",
    description="The workload identity's template lacks /sa/; the pods that run keep the identity they have.",
    breaks=frozenset({"INST-12", "INST-14", "CHK-4"}),
    touches="Teleport workload_identity/istio-workloads",
    inject=_without_sa,
)

FOREIGN_JWKS = Fault(
    name="jwks-of-another-cluster",
    description="The join token was made with another cluster's JWKS; tbot runs on until it has to join again.",
    breaks=frozenset({"INST-09", "INST-10", "CHK-2"}),
    touches="Teleport token/istio-tbot-k8s-join",
    inject=_foreign_jwks,
)
