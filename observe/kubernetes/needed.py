"""The rights that the suite needs at the API server: one table, by role.

INST-02 asks the API server for them; ``manifests/certifier-rbac.yaml``, the table in ``docs/existing-cluster.md`` and
``conformance plan`` are made of them; ``make rbac`` proves on the lab that no row is missing, and none is too much.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from facts.kubernetes import leases
from facts.kubernetes.access import resource_name
from settings import Names

Minor = tuple[int, int]
"""Major and minor version of Kubernetes."""


class Role(StrEnum):
    """Roles for the identity that the suite runs with: one for each safety class, and one that is optional."""

    READ_ONLY = "read-only"
    EXEC = "exec"
    """Optional, for the two requirements that run a program in containers of the mesh."""
    NAMESPACED = "namespaced"
    DISRUPTIVE = "disruptive"


class Where(StrEnum):
    """Places in which a right is needed."""

    EVERYWHERE = "the whole cluster"
    ISTIO = "Istio's namespace"
    TBOT = "tbot's namespace"
    APP = "the test application's namespace"
    KUBE_SYSTEM = "kube-system"
    """Where runs keep off each other's cluster, and keep the originals of what they change."""


def namespaces(names: Names) -> Mapping[Where, str]:
    """Return the namespace of each place by the names in the settings; empty for all namespaces."""
    return {
        Where.EVERYWHERE: "",
        Where.ISTIO: names.istio_namespace,
        Where.TBOT: names.tbot_namespace,
        Where.APP: names.app_namespace,
        Where.KUBE_SYSTEM: leases.NAMESPACE,
    }


@dataclass(frozen=True, slots=True)
class Needed:
    """Verbs on resources that a role must have.

    Attributes:
        verbs: ``get``, ``list`` …; a server-side apply is a ``patch``, and a ``create`` where the object is missing.
        group: API group; empty for core.
        resources: Plural names, with a subresource behind a slash; or paths such as ``/openid/v1/jwks``.
        why: What the suite does with it, as a phrase.
        where: Where it is needed. The suite does not know the namespaces of its own pods beforehand: there it is everywhere.
        profiles: Profiles that need it; empty for all.
        gateway_api: Needed only in a cluster that knows the Gateway API.
        since: First Kubernetes that asks for it.
    """

    role: Role
    verbs: tuple[str, ...]
    group: str
    resources: tuple[str, ...]
    why: str
    where: Where = Where.EVERYWHERE
    profiles: frozenset[str] = frozenset()
    gateway_api: bool = False
    since: Minor = (1, 0)

    def shown(self) -> str:
        """The right as a phrase, e.g. ``get, list pods``."""
        condition = " (with the Gateway API)" if self.gateway_api else ""
        return f"{', '.join(self.verbs)} {', '.join(resource_name(each, self.group) for each in self.resources)}{condition}"

    def place(self) -> str:
        """Where it is needed, as a phrase; empty for a path, which is in no namespace."""
        return "" if self.resources[0].startswith("/") else self.where.value

    def each(self) -> Iterator[tuple[str, str, str]]:
        """Verb, API group and resource of each single right."""
        for resource in self.resources:
            for verb in self.verbs:
                yield verb, self.group, resource


CREATED_STREAMS: Minor = (1, 35)
"""First Kubernetes that asks for ``create`` besides ``get`` when a client opens exec or port-forward over a websocket
(AuthorizePodWebsocketUpgradeCreatePermission). The SPDY of kubectl before 1.31 has always needed ``create``."""

_CORE, _APPS, _BATCH = "", "apps", "batch"
_NETWORKING, _SECURITY, _GATEWAY_API = "networking.istio.io", "security.istio.io", "gateway.networking.k8s.io"
_COORDINATION, _AUTHORIZATION, _ADMISSION = "coordination.k8s.io", "authorization.k8s.io", "admissionregistration.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_GET, _LIST, _CREATE, _PATCH, _DELETE = "get", "list", "create", "patch", "delete"
_SHORT_LIVED = frozenset({"rotation", "ca-rotation", "resilience"})
_RESILIENCE = frozenset({"resilience"})
_KEEPS_ORIGINALS = _SHORT_LIVED | {"identity"}

