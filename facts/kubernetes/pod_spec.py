"""Containers, mounts and volumes of a pod, as its specification declares them. Shared by pods and pod templates.

Source: the Kubernetes API reference, core/v1 PodSpec.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain, pairwise
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from facts.declared import At, Declared, Flag, Given, InProse, ListOf, Many, Only, Read, Text, TextMap, mask_of, part
from facts.masks import KEYS, LEAF, OPEN, WORDS, Fields, Items, Mask, NamesIn, Prepared, only
from facts.redaction import hides_a_value

PROXY = "istio-proxy"
SOCKET_VOLUME = "workload-socket"
"""Volume of an injected pod with the socket of its SDS server."""
SOCKET_MOUNT = "/var/run/secrets/workload-spiffe-uds"
"""Directory in which Istio's agent and Envoy look for the socket; it cannot be configured."""
SOCKET_DIRECTORIES = (SOCKET_MOUNT, "/run/secrets/workload-spiffe-uds")
"""The same directory, and the one it becomes where ``/var/run`` is a link to ``/run``."""

ROOT = 0
"""The user root."""
ENTERING = frozenset({"ALL", "SYS_ADMIN", "SYS_PTRACE"})
"""Capabilities with which a root that sees the node's processes reaches the node's file system through them."""

SOCKET_FILE, ISTIOS_SOCKET = "WORKLOAD_IDENTITY_SOCKET_FILE", "socket"
"""Environment variable with the file name of that socket, and the name where it is not set."""

TEMPLATES = "inject.istio.io/templates"
"""Annotation that names the injection templates of a pod."""
INJECT = "sidecar.istio.io/inject"
"""Label or annotation by which a pod refuses injection, or asks for it."""
INTERCEPTION = "sidecar.istio.io/interceptionMode"
INCLUDED, EXCLUDED = "traffic.sidecar.istio.io/includeInboundPorts", "traffic.sidecar.istio.io/excludeInboundPorts"
"""Annotations that decide which inbound ports of a pod are redirected to its proxy, and how."""
REDIRECTION = "ambient.istio.io/redirection"
"""Annotation by which Istio's CNI plugin marks a pod whose traffic goes through the node's ztunnel."""
REDIRECTS = "istio-iptables"
"""First argument of a container that redirects a pod's ports to its proxy, or checks that they are."""
REDIRECTION_FLAGS = ("-m", "-b", "-d")
"""Its flags that are judged: the mode, the inbound ports that are redirected, and those that are not."""

NODE_NAME, CONFIG_PATH, TOKEN_PATH = "TELEPORT_NODE_NAME", "TBOT_CONFIG_PATH", "KUBERNETES_TOKEN_PATH"
"""Environment variables of tbot that are judged."""
JUDGED_VARIABLES = (NODE_NAME, CONFIG_PATH, TOKEN_PATH, SOCKET_FILE)

LONGEST_LABEL = 63
"""Characters that the value of a label may have, and so the name of a revision, which is one."""
REVISION = "istio.io/rev"
"""Label of namespaces, pods and Istio's own objects, annotation of injected pods: a revision of Istio, or a tag of one."""
INJECTED_BY = "sidecar.istio.io/status"
"""Annotation in which the injector says what it did to a pod; its revision is judged, the rest is left out."""


def revision_in(value: Any) -> str:
    """The name of a revision in a place where anybody may write anything; empty where it is none, such as a long text."""
    return value if isinstance(value, str) and len(value) <= LONGEST_LABEL else ""


def injected_by(status: str) -> str:
    """Revision of the injector by its own annotation `INJECTED_BY`; empty where that does not say it."""
    try:
        document = json.loads(status)
    except (ValueError, RecursionError):
        return ""
    return revision_in(document.get("revision")) if isinstance(document, Mapping) else ""


def _revision_alone(status: Any) -> Any:
    return json.dumps({"revision": injected_by(status)}) if isinstance(status, str) else status


