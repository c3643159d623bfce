"""Faults in two of Teleport's resources: the join token and the workload identity."""

from __future__ import annotations

import base64
import copy
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from facts.kubernetes.jwks import LITERAL_PLACEHOLDER
from providers.teleport.facts.resources import NAMESPACE_OF_CALLER
from providers.teleport.installing.resources import token_file
from provision.faults import reach
from provision.faults.changes import Document
from provision.faults.fault import Fault, Operator, Scene
from provision.faults.recreated import CREATED_AGAIN, Change, beside, of_manifest, recreated, removed, with_field
from provision.names import TBOT, TBOT_NAMESPACE
from provision.negative.joining import JOINER
from provision.objects import SCRATCH


def _token(scene: Scene, jwks: str) -> Document:
    """Return the join token of the installation with these keys."""
    with token_file(scene.installation.directory, jwks) as file:
        document: Document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


def _own_token(scene: Scene) -> Document:
    """Return the join token of the installation, which has the keys of this cluster."""
    return _token(scene, scene.installation.objects.raw("/openid/v1/jwks"))


def _of_token(change: Change) -> Callable[[Scene], AbstractContextManager[None]]:
    """Change the join token."""
    return lambda scene: recreated(scene, _own_token(scene), change)


def _with_an_end(sound: Document) -> Document:
    """Let a resource expire in two weeks."""
    changed = copy.deepcopy(sound)
    changed["metadata"]["expires"] = f"{datetime.now(UTC) + timedelta(days=14):%Y-%m-%dT%H:%M:%SZ}"
    return changed


def _second_token(scene: Scene) -> AbstractContextManager[None]:
    """Create a token for the same bot with another cluster's keys, and delete it afterwards."""
    second = _token(scene, jwks_of_another_cluster())
    second["metadata"]["name"] = SECOND_TOKEN
    return beside(scene, second)


@contextmanager
def _mended_without_restart(scene: Scene) -> Iterator[None]:
    """Let the test application get IDs with a trailing slash, and mend the template; on exit restart the application."""
    (sound,) = scene.installation.variant.documents(IDENTITY, {})
    try:
        with recreated(scene, sound, with_field("spiffe.id", WITH_SLASH)):
            scene.restart_app()
        yield
    finally:
        scene.restart_app()


@contextmanager
def _widened(scene: Scene) -> Iterator[Operator]:
    """Allow the service account with which the suite will try to join; its namespace contains the id of this run."""
    named = replace(scene.operator, run_id=f"faults-{secrets.token_hex(3)}")
    other = f"{SCRATCH}{named.run_id}:{JOINER}"
    allow = [{"service_account": account} for account in (f"{TBOT_NAMESPACE}:{TBOT}", other)]
    with _of_token(with_field("kubernetes.allow", allow))(scene):
        yield named


def _with_foreign_keys(sound: Document) -> Document:
    return with_field("kubernetes.static_jwks", {"jwks": jwks_of_another_cluster()})(sound)


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


SECOND_TOKEN = "istio-tbot-of-another-cluster"
IDENTITY = "teleport-workload-identity.yaml"

NAMESPACE, ACCOUNT = "{{ workload.kubernetes.namespace }}", "{{ workload.kubernetes.service_account }}"
WITHOUT_SA_ID = f"/ns/{NAMESPACE}/{ACCOUNT}"
WITH_SLASH = f"/ns/{NAMESPACE}/sa/{ACCOUNT}/"

KEPT_ON = frozenset({"identity-change-not-in-force"})
"""Proxies that were not restarted, gateways among them, keep their SPIFFE ID until the next renewal."""

OF_ANOTHER_NAMESPACE = {"attribute": NAMESPACE_OF_CALLER, "eq": {"value": "payments"}}

_identity_fault = partial(Fault, touches="Teleport workload_identity/istio-workloads", undo=CREATED_AGAIN)
_token_fault = partial(
    Fault,
    touches="Teleport token/istio-tbot-k8s-join",
    undo="The suite creates the token again with this cluster's JWKS.",
    reach=reach.TELEPORT,
)

