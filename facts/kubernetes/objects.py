"""Pods, nodes, ConfigMaps, namespaces and events, as the Kubernetes API has them (workloads: `facts.kubernetes.workloads`).

Every parser takes the decoded JSON of one object (an item of a list may lack ``kind``). Source: Kubernetes API, core/v1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field

from facts.declared import At, Declared, Flag, Given, InProse, ListOf, Many, Read, Text, Words, mask_of, read
from facts.evidence import ObjectRef
from facts.kubernetes.pod_spec import (
    ISTIOS_SOCKET,
    PROXY,
    SOCKET_FILE,
    SOCKET_VOLUME,
    Annotations,
    Container,
    ContainerStatus,
    Labels,
    Spec,
    Volume,
)
from facts.masks import KEY, KEYS, LEAF, Fields, Items, Mask, keeps


@dataclass(frozen=True, slots=True)
class Condition(Declared):
    """A condition of an object's status: ``True``, ``False`` or ``Unknown``, `since` an RFC 3339 time."""

    type: str
    status: Annotated[str, Field(default="Unknown")]
    reason: str = ""
    message: Annotated[str, InProse] = ""
    since: Annotated[str, At("lastTransitionTime")] = ""


def condition_holds(conditions: tuple[Condition, ...], kind: str) -> bool:
    """Tell whether the condition of type `kind` is True."""
    return any(c.type == kind and c.status == "True" for c in conditions)


@dataclass(frozen=True, slots=True)
class _Object(Declared):
    kind: str
    name: str
    controller: Flag


@dataclass(frozen=True, slots=True)
class _Address(Declared):
    ip: Text


def _texts(addresses: tuple[_Address, ...]) -> tuple[str, ...]:
    return tuple(address.ip for address in addresses if address.ip)


def _controller(owners: tuple[_Object, ...]) -> str:
    return next((f"{o.kind}/{o.name}" for o in owners if o.controller), "")


