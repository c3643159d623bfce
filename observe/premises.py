"""What an install stands on, as something to read: the tools, the rights of this run, the API server and the nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from facts.document import Reading
from facts.evidence import ObjectRef, Recorder
from facts.kubernetes.access import Right
from facts.kubernetes.jwks import Jwks
from facts.kubernetes.objects import Node
from facts.versions import Tool, Version
from observe.kubernetes.cluster import Cluster
from observe.readings import Readings, all_of
from observe.tools import Tools
from settings import Names

READ_ONLY_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("get", "", "/openid/v1/jwks"),
    ("list", "", "pods"),
    ("list", "", "nodes"),
    ("list", "", "namespaces"),
    ("get", "", "configmaps"),
    ("get", "", "pods/log"),
    ("list", "apps", "deployments"),
    ("get", "apps", "deployments"),
    ("get", "apps", "daemonsets"),
    ("list", "apps", "daemonsets"),
    ("list", "batch", "cronjobs"),
    ("create", "", "pods"),
    ("create", "", "pods/portforward"),
    ("create", "", "pods/exec"),
)
"""What looking needs. Create on pods is for server-side dry-runs; nothing is created with it."""

_MADE: tuple[tuple[str, str], ...] = (
    *(("", kind) for kind in ("namespaces", "serviceaccounts", "configmaps", "secrets", "pods", "services")),
    *(("networking.istio.io", kind) for kind in ("destinationrules", "envoyfilters", "virtualservices")),
    *(("security.istio.io", kind) for kind in ("authorizationpolicies", "peerauthentications")),
)

NAMESPACED_RIGHTS: tuple[tuple[str, str, str], ...] = (
    *((verb, group, kind) for group, kind in _MADE for verb in ("create", "patch")),
    ("get", "", "pods"),
    ("delete", "", "pods"),
    ("delete", "", "namespaces"),
    ("get", "", "namespaces"),
    ("create", "", "serviceaccounts/token"),
)
"""What probes and workloads of the run need besides. Applying server-side is a patch, which creates what is not there."""

DISRUPTIVE_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("list", "", "services"),
    ("create", "networking.istio.io", "gateways"),
    ("patch", "networking.istio.io", "gateways"),
)
"""What it takes besides to send something through the mesh's own ingress gateway."""

_TBOT, _ISTIOD = ("patch", "apps", "daemonsets"), ("patch", "apps", "deployments")

OUTAGE_RIGHTS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "rotation": (_TBOT,),
    "ca-rotation": (_TBOT,),
    "resilience": (_TBOT, _ISTIOD),
}
"""What each profile takes besides to restart tbot, or to take it or istiod away for a while."""

GATEWAY_API_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("list", "gateway.networking.k8s.io", "gatewayclasses"),
    *((verb, "gateway.networking.k8s.io", kind) for kind in ("gateways", "httproutes") for verb in ("create", "patch")),
)
"""What it takes besides to have istiod deploy a gateway of the run's own, in a cluster that knows the Gateway API."""

ADMIN_RIGHTS: tuple[tuple[str, str, str], ...] = (("*", "*", "*"),)
"""What provisioning needs: the guide's cluster admin."""


class Premises(Readings):
    """Tools, rights, nodes, and the keys that the cluster signs tokens with.

    Args:
        cluster: Its Kubernetes API.
        tools: The command-line tools.
        names: What things are called; the guide's, or discovered ones.
        recorder: Takes readings that are made again by attaching them.
        need: Called with the part of the installation that a reading is about, before it is made.
        allowed: Safety classes of this run; they decide which rights it needs.
        profiles: Those that are certified, by name; they decide which rights it needs besides.
        provisions: Whether this run installs, and so needs admin rights.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        tools: Tools,
        names: Names,
        recorder: Recorder,
        need: Callable[[str], None],
        allowed: frozenset[str],
        provisions: bool,
        profiles: frozenset[str],
    ) -> None:
        super().__init__(recorder, need)
        self.cluster = cluster
        self.names = names
        self._tools = tools
        self._allowed = allowed
        self._provisions = provisions
        self._profiles = profiles

    @property
    def where(self) -> str:
        """The cluster, as a person names it."""
        return f"context {self.cluster.context}"

    def kubectl(self) -> Tool:
        """Kubectl's version."""
        return self._once("kubectl", self._tools.kubectl_version, lambda tool: tool.evidence)

    def istioctl(self) -> Tool:
        """Istioctl's version."""
        return self._once("istioctl", self._tools.istioctl_version, lambda tool: tool.evidence)

    def tctl(self) -> Tool:
        """Tctl's version."""
        self._need("teleport")
        return self._once("tctl", self._tools.tctl_version, lambda tool: tool.evidence)

    def api_version(self) -> tuple[Version, tuple[str, ...]]:
        """Version of the API server."""
        self._need("cluster")
        return self._once("api_version", self.cluster.version, lambda read: read[1])

    def gateway_api(self) -> Reading:
        """What the API server says of the Gateway API; the reading's document is None where it does not know it."""
        self._need("istiod")
        path, subject = "/apis/gateway.networking.k8s.io/v1", ObjectRef("ApiGroup", "gateway.networking.k8s.io/v1")
        return self._once(
            "gateway_api", lambda: self.cluster.api.get(path, subject, absent=True), lambda read: (read.evidence,)
        )

    def rights(self) -> tuple[Right, ...]:
        """What the API server says about each right that this run needs."""
        self._need("cluster")
        wanted = [*READ_ONLY_RIGHTS]
        if "namespaced" in self._allowed:
            wanted += NAMESPACED_RIGHTS
            # Whoever provisions has every right, and no Gateway API yet.
            if not self._provisions and self.gateway_api().document is not None:
                wanted += GATEWAY_API_RIGHTS
        if "disruptive" in self._allowed:
            wanted += DISRUPTIVE_RIGHTS
            wanted += dict.fromkeys(right for p in sorted(self._profiles) for right in OUTAGE_RIGHTS.get(p, ()))
        if self._provisions:
            wanted += ADMIN_RIGHTS

        def read() -> tuple[Right, ...]:
            with ThreadPoolExecutor(8) as pool:
                return tuple(pool.map(lambda right: self.cluster.can_i(*right), wanted))

        return self._once("rights", read, lambda rights: all_of(r.evidence for r in rights))

    def nodes(self) -> tuple[Node, ...]:
        """All nodes."""
        self._need("cluster")
        return self._once("nodes", self.cluster.nodes, lambda nodes: all_of(n.evidence for n in nodes))

    def workload_nodes(self) -> tuple[str, ...]:
        """Names of the nodes that take workloads: schedulable, without a taint that keeps pods away."""
        return tuple(
            n.name
            for n in self.nodes()
            if not n.unschedulable and not any(t.endswith((":NoSchedule", ":NoExecute")) for t in n.taints)
        )

    def jwks(self) -> Jwks:
        """The keys that the cluster publishes now."""
        self._need("cluster")
        return self._once("jwks", self.cluster.jwks, lambda jwks: jwks.evidence)
