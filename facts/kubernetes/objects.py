"""What the Kubernetes API says about pods, nodes, ConfigMaps, events and rules (workloads: `facts.kubernetes.workloads`).

Every parser takes the decoded JSON of one object (an item of a list may lack ``kind``). Source: Kubernetes API, core/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from facts.document import mappings, maybe, need, text_map
from facts.evidence import ObjectRef
from facts.kubernetes.pod_spec import PROXY, Container, PodSpec, Volume, parse_pod_spec


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of an object's status; `status` is ``True``, ``False`` or ``Unknown``."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as the API knows it.

    Attributes:
        namespace: Its namespace.
        name: Its name; empty in the answer to a dry run that used ``generateName``.
        uid: Its uid.
        labels: Its labels.
        annotations: Its annotations.
        spec: Containers, volumes and the rest of the specification, with the state of each container.
        phase: ``Pending``, ``Running``, ``Succeeded``, ``Failed`` or ``Unknown``.
        ready: The condition Ready is True.
        conditions: All conditions.
        reason: Of the status, e.g. ``Evicted``.
        message: Of the status.
        owner: The controller that made it, as ``ReplicaSet/name``; empty for none.
        created_at: RFC 3339.
        terminating: It has a deletion timestamp.
        ip: Empty before the pod has one.
        evidence: Ids of the readings it was made from.
    """

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: PodSpec
    phase: str
    ready: bool
    conditions: tuple[Condition, ...]
    reason: str
    message: str
    owner: str
    created_at: str
    terminating: bool
    ip: str
    evidence: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """The pod as the subject of a reading."""
        return ObjectRef("Pod", self.name, self.namespace, self.uid)

    @property
    def service_account(self) -> str:
        """Name of its service account."""
        return self.spec.service_account

    @property
    def node(self) -> str:
        """Name of its node, empty before scheduling."""
        return self.spec.node

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers, init containers first."""
        return self.spec.containers

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """All volumes."""
        return self.spec.volumes

    @property
    def proxy(self) -> Container | None:
        """The Envoy container, in whichever list it stands."""
        return self.spec.container(PROXY)

    @property
    def has_ended(self) -> bool:
        """It ran to its end, failed or was evicted; nothing of it runs, and it only waits to be cleaned up."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_injected(self) -> bool:
        """It has an Envoy of Istio: a sidecar or a gateway."""
        return self.proxy is not None

    @property
    def native_sidecar(self) -> bool:
        """Its proxy is an init container that runs as long as the pod."""
        return self.proxy is not None and self.proxy.is_init

    @property
    def is_gateway(self) -> bool:
        """Its proxy runs as a router (gateway or waypoint), not beside an application."""
        return self.proxy is not None and self.proxy.is_router


@dataclass(frozen=True, slots=True)
class Node:
    """A node.

    Attributes:
        name: Its name.
        labels: Its labels.
        ready: The condition Ready is True.
        conditions: All conditions.
        kubelet_version: E.g. ``v1.34.4``.
        runtime: E.g. ``containerd://1.7.1``.
        os_image: E.g. ``Debian GNU/Linux 12``.
        kernel: Kernel version.
        taints: As ``key=value:effect``.
        addresses: By type, e.g. ``InternalIP``; the first of each type.
        unschedulable: It is cordoned.
        evidence: Ids of the readings it was made from.
    """

    name: str
    labels: Mapping[str, str]
    ready: bool
    conditions: tuple[Condition, ...]
    kubelet_version: str
    runtime: str
    os_image: str
    kernel: str
    taints: tuple[str, ...]
    addresses: Mapping[str, str]
    unschedulable: bool
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A namespace or a service account: little more than its name and labels."""

    kind: str
    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    terminating: bool
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """A ConfigMap's texts."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    data: Mapping[str, str]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """An event.

    Attributes:
        type: ``Normal`` or ``Warning``.
        reason: E.g. ``FailedCreate``.
        message: What it says.
        about: As ``ReplicaSet/name``.
        count: How often it was seen; at least 1.
        last_seen: RFC 3339.
    """

    type: str
    reason: str
    message: str
    about: str
    count: int
    last_seen: str
    evidence: tuple[str, ...] = field(default=())


def parse_pod(document: Any, evidence: tuple[str, ...] = ()) -> Pod:
    """Reads a core/v1 Pod.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    where = named("Pod", document)
    status = maybe(document, "status", dict[str, Any](), where)
    conditions = conditions_of(status, where)
    return Pod(
        namespace=maybe(document, "metadata.namespace", "", where),
        name=maybe(document, "metadata.name", "", where),
        uid=maybe(document, "metadata.uid", "", where),
        labels=text_map(document, "metadata.labels", where),
        annotations=text_map(document, "metadata.annotations", where),
        spec=parse_pod_spec(need(document, "spec", dict, where), status, where),
        phase=maybe(status, "phase", "", where),
        ready=condition_holds(conditions, "Ready"),
        conditions=conditions,
        reason=maybe(status, "reason", "", where),
        message=maybe(status, "message", "", where),
        owner=next(
            (
                f"{need(o, 'kind', str, where)}/{need(o, 'name', str, where)}"
                for o in mappings(document, "metadata.ownerReferences", where)
                if maybe(o, "controller", False, where)
            ),
            "",
        ),
        created_at=maybe(document, "metadata.creationTimestamp", "", where),
        terminating=bool(maybe(document, "metadata.deletionTimestamp", "", where)),
        ip=maybe(status, "podIP", "", where),
        evidence=evidence,
    )


