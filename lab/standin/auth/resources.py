"""The resources that ``tctl`` creates: which kinds there are, and what makes one acceptable."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.standin.auth import expression
from lab.standin.failure import Kind, Refusal, within

Document = dict[str, Any]

_MAX_X509_TTL = 14 * 24 * 3600
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")
_OPERATORS = ("eq", "not_eq", "in", "not_in")


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """One kind of resource.

    Attributes:
        name: as in ``kind:``.
        plural: the other name that ``tctl`` takes.
        label: how messages call it.
        versions: the acceptable values of ``version:``.
        check: raises :class:`~lab.standin.failure.Refusal` for a document that Teleport would refuse.
        creatable: whether ``tctl create`` may make one.
    """

    name: str
    plural: str
    label: str
    versions: tuple[str, ...]
    check: Callable[[Document], None]
    creatable: bool = True


def _check_token(document: Document) -> None:
    spec = _spec(document)
    method = spec.get("join_method")
    if method != "kubernetes":
        raise Refusal(
            Kind.NOT_IMPLEMENTED,
            f'join_method "{method}" is not part of the stand-in for Teleport, it joins by "kubernetes" only',
        )
    if "Bot" in _strings(spec, "roles", required=True) and not spec.get("bot_name"):
        raise Refusal(Kind.BAD_PARAMETER, 'token with role "Bot" must set bot_name')
    kubernetes = spec.get("kubernetes")
    if not isinstance(kubernetes, Mapping):
        raise Refusal(Kind.BAD_PARAMETER, '"kubernetes" configuration must be provided for join method "kubernetes"')
    allow = kubernetes.get("allow")
    if not isinstance(allow, list) or not allow:
        raise Refusal(Kind.BAD_PARAMETER, "allow: at least one rule must be set")
    for index, rule in enumerate(allow):
        account = rule.get("service_account") if isinstance(rule, Mapping) else None
        if not isinstance(account, str) or len(account.split(":")) != 2:
            raise Refusal(
                Kind.BAD_PARAMETER,
                f'allow[{index}].service_account: should be in format "namespace:service_account", got "{account}"',
            )
    match kubernetes.get("type", "in_cluster"):
        case "in_cluster" | "":
            return
        case "static_jwks":
            static = kubernetes.get("static_jwks")
            if not isinstance(static, Mapping) or not static.get("jwks"):
                raise Refusal(Kind.BAD_PARAMETER, 'static_jwks.jwks: must be set when type is "static_jwks"')
        case "oidc":
            raise Refusal(Kind.NOT_IMPLEMENTED, 'kubernetes join type "oidc" is not part of the stand-in for Teleport')
        case other:
            raise Refusal(Kind.BAD_PARAMETER, f'unrecognized kubernetes join type "{other}"')


def _check_role(document: Document) -> None:
    spec = _spec(document)
    for side in ("allow", "deny"):
        conditions = spec.get(side) or {}
        if not isinstance(conditions, Mapping):
            raise Refusal(Kind.BAD_PARAMETER, f"spec.{side} must be a mapping")
        labels = conditions.get("workload_identity_labels") or {}
        if not isinstance(labels, Mapping):
            raise Refusal(Kind.BAD_PARAMETER, f"spec.{side}.workload_identity_labels must be a mapping")
        for rule in conditions.get("rules") or []:
            if not isinstance(rule, Mapping) or not rule.get("resources") or not rule.get("verbs"):
                raise Refusal(Kind.BAD_PARAMETER, f"spec.{side}.rules: a rule needs resources and verbs")


def _check_workload_identity(document: Document) -> None:
    spiffe = _spec(document).get("spiffe")
    identifier = spiffe.get("id") if isinstance(spiffe, Mapping) else None
    if not isinstance(spiffe, Mapping) or not identifier:
        raise Refusal(Kind.BAD_PARAMETER, "spec.spiffe.id: is required")
    if not isinstance(identifier, str) or not identifier.startswith("/"):
        raise Refusal(Kind.BAD_PARAMETER, "spec.spiffe.id: must start with a /")
    expression.check_template(identifier)
    x509 = spiffe.get("x509") or {}
    maximum = x509.get("maximum_ttl")
    if maximum is not None and not 0 < seconds(maximum, "spec.spiffe.x509.maximum_ttl") <= _MAX_X509_TTL:
        raise Refusal(Kind.BAD_PARAMETER, "spec.spiffe.x509.maximum_ttl: must be positive and at most 14 days")
    rules = _spec(document).get("rules") or {}
    if rules.get("deny"):
        raise Refusal(Kind.BAD_PARAMETER, "spec.rules.deny: deny rules are not implemented")
    for index, rule in enumerate(rules.get("allow") or []):
        with within(f"spec.rules.allow[{index}]"):
            _check_rule(rule)


def _check_rule(rule: Mapping[str, Any]) -> None:
    text, conditions = rule.get("expression"), rule.get("conditions")
    if bool(text) == bool(conditions):
        raise Refusal(Kind.BAD_PARAMETER, "exactly one of expression and conditions must be set")
    if text:
        expression.parse(str(text))
    for condition in conditions or []:
        if not condition.get("attribute"):
            raise Refusal(Kind.BAD_PARAMETER, "conditions: attribute must be non-empty")
        if sum(operator in condition for operator in _OPERATORS) != 1:
            raise Refusal(
                Kind.BAD_PARAMETER, f"conditions: exactly one operator of {', '.join(_OPERATORS)} must be specified"
            )


def _check_bot(document: Document) -> None:
    _strings(_spec(document), "roles", required=False)


def _check_nothing(_document: Document) -> None:
    return


KINDS = (
    ResourceKind("token", "tokens", "provision_token", ("v2",), _check_token),
    ResourceKind("role", "roles", "role", ("v3", "v4", "v5", "v6", "v7", "v8"), _check_role),
    ResourceKind("workload_identity", "workload_identities", "workload_identity", ("v1",), _check_workload_identity),
    ResourceKind("bot", "bots", "bot", ("v1",), _check_bot),
    ResourceKind("bot_instance", "bot_instances", "bot_instance", ("v1",), _check_nothing, creatable=False),
)


def kind_of(name: str) -> ResourceKind:
    """The kind that ``tctl`` means by ``name``, singular or plural.

    Raises:
        Refusal: the stand-in does not have it.
    """
    for kind in KINDS:
        if name in (kind.name, kind.plural):
            return kind
    known = ", ".join(kind.name for kind in KINDS)
    raise Refusal(Kind.BAD_PARAMETER, f'kind "{name}" is not part of the stand-in for Teleport, it has {known}')


def checked(document: Any) -> tuple[ResourceKind, Document]:
    """The kind of ``document`` and the document as it is kept: with a revision, unknown keys untouched.

    Raises:
        Refusal: Teleport would not accept it.
    """
    if not isinstance(document, dict) or not document.get("kind"):
        raise Refusal(Kind.BAD_PARAMETER, "expected a resource with kind, version, metadata and spec")
    kind = kind_of(str(document["kind"]))
    if not kind.creatable:
        raise Refusal(Kind.NOT_IMPLEMENTED, f"creating resources of type {kind.name!r} is not supported")
    if document.get("version") not in kind.versions:
        raise Refusal(
            Kind.BAD_PARAMETER,
            f'{kind.name} version "{document.get("version")}" is not supported, expected {" or ".join(kind.versions)}',
        )
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise Refusal(Kind.BAD_PARAMETER, "metadata.name: is required")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if labels is not None and not isinstance(labels, Mapping):
        raise Refusal(Kind.BAD_PARAMETER, "metadata.labels: must be a mapping")
    kind.check(document)
    return kind, {**document, "metadata": {**(metadata or {}), "revision": str(uuid.uuid4())}}


def seconds(value: object, key: str) -> float:
    """A duration in the form that protobuf gives it in YAML, ``3600s``.

    Raises:
        Refusal: it is of another form.
    """
    match = _SECONDS.fullmatch(str(value))
    if match is None:
        raise Refusal(Kind.BAD_PARAMETER, f'{key}: expected seconds such as "3600s", got "{value}"')
    return float(match.group(1))


def _spec(document: Document) -> Mapping[str, Any]:
    spec = document.get("spec")
    if not isinstance(spec, Mapping):
        raise Refusal(Kind.BAD_PARAMETER, "spec: is required")
    return spec


def _strings(spec: Mapping[str, Any], key: str, *, required: bool) -> list[str]:
    value = spec.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refusal(Kind.BAD_PARAMETER, f"spec.{key}: must be a list of names")
    if required and not value:
        raise Refusal(Kind.BAD_PARAMETER, f"spec.{key}: must not be empty")
    return value
