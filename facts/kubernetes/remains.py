"""What a run made and did not remove, in the cluster and in Teleport: found by the suite's labels and its field manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from facts.declared import At, Declared, Given, ListOf, Many, Read, Text, mask_of, read
from facts.evidence import ObjectRef
from facts.kubernetes.objects import named, object_with
from facts.masks import LEAF, Fields, Items, Prepared, keeps

RUN_LABEL = "conformance.teleport-istio/run"
"""Label of every object that a run made; its value is the run's id."""

MADE_LABEL = "conformance.teleport-istio/made"
"""Label that every resource in Teleport has from its creation by the suite; no owner is ever asked to give it."""

MAY_CHANGE_LABEL = "conformance.teleport-istio/may-change"
"""Label with which an owner lets the suite change a resource in Teleport for a while; the suite never removes such a one."""

CLUSTER_LABEL = "conformance.teleport-istio/cluster"
"""Label of what belongs to an installation that the suite made; its value is the name of the kind cluster."""

FIELD_MANAGER = "istio-teleport-conformance"

_LABELS = Fields(dict.fromkeys((RUN_LABEL, MADE_LABEL, MAY_CHANGE_LABEL, CLUSTER_LABEL), LEAF))
_Labels = Annotated[Mapping[str, Any], At("metadata.labels"), Field(default={}), _LABELS]

SECRETS = "secrets"
"""Plural name of the kind that the suite never lists: to list Secrets is to read them."""


@dataclass(frozen=True, slots=True)
class _Kind(Declared):
    name: str
    kind: str
    verbs: Many[str]


@dataclass(frozen=True, slots=True)
class _Kinds(Declared):
    version: Annotated[str, At("groupVersion")]
    kinds: Annotated[ListOf[_Kind], At("resources")]


@dataclass(frozen=True, slots=True)
class ListableKind:
    """A kind of objects that the API server lists.

    Attributes:
        path: Path of its API version, e.g. ``/apis/apps/v1``.
        plural: Its plural name.
    """

    path: str
    plural: str
    kind: str

    def __str__(self) -> str:
        group = group_of(self.path)
        return f"{self.plural}.{group}" if group else self.plural


def group_of(path: str) -> str:
    """Return the API group of the path of an API version, e.g. ``apps`` of ``/apis/apps/v1``; empty for the core group."""
    return path.removeprefix("/apis/").rpartition("/")[0] if path.startswith("/apis/") else ""


@keeps(mask_of(_Kinds))
def parse_kinds(document: Any) -> tuple[ListableKind, ...]:
    """Reads the APIResourceList of one API version: its kinds that can be listed, Secrets left out.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    found = read(_Kinds, document, "APIResourceList")
    path = f"/apis/{found.version}" if "/" in found.version else f"/api/{found.version}"
    return tuple(
        ListableKind(path, each.name, each.kind)
        for each in found.kinds
        if "list" in each.verbs and "/" not in each.name and (path, each.name) != ("/api/v1", SECRETS)
    )


@dataclass(frozen=True, slots=True)
class _Group(Declared):
    preferred: Annotated[str, At("preferredVersion.groupVersion")]


@dataclass(frozen=True, slots=True)
class _Groups(Declared):
    groups: ListOf[_Group]


@keeps(mask_of(_Groups))
def parse_groups(document: Any) -> tuple[str, ...]:
    """Reads the APIGroupList: the preferred version of each API group, e.g. ``apps/v1``.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return tuple(group.preferred for group in read(_Groups, document, "APIGroupList").groups)


@dataclass(frozen=True, slots=True)
class _Manager(Declared):
    manager: Text


def _managers(entries: tuple[_Manager, ...]) -> frozenset[str]:
    return frozenset(entry.manager for entry in entries)


@dataclass(frozen=True, slots=True)
class LabelledObject(Declared):
    """An object of the API with the label of a run.

    Attributes:
        labels: Those of the suite.
        managers: Names of the managers of its fields.
        is_leaving: It is being removed.
        evidence: Ids of the readings it was made from.
    """

    namespace: Annotated[Text, At("metadata.namespace")]
    name: Annotated[str, At("metadata.name")]
    labels: _Labels
    is_leaving: Annotated[Given, At("metadata.deletionTimestamp")]
    evidence: tuple[str, ...]
    managers: Annotated[frozenset[str], At("metadata.managedFields"), Read(ListOf[_Manager], _managers)] = frozenset()

    @property
    def is_the_suites(self) -> bool:
        """The suite made or changed it; a label alone anybody can give."""
        return FIELD_MANAGER in self.managers

    @property
    def is_of_an_installation(self) -> bool:
        """It belongs to an installation that the suite made, which stays with its cluster."""
        return CLUSTER_LABEL in self.labels


@keeps(object_with(LabelledObject))
def parse_labelled(document: Any, evidence: tuple[str, ...] = ()) -> LabelledObject:
    """Reads what every object has in its metadata.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(LabelledObject, document, named("object", document), evidence=evidence)


@dataclass(frozen=True, slots=True)
class LabelledResource(Declared):
    """A resource of Teleport with the label of a run.

    Attributes:
        labels: Those of the suite.
    """

    name: Annotated[str, At("metadata.name")]
    labels: _Labels

    @property
    def is_left(self) -> bool:
        """A run created it, and for no installation."""
        return MADE_LABEL in self.labels and not {CLUSTER_LABEL, MAY_CHANGE_LABEL} & {*self.labels}


def _labelled(document: Any) -> Any:
    """The resources with the label of a run. Of others nothing is kept: the name of a join token may be a secret."""
    if not isinstance(document, list):
        return document
    metadata = [(each, each.get("metadata")) for each in document if isinstance(each, Mapping)]
    labels = [(each, of.get("labels")) for each, of in metadata if isinstance(of, Mapping)]
    return [each for each, of in labels if isinstance(of, Mapping) and RUN_LABEL in of]


@keeps(Prepared(_labelled, Items(mask_of(LabelledResource))))
def parse_labelled_resources(document: Any) -> tuple[LabelledResource, ...]:
    """Reads the resources that ``tctl get KIND --format=json`` lists, of which only labelled ones are kept.

    Raises:
        CouldNotTell: It is no list, or an entry is damaged.
    """
    return read(_Resources, {"resources": document}, "resources of Teleport").resources


@dataclass(frozen=True, slots=True)
class _Resources(Declared):
    resources: ListOf[LabelledResource]


@dataclass(frozen=True, slots=True)
class Remains:
    """What has the label of a run after its end.

    Attributes:
        objects: Objects in the cluster, each with its kind.
        resources: Resources in Teleport, each with its kind.
        looked_at: Kinds of objects that were listed.
        denied: Kinds that the identity in use may not list.
        unread: Kinds that could not be listed for another reason, each with it.
        asked_teleport: There is an admin session, and its answers are here.
        evidence: Ids of the readings.
        silent: Kinds like those in `unread`, of API groups of which the run made no object.
        denied_in_teleport: Kinds of resources that the admin session may not list.
    """

    objects: tuple[tuple[ListableKind, LabelledObject], ...]
    resources: tuple[tuple[str, LabelledResource], ...]
    looked_at: tuple[ListableKind, ...]
    denied: tuple[ListableKind, ...]
    unread: tuple[tuple[str, str], ...]
    asked_teleport: bool
    evidence: tuple[str, ...]
    silent: tuple[tuple[str, str], ...] = ()
    denied_in_teleport: tuple[str, ...] = ()


def ref_of(kind: ListableKind, found: LabelledObject) -> ObjectRef:
    """The object as the subject of a finding."""
    return ObjectRef(kind.kind, found.name, found.namespace)