FAULTS = (
    _identity_fault(
        name="identity-without-sa",
        description="The workload identity's template lacks /sa/; running pods keep the identity that they have.",
        cause="identity-template-without-sa",
        breaks=frozenset({"HYG-06", "INST-12", "INST-14", "CHK-4"}) | reach.TRAFFIC,
        further_causes=KEPT_ON,
        reach=reach.TELEPORT | {"TRF-03", "ID-02"},
        inject=of_manifest(IDENTITY, with_field("spiffe.id", WITHOUT_SA_ID)),
        short=True,
    ),
    Fault(
        name="identity-without-sa-in-use",
        description="The workload identity's template lacks /sa/, and the operator restarted the test application: 2/2.",
        cause="identity-template-without-sa",
        touches="Teleport workload_identity/istio-workloads; Deployment test-app/test-app",
        undo=f"{CREATED_AGAIN[:-1]} and restarts the test application.",
        breaks=frozenset({"HYG-06", "INST-12", "INST-14", "CHK-4", "CHK-6", "CHK-7", "ID-02", "ID-11"}) | reach.REFUSED,
        further_causes=KEPT_ON,
        reach=reach.TELEPORT | reach.INJECTED_PODS | {"ID-01", "ID-03", "ID-05"},
        inject=of_manifest(IDENTITY, with_field("spiffe.id", WITHOUT_SA_ID), Scene.restart_app),
    ),
    _identity_fault(
        name="identity-with-trailing-slash",
        description="The workload identity's template ends with a slash.",
        cause="identity-template-trailing-slash",
        breaks=frozenset({"HYG-06", "INST-12", "INST-14", "CHK-4"}),
        further_causes=KEPT_ON,
        reach=reach.TELEPORT,
        inject=of_manifest(IDENTITY, with_field("spiffe.id", WITH_SLASH)),
    ),
    Fault(
        name="identity-with-trailing-slash-in-use",
        description="The workload identity's template ends with a slash, and the operator restarted the test application.",
        cause="identity-template-trailing-slash",
        touches="Teleport workload_identity/istio-workloads; Deployment test-app/test-app",
        undo=f"{CREATED_AGAIN[:-1]} and restarts the test application.",
        breaks=frozenset({"HYG-06", "INST-12", "INST-14", "CHK-4", "CHK-6", "CHK-7", "ID-02", "ID-05", "ID-11"})
        | reach.REFUSED,
        further_causes=KEPT_ON,
        reach=reach.TELEPORT | reach.INJECTED_PODS,
        inject=of_manifest(IDENTITY, with_field("spiffe.id", WITH_SLASH), Scene.restart_app),
    ),
    Fault(
        name="identity-mended-without-restart",
        description="The test application started while the workload identity's template ended with a slash; the operator"
        " mended the template and restarted nothing.",
        cause="identity-change-not-in-force",
        touches="Deployment test-app/test-app",
        undo="The suite restarts the test application.",
        breaks=frozenset({"HYG-06", "CHK-6", "CHK-7", "ID-02", "ID-05", "ID-11"}) | reach.REFUSED,
        further_causes=frozenset({"identity-template-trailing-slash"}),
        reach=reach.TELEPORT | reach.INJECTED_PODS | reach.HYGIENE,
        inject=_mended_without_restart,
    ),
    _identity_fault(
        name="one-identity-for-every-caller",
        description="The workload identity's template has no variable: every caller of every socket gets the same ID.",
        cause="identity-template-fixed",
        breaks=frozenset({"HYG-06", "INST-12", "INST-14", "CHK-4", "ID-09", "NEG-02"}),
        further_causes=KEPT_ON,
        reach=reach.TELEPORT,
        inject=of_manifest(IDENTITY, with_field("spiffe.id", "/ns/shared/sa/shared")),
    ),
    _identity_fault(
        name="identity-for-another-namespace",
        description="The workload identity's only rule lets in the namespace payments: other workloads get no new"
        " certificate.",
        cause="identity-rules-refuse",
        breaks=frozenset({"INST-14"}),
        reach=reach.TELEPORT | reach.TBOT,
        inject=of_manifest(IDENTITY, with_field("rules", {"allow": [{"conditions": [OF_ANOTHER_NAMESPACE]}]})),
    ),
    _identity_fault(
        name="maximum-ttl-lowered",
        description="The operator lowered the workload identity's maximum lifetime to 5 minutes; earlier certificates"
        " live on.",
        cause="lifetime-above-maximum",
        breaks=frozenset({"ID-04", "ID-11"}),
        reach=reach.TELEPORT | {"ID-03"},
        inject=of_manifest(IDENTITY, with_field("spiffe.x509", {"maximum_ttl": "300s"})),
    ),
    _token_fault(
        name="jwks-of-another-cluster",
        description="The join token holds keys that this cluster does not sign with, another cluster's or its own before a"
        " change; tbot keeps running until it has to join again.",
        cause="jwks-of-other-keys",
        breaks=frozenset({"INST-09", "INST-10", "CHK-2"}),
        inject=_of_token(_with_foreign_keys),
        short=True,
    ),
    _token_fault(
        name="placeholder-in-the-token",
        description="The operator created the join token from the template as it is: its JWKS is the placeholder; tbot"
        " keeps running until it has to join again.",
        cause="jwks-placeholder",
        breaks=frozenset({"INST-09", "INST-10", "CHK-2"}),
        inject=_of_token(with_field("kubernetes.static_jwks", {"jwks": LITERAL_PLACEHOLDER})),
    ),
    _token_fault(
        name="token-for-a-missing-bot",
        description="The join token names a bot that does not exist, as in the guide; tbot keeps running until it has to"
        " join again.",
        cause="bot-missing",
        breaks=frozenset({"INST-10", "CHK-2"}),
        inject=_of_token(with_field("bot_name", "istio-tbot-of-the-guide")),
    ),
    _token_fault(
        name="token-for-another-service-account",
        description="The join token allows another service account than tbot's; tbot keeps running until it has to join"
        " again.",
        cause="token-other-service-account",
        breaks=frozenset({"INST-10", "CHK-2"}),
        inject=_of_token(with_field("kubernetes.allow", [{"service_account": "default:tbot"}])),
    ),
    _token_fault(
        name="token-for-two-service-accounts",
        description="The join token allows a second service account beside tbot's, which can join as the bot.",
        cause="token-too-wide",
        breaks=frozenset({"INST-10", "CHK-2", "NEG-06"}),
        inject=_widened,
    ),
    _token_fault(
        name="second-token-for-the-bot",
        description="A second join token is for the same bot and has another cluster's keys, so a tbot there gets the same"
        " identities.",
        cause="second-join-token",
        touches=f"Teleport token/{SECOND_TOKEN}",
        undo="The suite removes the second token.",
        breaks=frozenset({"INST-17"}),
        inject=_second_token,
    ),
    _token_fault(
        name="token-removed",
        description="The join token is gone from Teleport, as after its end; tbot keeps running until it has to join again.",
        cause="token-missing",
        breaks=frozenset({"INST-09", "INST-10", "CHK-2"}),
        inject=lambda scene: removed(scene, _own_token(scene)),
    ),
    _token_fault(
        name="token-that-expires",
        description="The join token expires in two weeks; tbot keeps running until it has to join again after that.",
        cause="join-token-expires",
        breaks=frozenset({"INST-17"}),
        inject=_of_token(_with_an_end),
    ),
)