@dataclass(frozen=True, slots=True)
class Pod(Declared):
    """A pod as the API knows it.

    Attributes:
        name: Its name; empty in the answer to a dry run that used ``generateName``.
        spec: Containers, volumes and the rest of the specification, with the state of each container.
        phase: ``Pending``, ``Running``, ``Succeeded``, ``Failed`` or ``Unknown``.
        ready: The condition Ready is True.
        owner: The controller that made it, as ``ReplicaSet/name``; empty for none.
        created_at: RFC 3339.
        terminating: It has a deletion timestamp.
        ip: Empty before the pod has one.
        evidence: Ids of the readings it was made from.
        ips: Its addresses, one of each family, `ip` among them; empty before it has one.
        due: RFC 3339 time at which its grace period ends, once it has been deleted; empty before.
    """

    namespace: Annotated[Text, At("metadata.namespace")]
    name: Annotated[Text, At("metadata.name")]
    uid: Annotated[Text, At("metadata.uid")]
    labels: Annotated[Labels, At("metadata.labels")]
    annotations: Annotated[Annotations, At("metadata.annotations")]
    spec: Spec
    phase: Annotated[Text, At("status.phase")]
    ready: Annotated[Flag, At("status.conditions"), Read(ListOf[Condition], lambda found: condition_holds(found, "Ready"))]
    conditions: Annotated[Many[Condition], At("status.conditions")]
    message: Annotated[Words, At("status.message")]
    owner: Annotated[Text, At("metadata.ownerReferences"), Read(ListOf[_Object], _controller)]
    created_at: Annotated[Text, At("metadata.creationTimestamp")]
    terminating: Annotated[Given, At("metadata.deletionTimestamp")]
    ip: Annotated[Text, At("status.podIP")]
    evidence: tuple[str, ...]
    ips: Annotated[tuple[str, ...], At("status.podIPs"), Read(ListOf[_Address], _texts)] = ()
    due: Annotated[Text, At("metadata.deletionTimestamp")] = ""

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
        """The Envoy container, in whichever list it stands; None also in a ztunnel, which is no Envoy."""
        return None if self.is_ztunnel else self.spec.container(PROXY)

    @property
    def is_ztunnel(self) -> bool:
        """It is the node's proxy of ambient mode."""
        container = self.spec.container(PROXY)
        return container is not None and container.is_ztunnel

    @property
    def is_waypoint(self) -> bool:
        """It is a waypoint: a gateway for workloads in ambient mode."""
        return self.proxy is not None and self.proxy.is_waypoint

    @property
    def socket_on_node(self) -> str:
        """Path on the node of the socket that its proxy looks for; empty unless it mounts a directory of the node there."""
        volume = self.spec.volume(SOCKET_VOLUME)
        if self.proxy is None or volume is None or volume.source != "hostPath":
            return ""
        return f"{volume.path.rstrip('/')}/{self.proxy.variable(SOCKET_FILE) or ISTIOS_SOCKET}"

    @property
    def has_ended(self) -> bool:
        """It completed, failed or was evicted: none of its containers runs."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_injected(self) -> bool:
        """It has an Envoy of Istio: a sidecar or a gateway."""
        return self.proxy is not None

    @property
    def why_not_ready(self) -> str:
        """The reason why it is not Ready, in the words of its status; its phase where nothing says why."""
        said = [f"{c.reason} {c.message}".strip() for c in self.containers if c.reason]
        said += [c.message for c in self.conditions if c.status != "True" and c.message]
        return "; ".join(dict.fromkeys(said)) or self.message or self.phase

    @property
    def native_sidecar(self) -> bool:
        """Its proxy is an init container that runs as long as the pod."""
        return self.proxy is not None and self.proxy.is_init

    @property
    def is_gateway(self) -> bool:
        """Its proxy runs as a router (gateway or waypoint), not beside an application."""
        return self.proxy is not None and self.proxy.is_router


@dataclass(frozen=True, slots=True)
class _Statuses(Declared):
    init: Annotated[Many[ContainerStatus], At("status.initContainerStatuses")]
    others: Annotated[Many[ContainerStatus], At("status.containerStatuses")]


@dataclass(frozen=True, slots=True)
class _Taint(Declared):
    key: str
    value: Text
    effect: Text

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}"


LINUX = "linux"
NODE_TYPE, VIRTUAL = "type", "virtual-kubelet"
"""Label by which a Virtual Kubelet marks its node: there is no machine behind it. Source: Virtual Kubelet, node/node.go."""


@dataclass(frozen=True, slots=True)
class _Report(Declared):
    type: str
    heartbeat: Annotated[str, At("lastHeartbeatTime")] = ""


def _last_report(reports: Sequence[_Report]) -> str:
    return next((report.heartbeat for report in reports if report.type == "Ready"), "")


@dataclass(frozen=True, slots=True)
class Node(Declared):
    """A node.

    Attributes:
        kubelet_version: E.g. ``v1.34.4``.
        taints: As ``key=value:effect``.
        unschedulable: It is cordoned.
        ready: Its kubelet reports, and says that it takes pods.
        os: Its operating system, such as ``linux``; empty where its kubelet has not reported it.
        evidence: Ids of the readings it was made from.
        heartbeat: RFC 3339 time of its kubelet's last report, by the clock of the node; empty where it has none.
    """

    name: Annotated[str, At("metadata.name")]
    labels: Annotated[Labels, At("metadata.labels")]
    kubelet_version: Annotated[str, At("status.nodeInfo.kubeletVersion")]
    taints: Annotated[Many[str], At("spec.taints"), Read(ListOf[_Taint], lambda taints: tuple(map(str, taints)))]
    unschedulable: Annotated[Flag, At("spec.unschedulable")]
    ready: Annotated[Flag, At("status.conditions"), Read(ListOf[Condition], lambda found: condition_holds(found, "Ready"))]
    os: Annotated[Text, At("status.nodeInfo.operatingSystem")]
    evidence: tuple[str, ...]
    heartbeat: Annotated[str, At("status.conditions"), Read(ListOf[_Report], _last_report)] = ""

    @property
    def why_no_workloads(self) -> str:
        """The reason why an ordinary Linux pod does not run here; empty where it does."""
        tainted = [taint for taint in self.taints if taint.endswith((":NoSchedule", ":NoExecute"))]
        reasons = {
            "it is a virtual node, which has no sockets": self.labels.get(NODE_TYPE) == VIRTUAL,
            f"its operating system is {self.os}": self.os not in ("", LINUX),
            "it is not Ready": not self.ready,
            "it is cordoned": self.unschedulable,
            f"it has the taint {', '.join(tainted)}": tainted,
        }
        return next((reason for reason, is_so in reasons.items() if is_so), "")


@dataclass(frozen=True, slots=True)
class Labelled(Declared):
    """A namespace: little more than its name and labels."""

    name: Annotated[str, At("metadata.name")]
    labels: Annotated[Labels, At("metadata.labels")]
    annotations: Annotated[Annotations, At("metadata.annotations")]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Managed(Declared):
    time: Text
    fields: Annotated[Mapping[str, Any], At("fieldsV1"), Field(default={}), Fields({"f:data": KEY, "f:metadata": KEY})]


def _data_changed(managed: Sequence[_Managed]) -> str:
    return max((entry.time for entry in managed if "f:data" in entry.fields), default="")


def _texts_alone_changed(managed: Sequence[_Managed]) -> str:
    return max((entry.time for entry in managed if {*entry.fields} == {"f:data"}), default="")


@dataclass(frozen=True, slots=True)
class ConfigMap(Declared):
    """A ConfigMap.

    Evidence keeps the keys, and what the reader of a ConfigMap says with `config_map_with`.

    Attributes:
        data: By key a text, or what was decoded from one.
        evidence: Ids of the readings it was made from.
        changed_at: RFC 3339 time after which no text changed, by the record that the API server keeps of who manages which
            field; empty where it keeps none. A manager's labels have one time with its texts: they alone may have changed.
        texts_changed_at: The last time at which a text changed for certain: of a manager of texts alone.
    """

    namespace: Annotated[Text, At("metadata.namespace")]
    name: Annotated[str, At("metadata.name")]
    data: Annotated[Mapping[str, Any], Field(default={}), KEYS]
    evidence: tuple[str, ...]
    changed_at: Annotated[str, At("metadata.managedFields"), Read(ListOf[_Managed], _data_changed)] = ""
    texts_changed_at: Annotated[str, At("metadata.managedFields"), Read(ListOf[_Managed], _texts_alone_changed)] = ""


@dataclass(frozen=True, slots=True)
class _Involved(Declared):
    kind: Text
    name: Text


@dataclass(frozen=True, slots=True)
class Event(Declared):
    """An event.

    Attributes:
        type: ``Normal`` or ``Warning``.
        reason: E.g. ``FailedCreate``.
        message: Its text.
        about: As ``ReplicaSet/name``.
        evidence: Ids of the readings it was made from.
    """

    type: Text
    reason: Text
    message: Words
    about: Annotated[Text, At("involvedObject"), Read(_Involved, lambda of: f"{of.kind}/{of.name}")]
    evidence: tuple[str, ...] = field(default=())


_KIND = Fields({"kind": LEAF})


def list_of(mask: Mask) -> Mask:
    """What is kept of a list of objects."""
    return _KIND.merged(Fields({"items": Items(mask)}))


def object_with(*kinds: type[Declared]) -> Mask:
    """What is kept of an object of the API: its kind, and the fields that facts are read from."""
    return _KIND.merged(mask_of(*kinds))


def config_map_with(data: Fields) -> Mask:
    """What is kept of a ConfigMap of which some texts are read; the keys of the others stay.

    Args:
        data: The mask of each text that is read; one that is decoded is kept decoded.
    """
    return object_with(ConfigMap).merged(Fields({"data": data}))


@keeps(object_with(Pod, _Statuses))
def parse_pod(document: Any, evidence: tuple[str, ...] = ()) -> Pod:
    """Reads a core/v1 Pod.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    where = named("Pod", document)
    pod = read(Pod, document, where, evidence=evidence)
    statuses = read(_Statuses, document, where)
    reported = {**{(True, s.name): s for s in statuses.init}, **{(False, s.name): s for s in statuses.others}}
    containers = tuple(c.reported(reported.get((c.is_init, c.name))) for c in pod.containers)
    return replace(pod, spec=replace(pod.spec, containers=containers))


