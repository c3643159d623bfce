"""The resources that ``tctl`` creates: which kinds there are, and what makes one acceptable."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.standin import durations, shapes
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
    spec = shapes.mapping(document, "spec")
    method = shapes.text(spec, "join_method")
    if method != "kubernetes":
        raise Refusal(
            Kind.NOT_IMPLEMENTED,
            f'join_method "{method}" is not part of the stand-in for Teleport, it joins by "kubernetes" only',
        )
    roles = shapes.texts(spec, "roles")
    if not roles:
        raise Refusal(Kind.BAD_PARAMETER, "spec.roles: must not be empty")
    if "Bot" in roles and not shapes.text(spec, "bot_name"):
        raise Refusal(Kind.BAD_PARAMETER, 'token with role "Bot" must set bot_name')
    kubernetes = shapes.mapping(spec, "kubernetes")
    if not kubernetes:
        raise Refusal(Kind.BAD_PARAMETER, '"kubernetes" configuration must be provided for join method "kubernetes"')
    allow = shapes.mappings(kubernetes, "allow")
    if not allow:
        raise Refusal(Kind.BAD_PARAMETER, "allow: at least one rule must be set")
    for index, rule in enumerate(allow):
        account = shapes.text(rule, "service_account")
        if len(account.split(":")) != 2:
            raise Refusal(
                Kind.BAD_PARAMETER,
                f'allow[{index}].service_account: should be in format "namespace:service_account", got "{account}"',
            )
    match shapes.text(kubernetes, "type", "in_cluster"):
        case "in_cluster" | "":
            return
        case "static_jwks":
            if not shapes.text(shapes.mapping(kubernetes, "static_jwks"), "jwks"):
                raise Refusal(Kind.BAD_PARAMETER, 'static_jwks.jwks: must be set when type is "static_jwks"')
        case "oidc":
            raise Refusal(Kind.NOT_IMPLEMENTED, 'kubernetes join type "oidc" is not part of the stand-in for Teleport')
        case other:
            raise Refusal(Kind.BAD_PARAMETER, f'unrecognized kubernetes join type "{other}"')


def _check_role(document: Document) -> None:
    spec = shapes.mapping(document, "spec")
    for side in ("allow", "deny"):
        conditions = shapes.mapping(spec, side)
        labels = shapes.mapping(conditions, "workload_identity_labels")
        for key, value in labels.items():
            for pattern in shapes.texts(labels, key) if isinstance(value, list) else [shapes.text(labels, key)]:
                _check_pattern(pattern)
        for rule in shapes.mappings(conditions, "rules"):
            if not shapes.texts(rule, "resources") or not shapes.texts(rule, "verbs"):
                raise Refusal(Kind.BAD_PARAMETER, f"spec.{side}.rules: a rule needs resources and verbs")


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        if pattern.startswith("^"):
            raise Refusal(Kind.BAD_PARAMETER, f'label value "{pattern}"', str(error)) from error


def _check_workload_identity(document: Document) -> None:
    spec = shapes.mapping(document, "spec")
    spiffe = shapes.mapping(spec, "spiffe")
    identifier = shapes.text(spiffe, "id")
    if not identifier:
        raise Refusal(Kind.BAD_PARAMETER, "spec.spiffe.id: is required")
    if not identifier.startswith("/"):
        raise Refusal(Kind.BAD_PARAMETER, "spec.spiffe.id: must start with a /")
    x509 = shapes.mapping(spiffe, "x509")
    subject = shapes.mapping(x509, "subject_template")
    templates = [identifier, shapes.text(spiffe, "hint"), *shapes.texts(x509, "dns_sans")]
    templates += [shapes.text(subject, key) for key in subject]
    for template in templates:
        expression.check_template(template)
    maximum = shapes.text(x509, "maximum_ttl")
    if maximum and not 0 < seconds(maximum, "spec.spiffe.x509.maximum_ttl") <= _MAX_X509_TTL:
        raise Refusal(Kind.BAD_PARAMETER, "spec.spiffe.x509.maximum_ttl: must be positive and at most 14 days")
    rules = shapes.mapping(spec, "rules")
    if shapes.items(rules, "deny"):
        raise Refusal(Kind.BAD_PARAMETER, "spec.rules.deny: deny rules are not implemented")
    for index, rule in enumerate(shapes.mappings(rules, "allow")):
        with within(f"spec.rules.allow[{index}]"):
            _check_rule(rule)


def _check_rule(rule: Mapping[str, Any]) -> None:
    source, conditions = shapes.text(rule, "expression"), shapes.mappings(rule, "conditions")
    if bool(source) == bool(conditions):
        raise Refusal(Kind.BAD_PARAMETER, "exactly one of expression and conditions must be set")
    if source:
        expression.parse(source)
    for condition in conditions:
        _check_condition(condition)


def _check_condition(condition: Mapping[str, Any]) -> None:
    attribute = shapes.text(condition, "attribute")
    if not attribute:
        raise Refusal(Kind.BAD_PARAMETER, "conditions: attribute must be non-empty")
    expression.parse(attribute)
    operators = [operator for operator in _OPERATORS if operator in condition]
    if len(operators) != 1:
        raise Refusal(Kind.BAD_PARAMETER, f"conditions: exactly one operator of {', '.join(_OPERATORS)} must be specified")
    operand = shapes.mapping(condition, operators[0])
    if operators[0] in ("in", "not_in"):
        shapes.texts(operand, "values")
    else:
        shapes.text(operand, "value")
    if not operand:
        raise Refusal(Kind.BAD_PARAMETER, f"conditions: {operators[0]} needs a value")


def _check_bot(document: Document) -> None:
    shapes.texts(shapes.mapping(document, "spec"), "roles")


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
    kind = kind_of(shapes.text(document, "kind"))
    if not kind.creatable:
        raise Refusal(Kind.NOT_IMPLEMENTED, f"creating resources of type {kind.name!r} is not supported")
    if document.get("version") not in kind.versions:
        raise Refusal(
            Kind.BAD_PARAMETER,
            f'{kind.name} version "{document.get("version")}" is not supported, expected {" or ".join(kind.versions)}',
        )
    if document.get("scope"):
        raise Refusal(Kind.NOT_IMPLEMENTED, "scope: not part of the stand-in for Teleport")
    metadata = shapes.mapping(document, "metadata")
    if not shapes.text(metadata, "name"):
        raise Refusal(Kind.BAD_PARAMETER, "metadata.name: is required")
    labels = shapes.mapping(metadata, "labels")
    for label in labels:
        shapes.text(labels, label)
    if not shapes.mapping(document, "spec") and kind.name != "bot":
        raise Refusal(Kind.BAD_PARAMETER, "spec: is required")
    kind.check(document)
    kept = {**metadata, "name": shapes.text(metadata, "name"), "revision": str(uuid.uuid4())}
    if metadata.get("expires") is not None:
        with within("metadata.expires"):
            kept["expires"] = durations.rfc3339(durations.moment(metadata["expires"]))
    return kind, {**document, "metadata": kept, "spec": dict(shapes.mapping(document, "spec"))}


def seconds(value: object, key: str) -> float:
    """A duration in the form that protobuf gives it in YAML, ``3600s``.

    Raises:
        Refusal: it is of another form.
    """
    match = _SECONDS.fullmatch(str(value))
    if match is None:
        raise Refusal(Kind.BAD_PARAMETER, f'{key}: expected seconds such as "3600s", got "{value}"')
    return float(match.group(1))
