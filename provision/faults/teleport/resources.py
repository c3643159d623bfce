"""Faults in Teleport's resources: join token, bot, role and workload identity."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from facts.kubernetes.jwks import LITERAL_PLACEHOLDER
from provision.faults import reach
from provision.faults.fault import Fault, Operator, Scene, register
from provision.installing.resources import token_file
from provision.names import TBOT, TBOT_NAMESPACE
from provision.negative.joining import JOINER
from provision.objects import SCRATCH

Inject = Callable[[Scene], AbstractContextManager[None]]
Document = dict[str, Any]


def replaced(file: str, change: Callable[[Document], Document], *, then: Callable[[Scene], None] | None = None) -> Inject:
    """Create one resource of the manifests again with a change, and afterwards as it was.

    Args:
        file: Name of the manifest.
        change: Makes the broken resource from the sound one.
        then: What the operator does after each of the two.
    """

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        (sound,) = scene.installation.variant.documents(file, {})
        broken = change(sound)
        teleport = scene.teleport
        try:
            teleport.create(broken)
            if then is not None:
                then(scene)
            yield
        finally:
            teleport.create(sound)
            if then is not None:
                then(scene)

    return inject


def with_id(template: str) -> Callable[[Document], Document]:
    """Give the workload identity another SPIFFE ID template."""

    def change(sound: Document) -> Document:
        spec = sound["spec"]
        return {**sound, "spec": {**spec, "spiffe": {**spec["spiffe"], "id": template}}}

    return change


def _with_maximum(ttl: str) -> Callable[[Document], Document]:
    """Give the workload identity a maximum lifetime of certificates."""

    def change(sound: Document) -> Document:
        spec = sound["spec"]
        return {**sound, "spec": {**spec, "spiffe": {**spec["spiffe"], "x509": {"maximum_ttl": ttl}}}}

    return change


def _with_labels(labels: Mapping[str, list[str]]) -> Callable[[Document], Document]:
    """Give the role other labels of workload identities."""

    def change(sound: Document) -> Document:
        spec = sound["spec"]
        return {**sound, "spec": {**spec, "allow": {**spec["allow"], "workload_identity_labels": dict(labels)}}}

    return change


def _without_roles(sound: Document) -> Document:
    return {**sound, "spec": {**sound["spec"], "roles": []}}


def _token(change: Callable[[Document], Document]) -> Inject:
    """Create the join token with this cluster's keys and a change, and afterwards as it was."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        jwks, directory = scene.installation.objects.raw("/openid/v1/jwks"), scene.installation.directory
        with token_file(directory, jwks) as file:
            sound = yaml.safe_load(file.read_text(encoding="utf-8"))
        broken = change(sound)
        teleport = scene.teleport
        try:
            teleport.create(broken)
            yield
        finally:
            teleport.create(sound)

    return inject


@contextmanager
def _widened(scene: Scene) -> Iterator[Operator]:
    """Allow the service account with which the run will try to join; the run needs a name, which is part of it."""
    operator = replace(scene.operator, run_id=f"faults-{secrets.token_hex(3)}")
    other = f"{SCRATCH}{operator.run_id}:{JOINER}"
    allow = [{"service_account": account} for account in (f"{TBOT_NAMESPACE}:{TBOT}", other)]
    with _token(_with_kubernetes(allow=allow))(scene):
        yield operator


def _with_spec(**fields: object) -> Callable[[Document], Document]:
    return lambda sound: {**sound, "spec": {**sound["spec"], **fields}}


def _with_kubernetes(**fields: object) -> Callable[[Document], Document]:
    return lambda sound: _with_spec(kubernetes={**sound["spec"]["kubernetes"], **fields})(sound)


def _with_foreign_keys(sound: Document) -> Document:
    return _with_kubernetes(static_jwks={"jwks": jwks_of_another_cluster()})(sound)


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


IDENTITY = "teleport-workload-identity.yaml"
ROLE = "teleport-bot-role.yaml"
BOT = "teleport-bot.yaml"