Labels = Annotated[TextMap, OPEN]
"""Labels of an object, or the labels that a selector asks for; a selector may name any of them."""
Annotations = Annotated[
    TextMap,
    only(TEMPLATES, INJECT, INTERCEPTION, INCLUDED, EXCLUDED, REDIRECTION, REVISION).merged(
        Fields({INJECTED_BY: Prepared(_revision_alone, LEAF)})
    ),
]
"""Annotations of an object; evidence keeps those alone that are judged."""


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Tell whether a selector takes an object with these labels; an empty one takes none.

    Neither does one that asks for a value that was redacted: another object's label with the same mark has another value.
    """
    return bool(selector) and selector.items() <= labels.items() and not any(map(hides_a_value, selector.values()))


def is_tbot_image(image: str) -> bool:
    """Tell whether an image is called tbot, whatever its registry and tag."""
    return image.partition("@")[0].rpartition("/")[2].startswith("tbot")


@dataclass(frozen=True, slots=True)
class VolumeMount(Declared):
    """A volume in a container's file system.

    Attributes:
        name: Of the volume.
        path: Where it is mounted.
        read_only: As the specification says; what is in effect may differ where two mounts overlap.
        sub_path: A part of the volume, empty for the whole; a sub-path keeps its inode when the directory is re-created.
        recursive_read_only: ``Enabled``, ``IfPossible`` or ``Disabled``: whether `read_only` holds for mounts below as well.
    """

    name: str
    path: Annotated[str, At("mountPath")]
    read_only: Annotated[bool, At("readOnly")] = False
    sub_path: Annotated[str, At("subPath", "subPathExpr")] = ""
    recursive_read_only: Annotated[str, At("recursiveReadOnly")] = ""


@dataclass(frozen=True, slots=True)
class ProjectedToken(Declared):
    """A service-account token that the kubelet puts into a projected volume.

    Attributes:
        audience: Empty means the API server's own audience.
        expiration_seconds: Requested lifetime; the API's default is 3600.
        path: File name inside the volume.
    """

    audience: Annotated[Text, At("serviceAccountToken.audience")]
    expiration_seconds: Annotated[int, Field(default=3600), At("serviceAccountToken.expirationSeconds")]
    path: Annotated[Text, At("serviceAccountToken.path")]

    @classmethod
    def kept_with(cls, fields: Mask) -> Mask:
        """Other sources of the volume keep their key."""
        return fields.merged(KEYS)


@dataclass(frozen=True, slots=True)
class Volume(Declared):
    """A volume of a pod.

    Attributes:
        source: Key of its source in the specification, e.g. ``hostPath``, ``emptyDir``, ``csi``.
        path: Of a hostPath; empty for others.
        type: Of a hostPath, e.g. ``Directory``; empty where the kubelet checks nothing.
        driver: Of a CSI volume.
        read_only: Of a CSI volume.
        config_map: Name of the ConfigMap of a configMap volume.
        tokens: Service-account tokens of a projected volume.
    """

    name: str
    source: str
    path: Annotated[str, At("hostPath.path")] = ""
    type: Annotated[str, At("hostPath.type")] = ""
    driver: Annotated[str, At("csi.driver")] = ""
    read_only: Annotated[bool, At("csi.readOnly")] = False
    config_map: Annotated[str, At("configMap.name")] = ""
    tokens: Annotated[
        tuple[ProjectedToken, ...],
        At("projected.sources"),
        Only(ProjectedToken, lambda source: "serviceAccountToken" in source),
    ] = ()

    @classmethod
    def kept_with(cls, fields: Mask) -> Mask:
        """A source of which no field is judged keeps its key, which names it."""
        return fields.merged(KEYS)


def _with_source(volume: Any) -> Any:
    # The API server turns a volume without a source into an emptyDir; a template on its way there may still have none.
    if not isinstance(volume, Mapping):
        return volume
    return {**volume, "source": next((str(key) for key in volume if key != "name"), "emptyDir")}


@dataclass(frozen=True, slots=True)
class _Reference(Declared):
    field: Annotated[Text, At("fieldPath")]
    resource: Text
    name: Text
    key: Text


def _shown(sources: Mapping[str, _Reference]) -> str:
    for kind, of in sources.items():
        target = {"fieldRef": of.field, "resourceFieldRef": of.resource}.get(kind, f"{of.name}/{of.key}")
        if not target:
            raise ValueError(f"a {kind} that says of what")
        return f"{kind}:{target}"
    return ""


@dataclass(frozen=True, slots=True)
class _Variable(Declared):
    name: str
    value: Text
    source: Annotated[Text, At("valueFrom"), Read(dict[str, _Reference], _shown), Fields(others=mask_of(_Reference))]


_REFERENCE = re.compile(r"\$\((\w+)\)")


def referred(value: str) -> str:
    """Name of the variable that the value of another one consists of, as ``$(NAME)``; empty where it does not."""
    found = _REFERENCE.fullmatch(value)
    return found[1] if found else ""


LEADS_THROUGH_A_PROXY = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
"""Variables that lead a process through a proxy; their values may have a password, so that evidence keeps only that they are
set. Source: Go, golang.org/x/net/http/httpproxy; Teleport, lib/client/proxy."""

SET = "set"
"""The value that such a variable has here."""


def _judged_variables(listed: Any) -> Any:
    """Those variables whose values are judged; applications have secrets in others."""
    if not isinstance(listed, list):
        return listed
    variables = [each for each in listed if isinstance(each, Mapping)]
    judged = [each for each in variables if each.get("name") in JUDGED_VARIABLES]
    names = {referred(str(each.get("value", ""))) for each in judged}
    # One that another refers to may hold anything, and is judged by its source alone.
    sources = [{**each, "value": ""} for each in variables if each.get("name") in names and each not in judged]
    leading = [
        {**each, "value": SET} for each in variables if each.get("name") in LEADS_THROUGH_A_PROXY and each.get("value")
    ]
    return [*judged, *sources, *leading]


@dataclass(frozen=True, slots=True)
class _Port(Declared):
    number: Annotated[int, At("containerPort")]
    protocol: Annotated[str, Field(default="TCP")]


def _state_in(state: Mapping[str, Any]) -> str:
    return next((name for name in ("running", "waiting", "terminated") if state.get(name) is not None), "")


_STATES = Fields(dict.fromkeys(("running", "waiting", "terminated"), Fields()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState(Declared):
    """The state of a container, as the kubelet reports it; empty in a template.

    Attributes:
        image_id: Image as the runtime resolved it; empty before it was pulled.
        container_id: As the runtime calls it, ``containerd://`` and 64 hex digits; empty before it was created.
        ready: As reported.
        started: As reported; for a native sidecar it means that its startup probe passed.
        state: ``running``, ``waiting``, ``terminated``, or empty when nothing is reported yet.
        reason: Of the present state, e.g. ``CrashLoopBackOff``.
        message: Of the present state.
        exit_code: Of the present state, when terminated.
        started_at: RFC 3339 time since when it runs; empty when it does not.
        ended_at: RFC 3339 time at which it ended; empty when it has not, or runs or waits again.
        last_reason: Why it ended the last time.
        last_exit_code: With which code it ended the last time; None when it never did.
        last_ended: RFC 3339 time at which it ended the last time; empty when it never did.
    """

    image_id: Annotated[str, At("imageID")] = ""
    container_id: Annotated[str, At("containerID")] = ""
    ready: bool = False
    started: bool = False
    restarts: Annotated[int, At("restartCount")] = 0
    state: Annotated[str, Read(dict[str, Any], _state_in), _STATES] = ""
    reason: Annotated[str, At("state.waiting.reason", "state.terminated.reason")] = ""
    message: Annotated[str, At("state.waiting.message", "state.terminated.message"), InProse] = ""
    exit_code: Annotated[int | None, At("state.terminated.exitCode")] = None
    started_at: Annotated[str, At("state.running.startedAt")] = ""
    ended_at: Annotated[str, At("state.terminated.finishedAt")] = ""
    last_reason: Annotated[str, At("lastState.terminated.reason")] = ""
    last_exit_code: Annotated[int | None, At("lastState.terminated.exitCode")] = None
    last_ended: Annotated[str, At("lastState.terminated.finishedAt")] = ""

    @property
    def has_exited(self) -> bool:
        """It has ended at least once; at its first end there is no restart yet."""
        return self.state == "terminated" or self.restarts > 0 or self.last_exit_code is not None


@dataclass(frozen=True, slots=True)
class ContainerStatus(ContainerState):
    """An entry of ``containerStatuses`` or ``initContainerStatuses``."""

    name: str


CONFIG_FLAGS = ("-c", "--config")
"""Flags of tbot before the path of its configuration; also as ``--config=PATH``."""
_PATH = re.compile(r"/[\w./-]{1,255}")


def _redirection(args: Sequence[str]) -> list[str]:
    """The judged arguments of a container that redirects ports."""
    if args[:1] != [REDIRECTS]:
        return []
    return [REDIRECTS, *chain.from_iterable(pair for pair in pairwise([*args, ""]) if pair[0] in REDIRECTION_FLAGS)]


def _judged_words(container: Any) -> Any:
    """The command line of Istio's proxy and of tbot; of others what is judged of it, the rest left out.

    That is how ports are redirected, and the path of a configuration: tbot's image may have another name. A shell takes
    ``-c`` as well, before a script, which is no path.
    """
    if not isinstance(container, Mapping):
        return container
    if container.get("name") == PROXY or is_tbot_image(str(container.get("image", ""))):
        return container
    command, args = (
        [str(word) for word in words] if isinstance(words := container.get(key), list) else [] for key in ("command", "args")
    )
    kept = _redirection(args)
    for word, following in pairwise([*command, *args, ""]):
        flag, equals, path = word.partition("=")
        if flag in CONFIG_FLAGS and _PATH.fullmatch(path if equals else following):
            kept += [word] if equals else [word, following]
    return {**{key: each for key, each in container.items() if key != "command"}, "args": kept}


@dataclass(frozen=True, slots=True)
class Container(ContainerState):
    """A container: its specification and, for a pod, its state.

    Attributes:
        image: As specified.
        is_init: It stands in ``initContainers``.
        restart_policy: Of an init container; ``Always`` makes it a native sidecar.
        command: Entrypoint given in the specification.
        args: Arguments given in the specification.
        env: Variables by name; evidence keeps those alone that are judged. A value taken from elsewhere is shown as
            ``fieldRef:spec.nodeName``, ``secretKeyRef:NAME/KEY``, ``configMapKeyRef:NAME/KEY`` or ``resourceFieldRef:NAME``.
        mounts: Volume mounts in the order of the specification.
        run_as_user: ``securityContext.runAsUser`` of the container; None when not given there.
        run_as_non_root: ``securityContext.runAsNonRoot`` of the container; None when not given there.
        privileged: It has every capability and sees every device of its node.
        added_capabilities: Capabilities that it has beside the runtime's own.
        readiness_probe: It has one; without it Ready means no more than running.
        tcp_ports: Ports over TCP that it declares. A container may listen on others as well.
    """

    name: str
    image: Annotated[Text, NamesIn("/")]
    is_init: bool = False
    restart_policy: Annotated[str, At("restartPolicy")] = ""
    command: Annotated[ListOf[str], WORDS] = ()
    args: Annotated[ListOf[str], WORDS] = ()
    env: Annotated[
        Mapping[str, str],
        Read(ListOf[_Variable], lambda found: {v.name: v.source or v.value for v in found}),
        Prepared(_judged_variables, Items(mask_of(_Variable))),
    ] = field(default_factory=dict)
    mounts: Annotated[ListOf[VolumeMount], At("volumeMounts")] = ()
    run_as_user: Annotated[int | None, At("securityContext.runAsUser")] = None
    run_as_non_root: Annotated[bool | None, At("securityContext.runAsNonRoot")] = None
    privileged: Annotated[bool, At("securityContext.privileged")] = False
    added_capabilities: Annotated[ListOf[str], At("securityContext.capabilities.add")] = ()
    readiness_probe: Annotated[Given, At("readinessProbe")] = False
    tcp_ports: Annotated[
        tuple[int, ...],
        At("ports"),
        Read(ListOf[_Port], lambda found: tuple(p.number for p in found if p.protocol == "TCP")),
    ] = ()

    @classmethod
    def kept_with(cls, fields: Mask) -> Mask:
        """Of the command line of an application, only what is judged."""
        return Prepared(_judged_words, fields)

    def variable(self, name: str) -> str:
        """The value of an environment variable, empty when it is not set."""
        return self.env.get(name, "")

    @property
    def is_router(self) -> bool:
        """It runs Istio's proxy as a router (gateway or waypoint), not beside an application."""
        return self.is_waypoint or self.args[:2] == ("proxy", "router")

    @property
    def is_waypoint(self) -> bool:
        """It runs Istio's proxy as a waypoint, for workloads in ambient mode."""
        return self.args[:2] == ("proxy", "waypoint")

    @property
    def is_ztunnel(self) -> bool:
        """It runs ztunnel, the node's proxy of ambient mode; no Envoy, although it has the name of Istio's proxy."""
        return self.args[:2] == ("proxy", "ztunnel")

    def reported(self, status: ContainerState | None) -> Container:
        """The container with its state; as it is where nothing is reported."""
        return replace(self, **{f.name: getattr(status, f.name) for f in _OF_STATE}) if status else self


