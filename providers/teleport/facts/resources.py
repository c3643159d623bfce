"""Teleport's resources and public answers.

The resource parsers take the decoded JSON of ``tctl get KIND/NAME --format=json``: a list of one resource, or the resource
itself. Source: Teleport's documentation of each resource (token v2, role v7, workload_identity v1, bot v1, bot_instance v1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import Field

from facts.declared import At, Declared, Given, ListOf, Many, Read, Selector, Text, TextMap, Texts, mask_of, part, read
from facts.document import damaged, maybe, need, when
from facts.masks import GIVEN, JOIN_NAME, KEYS, LEAF, NAME, OPEN, TEXT, Fields, Mask, NamesIn, OneOrMany, keeps, lines
from facts.redaction import beginning
from facts.versions import Version
from providers.teleport.facts.tbot_config import parse_duration

T = TypeVar("T")

DEFAULT_MAXIMUM_TTL = 86400.0
"""Seconds; what Teleport takes where a workload_identity names no maximum_ttl."""

BACKDATED = timedelta(minutes=1)
"""Teleport puts the start of each SVID this far into the past."""


@dataclass(frozen=True, slots=True)
class Ping(Declared):
    """The public answer of Teleport's proxy.

    Attributes:
        cluster_name: Name of the Teleport cluster; it is the SPIFFE trust domain.
        server_version: Version of the proxy.
        stand_in: The answer says that the lab's stand-in gave it, not Teleport.
        evidence: Ids of the readings.
    """

    cluster_name: Annotated[str, NAME]
    server_version: Annotated[Version, Read(str, Version.parse)]
    stand_in: Given
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The answer of ``tctl status``.

    Attributes:
        cluster_name: Name of the Teleport cluster.
        spiffe_rotation: The rotation cell of the row ``spiffe`` as it stands there; empty when there is no such row.
        evidence: Ids of the readings.
        ca_pins: Digests of the keys of its host authority, as in ``sha256:515a…``; they tell clusters of one name apart.
    """

    cluster_name: str
    spiffe_rotation: str
    evidence: tuple[str, ...] = ()
    ca_pins: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """The cluster's name and pins as one text, for `is_of`."""
        return " ".join((self.cluster_name, *self.ca_pins))

    def is_of(self, identity: str) -> bool:
        """Tell whether an earlier status, of which this is the identity, was of the same cluster.

        A rotation of the host authority changes the pins one by one; without a pin in common it is not known to be the same.
        """
        name, *pins = identity.split() or [""]
        return name == self.cluster_name and (bool({*pins} & {*self.ca_pins}) or not (pins or self.ca_pins))

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
        expired: They speak of a session that ended or never began.
        evidence: Ids of the readings.
    """

    said: str
    expired: bool
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KubernetesRule(Declared):
    """A rule of a token of method kubernetes.

    Attributes:
        service_account: As ``namespace:name``.
    """

    service_account: Annotated[Text, NamesIn(":")]


@dataclass(frozen=True, slots=True)
class _KubernetesJoining(Declared):
    type: Text


def _kubernetes_type(joining: Mapping[str, Any]) -> str:
    return (part(_KubernetesJoining, joining).type or "in_cluster") if joining else ""


_JOINING = mask_of(_KubernetesJoining).merged(KEYS)


@dataclass(frozen=True, slots=True)
class JoinToken(Declared):
    """A token resource.

    Attributes:
        roles: System roles, e.g. ``Bot``.
        join_method: E.g. ``kubernetes``.
        kubernetes_type: ``in_cluster``, ``static_jwks`` or ``oidc``; Teleport takes ``in_cluster`` where none is given.
        allow: Service accounts as ``namespace:name``.
        jwks_text: Of static_jwks, as it stands there; public keys.
        evidence: Ids of the readings.
    """

    name: Annotated[str, At("metadata.name"), JOIN_NAME]
    roles: Annotated[Texts, At("spec.roles")]
    join_method: Annotated[str, Field(default="token"), At("spec.join_method")]
    bot_name: Annotated[Text, At("spec.bot_name")]
    kubernetes_type: Annotated[Text, At("spec.kubernetes"), Read(dict[str, Any], _kubernetes_type), _JOINING]
    allow: Annotated[
        Many[str],
        At("spec.kubernetes.allow"),
        Read(ListOf[KubernetesRule], lambda rules: tuple(rule.service_account for rule in rules)),
    ]
    jwks_text: Annotated[Text, At("spec.kubernetes.static_jwks.jwks")]
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleRule(Declared):
    """A rule of a role: verbs on resources, and the condition (``where``) under which alone it holds; empty for always."""

    resources: Texts
    verbs: Texts
    where: str = ""


_ISSUES = ("workload_identity_labels", "workload_identity_labels_expression")
# What opens access is selected by labels, is impersonation, or is a rule of the older SPIFFE service. Teleport itself fills
# in other fields, such as namespaces and kubernetes_resources, which give nothing without them.
_OPENS = re.compile(r"_labels(_expression)?$|^(impersonate|spiffe)$")


def _other_access(allow: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(key for key in allow if allow[key] and key not in _ISSUES and _OPENS.search(key))


@dataclass(frozen=True, slots=True)
class _DeniedRules(Declared):
    rules: Many[RoleRule]


def _denials(deny: Mapping[str, Any]) -> tuple[str, ...]:
    resources = {resource for rule in part(_DeniedRules, deny).rules for resource in rule.resources}
    return (*(key for key in _ISSUES if deny.get(key)), *(["rules"] if resources & {"workload_identity", "*"} else []))


_DENY = mask_of(_DeniedRules).merged(Fields(dict.fromkeys(_ISSUES, GIVEN)))
_ALLOW = Fields(others=GIVEN)
"""Each key, and whether it opens anything."""


@dataclass(frozen=True, slots=True)
class Role(Declared):
    """A role.

    Attributes:
        labels: ``allow.workload_identity_labels``: for each key the values that match.
        labels_expression: ``allow.workload_identity_labels_expression``.
        rules: ``allow.rules``.
        evidence: Ids of the readings.
        denials: Fields of ``deny`` that take workload identities away again, e.g. ``rules``.
        other_access: Fields of ``allow`` that open something else, e.g. ``node_labels``.
    """

    name: Annotated[str, At("metadata.name")]
    labels: Annotated[Selector, At("spec.allow.workload_identity_labels")]
    labels_expression: Annotated[Text, At("spec.allow.workload_identity_labels_expression")]
    rules: Annotated[Many[RoleRule], At("spec.allow.rules")]
    evidence: tuple[str, ...] = ()
    denials: Annotated[tuple[str, ...], At("spec.deny"), Read(dict[str, Any], _denials), _DENY] = ()
    other_access: Annotated[tuple[str, ...], At("spec.allow"), Read(dict[str, Any], _other_access), _ALLOW] = ()

    def verbs_on(self, resource: str) -> frozenset[str]:
        """All verbs that it allows on a kind of resource; ``*`` stands for all."""
        return frozenset(v for r in self.rules if resource in r.resources or "*" in r.resources for v in r.verbs)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether its workload_identity_labels select a resource with these labels (``*`` selects everything)."""
        return selects(self.labels, labels)