NAMESPACE, ACCOUNT = "{{ workload.kubernetes.namespace }}", "{{ workload.kubernetes.service_account }}"
WITHOUT_SA_ID = f"/ns/{NAMESPACE}/{ACCOUNT}"
CREATED_AGAIN = "The suite creates the resource again from its manifest."

register(
    Fault(
        name="identity-without-sa",
        description="The workload identity's template lacks /sa/; running pods keep the identity that they have.",
        cause="identity-template-without-sa",
        touches="Teleport workload_identity/istio-workloads",
        undo=CREATED_AGAIN,
        breaks=frozenset({"INST-12", "INST-14", "CHK-4"}) | reach.TRAFFIC,
        reach=reach.TELEPORT | {"TRF-03", "ID-02"},
        inject=replaced(IDENTITY, with_id(WITHOUT_SA_ID)),
        short=True,
    )
)

register(
    Fault(
        name="identity-without-sa-in-use",
        description="The workload identity's template lacks /sa/, and the operator restarted the test application: 2/2.",
        cause="identity-template-without-sa",
        touches="Teleport workload_identity/istio-workloads; Deployment test-app/test-app",
        undo=f"{CREATED_AGAIN[:-1]} and restarts the test application.",
        breaks=frozenset({"INST-12", "INST-14", "CHK-4", "CHK-6", "CHK-7", "ID-02", "ID-11"}),
        reach=reach.TELEPORT | reach.INJECTED_PODS | {"ID-01", "ID-03", "ID-05"},
        inject=replaced(IDENTITY, with_id(WITHOUT_SA_ID), then=Scene.restart_app),
    )
)

register(
    Fault(
        name="identity-with-trailing-slash",
        description="The workload identity's template ends with a slash.",
        cause="identity-template-trailing-slash",
        touches="Teleport workload_identity/istio-workloads",
        undo=CREATED_AGAIN,
        breaks=frozenset({"INST-12", "INST-14", "CHK-4"}),
        reach=reach.TELEPORT,
        inject=replaced(IDENTITY, with_id(f"/ns/{NAMESPACE}/sa/{ACCOUNT}/")),
    )
)

register(
    Fault(
        name="identity-with-trailing-slash-in-use",
        description="The workload identity's template ends with a slash, and the operator restarted the test application.",
        cause="identity-template-trailing-slash",
        touches="Teleport workload_identity/istio-workloads; Deployment test-app/test-app",
        undo=f"{CREATED_AGAIN[:-1]} and restarts the test application.",
        breaks=frozenset({"INST-12", "INST-14", "CHK-4", "CHK-6", "CHK-7", "ID-02", "ID-05", "ID-11"}),
        reach=reach.TELEPORT | reach.INJECTED_PODS,
        inject=replaced(IDENTITY, with_id(f"/ns/{NAMESPACE}/sa/{ACCOUNT}/"), then=Scene.restart_app),
    )
)

register(
    Fault(
        name="one-identity-for-every-caller",
        description="The workload identity's template has no variable: every caller of every socket gets the same ID.",
        cause="identity-template-fixed",
        touches="Teleport workload_identity/istio-workloads",
        undo=CREATED_AGAIN,
        breaks=frozenset({"INST-12", "INST-14", "CHK-4", "ID-09", "NEG-02"}),
        reach=reach.TELEPORT,
        inject=replaced(IDENTITY, with_id("/ns/shared/sa/shared")),
    )
)

register(
    Fault(
        name="maximum-ttl-lowered",
        description="The operator lowered the workload identity's maximum lifetime to 5 minutes; earlier certificates"
        " live on.",
        cause="lifetime-above-maximum",
        touches="Teleport workload_identity/istio-workloads",
        undo=CREATED_AGAIN,
        breaks=frozenset({"ID-04", "ID-11"}),
        reach=reach.TELEPORT | {"ID-03"},
        inject=replaced(IDENTITY, _with_maximum("300s")),
    )
)

