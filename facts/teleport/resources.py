"""Teleport's resources and public answers.

The resource parsers take the decoded JSON of ``tctl get KIND/NAME --format=json``: a list of one resource, or the resource
itself. Source: Teleport's documentation of each resource (token v2, role v7, workload_identity v1, bot v1, bot_instance v1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from facts.document import damaged, mappings, maybe, need, text_map, texts, when
from facts.teleport.tbot_config import parse_duration
from facts.versions import Version

DEFAULT_MAXIMUM_TTL = 86400.0
"""Seconds; what Teleport takes where a workload_identity names no maximum_ttl."""

BACKDATED = timedelta(minutes=1)
"""Teleport puts the start of each SVID this far into the past."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The public answer of Teleport's proxy.

    Attributes:
        cluster_name: Name of the Teleport cluster; it is the SPIFFE trust domain.
        server_version: Version of the proxy.
        stand_in: It says of itself that it is the lab's stand-in, not Teleport.
        evidence: Ids of the readings.
    """

    cluster_name: str
    server_version: Version
    stand_in: bool
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """What ``tctl status`` says.

    Attributes:
        cluster_name: Name of the Teleport cluster.
        version: Version of the Auth service.
        ca_pins: SHA-256 pins of the host CA.
        spiffe_rotation: The rotation cell of the row ``spiffe`` as it stands there; empty when there is no such row.
        evidence: Ids of the readings.
    """

    cluster_name: str
    version: Version
    ca_pins: tuple[str, ...]
    spiffe_rotation: str
    evidence: tuple[str, ...] = ()

    @property
    def spiffe_phase(self) -> str:
        """``standby``, ``init``, ``update_clients``, ``update_servers`` or ``rollback``; empty when there is no row."""
        if not self.spiffe_rotation:
            return ""
        named = re.search(r"phase:\s*(\w+)", self.spiffe_rotation)
        return named[1] if named else "standby"


@dataclass(frozen=True, slots=True)
class NoSession:
    """An admin tctl was given, and ``tctl status`` does not work with it.

    Attributes:
        said: tctl's own words.
        expired: They speak of a session that has ended or was never begun.
        evidence: Ids of the readings.
    """

    said: str
    expired: bool
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A token resource.

    Attributes:
        name: Its name.
        roles: System roles, e.g. ``Bot``.
        join_method: E.g. ``kubernetes``.
        bot_name: The bot that it is for.
        kubernetes_type: ``in_cluster``, ``static_jwks`` or ``oidc``; Teleport takes ``in_cluster`` where none is given.
        allow: Service accounts as ``namespace:name``.
        jwks_text: Of static_jwks, as it stands there; public keys.
        oidc_issuer: Of oidc.
        expires: RFC 3339; empty for never.
        revision: Teleport's revision of the resource.
        evidence: Ids of the readings.
    """

    name: str
    roles: tuple[str, ...]
    join_method: str
    bot_name: str
    kubernetes_type: str
    allow: tuple[str, ...]
    jwks_text: str
    oidc_issuer: str
    expires: str
    revision: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleRule:
    """What a role may do with resources, and the condition (``where``) under which alone it may; empty for always."""

    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """A role.

    Attributes:
        name: Its name.
        labels: ``allow.workload_identity_labels``: for each key the values that match.
        labels_expression: ``allow.workload_identity_labels_expression``.
        rules: ``allow.rules``.
        revision: Teleport's revision of the resource.
        evidence: Ids of the readings.
        denials: Fields of ``deny`` that take workload identities away again, e.g. ``rules``.
        other_access: Fields of ``allow`` that open something else, e.g. ``node_labels``.
    """

    name: str
    labels: Mapping[str, tuple[str, ...]]
    labels_expression: str
    rules: tuple[RoleRule, ...]
    revision: str
    evidence: tuple[str, ...] = ()
    denials: tuple[str, ...] = ()
    other_access: tuple[str, ...] = ()

    def verbs_on(self, resource: str) -> frozenset[str]:
        """All verbs that it allows on a kind of resource; ``*`` stands for all."""
        return frozenset(v for r in self.rules if resource in r.resources or "*" in r.resources for v in r.verbs)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether its workload_identity_labels select a resource with these labels (``*`` selects everything)."""
        return selects(self.labels, labels)


def selects(wanted: Mapping[str, tuple[str, ...]], labels: Mapping[str, str]) -> bool:
    """Whether a label selector of Teleport takes a resource with these labels; ``*`` takes everything, an empty one nothing.

    Args:
        wanted: For each key the values that match.
        labels: Of the resource.
    """
    return bool(wanted) and all(
        ("*" in values) if key == "*" else (key in labels and ("*" in values or labels[key] in values))
        for key, values in wanted.items()
    )


@dataclass(frozen=True, slots=True)
class Attribute:
    """One condition of a rule: `attribute` compared by `operator` (``eq``, ``not_eq``, ``in``, ``not_in``) with `values`."""

    attribute: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllowRule:
    """One allow rule of a workload identity: an expression, or conditions that all must be met."""

    expression: str
    conditions: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class WorkloadIdentity:
    """A workload_identity resource.

    Attributes:
        name: Its name.
        labels: Labels that roles and label selectors match.
        spiffe_id: The template of the path, e.g. ``/ns/{{ workload.kubernetes.namespace }}/sa/…``.
        hint: Template of the hint.
        rules: Allow rules, of which one must be met; none means that every caller whose role matches gets it.
        maximum_ttl: Seconds; None when not given, then Teleport takes `DEFAULT_MAXIMUM_TTL`.
        dns_sans: Templates of DNS names.
        revision: Teleport's revision of the resource.
        evidence: Ids of the readings.
    """

    name: str
    labels: Mapping[str, str]
    spiffe_id: str
    hint: str
    rules: tuple[AllowRule, ...]
    maximum_ttl: float | None
    dns_sans: tuple[str, ...]
    revision: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot and its roles."""

    name: str
    roles: tuple[str, ...]
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BotInstance:
    """A running (or past) tbot, as Teleport knows it.

    Attributes:
        id: Its id.
        bot_name: Its bot.
        version: Of tbot, from the latest heartbeat; None when there was no heartbeat yet.
        hostname: Of the machine or pod it runs in, from the latest heartbeat.
        last_heartbeat: UTC; None when there was none.
        join_method: How it joined.
        joined_at: UTC time of its first authentication; None when not given.
        joined_as: The service account that it joined with, as ``namespace:name``; empty for other methods than kubernetes.
        joined_from: The pod that it joined from; likewise.
        evidence: Ids of the readings.
    """

    id: str
    bot_name: str
    version: Version | None
    hostname: str
    last_heartbeat: datetime | None
    join_method: str
    joined_at: datetime | None
    joined_as: str = ""
    joined_from: str = ""
    evidence: tuple[str, ...] = ()

    def is_of(self, service_account: str, pod: str) -> bool:
        """Whether a service account (``namespace:name``) or a pod has joined as this; host names come with heartbeats."""
        return service_account == self.joined_as or (bool(pod) and pod in (self.joined_from, self.hostname))


