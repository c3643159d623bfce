"""Red herrings in the mesh: errors of applications, Services, policies and other certificates, and pods on their way."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from facts.guide import FILE_MOUNTED, FOUND
from facts.kubernetes.pod_spec import PROXY
from facts.proxies.envoy import ACTIVE_SECRETS
from observe.proxies.envoy import read_admin
from observe.wait import NotYet, eventually
from provision.faults import Scene
from provision.faults.changes import Document, applied, patched
from provision.herrings.herring import Herring, await_pod, is_ready, manifest
from provision.names import APP, GATEWAY_LABEL, ISTIO_NAMESPACE

HOST, CREDENTIAL = "shop.example", "expired-shop"
ROLLS_FOR = 600
"""Seconds that each new pod of a rollout must be Ready before the next one: longer than the doctor looks."""


@contextmanager
def _called(scene: Scene, service: str, status: int, *made: Document) -> Iterator[None]:
    """Make something, and a caller in the mesh that meets a status there.

    Each has a name of its own: the one before it may still be on its way out.
    """
    name = f"caller-of-{service}"
    caller = manifest(scene, "caller", NAME=name, TARGET=f"http://{service}.{APP}/", STATUS=str(status))
    with applied(scene, *made, *caller):
        await_pod(scene, name, f"has met the status {status}", is_ready)
        yield


def _answers_503(scene: Scene) -> AbstractContextManager[None]:
    return _called(scene, "answers-503", 503, *manifest(scene, "answers-503"))


def _without_endpoints(scene: Scene) -> AbstractContextManager[None]:
    return _called(scene, "without-endpoints", 503, *manifest(scene, "service-without-endpoints"))


@contextmanager
def _refused_by_policy(scene: Scene) -> Iterator[None]:
    try:
        with _called(scene, APP, 403, *manifest(scene, "every-caller-refused")):
            yield
    finally:
        scene.restart_app()  # its proxies count refusals for as long as they run


@contextmanager
def _expired_certificate(scene: Scene) -> Iterator[None]:
    secret, *others = manifest(scene, "expired-certificate")
    with applied(scene, secret | {"data": expired_pair(HOST)}, *others), scene.looking() as cluster:

        def look() -> None:
            gateways = [pod for pod in cluster.pods(ISTIO_NAMESPACE, GATEWAY_LABEL) if not pod.terminating]
            dumps = [str(read_admin(cluster, pod, [ACTIVE_SECRETS])[ACTIVE_SECRETS].document) for pod in gateways]
            if not dumps or not all(CREDENTIAL in dump for dump in dumps):
                raise NotYet(f"not all of {len(dumps)} gateways have it")

        eventually(f"the ingress gateway has the certificate {CREDENTIAL}", look, scene.rollout)
        yield


def expired_pair(host: str) -> dict[str, str]:
    """Return the data of a TLS Secret with a certificate for a host that expired yesterday."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now - timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    parts = {
        "tls.crt": certificate.public_bytes(pem),
        "tls.key": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
    }
    return {name: base64.b64encode(part).decode() for name, part in parts.items()}


@contextmanager
def _rolling(scene: Scene) -> Iterator[None]:
    objects = scene.installation.objects
    slowly = {"minReadySeconds": ROLLS_FOR, "progressDeadlineSeconds": 2 * ROLLS_FOR}
    former = objects.must_get("apps/v1", "Deployment", APP, namespace=APP)["spec"]
    undo = {key: former.get(key) for key in slowly}

    def look() -> None:
        status = objects.must_get("apps/v1", "Deployment", APP, namespace=APP)["status"]
        new, every = status.get("updatedReplicas", 0), status.get("replicas", 0)
        if not 0 < new < every:
            raise NotYet(f"{new} of {every} pods are new")

    with patched(scene, "Deployment", APP, APP, spec=slowly, undo=undo, then=scene.await_app):
        objects.restart("Deployment", APP, namespace=APP)
        eventually("the rollout has begun and waits", look, scene.rollout)
        yield


@contextmanager
def _held_up(scene: Scene) -> Iterator[None]:
    with applied(scene, *manifest(scene, "held-up")):
        await_pod(scene, "held-up", "waits for its own init container", _waits_for_its_own)
        yield


def _waits_for_its_own(status: dict[str, Any]) -> bool:
    return any(
        each["name"] == "waits-for-a-migration" and "running" in each["state"]
        for each in status.get("initContainerStatuses", ())
    )


@contextmanager
def _two_lines(scene: Scene) -> Iterator[None]:
    """Change nothing: every sound pod has both lines in its log, which must be there for this to prove anything."""
    with scene.looking() as cluster:

        def look() -> None:
            for pod in cluster.pods(APP, f"app={APP}"):
                log = str(cluster.logs(pod.namespace, pod.name, PROXY).document)
                if missing := [line for line in (FOUND, FILE_MOUNTED) if line not in log]:
                    raise NotYet(f"{pod.ref} has not logged {missing}")

        eventually("every pod of the test application has logged both lines", look, scene.rollout)
    yield


_in_the_app = f"in the namespace {APP}"

HERRINGS = (
    Herring(
        name="application-answers-503",
        description="An application of the mesh answers every request with 503 itself.",
        touches=f"Service and Pod answers-503, and Pod caller-of-answers-503, {_in_the_app}",
        undo="The suite deletes them.",
        inject=_answers_503,
    ),
    Herring(
        name="service-without-endpoints",
        description="A Service selects no pod, so a sidecar answers requests to it with 503.",
        touches=f"Service without-endpoints and Pod caller-of-without-endpoints, {_in_the_app}",
        undo="The suite deletes them.",
        inject=_without_endpoints,
    ),
    Herring(
        name="expired-certificate-at-the-gateway",
        description="The ingress gateway has an expired certificate for a host of its own, by credentialName.",
        touches=f"Secret and Gateway {ISTIO_NAMESPACE}/{CREDENTIAL}",
        undo="The suite deletes them.",
        inject=_expired_certificate,
    ),
    Herring(
        name="policy-refuses-with-403",
        description="An AuthorizationPolicy refuses every caller of the test application with 403, whose identity is right.",
        touches=f"AuthorizationPolicy every-caller-refused, Pod caller-of-{APP} and Deployment {APP}, {_in_the_app}",
        undo="The suite deletes the policy and the caller, and restarts the test application.",
        inject=_refused_by_policy,
        called=frozenset({"refused-by-policy"}),
    ),
    Herring(
        name="rolling-restart",
        description="A rolling restart of the test application is under way: pods of two templates run beside each other.",
        touches=f"Deployment {APP}/{APP}",
        undo="The suite restores the pace of its rollout and waits for its end.",
        inject=_rolling,
    ),
    Herring(
        name="held-up-by-its-own-init-container",
        description="The application's own init container has not ended, so that the pod's classic sidecar has not started.",
        touches=f"Pod held-up {_in_the_app}",
        undo="The suite deletes it.",
        inject=_held_up,
    ),
    Herring(
        name="two-lines-in-istios-log",
        description="Sidecars log that they found the socket, and that they serve files: the guide takes both for healthy in"
        " one chapter, and for file mode in another.",
        touches="nothing; every sound sidecar logs them",
        undo="Nothing has to be undone.",
        inject=_two_lines,
    ),
)