register(
    Fault(
        name="jwks-of-another-cluster",
        description="The join token holds keys that this cluster does not sign with, another cluster's or its own before a"
        " change; tbot keeps running until it has to join again.",
        cause="jwks-of-other-keys",
        touches="Teleport token/istio-tbot-k8s-join",
        undo="The suite creates the token again with this cluster's JWKS.",
        breaks=frozenset({"INST-09", "INST-10", "CHK-2"}),
        reach=reach.TELEPORT,
        inject=_token(_with_foreign_keys),
        short=True,
    )
)

register(
    Fault(
        name="placeholder-in-the-token",
        description="The operator created the join token from the template as it is: its JWKS is the placeholder; tbot"
        " keeps running until it has to join again.",
        cause="jwks-placeholder",
        touches="Teleport token/istio-tbot-k8s-join",
        undo="The suite creates the token again with this cluster's JWKS.",
        breaks=frozenset({"INST-09", "INST-10", "CHK-2"}),
        reach=reach.TELEPORT,
        inject=_token(_with_kubernetes(static_jwks={"jwks": LITERAL_PLACEHOLDER})),
    )
)

register(
    Fault(
        name="token-for-a-missing-bot",
        description="The join token names a bot that does not exist, as in the guide; tbot keeps running until it has to"
        " join again.",
        cause="bot-missing",
        touches="Teleport token/istio-tbot-k8s-join",
        undo="The suite creates the token again.",
        breaks=frozenset({"INST-10", "CHK-2"}),
        reach=reach.TELEPORT,
        inject=_token(_with_spec(bot_name="istio-tbot-of-the-guide")),
    )
)

register(
    Fault(
        name="token-for-another-service-account",
        description="The join token allows another service account than tbot's; tbot keeps running until it has to join"
        " again.",
        cause="token-other-service-account",
        touches="Teleport token/istio-tbot-k8s-join",
        undo="The suite creates the token again.",
        breaks=frozenset({"INST-10", "CHK-2"}),
        reach=reach.TELEPORT,
        inject=_token(_with_kubernetes(allow=[{"service_account": "default:tbot"}])),
    )
)

register(
    Fault(
        name="token-for-two-service-accounts",
        description="The join token allows a second service account beside tbot's, which can join as the bot.",
        cause="token-too-wide",
        touches="Teleport token/istio-tbot-k8s-join",
        undo="The suite creates the token again.",
        breaks=frozenset({"INST-10", "CHK-2", "NEG-06"}),
        reach=reach.TELEPORT,
        inject=_widened,
    )
)

register(
    Fault(
        name="role-taken-from-bot",
        description="The bot has lost its role: Teleport issues no identity, and tbot's log stays clean.",
        cause="bot-without-role",
        touches="Teleport bot/istio-tbot",
        undo=CREATED_AGAIN,
        breaks=frozenset({"INST-10", "INST-14", "CHK-2"}),
        reach=reach.TELEPORT | reach.TBOT,
        inject=replaced(BOT, _without_roles),
    )
)

register(
    Fault(
        name="role-for-every-label",
        description="The role matches workload identities by the label *.",
        cause="role-too-wide",
        touches="Teleport role/istio-workload-identity-issuer",
        undo=CREATED_AGAIN,
        breaks=frozenset({"INST-11", "CHK-3"}),
        reach=reach.TELEPORT,
        inject=replaced(ROLE, _with_labels({"*": ["*"]})),
    )
)

register(
    Fault(
        name="role-for-production",
        description="The role matches env: prod, and the workload identity is env: dev: Teleport issues no identity.",
        cause="role-matches-nothing",
        touches="Teleport role/istio-workload-identity-issuer",
        undo=CREATED_AGAIN,
        breaks=frozenset({"INST-11", "INST-14", "CHK-3"}),
        reach=reach.TELEPORT,
        inject=replaced(ROLE, _with_labels({"env": ["prod"]})),
    )
)