def parse_ping(document: Any, evidence: tuple[str, ...] = ()) -> Ping:
    """Reads the JSON of ``/webapi/ping``.

    Raises:
        CouldNotTell: It does not name the cluster and the version.
    """
    where = "/webapi/ping"
    return Ping(
        cluster_name=need(document, "cluster_name", str, where),
        server_version=Version.parse(need(document, "server_version", str, where), where),
        stand_in=bool(document.get("stand_in")),
        evidence=evidence,
    )


def parse_status(text: str, evidence: tuple[str, ...] = ()) -> ClusterStatus:
    """Reads the text of ``tctl status``; the spelling with and without colons is understood.

    Raises:
        CouldNotTell: It does not name the cluster and the version.
    """
    where = "tctl status"
    found: dict[str, str] = {}
    for line in text.splitlines():
        labelled = re.match(r"(Cluster|Version)(?::\s*|\s{2,})(\S+)", line)
        if labelled:
            found.setdefault(labelled[1], labelled[2])
    for name in ("Cluster", "Version"):
        if name not in found:
            raise damaged(f"a line that starts with {name}", repr(text[:80]), where)
    pins = re.findall(r"sha256:[0-9a-f]{64}", text)
    return ClusterStatus(
        found["Cluster"], Version.parse(found["Version"], where), tuple(pins), _rotation_cell(text.splitlines()), evidence
    )