def parse_node(document: Any, evidence: tuple[str, ...] = ()) -> Node:
    """Reads a core/v1 Node.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    where = named("Node", document)
    conditions = conditions_of(maybe(document, "status", dict[str, Any](), where), where)
    addresses: dict[str, str] = {}
    for address in mappings(document, "status.addresses", where):
        addresses.setdefault(need(address, "type", str, where), need(address, "address", str, where))
    return Node(
        name=need(document, "metadata.name", str, where),
        labels=text_map(document, "metadata.labels", where),
        ready=condition_holds(conditions, "Ready"),
        conditions=conditions,
        kubelet_version=need(document, "status.nodeInfo.kubeletVersion", str, where),
        runtime=maybe(document, "status.nodeInfo.containerRuntimeVersion", "", where),
        os_image=maybe(document, "status.nodeInfo.osImage", "", where),
        kernel=maybe(document, "status.nodeInfo.kernelVersion", "", where),
        taints=tuple(
            f"{need(t, 'key', str, where)}={maybe(t, 'value', '', where)}:{maybe(t, 'effect', '', where)}"
            for t in mappings(document, "spec.taints", where)
        ),
        addresses=addresses,
        unschedulable=maybe(document, "spec.unschedulable", False, where),
        evidence=evidence,
    )


def parse_config_map(document: Any, evidence: tuple[str, ...] = ()) -> ConfigMap:
    """Reads a core/v1 ConfigMap.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    where = named("ConfigMap", document)
    return ConfigMap(
        namespace=maybe(document, "metadata.namespace", "", where),
        name=need(document, "metadata.name", str, where),
        uid=maybe(document, "metadata.uid", "", where),
        resource_version=maybe(document, "metadata.resourceVersion", "", where),
        data=text_map(document, "data", where),
        evidence=evidence,
    )


def parse_namespace(document: Any, evidence: tuple[str, ...] = ()) -> Labelled:
    """Reads a core/v1 Namespace.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return _labelled(document, "Namespace", evidence)


def parse_event(document: Any, evidence: tuple[str, ...] = ()) -> Event:
    """Reads a core/v1 Event; every field of it may be null, so only the reason is demanded.

    Raises:
        CouldNotTell: A field is damaged.
    """
    where = named("Event", document)
    return Event(
        type=maybe(document, "type", "", where),
        reason=maybe(document, "reason", "", where),
        message=maybe(document, "message", "", where),
        about=f"{maybe(document, 'involvedObject.kind', '', where)}/{maybe(document, 'involvedObject.name', '', where)}",
        count=max(1, maybe(document, "count", 1, where), maybe(document, "series.count", 1, where)),
        last_seen=maybe(document, "lastTimestamp", "", where)
        or maybe(document, "series.lastObservedTime", "", where)
        or maybe(document, "eventTime", "", where)
        or maybe(document, "metadata.creationTimestamp", "", where),
        evidence=evidence,
    )


def _labelled(document: Any, kind: str, evidence: tuple[str, ...]) -> Labelled:
    where = named(kind, document)
    return Labelled(
        kind=kind,
        namespace=maybe(document, "metadata.namespace", "", where),
        name=need(document, "metadata.name", str, where),
        uid=maybe(document, "metadata.uid", "", where),
        labels=text_map(document, "metadata.labels", where),
        annotations=text_map(document, "metadata.annotations", where),
        terminating=bool(maybe(document, "metadata.deletionTimestamp", "", where)),
        evidence=evidence,
    )


def conditions_of(status: Any, where: str) -> tuple[Condition, ...]:
    """The conditions of an object's decoded `status`."""
    return tuple(
        Condition(
            type=need(c, "type", str, where),
            status=maybe(c, "status", "Unknown", where),
            reason=maybe(c, "reason", "", where),
            message=maybe(c, "message", "", where),
        )
        for c in mappings(status, "conditions", where)
    )


def condition_holds(conditions: tuple[Condition, ...], kind: str) -> bool:
    """Whether the condition of type `kind` is True."""
    return any(c.type == kind and c.status == "True" for c in conditions)


def named(kind: str, document: Any) -> str:
    """An object as messages name it: ``Pod namespace/name``."""
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    if not isinstance(metadata, Mapping):
        return kind
    namespace, name = metadata.get("namespace"), metadata.get("name") or metadata.get("generateName", "")
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