_READ_ONLY = (
    Needed(Role.READ_ONLY, (_GET,), _CORE, ("/openid/v1/jwks",), "compares the cluster's keys with those of the join token"),
    Needed(Role.READ_ONLY, (_GET, _LIST), _CORE, ("pods",), "finds proxies, tbot and the test application"),
    Needed(Role.READ_ONLY, (_LIST,), _CORE, ("namespaces",), "leaves out namespaces that the suite made"),
    Needed(
        Role.READ_ONLY,
        (_LIST,),
        _CORE,
        ("nodes",),
        "leaves out nodes that are not Ready, finds those that the test application selects",
    ),
    Needed(Role.READ_ONLY, (_LIST,), _APPS, ("deployments", "daemonsets"), "finds istiod, gateways, tbot and workloads"),
    Needed(
        Role.READ_ONLY,
        (_LIST,),
        _ADMISSION,
        ("mutatingwebhookconfigurations",),
        "tells which revision of Istio is behind a tag",
    ),
    Needed(Role.READ_ONLY, (_LIST,), _BATCH, ("cronjobs",), "looks for jobs that restart workloads"),
    Needed(Role.READ_ONLY, (_GET,), _CORE, ("pods/portforward",), "asks the admin interface of each Envoy"),
    Needed(
        Role.READ_ONLY, (_CREATE,), _CORE, ("pods/portforward",), "the same, from Kubernetes 1.35 on", since=CREATED_STREAMS
    ),
    Needed(Role.READ_ONLY, (_GET,), _CORE, ("configmaps",), "reads the mesh's configuration and roots", Where.ISTIO),
    Needed(Role.READ_ONLY, (_GET,), _CORE, ("configmaps",), "reads tbot's configuration", Where.TBOT),
    Needed(Role.READ_ONLY, (_GET,), _APPS, ("daemonsets",), "reads tbot's DaemonSet", Where.TBOT),
    Needed(
        Role.READ_ONLY,
        (_GET,),
        _CORE,
        ("pods/log",),
        "runs the guide's own commands, and reads what keeps tbot from Teleport",
        Where.TBOT,
    ),
    Needed(Role.READ_ONLY, (_GET,), _CORE, ("pods/log",), "runs the guide's own commands", Where.APP),
    Needed(Role.READ_ONLY, (_GET,), _APPS, ("deployments",), "reads the desired number of pods", Where.APP),
    Needed(
        Role.READ_ONLY, (_CREATE,), _CORE, ("pods",), "submits pods as server-side dry-runs, which create nothing", Where.APP
    ),
    Needed(
        Role.READ_ONLY,
        (_CREATE,),
        _AUTHORIZATION,
        ("subjectaccessreviews",),
        "asks what tbot's service account may do at the kubelet, which creates nothing (INST-18)",
    ),
    Needed(
        Role.READ_ONLY,
        (_LIST,),
        _RBAC,
        ("clusterroles", "clusterrolebindings", "roles", "rolebindings"),
        "reads who may use tbot's service account, and what this account may do (HYG-02, HYG-03)",
        profiles=frozenset({"hygiene"}),
    ),
    Needed(
        Role.READ_ONLY, (_GET,), _COORDINATION, ("leases",), "sees whether a disruptive run is under way", Where.KUBE_SYSTEM
    ),
)

_EXEC = (
    Needed(
        Role.EXEC, (_GET,), _CORE, ("pods/exec",), "runs `cat /proc/self/mountinfo` (ID-12) and `ls` (CHK-8) in sidecars;"
        " reads an Envoy that a port-forward does not reach",
    ),
    Needed(
        Role.EXEC, (_CREATE,), _CORE, ("pods/exec",), "the same, from Kubernetes 1.35 on or with a kubectl before 1.31",
        since=CREATED_STREAMS,
    ),
)  # fmt: skip

