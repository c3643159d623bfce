"""What a pod is made of, as its specification says: containers, mounts, volumes. Shared by pods and pod templates.

Source: the Kubernetes API reference, core/v1 PodSpec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facts.document import mappings, maybe, need, text_map, texts

PROXY = "istio-proxy"


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """A volume in a container's file system.

    Attributes:
        name: Of the volume.
        path: Where it is mounted.
        read_only: As the specification says; what is in effect may differ where two mounts overlap.
        sub_path: A part of the volume, empty for the whole; a sub-path keeps its inode when the directory is re-created.
    """

    name: str
    path: str
    read_only: bool = False
    sub_path: str = ""


@dataclass(frozen=True, slots=True)
class ProjectedToken:
    """A service-account token that the kubelet puts into a projected volume.

    Attributes:
        audience: Empty means the API server's own audience.
        expiration_seconds: Requested lifetime; the API's default is 3600.
        path: File name inside the volume.
    """

    audience: str
    expiration_seconds: int
    path: str


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a pod.

    Attributes:
        name: Its name.
        source: Key of its source in the specification, e.g. ``hostPath``, ``emptyDir``, ``csi``.
        path: Of a hostPath; empty for others.
        type: Of a hostPath, e.g. ``Directory``; empty means unchecked.
        driver: Of a CSI volume.
        read_only: Of a CSI volume.
        config_map: Name of the ConfigMap of a configMap volume.
        tokens: Service-account tokens of a projected volume.
    """

    name: str
    source: str
    path: str = ""
    type: str = ""
    driver: str = ""
    read_only: bool = False
    config_map: str = ""
    tokens: tuple[ProjectedToken, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """A container: what is specified and, for a pod, how it is doing.

    Attributes:
        name: Its name.
        image: As specified.
        image_id: As the runtime resolved it; empty in a template or before it was pulled.
        container_id: As the runtime calls it, ``containerd://`` and 64 hex digits; empty before it was created.
        is_init: It stands in ``initContainers``.
        restart_policy: Of an init container; ``Always`` makes it a native sidecar.
        command: Entrypoint given in the specification.
        args: Arguments given in the specification.
        env: Variables by name. A value taken from elsewhere is shown as ``fieldRef:spec.nodeName``,
            ``secretKeyRef:NAME/KEY``, ``configMapKeyRef:NAME/KEY`` or ``resourceFieldRef:NAME``.
        mounts: Volume mounts in the order of the specification.
        privileged: ``securityContext.privileged``.
        run_as_user: ``securityContext.runAsUser`` of the container; None when not given there.
        capabilities_added: ``securityContext.capabilities.add``.
        readiness_probe: It has one; without it Ready means no more than running.
        ready: As reported.
        started: As reported; for a native sidecar it means that its startup probe passed.
        restarts: Restart count.
        state: ``running``, ``waiting``, ``terminated``, or empty when nothing is reported yet.
        reason: Of the present state, e.g. ``CrashLoopBackOff``.
        message: Of the present state.
        exit_code: Of the present state, when terminated.
        last_reason: Why it ended the last time.
        last_message: What it said when it ended the last time.
        last_exit_code: With which code it ended the last time; None when it never did.
        last_ended: RFC 3339 time at which it ended the last time; empty when it never did.
        started_at: RFC 3339 time since when it runs; empty when it does not.
    """

    name: str
    image: str
    image_id: str = ""
    container_id: str = ""
    is_init: bool = False
    restart_policy: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    mounts: tuple[VolumeMount, ...] = ()
    privileged: bool = False
    run_as_user: int | None = None
    capabilities_added: tuple[str, ...] = ()
    readiness_probe: bool = False
    ready: bool = False
    started: bool = False
    restarts: int = 0
    state: str = ""
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    last_reason: str = ""
    last_message: str = ""
    last_exit_code: int | None = None
    last_ended: str = ""
    started_at: str = ""

    def variable(self, name: str) -> str:
        """The value of an environment variable, empty when it is not set."""
        return (self.env or {}).get(name, "")

    @property
    def is_router(self) -> bool:
        """It runs Istio's proxy as a router (gateway or waypoint), not beside an application."""
        return self.args[:2] in (("proxy", "router"), ("proxy", "waypoint"))


@dataclass(frozen=True, slots=True)
class Toleration:
    """A toleration; an empty `key` with operator ``Exists`` tolerates every taint."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True)
class PodSpec:
    """The specification of a pod or of a pod template.

    Attributes:
        service_account: Name; the API server fills in ``default``, a template may leave it empty.
        node: Node it is bound to; empty before scheduling and in templates.
        containers: Init containers first, each list in its order.
        volumes: In order.
        host_pid: Shares the node's process ids.
        host_network: Shares the node's network.
        dns_policy: E.g. ``ClusterFirst``.
        tolerations: In order.
        node_selector: Label to value.
    """

    service_account: str
    node: str
    containers: tuple[Container, ...]
    volumes: tuple[Volume, ...]
    host_pid: bool
    host_network: bool
    dns_policy: str
    tolerations: tuple[Toleration, ...]
    node_selector: Mapping[str, str]

    def container(self, name: str) -> Container | None:
        """The container of that name, in either list; the one that has an image wins over a template's fragment."""
        found = [c for c in self.containers if c.name == name]
        return next((c for c in found if c.image), found[0] if found else None)

    def volume(self, name: str) -> Volume | None:
        """The volume of that name."""
        return next((v for v in self.volumes if v.name == name), None)


def parse_pod_spec(spec: Any, status: Any, where: str) -> PodSpec:
    """Reads a core/v1 PodSpec.

    Args:
        spec: The decoded ``spec``.
        status: The decoded ``status`` of a pod, or an empty mapping.
        where: The object, for messages.

    Raises:
        CouldNotTell: A field is damaged.
    """
    reported = {
        (is_init, need(entry, "name", str, where)): entry
        for is_init, key in ((True, "initContainerStatuses"), (False, "containerStatuses"))
        for entry in mappings(status, key, where)
    }
    containers = tuple(
        _container(entry, is_init, reported.get((is_init, entry.get("name", ""))), where)
        for is_init, key in ((True, "initContainers"), (False, "containers"))
        for entry in mappings(spec, key, where)
    )
    return PodSpec(
        service_account=maybe(spec, "serviceAccountName", "", where) or maybe(spec, "serviceAccount", "", where),
        node=maybe(spec, "nodeName", "", where),
        containers=containers,
        volumes=tuple(_volume(entry, where) for entry in mappings(spec, "volumes", where)),
        host_pid=maybe(spec, "hostPID", False, where),
        host_network=maybe(spec, "hostNetwork", False, where),
        dns_policy=maybe(spec, "dnsPolicy", "", where),
        tolerations=tuple(
            Toleration(
                key=maybe(t, "key", "", where),
                operator=maybe(t, "operator", "Equal", where),
                value=maybe(t, "value", "", where),
                effect=maybe(t, "effect", "", where),
            )
            for t in mappings(spec, "tolerations", where)
        ),
        node_selector=text_map(spec, "nodeSelector", where),
    )


def _container(entry: Any, is_init: bool, status: Any, where: str) -> Container:
    state, detail = _state(status, "state", where)
    last, last_detail = _state(status, "lastState", where)
    user = maybe(entry, "securityContext.runAsUser", -1, where)
    return Container(
        name=need(entry, "name", str, where),
        image=maybe(entry, "image", "", where),
        image_id=maybe(status, "imageID", "", where),
        container_id=maybe(status, "containerID", "", where),
        is_init=is_init,
        restart_policy=maybe(entry, "restartPolicy", "", where),
        command=texts(entry, "command", where),
        args=texts(entry, "args", where),
        env={need(v, "name", str, where): _value(v, where) for v in mappings(entry, "env", where)},
        mounts=tuple(
            VolumeMount(
                name=need(m, "name", str, where),
                path=need(m, "mountPath", str, where),
                read_only=maybe(m, "readOnly", False, where),
                sub_path=maybe(m, "subPath", "", where) or maybe(m, "subPathExpr", "", where),
            )
            for m in mappings(entry, "volumeMounts", where)
        ),
        privileged=maybe(entry, "securityContext.privileged", False, where),
        run_as_user=None if user < 0 else user,
        capabilities_added=texts(entry, "securityContext.capabilities.add", where),
        readiness_probe=bool(maybe(entry, "readinessProbe", dict[str, Any](), where)),
        ready=maybe(status, "ready", False, where),
        started=maybe(status, "started", False, where),
        restarts=maybe(status, "restartCount", 0, where),
        state=state,
        reason=maybe(detail, "reason", "", where),
        message=maybe(detail, "message", "", where),
        exit_code=maybe(detail, "exitCode", 0, where) if state == "terminated" else None,
        last_reason=maybe(last_detail, "reason", "", where),
        last_message=maybe(last_detail, "message", "", where),
        last_exit_code=maybe(last_detail, "exitCode", 0, where) if last == "terminated" else None,
        last_ended=maybe(last_detail, "finishedAt", "", where),
        started_at=maybe(detail, "startedAt", "", where) if state == "running" else "",
    )


def _state(status: Any, key: str, where: str) -> tuple[str, Any]:
    for name in ("running", "waiting", "terminated"):
        detail = maybe(status, key, dict[str, Any](), where).get(name)
        if detail is not None:
            return name, detail
    return "", {}


def _value(variable: Any, where: str) -> str:
    source = maybe(variable, "valueFrom", dict[str, Any](), where)
    for kind, detail in source.items():
        if kind == "fieldRef":
            return f"fieldRef:{need(detail, 'fieldPath', str, where)}"
        if kind == "resourceFieldRef":
            return f"resourceFieldRef:{need(detail, 'resource', str, where)}"
        return f"{kind}:{maybe(detail, 'name', '', where)}/{maybe(detail, 'key', '', where)}"
    return maybe(variable, "value", "", where)


def _volume(entry: Any, where: str) -> Volume:
    name = need(entry, "name", str, where)
    sources = [key for key in entry if key != "name"]
    # The API server turns a volume without a source into an emptyDir; a template on its way there may still have none.
    source = sources[0] if sources else "emptyDir"
    detail = entry.get(source) or {}
    tokens = tuple(
        ProjectedToken(
            audience=maybe(part, "serviceAccountToken.audience", "", where),
            expiration_seconds=maybe(part, "serviceAccountToken.expirationSeconds", 3600, where),
            path=maybe(part, "serviceAccountToken.path", "", where),
        )
        for part in mappings(detail, "sources", where)
        if "serviceAccountToken" in part
    )
    return Volume(
        name=name,
        source=source,
        path=maybe(detail, "path", "", where) if source == "hostPath" else "",
        type=maybe(detail, "type", "", where) if source == "hostPath" else "",
        driver=maybe(detail, "driver", "", where) if source == "csi" else "",
        read_only=maybe(detail, "readOnly", False, where) if source == "csi" else False,
        config_map=maybe(detail, "name", "", where) if source == "configMap" else "",
        tokens=tokens,
    )
