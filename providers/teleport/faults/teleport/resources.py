"""What faults change of the join token and of the workload identity, where they have to make it first."""

from __future__ import annotations

import base64
import copy
import json
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa

from providers.teleport.faults.verbs import TOKEN, beside, recreated, sound_of, token_with, with_field
from provision.faults.changes import Document
from provision.faults.fault import Operator, Scene
from provision.names import TBOT, TBOT_NAMESPACE
from provision.negative.joining import JOINER
from provision.objects import SCRATCH

SECOND_TOKEN = "istio-tbot-of-another-cluster"
WITH_SLASH = "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}/"


def with_an_end(scene: Scene) -> AbstractContextManager[None]:
    """Let the join token expire in two weeks."""

    def change(sound: Document) -> Document:
        changed = copy.deepcopy(sound)
        changed["metadata"]["expires"] = f"{datetime.now(UTC) + timedelta(days=14):%Y-%m-%dT%H:%M:%SZ}"
        return changed

    return recreated(scene, sound_of(scene, TOKEN), change)


def foreign_keys(scene: Scene) -> AbstractContextManager[None]:
    """Give the join token the keys of another cluster."""

    def change(sound: Document) -> Document:
        return with_field("kubernetes.static_jwks", {"jwks": jwks_of_another_cluster()})(sound)

    return recreated(scene, sound_of(scene, TOKEN), change)


def second_token(scene: Scene) -> AbstractContextManager[None]:
    """Create a token for the same bot with another cluster's keys, and delete it afterwards."""
    second = token_with(scene, jwks_of_another_cluster())
    second["metadata"]["name"] = SECOND_TOKEN
    return beside(scene, second)


@contextmanager
def mended_without_restart(scene: Scene) -> Iterator[None]:
    """Let the test application get IDs with a trailing slash, and mend the template; on exit restart the application."""
    sound = sound_of(scene, "workload_identity")
    try:
        with recreated(scene, sound, with_field("spiffe.id", WITH_SLASH)):
            scene.restart_app()
        yield
    finally:
        scene.restart_app()


@contextmanager
def widened(scene: Scene) -> Iterator[Operator]:
    """Allow the service account with which the suite will try to join; its namespace contains the id of this run."""
    named = replace(scene.operator, run_id=f"faults-{secrets.token_hex(3)}")
    other = f"{SCRATCH}{named.run_id}:{JOINER}"
    allow = [{"service_account": account} for account in (f"{TBOT_NAMESPACE}:{TBOT}", other)]
    with recreated(scene, sound_of(scene, TOKEN), with_field("kubernetes.allow", allow)):
        yield named


def jwks_of_another_cluster() -> str:
    """Return a key set as an API server publishes it, with a key that no API server has."""
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