def selects(wanted: Mapping[str, tuple[str, ...]], labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector of Teleport takes a resource; ``*`` takes every resource, an empty selector none.

    Args:
        wanted: For each key the values that match.
        labels: Of the resource.
    """
    return bool(wanted) and all(
        ("*" in values) if key == "*" else (key in labels and ("*" in values or labels[key] in values))
        for key, values in wanted.items()
    )


NAMESPACE_OF_CALLER, ACCOUNT_OF_CALLER = "workload.kubernetes.namespace", "workload.kubernetes.service_account"
"""Attributes of a caller that the Kubernetes attestor knows, and that the API server knows as well."""


@dataclass(frozen=True, slots=True)
class RuleCondition(Declared):
    """One condition of an allow rule: an attribute of the caller, and one of four operators.

    Attributes:
        attribute: The attribute, such as ``workload.kubernetes.namespace``.
        equal: Value of ``eq``; empty where another operator is used.
        unequal: Value of ``not_eq``.
        among: Values of ``in``.
        not_among: Values of ``not_in``.
    """

    attribute: Text
    equal: Annotated[Text, At("eq.value")]
    unequal: Annotated[Text, At("not_eq.value")]
    among: Annotated[Many[str], At("in.values")]
    not_among: Annotated[Many[str], At("not_in.values")]

    def holds_for(self, value: str) -> bool:
        """Tell whether the condition holds for a value of its attribute."""
        if self.equal:
            return value == self.equal
        if self.unequal:
            return value != self.unequal
        return value in self.among if self.among else value not in self.not_among


@dataclass(frozen=True, slots=True)
class AllowRule(Declared):
    """One allow rule of a workload identity.

    Attributes:
        expression: Its expression; empty where it has conditions instead.
        conditions: Its conditions, all of which must hold.
    """

    expression: Text
    conditions: Annotated[Many[RuleCondition], At("conditions")] = ()

    def refuses(self, namespace: str, account: str) -> bool:
        """Tell whether it lets in no pod of a service account, whatever else the pod is; an expression may let it in."""
        caller = {NAMESPACE_OF_CALLER: namespace, ACCOUNT_OF_CALLER: account}
        known = [each for each in self.conditions if each.attribute in caller]
        return not self.expression and not all(each.holds_for(caller[each.attribute]) for each in known)

    def admits(self, namespace: str, account: str) -> bool:
        """Tell whether it lets in every pod of a service account, whatever else the pod is; an expression may not."""
        caller = {NAMESPACE_OF_CALLER: namespace, ACCOUNT_OF_CALLER: account}
        known = all(each.attribute in caller and each.holds_for(caller[each.attribute]) for each in self.conditions)
        return not self.expression and known


def _seconds(text: str) -> float | None:
    return parse_duration(text, "") if text else None


@dataclass(frozen=True, slots=True)
class WorkloadIdentity(Declared):
    """A workload_identity resource.

    Attributes:
        labels: Labels that roles and label selectors match.
        spiffe_id: The template of the path, e.g. ``/ns/{{ workload.kubernetes.namespace }}/sa/…``.
        rules: Allow rules, of which one must be met; none means that every caller whose role matches gets it.
        maximum_ttl: Seconds; None when not given, then Teleport takes `DEFAULT_MAXIMUM_TTL`.
        evidence: Ids of the readings.
        scope: Scope that it belongs to (from 18.8 on), e.g. ``/staging``; its IDs then begin with ``/staging/_/``. Empty
            for the usual one, which belongs to the whole cluster.
    """

    name: Annotated[str, At("metadata.name")]
    labels: Annotated[TextMap, At("metadata.labels"), OPEN]
    spiffe_id: Annotated[str, At("spec.spiffe.id")]
    rules: Annotated[Many[AllowRule], At("spec.rules.allow")]
    maximum_ttl: Annotated[float | None, Field(default=None), At("spec.spiffe.x509.maximum_ttl"), Read(str, _seconds)]
    evidence: tuple[str, ...] = ()
    scope: str = ""

    def refuses(self, namespace: str, account: str) -> bool:
        """Tell whether its rules refuse every pod of a service account."""
        return bool(self.rules) and all(rule.refuses(namespace, account) for rule in self.rules)

    def admits(self, namespace: str, account: str) -> bool:
        """Tell whether its rules let in every pod of a service account."""
        return not self.rules or any(rule.admits(namespace, account) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class WorkloadIdentities:
    """All workload_identity resources.

    Attributes:
        identities: In Teleport's order.
        evidence: Ids of the readings.
    """

    identities: tuple[WorkloadIdentity, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bot(Declared):
    """A bot.

    Attributes:
        roles: Its roles; a scoped bot has none here.
        evidence: Ids of the readings.
        scope: Scope that it belongs to (from 18.8 on); empty for the usual bot, which belongs to the whole cluster.
    """

    name: Annotated[str, At("metadata.name")]
    roles: Annotated[Texts, At("spec.roles")]
    evidence: tuple[str, ...] = ()
    scope: str = ""


@dataclass(frozen=True, slots=True)
class _Timestamp(Declared):
    """A protobuf Timestamp as plain JSON writes it; before about 17.5 the times of bot instances are such."""

    seconds: Annotated[int, Field(ge=0, le=int(datetime.max.replace(tzinfo=UTC).timestamp()))]
    nanos: Annotated[int, Field(default=0, ge=0, lt=10**9)]


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        return when(value, "")
    time = part(_Timestamp, value)
    return datetime.fromtimestamp(time.seconds, UTC) + timedelta(microseconds=time.nanos // 1000)


def _optional_version(text: str) -> Version | None:
    return Version.parse(text) if text else None


@dataclass(frozen=True, slots=True)
class _Heartbeat(Declared):
    version: Annotated[Version | None, Read(str, _optional_version)] = None
    hostname: str = ""
    recorded_at: Annotated[datetime | None, Read(Any, _moment), mask_of(_Timestamp)] = None


@dataclass(frozen=True, slots=True)
class _Heartbeats(Declared):
    initial: Annotated[_Heartbeat, At("status.initial_heartbeat")] = _Heartbeat()
    latest: Annotated[ListOf[_Heartbeat], At("status.latest_heartbeats")] = ()


@dataclass(frozen=True, slots=True)
class _Account(Declared):
    namespace: Text
    name: Text

    def __str__(self) -> str:
        return f"{self.namespace}:{self.name}" if self.namespace and self.name else ""


@dataclass(frozen=True, slots=True)
class BotInstance(Declared):
    """A running (or past) tbot, as Teleport knows it.

    Attributes:
        version: Of tbot, from the latest heartbeat; None when there was no heartbeat yet.
        hostname: Of the machine or pod it runs in, from the latest heartbeat.
        last_heartbeat: UTC; None when there was none.
        joined_as: The service account that it joined with, as ``namespace:name``; empty for other methods than kubernetes.
        joined_from: The pod that it joined from; likewise.
        evidence: Ids of the readings.
    """

    id: Annotated[str, At("spec.instance_id", "metadata.name")]
    bot_name: Annotated[str, At("spec.bot_name")]
    version: Version | None
    hostname: str
    last_heartbeat: datetime | None
    joined_as: Annotated[
        str, At("status.initial_authentication.join_attrs.kubernetes.service_account"), Read(_Account, str)
    ] = ""
    joined_from: Annotated[str, At("status.initial_authentication.join_attrs.kubernetes.pod.name")] = ""
    evidence: tuple[str, ...] = ()

    def is_of(self, service_account: str, pod: str) -> bool:
        """Tell whether a service account (``namespace:name``) or a pod joined as this; host names come with heartbeats."""
        return service_account == self.joined_as or (bool(pod) and pod in (self.joined_from, self.hostname))


def _resource(*kinds: type[Declared]) -> Mask:
    return OneOrMany(Fields({"kind": LEAF}).merged(mask_of(*kinds)))


@keeps(mask_of(Ping))
def parse_ping(document: Any, evidence: tuple[str, ...] = ()) -> Ping:
    """Reads the JSON of ``/webapi/ping``.

    Raises:
        CouldNotTell: It does not name the cluster and the version.
    """
    return read(Ping, document, "/webapi/ping", evidence=evidence)


@keeps(TEXT)
def parse_status(text: str, evidence: tuple[str, ...] = ()) -> ClusterStatus:
    """Reads the text of ``tctl status``; the spelling with and without colons is understood.

    Raises:
        CouldNotTell: It does not name the cluster and the version.
    """
    where = "tctl status"
    found: dict[str, str] = {}
    for line in lines(text):
        labelled = re.match(r"(Cluster|Version)(?::\s*|\s{2,})(\S+)", line)
        if labelled:
            found.setdefault(labelled[1], labelled[2])
    for name in ("Cluster", "Version"):
        if name not in found:
            raise damaged(f"a line that starts with {name}", repr(beginning(text, 80)), where)
    return ClusterStatus(found["Cluster"], _rotation_cell(lines(text)), evidence, _pins(lines(text)))


def _pins(lines: list[str]) -> tuple[str, ...]:
    """The digests in the line of the CA pins: several during a rotation of the host authority."""
    named = (re.match(r"CA pins?(?::\s*|\s{2,})(.+)", line) for line in lines)
    return tuple(pin for match in named if match for pin in re.findall(r"sha256:[0-9a-f]{64}", match[1]))


def _rotation_cell(lines: list[str]) -> str:
    """The cell under ``rotation`` in the row ``spiffe``: cells hold blanks, so the header's columns say where it ends."""
    for number, header in enumerate(lines):
        columns = [(m[0], m.start()) for m in re.finditer(r"\S+", header)]
        names = [name.lower() for name, _start in columns]
        if names[:2] == ["authority", "rotation"]:
            start, end = columns[1][1], columns[2][1] if len(columns) > 2 else None
            return next((line[start:end].strip() for line in lines[number + 1 :] if line.split()[:1] == ["spiffe"]), "")
    return ""


@keeps(_resource(JoinToken))
def parse_join_token(document: Any, evidence: tuple[str, ...] = ()) -> JoinToken:
    """Reads a token resource.

    Raises:
        CouldNotTell: It is none, or a field is damaged.
    """
    return _read_one(JoinToken, document, "token", evidence=evidence)


@keeps(_resource(Role))
def parse_role(document: Any, evidence: tuple[str, ...] = ()) -> Role:
    """Reads a role resource.

    Raises:
        CouldNotTell: It is none, or a field is damaged.
    """
    return _read_one(Role, document, "role", evidence=evidence)


@keeps(_resource(WorkloadIdentity))
def parse_workload_identity(document: Any, evidence: tuple[str, ...] = ()) -> WorkloadIdentity:
    """Reads a workload_identity resource.

    Raises:
        CouldNotTell: It is none, or a field is damaged.
    """
    return _read_one(WorkloadIdentity, document, "workload_identity", evidence=evidence)


@keeps(_resource(WorkloadIdentity))
def parse_workload_identities(document: Any, evidence: tuple[str, ...] = ()) -> WorkloadIdentities:
    """Reads all workload_identity resources of ``tctl get workload_identity --format=json``.

    Raises:
        CouldNotTell: One of them is damaged.
    """
    listed = _list(document, "workload_identity")
    return WorkloadIdentities(tuple(parse_workload_identity(entry, evidence) for entry in listed), evidence)


@keeps(_resource(Bot))
def parse_bot(document: Any, evidence: tuple[str, ...] = ()) -> Bot:
    """Reads a bot resource.

    Raises:
        CouldNotTell: It is none, or a field is damaged.
    """
    return _read_one(Bot, document, "bot", evidence=evidence)


@keeps(_resource(BotInstance, _Heartbeats))
def parse_bot_instances(document: Any, evidence: tuple[str, ...] = ()) -> tuple[BotInstance, ...]:
    """Reads all bot_instance resources of ``tctl get bot_instance --format=json``.

    Raises:
        CouldNotTell: One of them is damaged.
    """
    return tuple(_bot_instance(entry, evidence) for entry in _list(document, "bot_instance"))


def _bot_instance(entry: Any, evidence: tuple[str, ...]) -> BotInstance:
    # The latest are a queue, oldest first; the initial one is kept apart and is all there is after a start.
    beats = _read_one(_Heartbeats, entry, "bot_instance")
    beat = beats.latest[-1] if beats.latest else beats.initial
    told = {"version": beat.version, "hostname": beat.hostname, "last_heartbeat": beat.recorded_at}
    return _read_one(BotInstance, entry, "bot_instance", evidence=evidence, **told)


def _list(document: Any, name: str) -> list[Any]:
    if not isinstance(document, list):
        raise damaged(f"a list of {name} resources", type(document).__name__, f"tctl get {name}")
    return document


def _read_one(kind: type[T], document: Any, name: str, **given: Any) -> T:
    """Reads a resource of one kind, alone or in a list of one."""
    if isinstance(document, list):
        if len(document) != 1:
            raise damaged(f"one {name} resource", f"{len(document)} resources", f"tctl get {name}")
        document = document[0]
    seen = need(document, "kind", str, f"tctl get {name}")
    if seen != name:
        raise damaged(f"a resource of kind {name}", seen or "no kind", f"tctl get {name}")
    return read(kind, document, f"{name} {maybe(document, 'metadata.name', '', name)}", **given)