_OF_STATE = fields(ContainerState)


@dataclass(frozen=True, slots=True)
class _Lists(Declared):
    init: Annotated[Many[Container], At("initContainers")]
    others: Annotated[Many[Container], At("containers")]


def _in_one_list(spec: Any) -> Any:
    if not isinstance(spec, Mapping):
        return spec
    lists = part(_Lists, spec)
    return {**spec, "containers": (*(replace(c, is_init=True) for c in lists.init), *lists.others)}


@dataclass(frozen=True, slots=True)
class PodSpec(Declared):
    """The specification of a pod or of a pod template.

    Attributes:
        service_account: Name; the API server fills in ``default``, a template may leave it empty.
        node: Node it is bound to; empty before scheduling and in templates.
        containers: Init containers first, each list in its order.
        volumes: In order.
        host_pid: Shares the node's process ids.
        host_network: Shares the node's network.
        node_selector: Label to value.
        run_as_user: ``securityContext.runAsUser`` of the pod, for containers without one; None when not given there.
        run_as_non_root: ``securityContext.runAsNonRoot`` of the pod, for containers without one; None when not given there.
        ephemeral: Containers that were added to the running pod.
    """

    service_account: Annotated[Text, At("serviceAccountName", "serviceAccount")]
    node: Annotated[Text, At("nodeName")]
    containers: tuple[Container, ...]
    volumes: Many[Annotated[Volume, BeforeValidator(_with_source)]]
    host_pid: Annotated[Flag, At("hostPID")]
    host_network: Annotated[Flag, At("hostNetwork")]
    node_selector: Annotated[Labels, At("nodeSelector")]
    run_as_user: Annotated[int | None, At("securityContext.runAsUser")] = None
    run_as_non_root: Annotated[bool | None, At("securityContext.runAsNonRoot")] = None
    ephemeral: Annotated[ListOf[Container], At("ephemeralContainers")] = ()

    def container(self, name: str) -> Container | None:
        """The container of that name, in either list; the one that has an image wins over a template's fragment."""
        found = [c for c in self.containers if c.name == name]
        return next((c for c in found if c.image), found[0] if found else None)

    def volume(self, name: str) -> Volume | None:
        """The volume of that name."""
        return next((v for v in self.volumes if v.name == name), None)

    @property
    def csi_socket(self) -> Volume | None:
        """The volume of a CSI driver, whatever its name, in which the proxy looks for its socket; None without one."""
        proxy = self.container(PROXY)
        mounted = {m.name for m in (proxy.mounts if proxy else ()) if m.path.rstrip("/") in SOCKET_DIRECTORIES}
        return next((v for v in self.volumes if v.source == "csi" and v.name in mounted), None)

    def user_of(self, container: Container) -> int | None:
        """The user that a container runs as by the specification; None where the image decides."""
        return self.run_as_user if container.run_as_user is None else container.run_as_user

    def may_be_root(self, container: Container) -> bool:
        """Tell whether nothing in the specification keeps a container from running as root, the default of an image."""
        user = self.user_of(container)
        own = container.run_as_non_root
        return user == ROOT if user is not None else (self.run_as_non_root if own is None else own) is not True

    def is_root_of_its_node(self, container: Container) -> bool:
        """Tell whether a container can do as root of its node does, whatever it mounts."""
        enters = self.host_pid and not ENTERING.isdisjoint(c.removeprefix("CAP_") for c in container.added_capabilities)
        return self.may_be_root(container) and (container.privileged or enters)


Spec = Annotated[PodSpec, mask_of(PodSpec, _Lists), BeforeValidator(_in_one_list)]
"""A PodSpec as a document has it, with two lists of containers."""
