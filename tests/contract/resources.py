"""The guide's resources, as documents to change and to give to ``tctl create``."""

from __future__ import annotations

from typing import Any

import yaml

from tests.contract.node import ServiceAccountKeys

CLUSTER = "teleport.example.com"
ROLE, BOT, TOKEN, IDENTITY = "istio-workload-identity-issuer", "istio-tbot", "istio-tbot-k8s-join", "istio-workloads"


def token(keys: ServiceAccountKeys, name: str = TOKEN, **spec: Any) -> dict[str, Any]:
    """The join token with these keys; ``spec`` replaces parts of ``spec.kubernetes``, ``bot_name`` the bot."""
    bot = spec.pop("bot_name", BOT)
    kubernetes = {
        "type": "static_jwks",
        "static_jwks": {"jwks": keys.jwks},
        "allow": [{"service_account": "teleport-system:tbot"}],
        **spec,
    }
    return {
        "kind": "token",
        "version": "v2",
        "metadata": {"name": name},
        "spec": {"roles": ["Bot"], "bot_name": bot, "join_method": "kubernetes", "kubernetes": kubernetes},
    }


def role(
    labels: dict[str, Any] | None = None, verbs: tuple[str, ...] = ("list", "read"), name: str = ROLE
) -> dict[str, Any]:
    """The role that may issue identities with ``labels`` (default ``env: [dev]``)."""
    rules = [{"resources": ["workload_identity"], "verbs": list(verbs)}] if verbs else []
    allow = {"workload_identity_labels": {"env": ["dev"]} if labels is None else labels, "rules": rules}
    return {"kind": "role", "version": "v7", "metadata": {"name": name}, "spec": {"allow": allow}}


def bot(*roles: str) -> dict[str, Any]:
    """The bot."""
    return {"kind": "bot", "version": "v1", "metadata": {"name": BOT}, "spec": {"roles": list(roles)}}


def identity(
    name: str = IDENTITY,
    spiffe_id: str = "/ns/{{ workload.kubernetes.namespace }}/sa/{{ workload.kubernetes.service_account }}",
    labels: dict[str, str] | None = None,
    allow: list[dict[str, Any]] | None = None,
    **spiffe: Any,
) -> dict[str, Any]:
    """The workload identity."""
    spec: dict[str, Any] = {"spiffe": {"id": spiffe_id, **spiffe}}
    if allow is not None:
        spec["rules"] = {"allow": allow}
    metadata = {"name": name, "labels": {"env": "dev"} if labels is None else labels}
    return {"kind": "workload_identity", "version": "v1", "metadata": metadata, "spec": spec}


def as_yaml(*documents: dict[str, Any]) -> str:
    """Several documents in one file."""
    return yaml.safe_dump_all(documents)
