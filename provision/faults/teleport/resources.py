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
from provision.faults.fault import Fault, Operator, Scene
from provision.installing.resources import token_file
from provision.objects import SCRATCH

INTRUDER = "joiner"
"""Service account in the run's namespace with which the suite tries to join."""

Inject = Callable[[Scene], AbstractContextManager[None]]
Document = dict[str, Any]


def replaced(file: str, change: Callable[[Document], Document], *, then: Callable[[Scene], None] | None = None) -> Inject:
    """One resource of the manifests created again with a change, and afterwards as it was.

    Args:
        file: Name of the manifest.
        change: Makes the broken resource of the sound one.
        then: What the operator does after either.
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
    """The workload identity with another SPIFFE ID template."""

    def change(sound: Document) -> Document:
        spec = sound["spec"]
        return {**sound, "spec": {**spec, "spiffe": {**spec["spiffe"], "id": template}}}

    return change


def _with_maximum(ttl: str) -> Callable[[Document], Document]:
    """The workload identity with a maximum lifetime of its certificates."""

    def change(sound: Document) -> Document:
        spec = sound["spec"]
        return {**sound, "spec": {**spec, "spiffe": {**spec["spiffe"], "x509": {"maximum_ttl": ttl}}}}

    return change


def _with_labels(labels: Mapping[str, list[str]]) -> Callable[[Document], Document]:
    """The role with other labels of workload identities."""

    def change(sound: Document) -> Document:
        spec = sound["spec"]
        return {**sound, "spec": {**spec, "allow": {**spec["allow"], "workload_identity_labels": dict(labels)}}}

    return change


def _without_roles(sound: Document) -> Document:
    return {**sound, "spec": {**sound["spec"], "roles": []}}


def _token(change: Callable[[Document], Document]) -> Inject:
    """The join token with this cluster's keys and a change, and afterwards as it was."""

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
    """The token of a run that has a name: only then is the service account known that will try."""
    operator = replace(scene.operator, run_id=f"faults-{secrets.token_hex(3)}")
    intruder = f"{SCRATCH}{operator.run_id}:{INTRUDER}"
    allow = [{"service_account": account} for account in ("teleport-system:tbot", intruder)]
    with _token(_with_kubernetes(allow=allow))(scene):
        yield operator


def _with_spec(**fields: object) -> Callable[[Document], Document]:
    return lambda sound: {**sound, "spec": {**sound["spec"], **fields}}


def _with_kubernetes(**fields: object) -> Callable[[Document], Document]:
    return lambda sound: _with_spec(kubernetes={**sound["spec"]["kubernetes"], **fields})(sound)


def _with_foreign_keys(sound: Document) -> Document:
    return _with_kubernetes(static_jwks={"jwks": jwks_of_another_cluster()})(sound)


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


IDENTITY = "teleport-workload-identity.yaml"
ROLE = "teleport-bot-role.yaml"
BOT = "teleport-bot.yaml"

NAMESPACE, ACCOUNT = "{{ workload.kubernetes.namespace }}", "{{ workload.kubernetes.service_account }}"
WITHOUT_SA_ID = f"/ns/{NAMESPACE}/{ACCOUNT}"
CREATED_AGAIN = "The resource is created again from its manifest."

WITHOUT_SA = Fault(
    name="identity-without-sa",
    description="The workload identity's template lacks /sa/; the pods that run keep the identity they have.",
    touches="Teleport workload_identity/istio-workloads",
    undo=CREATED_AGAIN,
    breaks=frozenset({"INST-12", "INST-14", "CHK-4"}) | reach.TRAFFIC,
    reach=reach.RESOURCES | {"TRF-03", "ID-02"},
    inject=replaced(IDENTITY, with_id(WITHOUT_SA_ID)),
)

WITHOUT_SA_IN_USE = Fault(
    name="identity-without-sa-in-use",
    description="The workload identity's template lacks /sa/, and the test application was restarted with it: 2/2.",
    touches="Teleport workload_identity/istio-workloads; Deployment test-app/test-app",
    undo=f"{CREATED_AGAIN[:-1]}, and the test application restarted.",
    breaks=frozenset({"INST-12", "INST-14", "CHK-4", "CHK-6", "CHK-7", "ID-02", "ID-11"}),
    reach=reach.RESOURCES | reach.WORKLOADS | {"ID-01", "ID-03", "ID-05"},
    inject=replaced(IDENTITY, with_id(WITHOUT_SA_ID), then=Scene.restart_app),
)

TRAILING_SLASH = Fault(
    name="identity-with-trailing-slash",
    description="The workload identity's template ends with a slash.",
    touches="Teleport workload_identity/istio-workloads",
    undo=CREATED_AGAIN,
    breaks=frozenset({"INST-12", "INST-14", "CHK-4"}),
    reach=reach.RESOURCES,
    inject=replaced(IDENTITY, with_id(f"/ns/{NAMESPACE}/sa/{ACCOUNT}/")),
)