def _rotation_cell(lines: list[str]) -> str:
    """The cell under ``rotation`` in the row ``spiffe``: cells hold blanks, so the header's columns say where it ends."""
    for number, header in enumerate(lines):
        columns = [(m[0], m.start()) for m in re.finditer(r"\S+", header)]
        names = [name.lower() for name, _start in columns]
        if names[:2] == ["authority", "rotation"]:
            start, end = columns[1][1], columns[2][1] if len(columns) > 2 else None
            return next((line[start:end].strip() for line in lines[number + 1 :] if line.split()[:1] == ["spiffe"]), "")
    return ""


def parse_join_token(document: Any, evidence: tuple[str, ...] = ()) -> JoinToken:
    """Reads a token resource.

    Raises:
        CouldNotTell: It is none, or a field is damaged.
    """
    token, where = _one(document, "token")
    kubernetes = maybe(token, "spec.kubernetes", dict[str, Any](), where)
    return JoinToken(
        name=need(token, "metadata.name", str, where),
        roles=texts(token, "spec.roles", where),
        join_method=maybe(token, "spec.join_method", "token", where),
        bot_name=maybe(token, "spec.bot_name", "", where),
        kubernetes_type=(maybe(kubernetes, "type", "", where) or "in_cluster") if kubernetes else "",
        allow=tuple(maybe(rule, "service_account", "", where) for rule in mappings(kubernetes, "allow", where)),
        jwks_text=maybe(kubernetes, "static_jwks.jwks", "", where),
        oidc_issuer=maybe(kubernetes, "oidc.issuer", "", where),
        expires=maybe(token, "metadata.expires", "", where),
        revision=maybe(token, "metadata.revision", "", where),
        evidence=evidence,
    )


def parse_role(document: Any, evidence: tuple[str, ...] = ()) -> Role:
    """Reads a role resource.

    Raises:
        CouldNotTell: It is none, or a field is damaged.
    """
    role, where = _one(document, "role")
    allow = maybe(role, "spec.allow", dict[str, Any](), where)
    labels = maybe(allow, "workload_identity_labels", dict[str, Any](), where)
    return Role(
        name=need(role, "metadata.name", str, where),
        labels={key: texts(labels, [key], where) for key in labels},
        labels_expression=maybe(allow, "workload_identity_labels_expression", "", where),
        rules=tuple(
            RoleRule(texts(rule, "resources", where), texts(rule, "verbs", where), maybe(rule, "where", "", where))
            for rule in mappings(allow, "rules", where)
        ),
        revision=maybe(role, "metadata.revision", "", where),
        evidence=evidence,
        denials=_denials(role, where),
        other_access=tuple(key for key in allow if allow[key] and key not in _ISSUES and _OPENS.search(key)),
    )


_ISSUES = ("workload_identity_labels", "workload_identity_labels_expression")
# What opens access is selected by labels or is impersonation. Teleport itself fills in other fields, such as namespaces and
# kubernetes_resources, which give nothing without them.
_OPENS = re.compile(r"_labels(_expression)?$|^impersonate$")


def _denials(role: Any, where: str) -> tuple[str, ...]:
    deny = maybe(role, "spec.deny", dict[str, Any](), where)
    rules = [r for rule in mappings(deny, "rules", where) for r in texts(rule, "resources", where)]
    denied = [key for key in _ISSUES if deny.get(key)]
    return (*denied, *(["rules"] if {"workload_identity", "*"} & {*rules} else []))


def parse_workload_identity(document: Any, evidence: tuple[str, ...] = ()) -> WorkloadIdentity:
    """Reads a workload_identity resource.

    Raises:
        CouldNotTell: It is none, or a field is damaged.
    """
    identity, where = _one(document, "workload_identity")
    ttl = maybe(identity, "spec.spiffe.x509.maximum_ttl", "", where)
    return WorkloadIdentity(
        name=need(identity, "metadata.name", str, where),
        labels=text_map(identity, "metadata.labels", where),
        spiffe_id=need(identity, "spec.spiffe.id", str, where),
        hint=maybe(identity, "spec.spiffe.hint", "", where),
        rules=tuple(
            AllowRule(
                expression=maybe(rule, "expression", "", where),
                conditions=tuple(_condition(c, where) for c in mappings(rule, "conditions", where)),
            )
            for rule in mappings(identity, "spec.rules.allow", where)
        ),
        maximum_ttl=parse_duration(ttl, where) if ttl else None,
        dns_sans=texts(identity, "spec.spiffe.x509.dns_sans", where),
        revision=maybe(identity, "metadata.revision", "", where),
        evidence=evidence,
    )