_NAMESPACED = (
    Needed(
        Role.NAMESPACED,
        (_CREATE, _PATCH),
        _CORE,
        ("namespaces", "serviceaccounts", "configmaps", "pods", "services"),
        "makes probe pods and test pods in namespaces of its own",
    ),
    Needed(
        Role.NAMESPACED,
        (_CREATE, _PATCH),
        _NETWORKING,
        ("destinationrules", "envoyfilters", "sidecars", "virtualservices"),
        "configures the proxies of the test pods",
    ),
    Needed(
        Role.NAMESPACED,
        (_CREATE, _PATCH),
        _SECURITY,
        ("authorizationpolicies", "peerauthentications"),
        "decides who may call the test pods",
    ),
    Needed(Role.NAMESPACED, (_GET, _DELETE), _CORE, ("namespaces",), "removes its namespaces, and waits for that"),
    Needed(Role.NAMESPACED, (_DELETE,), _CORE, ("pods",), "removes its pods"),
    Needed(Role.NAMESPACED, (_LIST,), _CORE, ("events",), "tells why a pod of its own does not start"),
    Needed(Role.NAMESPACED, (_GET,), _CORE, ("pods/log",), "reads what its pods print"),
    Needed(Role.NAMESPACED, (_GET,), _CORE, ("pods/exec",), "lets its test pods send requests"),
    Needed(Role.NAMESPACED, (_CREATE,), _CORE, ("pods/exec",), "the same, from Kubernetes 1.35 on", since=CREATED_STREAMS),
    Needed(Role.NAMESPACED, (_CREATE,), _CORE, ("serviceaccounts/token",), "takes a token of its own account (INST-09)"),
    Needed(
        Role.NAMESPACED,
        (_LIST,),
        _GATEWAY_API,
        ("gatewayclasses",),
        "finds the class of gateways that istiod deploys (TRF-05)",
        gateway_api=True,
    ),
    Needed(
        Role.NAMESPACED,
        (_CREATE, _PATCH),
        _GATEWAY_API,
        ("gateways", "httproutes"),
        "lets istiod deploy a gateway of the suite (TRF-05)",
        gateway_api=True,
    ),
    Needed(
        Role.NAMESPACED,
        (_GET,),
        _APPS,
        ("deployments",),
        "waits for the gateway that istiod deploys (TRF-05)",
        gateway_api=True,
    ),
    Needed(
        Role.NAMESPACED,
        (_CREATE, _PATCH),
        _COORDINATION,
        ("leases",),
        "keeps other runs off the cluster meanwhile",
        Where.KUBE_SYSTEM,
    ),
    Needed(
        Role.NAMESPACED,
        (_LIST,),
        _CORE,
        ("configmaps",),
        "sees whether an earlier run left something unrestored",
        Where.KUBE_SYSTEM,
    ),
)

_THROUGH_THE_GATEWAY = frozenset({"mtls", "traffic"})

_DISRUPTIVE = (
    Needed(
        Role.DISRUPTIVE,
        (_LIST,),
        _CORE,
        ("services",),
        "finds the port of the mesh's own ingress gateway (MTL-05, TRF-05)",
        profiles=_THROUGH_THE_GATEWAY,
    ),
    Needed(
        Role.DISRUPTIVE,
        (_CREATE, _PATCH),
        _NETWORKING,
        ("gateways",),
        "opens the mesh's own ingress gateway for hosts of the suite (MTL-05, TRF-05)",
        profiles=_THROUGH_THE_GATEWAY,
    ),
    Needed(
        Role.DISRUPTIVE,
        (_PATCH,),
        _APPS,
        ("daemonsets",),
        "restarts tbot with other lifetimes, and takes it away for a while",
        Where.TBOT,
        profiles=_SHORT_LIVED,
    ),
    Needed(
        Role.DISRUPTIVE,
        (_GET, _PATCH),
        _APPS,
        ("deployments",),
        "takes istiod away for a while (RES-07)",
        Where.ISTIO,
        profiles=_RESILIENCE,
    ),
    Needed(
        Role.DISRUPTIVE,
        (_GET,),
        _CORE,
        ("nodes",),
        "waits for a restarted node, on a kind cluster that the suite made (RES-08)",
        profiles=_RESILIENCE,
    ),
    Needed(
        Role.DISRUPTIVE,
        (_DELETE,),
        _CORE,
        ("configmaps",),
        "forgets the original of what it changed, once that is restored",
        Where.KUBE_SYSTEM,
        profiles=_KEEPS_ORIGINALS,
    ),
)

NEEDED: tuple[Needed, ...] = (*_READ_ONLY, *_EXEC, *_NAMESPACED, *_DISRUPTIVE)
"""Every right, in the order of the roles. A role holds only what the roles of the lower safety classes lack."""


def needed_by(roles: Collection[str], profiles: Collection[str], *, gateway_api: bool, server: Minor) -> tuple[Needed, ...]:
    """Return the rights that a run needs.

    Args:
        roles: Roles that it uses: its safety classes.
        profiles: Profiles that it certifies.
        gateway_api: The cluster knows the Gateway API.
        server: Version of the API server.
    """
    return tuple(
        row
        for row in NEEDED
        if row.role in roles
        and (not row.profiles or row.profiles & frozenset(profiles))
        and (gateway_api or not row.gateway_api)
        and server >= row.since
    )