TRAILING_SLASH_IN_USE = Fault(
    name="identity-with-trailing-slash-in-use",
    description="The workload identity's template ends with a slash, and the test application was restarted with it.",
    touches="Teleport workload_identity/istio-workloads; Deployment test-app/test-app",
    undo=f"{CREATED_AGAIN[:-1]}, and the test application restarted.",
    breaks=frozenset({"INST-12", "INST-14", "CHK-4", "CHK-6", "CHK-7", "ID-02", "ID-05", "ID-11"}),
    reach=reach.RESOURCES | reach.WORKLOADS,
    inject=replaced(IDENTITY, with_id(f"/ns/{NAMESPACE}/sa/{ACCOUNT}/"), then=Scene.restart_app),
)

FOR_EVERYBODY = Fault(
    name="one-identity-for-everybody",
    description="The workload identity's template names nobody: whoever asks any socket gets the same ID.",
    touches="Teleport workload_identity/istio-workloads",
    undo=CREATED_AGAIN,
    breaks=frozenset({"INST-12", "INST-14", "CHK-4", "ID-09", "NEG-02"}),
    reach=reach.RESOURCES,
    inject=replaced(IDENTITY, with_id("/ns/shared/sa/shared")),
)

MAXIMUM_LOWERED = Fault(
    name="maximum-ttl-lowered",
    description="The workload identity's maximum lifetime was lowered to 5 minutes; certificates of before live on.",
    touches="Teleport workload_identity/istio-workloads",
    undo=CREATED_AGAIN,
    breaks=frozenset({"ID-04", "ID-11"}),
    reach=reach.RESOURCES | {"ID-03"},
    inject=replaced(IDENTITY, _with_maximum("300s")),
)

FOREIGN_JWKS = Fault(
    name="jwks-of-another-cluster",
    description="The join token holds keys that this cluster does not sign with, another cluster's or its own of before a"
    " change; tbot runs on until it has to join again.",
    touches="Teleport token/istio-tbot-k8s-join",
    undo="The token is created again with this cluster's JWKS.",
    breaks=frozenset({"INST-09", "INST-10", "CHK-2"}),
    reach=reach.RESOURCES,
    inject=_token(_with_foreign_keys),
)

PLACEHOLDER_LEFT = Fault(
    name="placeholder-in-the-token",
    description="The join token was created from the template as it is: its JWKS is the literal placeholder; tbot runs on"
    " until it has to join again.",
    touches="Teleport token/istio-tbot-k8s-join",
    undo="The token is created again with this cluster's JWKS.",
    breaks=frozenset({"INST-09", "INST-10", "CHK-2"}),
    reach=reach.RESOURCES,
    inject=_token(_with_kubernetes(static_jwks={"jwks": LITERAL_PLACEHOLDER})),
)

UNMADE_BOT = Fault(
    name="token-for-a-bot-nobody-made",
    description="The join token names a bot that nobody created, as in the guide; tbot runs on until it has to join again.",
    touches="Teleport token/istio-tbot-k8s-join",
    undo="The token is created again.",
    breaks=frozenset({"INST-10", "CHK-2"}),
    reach=reach.RESOURCES,
    inject=_token(_with_spec(bot_name="istio-tbot-of-the-guide")),
)

OTHER_ACCOUNT = Fault(
    name="token-for-another-service-account",
    description="The join token allows another service account than tbot's; tbot runs on until it has to join again.",
    touches="Teleport token/istio-tbot-k8s-join",
    undo="The token is created again.",
    breaks=frozenset({"INST-10", "CHK-2"}),
    reach=reach.RESOURCES,
    inject=_token(_with_kubernetes(allow=[{"service_account": "default:tbot"}])),
)

WIDENED = Fault(
    name="token-for-two-service-accounts",
    description="The join token allows another service account beside tbot's, which can join as the bot.",
    touches="Teleport token/istio-tbot-k8s-join",
    undo="The token is created again.",
    breaks=frozenset({"INST-10", "CHK-2", "NEG-06"}),
    reach=reach.RESOURCES,
    inject=_widened,
)

ROLE_TAKEN_AWAY = Fault(
    name="role-taken-from-bot",
    description="The bot has lost its role: nothing is issued any more, and tbot's log stays clean.",
    touches="Teleport bot/istio-tbot",
    undo=CREATED_AGAIN,
    breaks=frozenset({"INST-10", "INST-14", "CHK-2"}),
    reach=reach.RESOURCES | reach.AGENT,
    inject=replaced(BOT, _without_roles),
)

EVERY_LABEL = Fault(
    name="role-for-every-label",
    description="The role matches workload identities by the label *.",
    touches="Teleport role/istio-workload-identity-issuer",
    undo=CREATED_AGAIN,
    breaks=frozenset({"INST-11", "CHK-3"}),
    reach=reach.RESOURCES,
    inject=replaced(ROLE, _with_labels({"*": ["*"]})),
)

FOR_PRODUCTION = Fault(
    name="role-for-production",
    description="The role matches env: prod, and the workload identity is env: dev: nothing is issued any more.",
    touches="Teleport role/istio-workload-identity-issuer",
    undo=CREATED_AGAIN,
    breaks=frozenset({"INST-11", "INST-14", "CHK-3"}),
    reach=reach.RESOURCES,
    inject=replaced(ROLE, _with_labels({"env": ["prod"]})),
)