@keeps(object_with(Node))
def parse_node(document: Any, evidence: tuple[str, ...] = ()) -> Node:
    """Reads a core/v1 Node.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(Node, document, named("Node", document), evidence=evidence)


@keeps(object_with(ConfigMap))
def parse_config_map(document: Any, evidence: tuple[str, ...] = ()) -> ConfigMap:
    """Reads a core/v1 ConfigMap.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(ConfigMap, document, named("ConfigMap", document), evidence=evidence)


@keeps(object_with(Labelled))
def parse_namespace(document: Any, evidence: tuple[str, ...] = ()) -> Labelled:
    """Reads a core/v1 Namespace.

    Raises:
        CouldNotTell: A field is missing or damaged.
    """
    return read(Labelled, document, named("Namespace", document), evidence=evidence)


@keeps(object_with(Event))
def parse_event(document: Any, evidence: tuple[str, ...] = ()) -> Event:
    """Reads a core/v1 Event; every field of it may be missing or null.

    Raises:
        CouldNotTell: A field is damaged.
    """
    return read(Event, document, named("Event", document), evidence=evidence)


def named(kind: str, document: Any) -> str:
    """An object as messages name it: ``Pod namespace/name``."""
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    if not isinstance(metadata, Mapping):
        return kind
    namespace, name = metadata.get("namespace"), metadata.get("name") or metadata.get("generateName", "")
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