def parse_workload_identities(document: Any, evidence: tuple[str, ...] = ()) -> tuple[WorkloadIdentity, ...]:
    """Reads all workload_identity resources of ``tctl get workload_identity --format=json``.

    Raises:
        CouldNotTell: One of them is damaged.
    """
    if not isinstance(document, list):
        raise damaged("a list of workload_identity resources", type(document).__name__, "tctl get workload_identity")
    return tuple(parse_workload_identity(entry, evidence) for entry in document)


def parse_bot(document: Any, evidence: tuple[str, ...] = ()) -> Bot:
    """Reads a bot resource.

    Raises:
        CouldNotTell: It is none, or a field is damaged.
    """
    bot, where = _one(document, "bot")
    return Bot(need(bot, "metadata.name", str, where), texts(bot, "spec.roles", where), evidence)


def parse_bot_instances(document: Any, evidence: tuple[str, ...] = ()) -> tuple[BotInstance, ...]:
    """Reads all bot_instance resources of ``tctl get bot_instance --format=json``.

    Raises:
        CouldNotTell: One of them is damaged.
    """
    if not isinstance(document, list):
        raise damaged("a list of bot_instance resources", type(document).__name__, "tctl get bot_instance")
    return tuple(_bot_instance(entry, evidence) for entry in document)


def _bot_instance(entry: Any, evidence: tuple[str, ...]) -> BotInstance:
    instance, where = _one(entry, "bot_instance")
    status = maybe(instance, "status", dict[str, Any](), where)
    # The latest are a queue, oldest first; the initial one is kept apart and is all there is after a start.
    beats = [*mappings(status, "latest_heartbeats", where)]
    beat = beats[-1] if beats else maybe(status, "initial_heartbeat", dict[str, Any](), where)
    version, recorded = maybe(beat, "version", "", where), maybe(beat, "recorded_at", "", where)
    joined = maybe(status, "initial_authentication.authenticated_at", "", where)
    attributes = maybe(status, "initial_authentication.join_attrs.kubernetes", dict[str, Any](), where)
    account = [maybe(attributes, f"service_account.{part}", "", where) for part in ("namespace", "name")]
    return BotInstance(
        id=maybe(instance, "spec.instance_id", "", where) or need(instance, "metadata.name", str, where),
        bot_name=need(instance, "spec.bot_name", str, where),
        version=Version.parse(version, where) if version else None,
        hostname=maybe(beat, "hostname", "", where),
        last_heartbeat=when(recorded, where) if recorded else None,
        join_method=maybe(beat, "join_method", "", where) or maybe(status, "initial_authentication.join_method", "", where),
        joined_at=when(joined, where) if joined else None,
        joined_as=":".join(account) if all(account) else "",
        joined_from=maybe(attributes, "pod.name", "", where),
        evidence=evidence,
    )


def _condition(condition: Any, where: str) -> Attribute:
    attribute = need(condition, "attribute", str, where)
    for operator in ("eq", "not_eq", "in", "not_in"):
        if operator in condition:
            one = maybe(condition, f"{operator}.value", "", where)
            return Attribute(attribute, operator, (one,) if one else texts(condition, f"{operator}.values", where))
    raise damaged("a condition with eq, not_eq, in or not_in", f"{sorted(condition)}", where)


def _one(document: Any, kind: str) -> tuple[Mapping[str, Any], str]:
    if isinstance(document, list):
        if len(document) != 1:
            raise damaged(f"one {kind} resource", f"{len(document)} resources", f"tctl get {kind}")
        document = document[0]
    seen = need(document, "kind", str, f"tctl get {kind}")
    if seen != kind:
        raise damaged(f"a resource of kind {kind}", seen, f"tctl get {kind}")
    return document, f"{kind} {maybe(document, 'metadata.name', '', kind)}"
